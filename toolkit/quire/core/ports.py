"""The sockets of the house: what an adapter has to offer, at most four methods each.

A model and a store are ports, not runnables. An adapter is found by its entry point; ours come through
the same door as a stranger's. One of the group `quire.providers` is called with an `Endpoint`. One of
`quire.stores` has the name of a scheme, as in `scheme://...`, and is called with the whole address.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

from quire.core.events import Event
from quire.core.messages import Message
from quire.core.usage import Usage

__all__ = [
    "Abilities",
    "Answer",
    "Endpoint",
    "Facts",
    "FinishReason",
    "Model",
    "ModelRequest",
    "OutputForm",
    "Piece",
    "Store",
    "ToolForm",
]

FinishReason: TypeAlias = Literal["stop", "length", "tool_calls", "content_filter", "error"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolForm:
    """A tool as a model is told about it."""

    name: str
    description: str
    parameters: dict[str, Any]
    """JSON schema of the arguments, an object."""
    is_reply: bool = False
    """Whether its arguments are the reply itself, and nothing is run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputForm:
    """The shape a reply must have."""

    name: str
    schema: dict[str, Any]
    """JSON schema, an object."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRequest:
    """One question to a model, whole."""

    messages: tuple[Message, ...]
    tools: tuple[ToolForm, ...] = ()
    output: OutputForm | None = None
    """Set when the reply must be JSON of this shape and the model's `Abilities` include it."""
    temperature: float | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    reasoning: str | None = None
    """The provider's own word for its effort, such as `"low"`."""
    must_use_tool: bool = False
    """Whether words alone are no answer; only for a model whose `Abilities` include it."""
    stream: bool = False
    """Whether somebody is watching: the adapter then yields pieces as they arrive."""

    @property
    def calls(self) -> int:
        """How many tools were asked for so far; a call that comes without an id is numbered on from there."""
        return sum(len(message.calls) for message in self.messages)


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Some characters of a reply that is still being written."""

    text: str
    thinking: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A model's whole reply to one request."""

    message: Message
    finish_reason: FinishReason
    usage: Usage | None
    """`None` when the provider did not say."""
    model: str | None = None
    """The model that answered, if the provider names it."""
    cost_usd: float | None = None
    """What the provider itself says it cost, in US dollars."""
    replayed: bool = False
    """Whether it was not asked for now, but recorded earlier."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Abilities:
    """What a model can do, as data."""

    output_schema: bool = True
    """It can be held to a JSON schema."""
    output_schema_with_tools: bool = True
    """It can be held to one also while it is offered tools."""
    tools: bool = True
    """It can be offered tools."""
    must_use_tool: bool = True
    """It can be made to use one of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What an adapter knows of a model without asking it; `None` for what it does not know.

    A model may have a method `facts()` that returns them, or `None` if its provider does not serve it.
    """

    usable: bool | None = None
    """Whether it could be asked now: its key is there, or it needs none. Nobody is asked to find out."""
    key: str | None = None
    """The environment variable for its key; `None` if it needs none."""
    tools: bool | None = None
    """Whether it can be offered tools."""
    images: bool | None = None
    """Whether it can be shown pictures."""
    reasoning: bool | None = None
    """Whether it can think before it answers."""


class Model(Protocol):
    """A mind that can be asked."""

    @property
    def provider(self) -> str:
        """Who serves it, such as `"openai"`."""
        ...

    @property
    def model(self) -> str:
        """Its name at that provider."""
        ...

    @property
    def abilities(self) -> Abilities:
        """What it can do."""
        ...

    @property
    def simulated(self) -> bool:
        """Whether its words are made up by a program."""
        ...

    def ask(self, request: ModelRequest) -> AsyncIterator[Piece | Answer]:
        """Yield pieces if `request.stream`, then exactly one `Answer`; raise a `ProviderError` otherwise.

        Closing the iterator, or cancelling the task that reads it, closes the connection.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where a model is served and with which key: what a provider's entry point is called with."""

    provider: str
    model: str
    api_key: str | None = field(default=None, repr=False)
    base_url: str | None = None
    timeout: float = 60.0
    """Seconds to wait for the next bytes."""


class Store(Protocol):
    """An append-only log of events, many streams side by side.

    A stream's events are numbered from 1 without gaps; `expected` is how many the writer believes
    are there.
    """

    async def append(self, stream: str, events: Sequence[Event], expected: int) -> None:
        """Add events at the end, all or none; raise `StreamConflict` if the stream is not `expected` events long."""
        ...

    async def read(self, stream: str, after: int = 0) -> list[Event]:
        """Return the events whose `seq` is greater than `after`, in order; none for an unknown stream."""
        ...

    async def streams(self, prefix: str = "") -> list[str]:
        """Return the names that begin with `prefix`, oldest first."""
        ...

    async def delete(self, stream: str) -> None:
        """Forget a stream; an unknown one is no error."""
        ...
