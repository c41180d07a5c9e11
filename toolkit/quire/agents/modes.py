"""How a model is asked for a value: held to a schema, by a tool whose call is the reply, or in words.

The best way that its abilities allow is taken. What a model can do is first what its adapter says; a server
that cannot do it says so by refusing the request. Then it is asked without that ability, and remembered.
Only the memory at the end of this module keeps anything, everything else is pure.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any
from weakref import WeakKeyDictionary

from quire.agents.parse import instruction_for
from quire.core.errors import ProviderError
from quire.core.ports import Abilities, Model, ModelRequest, OutputForm, ToolForm

__all__ = ["Way", "abilities_of", "learn", "lesser", "reply_name", "way_for"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """What a request for a reply has besides the conversation."""

    tools: tuple[ToolForm, ...]
    words: str = ""
    """What is added to the instructions."""
    output: OutputForm | None = None
    must_use_tool: bool = False


def way_for(form: OutputForm | None, tools: tuple[ToolForm, ...], abilities: Abilities) -> Way:
    """Return the best way to ask for a reply of that shape, next to those tools; `None` is plain text.

    Example:
        >>> form = OutputForm(name="Verdict", schema={"type": "object"})
        >>> [tool.name for tool in way_for(form, (), Abilities(output_schema=False)).tools]
        ['reply']
    """
    if form is None:
        return Way(tools=tools)
    if abilities.output_schema and (not tools or abilities.output_schema_with_tools):
        return Way(tools=tools, output=form)
    if abilities.tools:
        reply = _reply_tool(form, tools)
        words = f"Give your final reply by calling the tool `{reply.name}`, alone, when you need no other tool."
        return Way(tools=(*tools, reply), words=words, must_use_tool=abilities.must_use_tool)
    return Way(tools=tools, words=instruction_for(form))


def reply_name(tools: Sequence[ToolForm]) -> str:
    """Return the name of the tool whose call is the reply: none of those that are there already."""
    taken = {tool.name for tool in tools}
    return next(name for n in count(1) if (name := "reply" if n == 1 else f"reply_{n}") not in taken)


def _reply_tool(form: OutputForm, tools: Sequence[ToolForm]) -> ToolForm:
    description = "Give the final reply. Call it once, and not together with other tools."
    return ToolForm(name=reply_name(tools), description=description, parameters=form.schema, is_reply=True)


# What a refusal is about

_SCHEMA = re.compile(
    r"response[_ ]?(format|(json[_ ]?)?schema|mime[_ ]?type)|json[_ ]?(schema|mode|object)|\bschema\b"
    r"|output[_ ]?(config|format|schema)|structured[_ ]?output|text\.format|guided[_ ]|\bgrammar\b",
    re.IGNORECASE,
)
_CHOICE = re.compile(r"tool[_ ]?choice|function[_ ]?calling[_ ]?config|\bmode\W+any\b|forced function", re.IGNORECASE)
_TOOLS = re.compile(r"\btools?\b|\btool[_ ](use|call|choice)|\bfunctions?\b|\bfunction[_ ]?(call|decl)", re.IGNORECASE)
_THIS_SCHEMA = re.compile(
    r"invalid schema|schema\b.*\b(invalid|too|exceeds|complex|deep|nest|recursi)|too many states|in context=",
    re.IGNORECASE,
)
_SLIP = re.compile(r"tool_use_failed|json_validate_failed|failed_generation", re.IGNORECASE)
"""The model tried and failed, so the server can do it."""


def lesser(request: ModelRequest, abilities: Abilities, error: ProviderError) -> Abilities | None:
    """Return what is left of a model's abilities when its server refused a request because of one of them.

    `None` if the refusal is about anything else. Servers have no common code for it, so it is told from
    what the request had and what the server's words name.
    """
    words = error.body or error.what
    of_the_users = [tool.name for tool in request.tools if not tool.is_reply]
    if _SLIP.search(words) or any(f"'{name}'" in words for name in of_the_users):
        return None
    if request.output is not None and _SCHEMA.search(words):
        # With tools, it may only be the two together that it cannot do.
        lacking = "output_schema_with_tools" if request.tools else "output_schema"
        return replace(abilities, **{lacking: False})
    if request.must_use_tool and _CHOICE.search(words):
        return replace(abilities, must_use_tool=False)
    if any(tool.is_reply for tool in request.tools) and (_TOOLS.search(words) or _SCHEMA.search(words)):
        return replace(abilities, tools=False)
    return None


# What was learned

_LEARNED: WeakKeyDictionary[Model, dict[str | None, Abilities]] = WeakKeyDictionary()
"""What models turned out to be able to do: at all, and for the shape of that name."""


def abilities_of(model: Model, form: OutputForm | None) -> Abilities:
    """Return what a model can do when it is asked for that shape, as far as is known."""
    learned = _of(model)
    return learned.get(form and form.name) or learned.get(None) or model.abilities


def learn(model: Model, form: OutputForm | None, abilities: Abilities, refusals: Sequence[ProviderError]) -> None:
    """Remember that a model has only these abilities, because it replied after it had refused like that."""
    # A complaint about one particular schema says nothing of others.
    is_particular = any(_THIS_SCHEMA.search(error.body or error.what) for error in refusals)
    _of(model)[form and form.name if is_particular else None] = abilities


def _of(model: Any) -> dict[str | None, Abilities]:
    try:
        return _LEARNED.setdefault(model, {})
    except TypeError:  # somebody's own model without a hash: it is not remembered
        return {}
