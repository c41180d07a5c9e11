"""What can happen in a run, one frozen record each, in the past tense.

A thing with a duration is two events that share a `span`. Deltas and thinking are *ephemeral*: those
who follow see them, stores do not keep them, and every lasting view is the same without them.
The set is closed for writing and open for reading: an unknown kind in an old or newer log is read as
`Unknown`, and folds pass over it.

    run     started succeeded failed cancelled skipped retried resumed forked rescued reused mended spread
    model   requested delta thinking responded
    tool    called returned
    talk    said recalled
    world   asked answered
    session remembered checkpointed branched continued compacted
    note    noted forgotten
    state   wrote
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from quire.core.messages import File, Message
from quire.core.usage import Usage

__all__ = [
    "KINDS",
    "Answered",
    "Asked",
    "Branched",
    "Called",
    "Cancelled",
    "Checkpointed",
    "Compacted",
    "Continued",
    "Delta",
    "Event",
    "Failed",
    "Forgotten",
    "Forked",
    "Mended",
    "Noted",
    "Recalled",
    "Remembered",
    "Requested",
    "Rescued",
    "Responded",
    "Resumed",
    "Retried",
    "Returned",
    "Reused",
    "Said",
    "Skipped",
    "Spread",
    "Started",
    "Succeeded",
    "Thinking",
    "Unknown",
    "Wrote",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened, at one moment, in one span of one run."""

    kind: ClassVar[str] = "event"
    ephemeral: ClassVar[bool] = False

    seq: int
    """Its place in the run's log, from 1; an ephemeral event has the place of the last lasting one."""
    at: float
    """Seconds since 1970 in UTC; never runs backwards within a run."""
    run: str
    """The run's id."""
    span: str
    """What it is about."""
    parent: str | None
    """The span that span belongs to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Started(Event):
    """A runnable began."""

    kind: ClassVar[str] = "started"
    name: str
    of: str
    """What it is: step, agent, pipeline, tool, ..."""
    input: Any = None
    input_type: str = "Any"
    output_type: str = "Any"
    graph: dict[str, Any] | None = None
    """The drawing of its parts, for whoever opens the log without the object; only on a run's root."""
    tags: dict[str, str] = field(default_factory=dict[str, str])
    session: str | None = None
    """The conversation that the run belongs to; only on a run's root."""
    item: int | None = None
    """Which of many, from 0: the item of a fan-out, or the iteration of a loop."""
    key: str | None = None
    """What whoever started the run calls it, so that it is not started twice; only on a run's root."""
    process: str | None = None
    """The process that began it, as `quire.run.process` writes it; only on a run's root."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Succeeded(Event):
    """A runnable ended with a result."""

    kind: ClassVar[str] = "succeeded"
    output: Any = None
    lossy: bool = False
    """Whether the output cannot be read back as it was, because JSON does not hold it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed(Event):
    """A runnable or a model call ended with an error."""

    kind: ClassVar[str] = "failed"
    error_type: str
    error: str
    where: str = ""
    """The path of names from the run to what failed."""
    remedy: str | None = None
    traceback: str | None = None
    """The user's own frames."""
    origin: str | None = None
    """The span in which the error arose, when it only passed through this one."""
    replayed: bool = False
    """Whether the error was recorded in an earlier run and played again."""
    usage: Usage | None = None
    """What a model call had consumed, where its server counted it all the same."""
    cost_usd: float | None = None
    price_source: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancelled(Event):
    """A runnable or a model call was stopped."""

    kind: ClassVar[str] = "cancelled"
    reason: str
    begun: bool = True
    """Whether it may have done some of its work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped(Event):
    """A part of a flow will not run."""

    kind: ClassVar[str] = "skipped"
    name: str
    of: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Retried(Event):
    """An attempt failed, and after a wait there will be another."""

    kind: ClassVar[str] = "retried"
    attempt: int
    """The attempt that failed, from 1."""
    error_type: str
    error: str
    wait_s: float
    """Seconds until the next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed(Event):
    """What had been waiting, or had broken off with its process, went on."""

    kind: ClassVar[str] = "resumed"
    process: str | None = None
    """The process that goes on with the run; only on a run's root, when another had broken off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forked(Event):
    """Everything before this was taken over from another run."""

    kind: ClassVar[str] = "forked"
    source: str
    """The id of that run."""
    upto: int | None = None
    """The place in that run's log after which nothing was taken; `None` for its whole log."""
    edited: dict[str, str] = field(default_factory=dict[str, str])
    """What was given another output or input, by name: the span in which it is."""
    sessions: dict[str, int] = field(default_factory=dict[str, int])
    """Where the turns that are taken anew had begun, by session: the place of the first of them, as it was recalled."""
    branches: dict[str, str] = field(default_factory=dict[str, str])
    """The branch on which that was, by session."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rescued(Event):
    """A step failed, and another takes its place."""

    kind: ClassVar[str] = "rescued"
    by: str
    error_type: str
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reused(Event):
    """The work was not done again: the earlier answer to the same key is given."""

    kind: ClassVar[str] = "reused"
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Mended(Event):
    """Fields of an output did not fit and were mended, as somebody allowed."""

    kind: ClassVar[str] = "mended"
    fields: dict[str, str] = field(default_factory=dict[str, str])
    """What was done, by field: coerce, default or drop_field."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread(Event):
    """The same work is about to be done many times: for each item, or iteration after iteration."""

    kind: ClassVar[str] = "spread"
    items: int | None = None
    """How many at most; `None` while that is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Requested(Event):
    """A model was asked."""

    kind: ClassVar[str] = "requested"
    agent: str
    provider: str
    model: str
    messages: int
    """How many messages the prompt has; their words are in the log before this, or in the session recalled."""
    tools: tuple[str, ...] = ()
    output: str | None = None
    """The name of the shape that the reply is held to."""
    reply_tool: str | None = None
    """The tool whose call is the reply itself."""
    settings: dict[str, Any] = field(default_factory=dict[str, Any])
    simulated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Delta(Event):
    """Some characters of a reply arrived."""

    kind: ClassVar[str] = "delta"
    ephemeral: ClassVar[bool] = True
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Thinking(Event):
    """Some characters of a model's reasoning arrived."""

    kind: ClassVar[str] = "thinking"
    ephemeral: ClassVar[bool] = True
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Responded(Event):
    """A model's reply is complete."""

    kind: ClassVar[str] = "responded"
    message: Message
    finish_reason: str
    usage: Usage | None = None
    model: str | None = None
    first_token_s: float | None = None
    """Seconds from the request to the first character; `None` when the reply came whole."""
    cost_usd: float | None = None
    price_source: str | None = None
    simulated: bool = False
    replayed: bool = False
    """Whether the reply was recorded in an earlier run and played again."""
    cached: bool = False
    """Whether the same question had been answered before, so that nobody was asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Called(Event):
    """A tool is about to run: written before the effect."""

    kind: ClassVar[str] = "called"
    tool: str
    call: str
    """The model's id for the call."""
    arguments: Any = None
    key: str | None = None
    """What tells the effect apart from every other, if the tool has an `idempotency_key`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Returned(Event):
    """A tool gave its result, or raised."""

    kind: ClassVar[str] = "returned"
    tool: str
    call: str
    result: Any = None
    error_type: str | None = None
    error: str | None = None
    files: tuple[File, ...] = ()
    """What it gave besides words."""
    replayed: bool = False
    """Whether the tool was not used, but gave what it had given in an earlier run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said(Event):
    """A message entered a conversation from outside the model."""

    kind: ClassVar[str] = "said"
    sender: str
    role: str
    text: str
    files: tuple[File, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Recalled(Event):
    """An agent's turn began with what its session holds: those messages come before all that it says."""

    kind: ClassVar[str] = "recalled"
    session: str
    branch: str
    through: int
    """The place in the session's stream of the last event that was known of what is recalled; 0 if there was none."""
    messages: int
    """How many messages it was shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked(Event):
    """A person was asked something: the span is the question's own, and whoever asks is its parent.

    When the run goes on after it had broken off, an open question is asked again in the same span.
    """

    kind: ClassVar[str] = "asked"
    text: str
    choices: tuple[str, ...] = ()
    """What can be chosen; besides these, something of the `answer_type` can be given."""
    values: tuple[Any, ...] = ()
    """What each of the choices stands for, as JSON."""
    answer_type: str | None = None
    """The type of a free answer, as text; `None` if there are only the choices."""
    schema: dict[str, Any] | None = None
    """The JSON schema of an answer."""
    tool: str | None = None
    """The tool that the question is about."""
    arguments: Any = None
    why: str | None = None
    where: str = ""
    """The path of names from the run to whoever asks."""
    until: float | None = None
    """The moment after which nobody needs to answer."""
    doubt: bool = False
    """Whether it asks if the tool has done its work, which nobody knows since the run broke off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered(Event):
    """Somebody answered a question, in whose span this is."""

    kind: ClassVar[str] = "answered"
    value: Any = None
    by: str = "you"
    ahead: bool = False
    """Whether nobody was at work on the run then: the answer is taken when it goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered(Event):
    """A turn was added to a session, in whose stream this and the next four kinds are; run and span are the turn's."""

    kind: ClassVar[str] = "remembered"
    branch: str
    agent: str
    turn: tuple[Message, ...]
    """What was said: the user's message, replies, what tools gave, and the last reply."""
    usage: Usage | None = None
    """What the agent's model calls consumed in it; `None` when that was not reported."""
    cost_usd: float | None = None
    simulated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpointed(Event):
    """A place in a session was given a name."""

    kind: ClassVar[str] = "checkpointed"
    branch: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Branched(Event):
    """A session went on from an earlier place, on a branch of its own; what came after that place is kept."""

    kind: ClassVar[str] = "branched"
    branch: str
    origin: str
    """The session in which that place is: another one at the beginning of a fork, otherwise usually its own."""
    to: int
    """The place: that of the last event that belongs to the branch."""
    head: bool = True
    """Whether the session goes on with it from now on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Continued(Event):
    """Another session goes on from a place in this one, which it needs from now on."""

    kind: ClassVar[str] = "continued"
    into: str
    to: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Compacted(Event):
    """The older turns of a branch were summed up: models are shown the summary instead. Nothing is deleted."""

    kind: ClassVar[str] = "compacted"
    branch: str
    hidden: int
    """How many turns, from the first of the branch."""
    summary: str
    by: str
    """Who summed up: a model, or the name of a function."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted(Event):
    """An agent wrote something down for later, in the stream of a namespace of notes."""

    kind: ClassVar[str] = "noted"
    note: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten(Event):
    """A note is not found any more."""

    kind: ClassVar[str] = "forgotten"
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrote(Event):
    """A step wrote to a channel of the run's state: recorded right before it ends well."""

    kind: ClassVar[str] = "wrote"
    state: str
    """The name of the state."""
    channel: str
    value: Any = None
    """What was written, not what the channel holds since."""
    reducer: str = "last"
    """How it is merged with what the channel held."""
    whole: bool = False
    """Whether it is all that the channel holds: what the state began with, or an edit of a fork."""
    place: tuple[int, ...] = ()
    """Where in the flow as it is written down: writes are merged in the order of their places."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown(Event):
    """An event of a kind this version does not know, kept whole."""

    kind: ClassVar[str] = "unknown"
    name: str
    """The kind as the log has it."""
    data: dict[str, Any] = field(default_factory=dict[str, Any])


KINDS: dict[str, type[Event]] = {
    event.kind: event
    for event in (
        Started,
        Succeeded,
        Failed,
        Cancelled,
        Skipped,
        Retried,
        Resumed,
        Forked,
        Rescued,
        Reused,
        Mended,
        Spread,
        Requested,
        Delta,
        Thinking,
        Responded,
        Called,
        Returned,
        Said,
        Recalled,
        Asked,
        Answered,
        Remembered,
        Checkpointed,
        Branched,
        Continued,
        Compacted,
        Noted,
        Forgotten,
        Wrote,
    )
}
"""Every kind that can be written, by its word in the log."""
