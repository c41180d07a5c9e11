"""Logs as files of JSON lines, one a stream, that outlive the process: kill it at any moment.

Appending locks the file (`flock`), so processes may share a folder. A line with a space at its end belongs together
with the next one: they were appended at once. What a crash has cut off, a line without its newline or lines whose
company did not arrive, readers pass over, and the next append removes it. What a crash of the machine itself may take
are the last seconds, which the operating system had not put on the disk yet.

For Linux and macOS; Windows has no `fcntl`.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Self, TypeAlias

from quire.adapters.stores.address import path_of
from quire.adapters.stores.disk import Disk
from quire.adapters.stores.lines import events_of
from quire.adapters.stores.memory import check_name, check_numbers, conflict, is_name
from quire.core.codec import encode
from quire.core.errors import CorruptLog, StoreError
from quire.core.events import Event

__all__ = ["FileStore"]

_Tail: TypeAlias = "tuple[tuple[int, int, int], int, int]"
"""How a file looked after our last append, how many events it held then, and where the last of them begins."""

_FULL = {errno.ENOSPC, errno.EDQUOT}
_MAKE_ROOM = "Make room on its disk, or set QUIRE_HOME to a folder on another; what was there before is there."

_ENDING = ".jsonl"
_MORE = b" \n"
"""Ends a line that is nothing without the next; to JSON the space means nothing."""
_CHUNK = 1 << 20
_REMEMBERED = 4096
"""Streams whose length is known without counting, at most: a server appends to a new one with every run."""


class FileStore:
    """Keeps the stream `runs/1m8k` in `folder/runs/1m8k.jsonl`, readable by its owner alone: logs hold prompts.

    The folder is made by the first append, with a `.gitignore` that keeps it out of the repository around it.
    The disk is used in a thread of the store's own, one request after the other. An append whose task is cancelled
    while it is being written is written nevertheless. Several events of one append are there together: a crash in the
    middle of it leaves none of them.

    Example:
        >>> import asyncio, tempfile
        >>> from quire.core.events import Cancelled
        >>> store = FileStore(tempfile.mkdtemp())
        >>> stop = Cancelled(seq=1, at=0.0, run="1m8k", span="1", parent=None, reason="enough")
        >>> asyncio.run(store.append("runs/1m8k", [stop], expected=0))
        >>> asyncio.run(store.read("runs/1m8k")) == [stop]
        True
    """

    def __init__(self, folder: str | Path) -> None:
        # Absolute at once: a notebook may change its working directory between two cells.
        self.folder = Path(folder).expanduser().absolute()
        self._disk = Disk()
        self._tails: dict[str, _Tail] = {}

    @classmethod
    def from_url(cls, url: str) -> Self:
        """Return the store at `file:///folder`, or at `file:folder`, which is beside the notebook."""
        return cls(path_of(url, "file:///folder, or file:folder"))

    def __repr__(self) -> str:
        return f"FileStore({str(self.folder)!r})"

    async def append(self, stream: str, events: Sequence[Event], expected: int) -> None:
        """Add events at the end; raise `StreamConflict` if the stream is not `expected` events long."""
        path = self._path(stream)
        events = tuple(events)
        check_numbers(stream, events, expected)
        await self._disk.do(lambda: self._append(stream, path, events, expected))

    async def read(self, stream: str, after: int = 0) -> list[Event]:
        """Return the events whose `seq` is greater than `after`, in order; none for an unknown stream.

        A line that is no event raises `CorruptLog`, with the events before it.
        """
        path = self._path(stream)
        return await self._disk.do(lambda: _read(path, max(after, 0), self._tails.get(stream)))

    async def streams(self, prefix: str = "") -> list[str]:
        """Return the names that begin with `prefix`, sorted: no file system tells reliably which file is older.

        For names that begin with the time, as the ids of runs do, that is oldest first.
        """
        return await self._disk.do(lambda: sorted(_names(self.folder, "", prefix)))

    async def delete(self, stream: str) -> None:
        """Forget a stream; an unknown one is no error."""
        path = self._path(stream)
        await self._disk.do(lambda: self._delete(stream, path))

    def _path(self, stream: str) -> Path:
        check_name(stream)
        return self.folder / (stream + _ENDING)

    def _append(self, stream: str, path: Path, events: Sequence[Event], expected: int) -> None:
        encoded = [encode(event) for event in events]
        lines = b"".join(encoded).replace(b"\n", _MORE, len(encoded) - 1)
        new = bool(events) and expected == 0
        with _explained(path, "written"), self._alone_with(path, new=new) as file:
            end, there = self._measured(stream, file)
            if there != expected:
                raise conflict(stream, str(path), there=there, expected=expected)
            if file is not None and lines:
                _write(file, path, lines, end)
                self._remember(stream, file, there + len(events), end + len(lines) - len(encoded[-1]))

    def _delete(self, stream: str, path: Path) -> None:
        self._tails.pop(stream, None)
        with _explained(path, "deleted"), self._alone_with(path, new=False) as file:
            if file is not None:
                path.unlink(missing_ok=True)

    @contextmanager
    def _alone_with(self, path: Path, *, new: bool) -> Generator[int | None]:
        """Open and lock a stream's file; `None` if there is none and none is to be made."""
        while True:
            file = self._open(path, new=new)
            if file is None:
                yield None
                return
            try:
                fcntl.flock(file, fcntl.LOCK_EX)
                if os.fstat(file).st_nlink:  # else deleted between opening and locking
                    yield file
                    return
            finally:
                # Closing alone would leave the lock with a child that was forked in the meantime.
                with suppress(OSError):
                    fcntl.flock(file, fcntl.LOCK_UN)
                os.close(file)

    def _open(self, path: Path, *, new: bool) -> int | None:
        flags = os.O_RDWR | os.O_APPEND | (os.O_CREAT if new else 0)
        try:
            return os.open(path, flags, 0o600)
        except FileNotFoundError:
            if not new:
                return None
        _make(self.folder, path.parent)
        return os.open(path, flags, 0o600)

    def _measured(self, stream: str, file: int | None) -> tuple[int, int]:
        """Return where the last whole line ends, and how many there are; counts unless the file is as we left it."""
        if file is None:
            return 0, 0
        seen, tail = os.fstat(file), self._tails.get(stream)
        if tail is not None and tail[0] == _stamp(seen):
            return seen.st_size, tail[1]
        return _counted(file, seen.st_size)

    def _remember(self, stream: str, file: int, count: int, last: int) -> None:
        self._tails.pop(stream, None)
        self._tails[stream] = (_stamp(os.fstat(file)), count, last)
        if len(self._tails) > _REMEMBERED:
            del self._tails[next(iter(self._tails))]


def _make(root: Path, folder: Path) -> None:
    if not root.exists():
        root.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):  # another process was faster
            root.mkdir(0o700)
            (root / ".gitignore").write_text("*\n")
    for name in folder.relative_to(root).parts:
        root /= name
        root.mkdir(0o700, exist_ok=True)


def _stamp(seen: os.stat_result) -> tuple[int, int, int]:
    return seen.st_ino, seen.st_size, seen.st_mtime_ns


def _counted(file: int, size: int) -> tuple[int, int]:
    """Return where the last append ends that is there as a whole, and how many lines come before that."""
    position = end = count = 0
    rest = b""
    while position < size and (chunk := os.pread(file, min(_CHUNK, size - position), position)):
        position += len(chunk)
        text = rest + chunk
        whole = _whole(text)
        count += text.count(b"\n", 0, whole)
        end += whole
        rest = text[whole:]
    return end, count


def _whole(text: bytes) -> int:
    """Return how much of a text is appends that are there as a whole."""
    end = text.rfind(b"\n")
    while end > 0 and text.startswith(_MORE, end - 1):
        end = text.rfind(b"\n", 0, end)
    return end + 1


def _write(file: int, path: Path, lines: bytes, end: int) -> None:
    """Write the lines at `end`, or leave the stream as it was."""
    try:
        if os.fstat(file).st_size != end:
            os.ftruncate(file, end)
        rest = memoryview(lines)
        while rest:
            rest = rest[os.write(file, rest) :]
    except OSError:
        with suppress(OSError):  # what is left over is cut off by the next append
            os.ftruncate(file, end)
        if end == 0:
            path.unlink(missing_ok=True)
        raise


def _read(path: Path, after: int, tail: _Tail | None) -> list[Event]:
    with _explained(path, "read"):
        try:
            text, passed = _text(path, after, tail)
        except FileNotFoundError:
            return []
    lines = text[: _whole(text)].split(b"\n")
    return events_of(lines[after - passed : -1], after, partial(_corrupt, path))


def _text(path: Path, after: int, tail: _Tail | None) -> tuple[bytes, int]:
    """Return what a file holds, and how many events come before that.

    Who knows all but the last event of a file that is as we left it need not wait for the others.
    """
    with path.open("rb") as file:
        if tail is None or after < tail[1] - 1 or tail[0] != _stamp(os.fstat(file.fileno())):
            return file.read(), 0
        file.seek(tail[2])
        return file.read(), tail[1] - 1


def _corrupt(path: Path, number: int, events: list[Event], error: ValueError) -> CorruptLog:
    return CorruptLog(
        f"Line {number} of a log is not event {number}: {error}.",
        where=f"{path}, line {number}",
        remedy=f"What comes before it is in this error's `readable`; to give up the rest: head -n {number - 1}.",
        readable=events,
    )


def _names(folder: Path, above: str, prefix: str) -> Generator[str]:
    with _explained(folder / above, "listed"):
        try:
            entries = list(os.scandir(folder / above))
        except FileNotFoundError:
            return
    for entry in entries:
        name = above + entry.name
        if entry.is_dir(follow_symlinks=False):
            if f"{name}/".startswith(prefix) or prefix.startswith(f"{name}/"):
                yield from _names(folder, f"{name}/", prefix)
        elif name.endswith(_ENDING) and _is_stream(name.removesuffix(_ENDING), prefix) and _holds_any(entry):
            yield name.removesuffix(_ENDING)


def _is_stream(name: str, prefix: str) -> bool:
    return name.startswith(prefix) and is_name(name)


def _holds_any(entry: os.DirEntry[str]) -> bool:
    """Whether it holds an event: its writer may have been killed in the middle of the first."""
    try:
        with Path(entry).open("rb") as file:
            return any(line.endswith(b"\n") and not line.endswith(_MORE) for line in file)
    except FileNotFoundError:  # deleted since
        return False
    except OSError:  # whoever reads it is told why not
        return True


@contextmanager
def _explained(path: Path, done: str) -> Generator[None]:
    """Turn the system's refusal into one that says what to do."""
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"A log could not be {done}: {error.strerror or error}.",
            where=str(path),
            remedy=_MAKE_ROOM if error.errno in _FULL else "Set QUIRE_HOME to a folder you can write to.",
        ) from error
