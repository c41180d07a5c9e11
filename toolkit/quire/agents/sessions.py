"""Where sessions are kept: each is a stream, `sessions/<name>`, that is only ever added to.

A turn is one event, written in one append, so that a crash leaves all of it or nothing; where it opens a branch,
that is written in the same one. Two who write at the same time are told apart by the store; whoever is second reads
what the first has added, and adds after it.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Coroutine
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from quire.core.errors import CorruptLog, DefinitionError, SessionError, StreamConflict, UnknownSession
from quire.core.events import Branched, Event
from quire.core.ports import Store
from quire.run import bridge, runtime
from quire.views import tables
from quire.views.session import SessionFold

if TYPE_CHECKING:
    import pandas as pd

    from quire.agents.browsing import Browser

__all__ = [
    "Session",
    "add",
    "all_sessions",
    "follow",
    "kept",
    "names",
    "quoted",
    "read",
    "readable",
    "sessions",
    "stream_of",
    "tell",
]

_PREFIX = "sessions/"
_PLAIN = re.compile(rb"[a-z0-9_-]")
_LONGEST = 200
"""Characters of a quoted name: file systems take 255, and the ending of a file needs some."""
_folding = threading.Lock()
"""A fold may be shared by two threads, each with a loop of its own."""
_followers: list[Callable[[str], None]] = []


def quoted(name: str) -> str:
    """Return any text as a segment of a stream's name, in letters that every file system tells apart.

    Raises:
        DefinitionError: it is empty, or too long.

    Example:
        >>> quoted("user-42"), quoted("Ada@example.org")
        ('user-42', '.41da.40example.2Eorg')
    """
    text = b"".join(
        letter if _PLAIN.fullmatch(letter) else b".%02X" % letter[0]
        for letter in (bytes([byte]) for byte in name.encode("utf-8", "surrogatepass"))
    ).decode()
    if not 0 < len(text) <= _LONGEST:
        message = f"A name of {len(name)} characters is too long." if name else "An empty name is none."
        raise DefinitionError(message, remedy='Give a short text that tells it from others, such as "user-42".')
    return text


def _unquoted(segment: str) -> str:
    raw = re.sub(rb"\.([0-9A-F]{2})", lambda found: bytes([int(found[1], 16)]), segment.encode())
    return raw.decode("utf-8", "surrogatepass")


def stream_of(session: str) -> str:
    """Return the name of a session's stream."""
    return _PREFIX + quoted(session)


async def read(
    store: Store, session: str, known: SessionFold | None = None, others: dict[str, SessionFold] | None = None
) -> SessionFold:
    """Return what is kept of a session; of what is known already, only the last event is read again.

    `others` are sessions that are known, too: what this one goes on from is looked up there, and put there.

    Raises:
        SessionError: it goes on from a session that is not there any more.
    """
    seen = known.events if known is not None else []
    events = await store.read(stream_of(session), max(len(seen) - 1, 0))
    if known is None or not seen or not events or not _is_same(events[0], seen[-1]):
        # Deleted since, and maybe begun anew.
        events = await store.read(stream_of(session)) if seen else events
        known = SessionFold(session, await _origins(store, session, events, others))
    with _folding:
        for event in events:
            known.apply(event)
    return known


def _is_same(one: Event, other: Event) -> bool:
    return (one.seq, one.at, one.run, one.span, one.kind) == (other.seq, other.at, other.run, other.span, other.kind)


async def _origins(
    store: Store, session: str, events: list[Event], others: dict[str, SessionFold] | None
) -> dict[str, SessionFold]:
    first = events[0] if events else None
    if not isinstance(first, Branched) or first.origin == session:
        return {}
    others = {} if others is None else others
    origin = others.get(first.origin)
    if origin is None or len(origin.events) < first.to:  # else it has all that is needed, and keeps it
        origin = others[first.origin] = await read(store, first.origin, origin, others)
    if len(origin.events) < first.to:
        message = f"Session {session!r} goes on from {first.origin!r}, which is not there any more."
        raise SessionError(message, remedy="Begin a new session, or bring the stream of the other one back.")
    return {**origin.origins, first.origin: origin}


async def kept(store: Store, session: str, known: SessionFold | None = None) -> SessionFold:
    """Return what is kept of a session that there is.

    Raises:
        UnknownSession: there is none of that name; the error names those that are written alike.
    """
    fold = await read(store, session, known)
    if not fold.events:
        near = get_close_matches(session, await names(store), n=3)
        message = f"There is no session {session!r}."
        remedy = f"Did you mean {' or '.join(map(repr, near))}?" if near else "quire.sessions() lists those there are."
        raise UnknownSession(message, remedy=remedy)
    return fold


async def add(store: Store, fold: SessionFold, make: Callable[[SessionFold], list[dict[str, Any]]]) -> SessionFold:
    """Add events at the end of a session, after whatever others have added, and return all of it.

    `make` returns the fields of each, with its kind as `kind`; they are all added at once, or none is.
    """
    while True:
        events = [_event(fold, place, **fields) for place, fields in enumerate(make(fold), len(fold.events) + 1)]
        if not events:
            return fold
        try:
            await store.append(stream_of(fold.session), events, len(fold.events))
        except StreamConflict:
            fold = await read(store, fold.session, fold)
        else:
            with _folding:
                for event in events:
                    fold.apply(event)
            tell(fold.session)
            return fold


def _event(
    fold: SessionFold, seq: int, *, kind: type[Event], run: str | None = None, span: str = "", **fields: Any
) -> Event:
    here = bridge.living_context()
    run = (here.run if here else "") if run is None else run
    at = max(time.time(), fold.events[-1].at if fold.events else 0.0)
    return kind(seq=seq, at=at, run=run, span=span, parent=None, **fields)


def follow(hear: Callable[[str], None]) -> Callable[[], None]:
    """Have `hear` called with the name of each session that this process changes; return what ends that.

    Whichever store it is in: two may be ways to the same place. It is called where the session was changed, on any
    loop and in any thread.
    """
    _followers.append(hear)
    return lambda: _followers.remove(hear)


def tell(session: str) -> None:
    """Tell those who follow that a session has changed."""
    for hear in tuple(_followers):
        hear(session)


async def names(store: Store) -> list[str]:
    """Return the names of all sessions there are."""
    return [_unquoted(stream.removeprefix(_PREFIX)) for stream in await store.streams(_PREFIX)]


async def all_sessions(store: Store) -> list[SessionFold]:
    """Return every session there is; of a damaged one what can be read."""
    others: dict[str, SessionFold] = {}
    return [await readable(store, name, others.get(name), others) for name in await names(store)]


async def readable(
    store: Store, session: str, known: SessionFold | None = None, others: dict[str, SessionFold] | None = None
) -> SessionFold:
    """Return a session as `read` does; of a damaged one what can be read."""
    try:
        return await read(store, session, known, others)
    except CorruptLog as error:
        whole = error.readable
    except SessionError:
        whole = []
    fold = SessionFold(session)
    for event in whole:
        fold.apply(event)
    return fold


class Session:
    """A conversation as its stream tells it: `messages`, `branches` and `checkpoints` are DataFrames.

    On the last line of a cell it draws itself as a tree of its branches.
    """

    def __init__(
        self, name: str, load: Callable[[], Coroutine[Any, Any, SessionFold]], browse: Callable[[], Browser]
    ) -> None:
        self.name = name
        self._load = load
        self._browse = browse

    def browse(self) -> Browser:
        """Return what looks through this session alone."""
        return self._browse()

    @property
    def messages(self) -> pd.DataFrame:
        """One row a message, on all its branches; what a summary hides is marked."""
        return tables.session_messages(self._fold())

    @property
    def branches(self) -> pd.DataFrame:
        """One row a branch."""
        return tables.branches(self._fold())

    @property
    def checkpoints(self) -> pd.DataFrame:
        """One row a checkpoint."""
        return tables.checkpoints(self._fold())

    def _fold(self) -> SessionFold:
        return bridge.aside(self._load)

    def __repr__(self) -> str:
        return f"<session {self.name}>"


def sessions() -> pd.DataFrame:
    """Return one row a session, the one that was used last first: those of earlier kernels too.

    Example:
        >>> import quire
        >>> list(quire.sessions().columns[:2])
        ['session', 'agent']
    """
    return tables.sessions(bridge.aside(lambda: all_sessions(runtime.store())))
