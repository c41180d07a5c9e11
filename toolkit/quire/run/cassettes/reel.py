"""A cassette's file: JSON Lines, one exchange or one tool's effect a line, and a first line that says what it is.

    {"quire_cassette":1}
    {"at":…,"nth":1,"reply":{"chunks":[[31,0.052],…],"headers":{…},"status":200,"text":…},"request":{"body":{…},"url":…}}
    {"arguments":{…},"at":…,"nth":1,"result":…,"tool":"search"}

A reply's text is written whole, and beside it where it was cut when it arrived: bytes and seconds, so that a
character may be cut in two; the words may be edited by hand, and what is more comes with the last chunk. Names are
sorted and a line is added at the end, which makes for short diffs. A last line that a crash has torn is passed over,
and replaced by the next one. The file is looked at again before each use, so that somebody may edit, delete or check
out another one meanwhile.
"""

from __future__ import annotations

import base64
import json
import os
import re
import tempfile
import threading
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeAlias, cast

from quire.core.errors import CassetteError
from quire.core.messages import File
from quire.core.tape import Effect
from quire.run.cassettes.likeness import host_of, identity

__all__ = ["STOPPED", "Exchange", "Line", "Reel", "Used"]

STOPPED = "Cancelled"
"""How an exchange broke off whose own reader went away."""

_VERSION = 1
_HEADER = "quire_cassette"
_ENDS_LINES = re.compile("[\x85\u2028\u2029\ud800-\udfff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """A request, and what came of it."""

    url: str
    body: Any
    """As JSON; text, if it was none."""
    nth: int
    """Which of several that ask the same, from 1, in the order in which they were asked."""
    at: str
    """When, in UTC."""
    status: int | None = None
    """`None`: no reply began."""
    headers: dict[str, str] = field(default_factory=dict[str, str])
    data: bytes = b""
    """The reply's body."""
    chunks: tuple[tuple[int, float], ...] = ()
    """How it arrived: bytes, and seconds since the request."""
    lasted: float = 0.0
    """Seconds from the request to the end."""
    broke: str | None = None
    """How it broke off: a class of `quire.errors`, or `STOPPED`."""
    error: str | None = None
    """What the adapter made of it: a class of `quire.errors`."""
    key: str = field(init=False, compare=False)
    """What it is found by."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", identity(self.url, self.body))

    @property
    def slot(self) -> tuple[str, str]:
        """What its like share: key and host."""
        return self.key, host_of(self.url)


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """A tool's name and arguments, and what it gave."""

    tool: str
    arguments: Any
    nth: int
    at: str
    effect: Effect
    key: str = field(init=False, compare=False)
    """What it is found by."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", identity(f"tool:{self.tool}", {"arguments": self.arguments}))

    @property
    def slot(self) -> tuple[str, str]:
        """What its like share: key, and no host."""
        return self.key, ""


Line: TypeAlias = Exchange | Used
_Written: TypeAlias = tuple[Line, bytes]
"""A line, and its words in the file, without the end: what is not touched stays as somebody wrote it."""


class Reel:
    """The lines of one file, as they are there now."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._written: list[_Written] = []
        self._by_key: dict[str, list[Line]] = {}
        self._stamp: tuple[int, ...] = ()

    def lines(self) -> list[Line]:
        """Return everything, in the order of the file."""
        with _one_at_a_time:
            self._refresh()
            return [line for line, _ in self._written]

    def of(self, key: str) -> list[Line]:
        """Return what was recorded under a key, in the order in which it was asked."""
        with _one_at_a_time:
            self._refresh()
            return sorted(self._by_key.get(key, ()), key=lambda line: line.nth)

    def number_of(self, line: Line) -> int:
        """Return on which line of the file it is."""
        return next(number for number, (other, _) in enumerate(self._written, 2) if other is line)

    def add(self, line: Line, *, instead: Sequence[Line] = ()) -> None:
        """Write a line, and take out those it comes instead of.

        Raises:
            CassetteError: it cannot be written; the file is as it was.
        """
        with _one_at_a_time:
            self._refresh()
            kept = [(old, words) for old, words in self._written if old not in instead] if instead else self._written
            new = (line, _encoded(line))
            try:
                if kept and len(kept) == len(self._written):
                    self._append(new[1])
                    self._take([new])
                else:
                    self._rewrite(words for _, words in [*kept, new])
                    self._replace([*kept, new])
            except OSError as error:
                raise self._unwritable(error.strerror or str(error)) from None
            self._stamp = _stamp_of(self.path)

    def check_writable(self) -> None:
        """Raise `CassetteError` if nothing can be added, before anything is asked that would be lost."""
        try:
            place = next(place for place in (self.path, *self.path.parents) if place.exists())
        except OSError as error:
            raise self._unwritable(error.strerror or str(error)) from None
        if place != self.path and not place.is_dir():
            raise self._unwritable(f"{place} is no folder")
        if not os.access(place, os.W_OK):
            raise self._unwritable("it is read-only" if place == self.path else f"{place} is read-only")

    def _unwritable(self, why: str) -> CassetteError:
        remedy = 'Make it writable, name another file, or play what is there with mode="replay".'
        return CassetteError(f"The cassette {self.path.name} cannot be written: {why}.", remedy=remedy)

    def _refresh(self) -> None:
        stamp = _stamp_of(self.path)
        if stamp != self._stamp:
            self._replace(_read(self.path))
            self._stamp = stamp

    def _replace(self, written: list[_Written]) -> None:
        self._written, self._by_key = [], {}
        self._take(written)

    def _take(self, written: list[_Written]) -> None:
        self._written += written
        for line, _ in written:
            self._by_key.setdefault(line.key, []).append(line)

    def _append(self, words: bytes) -> None:
        with self.path.open("r+b") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(0, end - 1))
            if file.read(1) != b"\n":
                # A line that somebody's editor left without its end is whole; one that was torn is not.
                whole = self.path.read_bytes()
                rest = whole[whole.rfind(b"\n") + 1 :]
                end = end if _is_json(rest) else end - len(rest)
                words = b"\n" + words if _is_json(rest) else words
            file.seek(end)
            file.truncate()
            file.write(words + b"\n")

    def _rewrite(self, lines: Iterable[bytes]) -> None:
        place = self.path.resolve()
        place.parent.mkdir(parents=True, exist_ok=True)
        # In the same folder, so that it takes the other's place in one step: a crash leaves the old one whole.
        handle, name = tempfile.mkstemp(dir=place.parent, prefix=f".{place.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.writelines(words + b"\n" for words in (_words({_HEADER: _VERSION}), *lines))
            Path(name).chmod(place.stat().st_mode if place.exists() else 0o666 & ~_umask())
            Path(name).replace(place)
        except OSError:
            Path(name).unlink(missing_ok=True)
            raise


_one_at_a_time = threading.RLock()
"""Two cassettes of one process may be the same file."""


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _stamp_of(path: Path) -> tuple[int, ...]:
    try:
        seen = path.stat()
    except OSError:
        return ()
    return (seen.st_ino, seen.st_size, seen.st_mtime_ns)


def _read(path: Path) -> list[_Written]:
    try:
        words = path.read_bytes()
    except FileNotFoundError:
        return []
    except OSError as error:
        why = "it is a folder" if path.is_dir() else error.strerror
        raise CassetteError(f"The cassette {path.name} cannot be read: {why}.", remedy="Give a file.") from None
    if not words:
        return []  # somebody made the file, and nothing more
    first, *rest = words.split(b"\n")
    _check_header(first, path)
    written: list[_Written] = []
    for number, line in enumerate(rest, 2):
        try:
            written += [(_decoded(json.loads(line)), line)] if line.strip() else []
        except (ValueError, KeyError, TypeError, AttributeError):
            if number == len(rest) + 1 and not _is_json(line):
                break
            message = f"Line {number} of the cassette {path.name} is not a recording."
            remedy = "Every line is one JSON object. Take that line out, or take the file back from git."
            raise CassetteError(message, remedy=remedy) from None
    return written


def _check_header(line: bytes, path: Path) -> None:
    try:
        version = json.loads(line)[_HEADER]
    except (ValueError, KeyError, TypeError):
        remedy = "Give the name of a file that quire.cassette made, or of one that is not there yet."
        raise CassetteError(f"The file {path.name} is not a cassette.", remedy=remedy) from None
    if version != _VERSION:
        message = f"The cassette {path.name} is of version {version}; this Quire reads version {_VERSION}."
        raise CassetteError(message, remedy="Use the Quire that made it, or record it again under another name.")


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


# --- lines as JSON


def _words(record: dict[str, Any]) -> bytes:
    text = json.dumps(_in_order(record), ensure_ascii=False, separators=(",", ":"))
    # What JSON takes for a letter, many a reader of lines takes for the end of one; and half a surrogate pair is none.
    return _ENDS_LINES.sub(lambda found: f"\\u{ord(found[0]):04x}", text).encode()


def _in_order(thing: Any) -> Any:
    if isinstance(thing, list):
        return [_in_order(part) for part in cast("list[Any]", thing)]
    if not isinstance(thing, dict):
        return thing
    # Except what a tool gave, which a model is told in that very order.
    parts = sorted(cast("dict[str, Any]", thing).items())
    return {name: part if name == "result" else _in_order(part) for name, part in parts}


def _encoded(line: Line) -> bytes:
    record: dict[str, Any] = {"nth": line.nth, "at": line.at}
    if isinstance(line, Used):
        return _words({**record, **_effect_record(line)})
    record["request"] = {"url": line.url, "body": line.body}
    if line.status is not None:
        reply: dict[str, Any] = {"status": line.status, "headers": line.headers, "chunks": line.chunks}
        try:
            reply["text"] = line.data.decode()
        except UnicodeDecodeError:
            reply["base64"] = base64.b64encode(line.data).decode()
        record["reply"] = reply
    ending = {"broke": line.broke, "error": line.error, "lasted": line.lasted if line.broke else None}
    return _words(record | {name: value for name, value in ending.items() if value is not None})


def _effect_record(used: Used) -> dict[str, Any]:
    effect = used.effect
    record: dict[str, Any] = {"tool": used.tool, "arguments": used.arguments}
    if effect.error_type is not None:
        stops = {"stops": True} if effect.stops else {}
        return {**record, "error_type": effect.error_type, "error": effect.error, **stops}
    record["result"] = effect.result
    if effect.files:
        record["files"] = [{name: value for name, value in asdict(file).items() if value} for file in effect.files]
    return record


def _decoded(record: dict[str, Any]) -> Line:
    place: dict[str, Any] = {"nth": int(record["nth"]), "at": str(record["at"])}
    if "tool" in record:
        return Used(tool=record["tool"], arguments=record["arguments"], effect=_effect_in(record), **place)
    reply = record.get("reply", {"status": None, "text": "", "headers": {}, "chunks": []})
    return Exchange(
        url=record["request"]["url"],
        body=record["request"]["body"],
        status=None if reply["status"] is None else int(reply["status"]),
        headers={str(name): str(text) for name, text in reply["headers"].items()},
        data=base64.b64decode(reply["base64"]) if "base64" in reply else reply["text"].encode("utf-8", "replace"),
        chunks=tuple((int(size), float(at)) for size, at in reply["chunks"]),
        lasted=float(record.get("lasted", 0.0)),
        broke=record.get("broke"),
        error=record.get("error"),
        **place,
    )


def _effect_in(record: dict[str, Any]) -> Effect:
    if "error_type" in record:
        return Effect(error_type=record["error_type"], error=record["error"], stops=record.get("stops", False))
    return Effect(result=record["result"], files=tuple(File(**file) for file in record.get("files", ())))
