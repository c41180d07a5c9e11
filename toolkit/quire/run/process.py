"""Which process does the work of a run, written down so that others can tell whether it is still alive."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from hashlib import sha256
from pathlib import Path

from quire.core.errors import StreamConflict
from quire.core.events import Cancelled, Event, Failed, Resumed, Started, Succeeded

__all__ = ["check_free", "here", "is_alive", "words", "worker"]

_PROC = Path("/proc")


def here() -> str:
    """Return what tells this process apart: its machine, its number, and when it began.

    Example:
        >>> is_alive(here())
        True
    """
    return _mark(os.getpid())


@cache
def _mark(number: int) -> str:
    return f"{_machine()} {number} {_beginning(number) or ''}".strip()


def is_alive(mark: str) -> bool | None:
    """Return whether the process that wrote the mark still lives; `None` for one of another machine."""
    machine, _, rest = mark.partition(" ")
    number, _, began = rest.partition(" ")
    if machine != _machine() or not number.isdecimal():
        return None
    if (_PROC / "self/stat").exists():
        return _beginning(int(number)) == (began or None) and bool(began)
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's
        return True
    return True


def words(mark: str) -> str:
    """Return how a reader is told of it: `process 4711`."""
    return f"process {mark.split(' ')[1]}"


def worker(past: Sequence[Event]) -> str | None:
    """Return the mark of the process that does the work of a run; `None` if it has ended, or nobody said."""
    mark: str | None = None
    for event in past:
        if event.span != past[0].span:
            continue
        if isinstance(event, Started | Resumed):
            mark = event.process or mark
        elif isinstance(event, Succeeded | Failed | Cancelled):
            mark = None
    return mark


def check_free(run: str, past: Sequence[Event]) -> None:
    """Raise `StreamConflict` if another process is known to be at work on the run."""
    mark = worker(past)
    if mark is not None and mark != here() and is_alive(mark):
        message = f"Run {run} is being done by {words(mark)}."
        raise StreamConflict(message, remedy=f"Let that one do it, and read it when it has ended: quire.load({run!r})")


@cache
def _machine() -> str:
    # A container has the machine's boot id, and numbers of its own.
    parts = [platform.node()]
    with suppress(OSError):
        parts.append((_PROC / "sys/kernel/random/boot_id").read_text())
    with suppress(OSError):
        parts.append((_PROC / "self/ns/pid").readlink().name)
    # Logs are handed around, and the name of a machine is nobody's business.
    return sha256(" ".join(parts).encode()).hexdigest()[:12]


def _beginning(number: int) -> str | None:
    """Return when a living process began, in ticks since the machine did; `None` for a dead one."""
    try:
        # The name in brackets may hold anything; the state is the first field after it.
        fields = (_PROC / f"{number}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in {"Z", "X"} else fields[19]
