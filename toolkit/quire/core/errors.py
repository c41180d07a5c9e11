"""Every error Quire raises, one tree; each says what happened, where, and the remedy.

    QuireError
    ├── DefinitionError (ValueError)      an object was written down wrongly: found where it is written
    │   ├── RegistrationError             gate 2: a step was added with something that cannot work
    │   │   └── UnknownField (AttributeError)     a reference to a field that is not there
    │   └── PipelineError
    │       ├── MissingProducer           nothing makes what a step needs
    │       ├── AmbiguousProducer         more than one step makes it
    │       ├── CycleFound                steps wait for each other
    │       └── DuplicateName             two steps with one name
    ├── InputValidationError (ValueError)     a value is not what the runnable takes
    │   ├── SubmitError                   gate 1: the input of a whole run
    │   └── DispatchError                 gate 3: the input of one step, put together from others
    ├── OutputValidationError (ValueError)    gate 4: a value is not what the runnable promised
    │   └── CompletionError               gate 5: what a whole flow gives, or that it gives nothing
    ├── ConditionError                    a `when` or `until` could not be decided
    ├── NoRoute                           a branch's answer leads nowhere
    ├── AllFailed                         nobody finished the race
    ├── LoopExhausted                     a loop ended without being done
    ├── ToolRoundsExceeded                a model kept asking for tools
    ├── ToolFailed                        a tool of another program says that it failed
    │   └── ToolsUnreachable (ConnectionError)    that program could not be started or reached, or went away
    ├── Stop                              raised by a tool to end the run instead of telling the model
    │   ├── Unanswered                    nobody is there to answer a question, or nobody did in time
    │   └── UnresolvedEffect              nobody knows whether a tool has done its work
    ├── DeadlineExceeded (TimeoutError)   the time given was used up
    ├── RunCancelled                      somebody stopped the run that was awaited
    ├── RunNotFinished                    a result was read before there was one
    ├── AnswerRefused (ValueError)        an answer does not fit its question, or the question is not open
    ├── ProviderError                     a model's server refused, failed or vanished
    │   ├── AuthenticationError
    │   ├── QuotaExceeded
    │   ├── RateLimited
    │   ├── Overloaded
    │   ├── ContextTooLong
    │   ├── ModelNotFound
    │   ├── InvalidRequest
    │   ├── ContentFiltered
    │   ├── StreamInterrupted
    │   ├── ProviderTimeout (TimeoutError)
    │   └── ProviderUnreachable (ConnectionError)
    ├── CassetteError                     a recording could not be written, read or used
    │   └── CassetteMiss                  nothing recorded answers a request, and it may not be asked
    ├── SessionError                      a conversation cannot be gone on with as asked
    │   ├── UnknownSession (LookupError)
    │   └── UnknownCheckpoint (LookupError)
    ├── StateError (ValueError)           a channel of the state cannot be written like that
    │   └── StateConflict                 two steps side by side wrote one that has no reducer
    └── StoreError                        a log could not be kept or read
        ├── StreamConflict                another writer was there first
        └── CorruptLog                    a line in the middle of a log is unreadable

A `SchemaWarning` says which flows break when something is defined again with another shape.

What user code raises is never wrapped: it reaches the caller as it is, with its own traceback and a
note that says where in the run it happened.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from quire.core.events import Event
    from quire.core.ports import Answer

__all__ = [
    "AllFailed",
    "AmbiguousProducer",
    "AnswerRefused",
    "AuthenticationError",
    "CassetteError",
    "CassetteMiss",
    "CompletionError",
    "ConditionError",
    "ContentFiltered",
    "ContextTooLong",
    "CorruptLog",
    "CycleFound",
    "DeadlineExceeded",
    "DefinitionError",
    "DispatchError",
    "DuplicateName",
    "InputValidationError",
    "InvalidRequest",
    "LoopExhausted",
    "MissingProducer",
    "ModelNotFound",
    "NoRoute",
    "OutputValidationError",
    "Overloaded",
    "PipelineError",
    "ProviderError",
    "ProviderTimeout",
    "ProviderUnreachable",
    "QuireError",
    "QuotaExceeded",
    "RateLimited",
    "RegistrationError",
    "RunCancelled",
    "RunNotFinished",
    "SchemaWarning",
    "SessionError",
    "StateConflict",
    "StateError",
    "Stop",
    "StoreError",
    "StreamConflict",
    "StreamInterrupted",
    "SubmitError",
    "ToolFailed",
    "ToolRoundsExceeded",
    "ToolsUnreachable",
    "Unanswered",
    "UnknownCheckpoint",
    "UnknownField",
    "UnknownSession",
    "UnresolvedEffect",
]


class QuireError(Exception):
    """What happened, where, and what to do about it.

    `str(error)` is three parts on lines of their own; the bracket around a run fills in `where`
    when whoever raised the error could not know it.

    Example:
        >>> print(QuireError("The tank is empty.", where="trip › drive", remedy="Fill it."))
        The tank is empty.
          in trip › drive
          Fill it.
    """

    def __init__(self, what: str, *, where: str | None = None, remedy: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.remedy = remedy

    def __str__(self) -> str:
        lines = [self.what]
        if self.where:
            lines.append(f"  in {self.where}")
        if self.remedy:
            lines.extend(f"  {line}" for line in self.remedy.splitlines())
        return "\n".join(lines)


class DefinitionError(QuireError, ValueError):
    """An object was written down in a way that can never work."""


class SchemaWarning(UserWarning):
    """Something was defined again with another shape, and flows that use it will break."""


class RegistrationError(DefinitionError):
    """A step was added to a flow with a reference, a type, a condition or a limit that cannot work."""


class UnknownField(RegistrationError, AttributeError):
    """A reference names a field that the type does not have."""


class PipelineError(DefinitionError):
    """The steps of a pipeline do not fit together."""


class MissingProducer(PipelineError):
    """A step needs a type that neither another step nor the pipeline's input provides."""


class AmbiguousProducer(PipelineError):
    """A step needs a type that more than one step provides."""


class CycleFound(PipelineError):
    """Steps wait for each other in a circle."""


class DuplicateName(PipelineError):
    """Two steps of one pipeline have the same name."""


class InputValidationError(QuireError, ValueError):
    """A value does not fit the type a runnable takes."""


class SubmitError(InputValidationError):
    """What a run was started with does not fit what it takes."""


class DispatchError(InputValidationError):
    """What a step would get from the steps before it does not fit what it takes."""


class OutputValidationError(QuireError, ValueError):
    """A value does not fit the type a runnable promises; `raw` is a model's own text, if there is one."""

    def __init__(
        self, what: str, *, where: str | None = None, remedy: str | None = None, raw: str | None = None
    ) -> None:
        super().__init__(what, where=where, remedy=remedy)
        self.raw = raw


class CompletionError(OutputValidationError):
    """A flow has ended, and what it should give is not there or does not fit."""


class ConditionError(QuireError):
    """A condition raised instead of saying yes or no."""


class NoRoute(QuireError):
    """The answer of a branch's decider matches none of its routes."""


class AllFailed(QuireError):
    """Every way of a race failed; `errors` has each one's error, by name."""

    def __init__(
        self,
        what: str,
        *,
        where: str | None = None,
        remedy: str | None = None,
        errors: dict[str, BaseException] | None = None,
    ) -> None:
        super().__init__(what, where=where, remedy=remedy)
        self.errors = errors or {}


class LoopExhausted(QuireError):
    """A loop had all its iterations and was still not done."""


class ToolRoundsExceeded(QuireError):
    """A model asked for tools more often than `max_tool_rounds` allows."""


class ToolFailed(QuireError):
    """A tool that another program provides says that it failed; the words are that program's."""


class ToolsUnreachable(ToolFailed, ConnectionError):
    """A program that provides tools could not be started or reached, or went away."""


class Stop(QuireError):
    """Raised by a tool: end the run with this error instead of telling the model about it."""


class Unanswered(Stop):
    """A person was asked, and nobody is there to answer, or nobody did in time; `question` is its id in the run."""

    def __init__(
        self, what: str, *, where: str | None = None, remedy: str | None = None, question: str | None = None
    ) -> None:
        super().__init__(what, where=where, remedy=remedy)
        self.question = question


class UnresolvedEffect(Stop):
    """A run broke off while a tool was at work, and whether it has done it cannot be told.

    `tool` is its name and `arguments` what it was called with. `question` is the id of what a person is asked about
    it: `quire.load(run).answer(question, ...)` settles it, and then the run can be resumed.
    """

    def __init__(
        self,
        what: str,
        *,
        where: str | None = None,
        remedy: str | None = None,
        tool: str = "",
        arguments: object = None,
        question: str | None = None,
    ) -> None:
        super().__init__(what, where=where, remedy=remedy)
        self.tool = tool
        self.arguments = arguments
        self.question = question


class DeadlineExceeded(QuireError, TimeoutError):
    """A run or a step took longer than its `timeout`."""


class RunCancelled(QuireError):
    """The run that was awaited has been cancelled by somebody else."""


class RunNotFinished(QuireError):
    """A result was read while the run is still going on."""


class AnswerRefused(QuireError, ValueError):
    """An answer does not fit its question, or there is no such question that is open."""


class ProviderError(QuireError):
    """A model's server refused, failed or vanished; `status` is its HTTP status and `body` what it said."""

    partial: str = ""
    """The words of the reply that had arrived."""
    answered: Answer | None = None
    """What had come of the reply, with what the server had counted; `None` if it had not begun to answer."""
    begun: bool = False
    """Whether some of the reply has been shown, which cannot be taken back and said otherwise."""
    replayed: bool = False
    """Whether it comes from a recording, and not from a server that was asked now."""

    def __init__(
        self,
        what: str,
        *,
        where: str | None = None,
        remedy: str | None = None,
        status: int | None = None,
        body: str | None = None,
    ) -> None:
        super().__init__(what, where=where, remedy=remedy)
        self.status = status
        self.body = body


class AuthenticationError(ProviderError):
    """No key, a wrong key, or a key without the right to do this."""


class QuotaExceeded(ProviderError):
    """The account has no credit left; trying again does not help."""


class RateLimited(ProviderError):
    """Too many requests; `retry_after` is the server's own wait in seconds, when it named one."""

    retry_after: float | None = None


class Overloaded(ProviderError):
    """The server is too busy; `retry_after` is the server's own wait in seconds, when it named one."""

    retry_after: float | None = None


class ContextTooLong(ProviderError):
    """The prompt is longer than the model can read."""


class ModelNotFound(ProviderError):
    """The server does not know the model."""


class InvalidRequest(ProviderError):
    """The server did not accept the request as it was written."""


class ContentFiltered(ProviderError):
    """The model or its filter refused; `body` is the refusal's own text."""


class StreamInterrupted(ProviderError):
    """A reply broke off in the middle; `partial` is the text that had arrived."""


class ProviderTimeout(ProviderError, TimeoutError):
    """The server did not answer within `LLM(timeout=...)` seconds."""


class ProviderUnreachable(ProviderError, ConnectionError):
    """No connection to the server could be made."""


class CassetteError(QuireError):
    """A cassette could not be written, read or used; what was in it still is."""


class CassetteMiss(CassetteError):
    """Nothing recorded answers a request, and nobody may be asked."""


class SessionError(QuireError):
    """A conversation cannot be gone on with, forked, summed up or deleted as asked."""


class UnknownSession(SessionError, LookupError):
    """There is no session of that name."""


class UnknownCheckpoint(SessionError, LookupError):
    """A session has no place of that name or number."""


class StateError(QuireError, ValueError):
    """What was written does not fit the state, or there is no state here."""


class StateConflict(StateError):
    """Two steps that ran side by side wrote a channel that has no reducer."""


class StoreError(QuireError):
    """A log could not be written or read."""


class StreamConflict(StoreError):
    """Another writer appended to the stream first."""


class CorruptLog(StoreError):
    """A line in the middle of a log is not an event; `readable` are the events asked for that come before it."""

    def __init__(
        self,
        what: str,
        *,
        where: str | None = None,
        remedy: str | None = None,
        readable: Sequence[Event] = (),
    ) -> None:
        super().__init__(what, where=where, remedy=remedy)
        self.readable = list(readable)
