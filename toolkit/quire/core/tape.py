"""The tape between an adapter and the network: what passes is recorded on it, or played from it.

`in_force` says which one counts for the code that asks: that of the `with` block around it, or the one that
was laid for the whole process. A run keeps the tape that was in force when it was started, so that it
may outlive the block it was started in and is never caught by a block it has nothing to do with.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Protocol

from quire.core.messages import File

__all__ = [
    "NO_KEY",
    "Asked",
    "Effect",
    "EffectTake",
    "Played",
    "Take",
    "Tape",
    "in_force",
    "keep",
    "lay",
    "lift",
    "using",
]

NO_KEY = "no-key-in:"
"""Stands in a header where a key would be, followed by where one was looked for: it is never sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request that is about to be sent, its headers left out."""

    url: str
    body: bytes = field(repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    """What its headers carry and nobody may keep."""
    lacks: str = ""
    """Where its key was looked for and is not; `""` if it has one, or needs none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """A recorded reply."""

    status: int
    headers: Mapping[str, str]
    chunks: Callable[[], AsyncGenerator[bytes, None]] = field(repr=False)
    """Its body as it arrived, and the error it broke off with."""


class Take(Protocol):
    """A reply that is being recorded."""

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """Take down how it begins."""
        ...

    def through(self, chunks: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        """Yield the chunks as they arrive, and take them down."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What a tool gave."""

    result: Any = None
    """As plain JSON, in which files are named."""
    files: tuple[File, ...] = ()
    error_type: str | None = None
    error: str | None = None
    stops: bool = False
    """Whether its error ended the run, instead of being told to the model."""


class EffectTake(Protocol):
    """A tool's effect that is being recorded."""

    def keep(self, effect: Effect) -> None:
        """Take it down."""
        ...


class Tape(Protocol):
    """Records what passes, or plays what was recorded."""

    @property
    def live(self) -> bool:
        """Whether it only lets pass."""
        ...

    async def open(self, asked: Asked) -> Played | AbstractContextManager[Take]:
        """Return the recorded reply to a request, or where its reply is to be recorded; raise if it may be neither."""
        ...

    def tool(self, name: str, kind: str, arguments: Any) -> Effect | EffectTake | None:
        """Return what a tool gave when it was recorded, or where to record it; `None` if tools are not recorded."""
        ...

    def pace(self, seconds: float) -> float:
        """Return how long a wait takes while recorded replies are played."""
        ...


class _Anyone:
    """Stands for: whatever is in force for the whole process."""


_ANYONE = _Anyone()
_HERE: ContextVar[Tape | _Anyone | None] = ContextVar("quire_tape", default=_ANYONE)
_blocks: list[Tape] = []
_laid: list[Tape] = []
"""What was put in force without a block: the last counts, the one before is what a block gives back."""


def in_force() -> Tape | None:
    """Return the tape that counts here; `None` if there is none, or one that lets everything pass.

    Example:
        >>> in_force() is None
        True
    """
    tape = _HERE.get()
    if isinstance(tape, _Anyone):
        # A thread of the user's own knows of no block, but one that is open is meant for it too.
        tape = _blocks[-1] if _blocks else _laid[-1] if _laid else None
    return None if tape is None or tape.live else tape


def keep(tape: Tape | None) -> None:
    """Let what runs in this task go by that tape from now on."""
    _HERE.set(tape)


@contextmanager
def using(tape: Tape) -> Generator[None]:
    """Put a tape in force for what runs in the block, and what is started in it."""
    lift(tape)
    before = _HERE.get()
    _blocks.append(tape)
    _HERE.set(tape)
    try:
        yield
    finally:
        # Not with a token: a test's fixture may leave the block in another context than it entered it.
        _HERE.set(before)
        _blocks.remove(tape)


def lay(tape: Tape) -> None:
    """Put a tape in force for the whole process, in the place of the one before."""
    del _laid[:-1]
    _laid.append(tape)


def lift(tape: Tape) -> None:
    """Take a tape that was laid away again; one that was not is no error."""
    if tape in _laid:
        _laid.remove(tape)
