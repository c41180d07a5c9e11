"""The embedded model: no network, no key, no mind. The same conversation always gets the same reply.

It repeats, picks out and fills in: enough for every example to run anywhere and for every view to have something to
show. Its words are made of the conversation's own and claim nothing. A token is counted as four characters,
which is close for English, with three more for each message.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_core import to_json

from quire.adapters.providers.clues import Clues, first_sentence, flattened, sentences, spaced, stems
from quire.adapters.providers.inventions import Inventor
from quire.adapters.providers.loose import mapping, parsed, rows, text
from quire.core.messages import File, Message, Part, Text, ToolCall, ToolResult
from quire.core.ports import Abilities, Answer, Endpoint, Facts, FinishReason, ModelRequest, Piece, ToolForm
from quire.core.usage import Usage

__all__ = ["Offline"]

_PER_WORD_S = 0.012
_WHOLE_S = 1.2
_TOKEN = 4
_PER_MESSAGE = 3
_FEW = 3


class Offline:
    """A deterministic stand-in for a model.

    Example:
        >>> from quire.core.ports import Endpoint
        >>> Offline(Endpoint(provider="offline", model="offline"))
        Offline()
    """

    provider = "offline"
    simulated = True

    def __init__(self, endpoint: Endpoint) -> None:
        self.model = endpoint.model
        self.abilities = Abilities()

    def __repr__(self) -> str:
        return "Offline()"

    def facts(self) -> Facts:
        """Return what is known of it: it is always there."""
        return Facts(usable=True, tools=True, images=True, reasoning=False)

    async def ask(self, request: ModelRequest) -> AsyncGenerator[Piece | Answer, None]:
        """Yield words if `request.stream`, then the `Answer`."""
        talk = _Talk.of(request.messages)
        calls = _calls(request, talk)
        said, finish = ("", "tool_calls") if calls else _cut(_words(request, talk), request)
        if request.stream:
            pieces = re.findall(r"\s*\S+|\s+$", said)
            for piece in pieces:
                yield Piece(text=piece)
                await asyncio.sleep(min(_PER_WORD_S, _WHOLE_S / len(pieces)))
        yield _answer(request, said, calls, finish, self.model)


@dataclass(frozen=True, slots=True)
class _Talk:
    """A conversation, as far as it matters for the next reply."""

    instructions: str
    last: str
    """The newest words of the other side."""
    data: dict[str, Any]
    """The same, when they are a JSON object."""
    files: str
    """The names of the files that came with them."""
    earlier: tuple[Message, ...]
    results: tuple[ToolResult, ...]
    """What tools have given since."""

    @property
    def used(self) -> set[str]:
        """The tools that have given something before."""
        return {part.tool for message in self.earlier for part in message.parts if isinstance(part, ToolResult)}

    @classmethod
    def of(cls, messages: Sequence[Message]) -> _Talk:
        at = max((n for n, message in enumerate(messages) if message.role == "user"), default=-1)
        spoken = messages[at].text if at >= 0 else ""
        data = mapping(parsed(spoken))
        return cls(
            instructions="\n".join(message.text for message in messages if message.role == "system"),
            last=_as_prose(data) or spoken,
            data=data,
            files="; ".join(str(part) for part in (messages[at].parts if at >= 0 else ()) if isinstance(part, File)),
            earlier=tuple(message for message in messages[: max(at, 0)] if message.role != "system"),
            results=tuple(
                part for message in messages[at + 1 :] for part in message.parts if isinstance(part, ToolResult)
            ),
        )


def _as_prose(data: dict[str, Any]) -> str:
    """Write an object's values as text, sentences first: what is worth repeating is rarely the version number."""
    told = flattened(data)
    prose = [words for words in told if len(words.split()) > _FEW]
    sizes = [f"{spaced(name)}: {len(rows(value))}" for name, value in data.items() if isinstance(value, list)]
    lead = prose or ([f"{', '.join(sizes)}."] if len(sizes) > 1 else [])
    return " ".join([*lead, *(words for words in told if words not in prose)])


# --- tools


def _calls(request: ModelRequest, talk: _Talk) -> list[ToolCall]:
    if talk.results:
        return []
    before = sum(len(message.calls) for message in request.messages)
    wanted = [tool for tool in request.tools if _is_wanted(tool, talk)]
    return [
        ToolCall(id=f"call_{before + n}", tool=tool.name, arguments=_arguments(tool, talk))
        for n, tool in enumerate(wanted, start=1)
    ]


def _arguments(tool: ToolForm, talk: _Talk) -> str:
    made = Inventor({"type": "object", **tool.parameters}, Clues(talk.last, talk.data)).value()
    return to_json(made).decode()


def _is_wanted(tool: ToolForm, talk: _Talk) -> bool:
    asked = stems(talk.last)
    if tool.name in talk.last or stems(tool.name) & asked:
        return True
    ordered = [sentence for sentence in sentences(talk.instructions) if tool.name in sentence]
    # "If asked about the weather, call get_weather" is an order only for those who ask about the weather.
    unasked = any(not re.search(r"\b(if|when|whenever|only|unless)\b", sentence, re.IGNORECASE) for sentence in ordered)
    described = stems(" ".join([*ordered, tool.description] if ordered else [])) - stems(tool.name)
    return (unasked and tool.name not in talk.used) or bool(described & asked) or _takes_its_numbers(tool, talk)


def _takes_its_numbers(tool: ToolForm, talk: _Talk) -> bool:
    properties = mapping(tool.parameters.get("properties"))
    kinds = [text(mapping(properties.get(name)).get("type")) for name in rows(tool.parameters.get("required"))]
    there = len(re.findall(r"\d+(?:\.\d+)?", talk.last))
    return len(kinds) > 1 and set(kinds) <= {"integer", "number"} and there >= len(kinds)


# --- words


def _words(request: ModelRequest, talk: _Talk) -> str:
    if request.output is not None:
        found = " ".join([talk.last, *(" ".join(flattened(parsed(r.text))) or r.text for r in talk.results)])
        data = {**talk.data, **{k: v for result in talk.results for k, v in mapping(parsed(result.text)).items()}}
        clues = Clues(found or talk.files or talk.instructions, data)
        return to_json(Inventor(request.output.schema, clues).value()).decode()
    if talk.results:
        return " ".join(_told(result) for result in talk.results)
    return _one_word(talk) or _bullets(talk) or _plainly(talk)


def _plainly(talk: _Talk) -> str:
    given = f"I was given {talk.files}." if talk.files else ""
    if given and not talk.last:
        return given
    return f"{_remembered(talk) or _acknowledged(talk) or _about(talk)} {given}".rstrip()


def _told(result: ToolResult) -> str:
    if result.failed:
        return f"{result.tool} failed: {first_sentence(result.text)}"
    value = parsed(result.text)
    said = ", ".join(
        f"{spaced(k)} {v if isinstance(v, str) else json.dumps(v, ensure_ascii=False)}"
        for k, v in mapping(value).items()
    )
    return f"{result.tool} says: {said or first_sentence(result.text, 400)}" + (
        "" if result.text.endswith(".") else "."
    )


def _one_word(talk: _Talk) -> str | None:
    asked = re.search(
        r"\b(?:one word|one of|either|only with|reply with|answer with)\b[^:\n]*:\s*([^.\n]+)",
        talk.instructions,
        re.IGNORECASE,
    )
    options = re.split(r"\s*(?:,|/|\||\bor\b)\s*", asked.group(1)) if asked else []
    options = [option.strip(" \"'`“”") for option in options if option.strip(" \"'`“”")]
    return (
        str(Clues(talk.last).choice(options))
        if len(options) > 1 and all(len(o.split()) <= _FEW for o in options)
        else None
    )


def _bullets(talk: _Talk) -> str | None:
    asked = re.search(r"\b(\d+|two|three|four|five)[- ]bullet", talk.instructions, re.IGNORECASE)
    if not asked:
        return None
    many = {"two": 2, "three": 3, "four": 4, "five": 5}.get(asked.group(1).lower()) or int(asked.group(1))
    points = Clues(talk.last).keywords(many)
    return "\n".join(f"- {point[:1].upper()}{point[1:]}" for point in points) or None


def _remembered(talk: _Talk) -> str | None:
    """Answer a question from what was said before."""
    if not (
        talk.last.rstrip().endswith("?")
        or re.match(r"(what|who|where|when|which|how|do you)\b", talk.last, re.IGNORECASE)
    ):
        return None
    own = [message.text for message in talk.earlier if message.role == "user"]
    for thing in re.findall(
        r"\bmy ([\w' -]+?)(?=\s*(?:[?.!,]|$|\bis\b|\bare\b|\bwas\b|\bagain\b))", talk.last, re.IGNORECASE
    ):
        said = [
            found
            for words in own
            for found in re.findall(rf"\bmy {re.escape(thing)} (is|are|was) ([^.!?\n]+)", words, re.IGNORECASE)
        ]
        if said:
            return f"Your {thing} {said[-1][0]} {said[-1][1].strip()}."
        named = (
            re.findall(r"\b(?:I am|I'm|I\u2019m|call me|this is) ([A-Z]\w+)", " ".join(own)) if thing == "name" else []
        )
        if named:
            return f"Your name is {named[-1]}."
    return _nearest(talk)


def _nearest(talk: _Talk) -> str | None:
    wanted = stems(talk.last)
    said = [(sentence, message.role) for message in talk.earlier for sentence in sentences(message.text)]
    scored = [(len(stems(sentence) & wanted), role == "user", n) for n, (sentence, role) in enumerate(said)]
    common, _, n = max(scored, default=(0, False, 0))
    if not common:
        return None
    return f"{'You' if said[n][1] == 'user' else 'I'} said earlier: “{said[n][0]}”"


def _acknowledged(talk: _Talk) -> str | None:
    if not re.match(r"\s*(my|i|i'm|i\u2019m|we|our)\b", talk.last, re.IGNORECASE) or talk.last.rstrip().endswith("?"):
        return None
    turned = first_sentence(talk.last, 200).rstrip(".!")
    for mine, yours in (("my", "your"), ("I am|I'm|I\u2019m", "you are"), ("I", "you"), ("our", "your"), ("we", "you")):
        turned = re.sub(rf"\b(?:{mine})\b", yours, turned, flags=re.IGNORECASE if mine in ("my", "our", "we") else 0)
    return f"Noted: {turned}."


def _about(talk: _Talk) -> str:
    role = re.search(r"\byou are (an? [^.,;:\n]+)", talk.instructions, re.IGNORECASE)
    voice = f"As {role.group(1).strip()}: " if role else ""
    quoted = first_sentence(talk.last or talk.instructions or "nothing")
    topics = Clues(quoted).keywords() or ["what you wrote"]
    listed = ", ".join(topics[:-1]) + (" and " if topics[1:] else "") + topics[-1]
    return f"{voice}“{quoted}” is about {listed}."


# --- the answer


def _cut(said: str, request: ModelRequest) -> tuple[str, FinishReason]:
    ends = [said.index(stop) for stop in request.stop if stop and stop in said]
    said = said[: min(ends)] if ends else said
    most = math.inf if request.max_tokens is None else request.max_tokens * _TOKEN
    return (said, "stop") if len(said) <= most else (said[: int(most)], "length")


def _answer(request: ModelRequest, said: str, calls: list[ToolCall], finish: FinishReason, model: str) -> Answer:
    parts: list[Part] = [Text(text=said)] if said else []
    read = sum(_tokens(_content(message)) + _PER_MESSAGE for message in request.messages)
    forms = [*(to_json(tool.parameters).decode() + tool.name + tool.description for tool in request.tools)]
    written = _tokens(said) + sum(_tokens(call.tool + call.arguments) for call in calls)
    return Answer(
        message=Message(role="assistant", parts=(*parts, *calls)),
        finish_reason=finish,
        usage=Usage(input_tokens=read + sum(map(_tokens, forms)), output_tokens=max(1, written)),
        model=model,
        cost_usd=0.0,
    )


def _content(message: Message) -> str:
    return "".join(map(_content_of, message.parts))


def _content_of(part: Part) -> str:
    match part:
        case ToolCall():
            return part.tool + part.arguments
        case File():
            return str(part)
        case _:
            return part.text


def _tokens(words: str) -> int:
    return math.ceil(len(words) / _TOKEN)
