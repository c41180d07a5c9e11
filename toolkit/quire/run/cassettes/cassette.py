"""A cassette: what models' servers said once, played again without them.

It stands at the HTTP seam, below the adapters, so that the very same adapter reads a reply when it arrives and when it
is played. The n-th of several requests that ask the same gets the n-th recording, and the last one from then on.
A reply whose reader went away before its end is no answer. It is kept, and played by waiting a moment for whoever
stopped it then: the winner of a race stops the losers again.
"""

from __future__ import annotations

import asyncio
import os
import re
import threading
import time
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal, Self, TypeAlias, TypeVar, cast, get_args
from urllib.parse import urlsplit

from quire.core import errors
from quire.core.errors import AuthenticationError, CassetteError, DefinitionError, ProviderError
from quire.core.schema import plain
from quire.core.tape import Asked, Effect, Played, lay, lift, using
from quire.run.cassettes.leaks import known_secrets, leak_in, said_in
from quire.run.cassettes.likeness import host_of
from quire.run.cassettes.misses import VARIABLE, exchange_miss, tool_miss
from quire.run.cassettes.reel import STOPPED, Exchange, Line, Reel, Used
from quire.run.cassettes.takes import EffectTaking, ExchangeTaking, told_body, told_url

__all__ = ["Cassette", "Mode", "cassette"]

Mode: TypeAlias = Literal["auto", "record", "replay", "live"]
L = TypeVar("L", Exchange, Used)

_HOLD = 0.5
"""Seconds in which whoever stopped a request when it was recorded may stop it again."""

_LASTING = frozenset({"ContextTooLong", "InvalidRequest", "ContentFiltered"})
"""Errors that are the request's own; any other may have passed by the time one asks again."""

_BROKEN = {
    "StreamInterrupted": "The connection broke off",
    "ProviderTimeout": "The server sent nothing in time",
    "ProviderUnreachable": "The server could not be reached",
}

_ODD = re.compile(r"[^A-Za-z0-9_-]")
"""What a model is not shown of a tool's name."""


def cassette(
    path: str | Path,
    mode: Mode | None = None,
    *,
    speed: float | None = None,
    tools: bool | Iterable[Any] = False,
) -> Cassette:
    """Record what models' servers reply into a file, or play it again, without a key and without a network.

    `with quire.cassette("demo.jsonl"):` counts for what is started in the block. Without `with` it counts for the
    whole process, until the next one. The modes:

    - `auto`: what is recorded is played, the rest is asked and recorded. A failure that may pass, such as a
      rate limit, is asked again where there is a key.
    - `record`: everything is asked, and recorded in the place of what was recorded of the same request.
    - `replay`: nothing is ever asked; what is not recorded is a `CassetteMiss`, which shows what differs.
    - `live`: as if there were no cassette.

    Without a mode, the environment variable `QUIRE_CASSETTE_MODE` says it, and without that it is `auto`.
    `speed` is how fast recorded replies arrive: at once, or at a multiple of their own pace (1.0: as they came).
    `tools=True` records also what tools give, or name some: `tools=[search]`; in the replay they are not used.
    Keys are never written: what looks like one is refused. Calls that were played are marked `replayed`.

    Raises:
        CassetteError: the file cannot be used.
        DefinitionError: an argument makes no sense.

    Example:
        >>> import quire
        >>> with quire.cassette("demo.jsonl", mode="auto") as tape:
        ...     tape
        <cassette demo.jsonl: auto, 0 recordings>
    """
    if not isinstance(path, (str, os.PathLike)):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise DefinitionError(f"cassette({path!r}) names no file.", remedy='quire.cassette("demo.jsonl")')
    made = Cassette(Path(path), _checked_mode(mode), speed=_checked_speed(speed), tools=_names(tools))
    lay(made)
    return made


def _checked_mode(mode: Any) -> Mode:
    chosen: Any = mode or os.environ.get(VARIABLE) or "auto"
    if chosen in get_args(Mode):
        return chosen
    where = "mode=" if mode else f"{VARIABLE}="
    message = f"{where}{chosen!r} is no way to use a cassette."
    raise DefinitionError(message, remedy=f"There are {', '.join(get_args(Mode))}.")


def _checked_speed(speed: Any) -> float | None:
    if speed is None or (isinstance(speed, (int, float)) and not isinstance(speed, bool) and speed > 0):
        return speed
    message = f"speed={speed!r} never arrives."
    raise DefinitionError(message, remedy="1.0 is as recorded, 2.0 twice as fast; leave it out for at once.")


def _names(tools: bool | Iterable[Any]) -> frozenset[str] | None:  # noqa: FBT001 - the user's own argument
    """Return the names of the tools to record; `None` for all of them."""
    if isinstance(tools, bool):
        return None if tools else frozenset()
    if isinstance(tools, str) or not isinstance(tools, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance]
        message = f"tools={tools!r} is no list of tools."
        raise DefinitionError(message, remedy='tools=True for all, or name some: tools=[search, "look_up"]')
    return frozenset(_ODD.sub("_", _name(tool)) for tool in tools)


def _name(tool: Any) -> str:
    name = tool if isinstance(tool, str) else getattr(tool, "name", None) or getattr(tool, "__name__", None)
    if not isinstance(name, str) or not name:
        message = f"tools= has {tool!r}, which is no tool."
        raise DefinitionError(message, remedy='tools=True for all, or name some: tools=[search, "look_up"]')
    return name


class Cassette:
    """One use of a file: recordings are counted from its first, and again with each `with` block."""

    def __init__(self, path: Path, mode: Mode, *, speed: float | None, tools: frozenset[str] | None) -> None:
        # Absolute at once: a notebook may change its working directory between two cells.
        self._reel = Reel(path.expanduser().absolute())
        self._mode: Mode = mode
        self._speed = speed
        self._tools = tools
        self._blocks: list[AbstractContextManager[None]] = []
        self._counting = threading.Lock()
        self._rewind()
        if mode != "live":
            self._reel.lines()
        if mode == "replay" and not self._reel.path.exists():
            message = f"There is no cassette {path} to replay."
            remedy = f'Record it first: mode="auto" (the mode comes from the argument, or from {VARIABLE}).'
            raise CassetteError(message, remedy=remedy)

    def __repr__(self) -> str:
        count = 0 if self.live else len(self._reel.lines())
        facts = [self._mode, f"{count} recording{'' if count == 1 else 's'}"]
        facts += [f"{self._played} played"] if self._played else []
        facts += [f"{self._recorded} recorded"] if self._recorded else []
        return f"<cassette {self._reel.path.name}: {', '.join(facts)}>"

    def __enter__(self) -> Self:
        lift(self)
        self._rewind()
        block = using(self)
        block.__enter__()
        self._blocks.append(block)
        return self

    def __exit__(self, *error: object) -> None:
        self._blocks.pop().__exit__(None, None, None)

    def _rewind(self) -> None:
        self._counts: dict[tuple[str, str], int] = {}
        self._stale: dict[tuple[str, str], list[Line]] = {}
        self._played = self._recorded = 0

    @property
    def live(self) -> bool:
        """Whether it only lets pass."""
        return self._mode == "live"

    def pace(self, seconds: float) -> float:
        """Return how long a wait takes while recorded replies are played."""
        return 0.0 if self._speed is None else seconds / self._speed

    # Replies of models

    async def open(self, asked: Asked) -> Played | ExchangeTaking:
        """Return the recorded reply to a request, or where its reply is to be recorded; raise if it may be neither."""
        began = time.monotonic()
        line = self._counted(Exchange(url=told_url(asked.url), body=told_body(asked.body), nth=0, at=_now()))
        found = None if self._mode == "record" else self._found(line, can_ask=not asked.lacks)
        if found is not None and found.broke == STOPPED:
            await asyncio.sleep(self.pace(found.lasted) + _HOLD)
        elif found is not None:
            self._played += 1
            return self._played_back(found, began)
        if self._mode == "replay" or (self._mode == "auto" and asked.lacks):
            raise exchange_miss(self._reel, line, lacks=asked.lacks if self._mode == "auto" else "")
        return self._taking(line, asked, began)

    def _found(self, asked: Exchange, *, can_ask: bool) -> Exchange | None:
        """Return what is to be played, or what tells that it was stopped; `None` if there is nothing."""
        lines = self._recorded_of(asked)
        answers = [line for line in lines if line.broke != STOPPED]
        while self._mode == "auto" and can_ask and answers and _may_pass(answers[-1]):
            answers.pop()
        if answers:
            return answers[min(asked.nth, len(answers)) - 1]
        return lines[-1] if lines and lines[-1].broke == STOPPED else None

    def _recorded_of(self, asked: Exchange) -> list[Exchange]:
        """Return what was recorded of a request: with the same host, or with any if there is none."""
        lines = cast("list[Exchange]", self._reel.of(asked.key))
        host = host_of(asked.url)
        return [line for line in lines if host_of(line.url) == host] or lines

    def _played_back(self, line: Exchange, began: float) -> Played:
        if line.status is None:
            raise _as_it_broke(line)
        return Played(status=line.status, headers=line.headers, chunks=partial(self._chunks, line, began))

    async def _chunks(self, line: Exchange, began: float) -> AsyncGenerator[bytes, None]:
        start = 0
        for number, (size, at) in enumerate(line.chunks, 1):
            # Even at once, others get their turn between two chunks, as with a real connection.
            await asyncio.sleep(max(0.0, began + self.pace(at) - time.monotonic()) if self._speed else 0)
            end = start + size if number < len(line.chunks) else len(line.data)
            yield line.data[start:end]
            start = end
        if line.broke is not None:
            raise _as_it_broke(line)

    def _taking(self, line: Exchange, asked: Asked, began: float) -> ExchangeTaking:
        """Return where a reply is to be recorded; whatever speaks against it is said before anything is sent."""
        if asked.lacks:
            message = f"There is no key to ask {urlsplit(line.url).netloc} with."
            raise AuthenticationError(message, remedy=f"Set {asked.lacks}, or pass LLM(api_key=...).")
        known = known_secrets(asked.secrets)
        self._refuse({"address": line.url, "body": line.body}, known, "the request", "nothing was sent")
        self._prepare(line)
        return ExchangeTaking(line, began, partial(self._write_reply, known=known))

    def _write_reply(self, line: Exchange | Used, *, known: Mapping[str, str]) -> None:
        reply = cast("Exchange", line)
        text = reply.data.decode("utf-8", "replace")
        said = {"text": text, "headers": reply.headers, **said_in(text)}
        self._refuse(said, known, "the reply", "it was not written")
        # Of a reply that was stopped, what is there already says as much or more.
        if reply.broke != STOPPED or not self._recorded_of(reply):
            self._write(reply)

    # What tools give

    def tool(self, name: str, kind: str, arguments: Any) -> Effect | EffectTaking | None:
        """Return what a tool gave when it was recorded, or where to record it; `None` if tools are not recorded.

        Of all tools, those count that do something themselves. An agent or a flow that is used as a tool is
        run again, and what it asks for is played.
        """
        if name not in self._tools if self._tools is not None else kind != "tool":
            return None
        line = self._counted(Used(tool=name, arguments=plain(arguments), nth=0, at=_now(), effect=Effect()))
        found = [] if self._mode == "record" else cast("list[Used]", self._reel.of(line.key))
        if found:
            self._played += 1
            return found[min(line.nth, len(found)) - 1].effect
        if self._mode == "replay":
            raise tool_miss(self._reel, line)
        self._refuse(line.arguments, known_secrets(), f"the arguments of {name}", "it was not used")
        self._prepare(line)
        return EffectTaking(line, self._write_effect)

    def _write_effect(self, line: Exchange | Used) -> None:
        used = cast("Used", line)
        gave = {"result": used.effect.result, "error": used.effect.error}
        self._refuse(gave, known_secrets(), f"what {used.tool} gave", "it was not written")
        self._write(used)

    # Both

    def _counted(self, line: L) -> L:
        """Return a line with its number among its like."""
        with self._counting:
            nth = self._counts[line.slot] = self._counts.get(line.slot, 0) + 1
        return replace(line, nth=nth)

    def _prepare(self, line: Line) -> None:
        self._reel.check_writable()
        if line.nth == 1:
            # What earlier uses recorded of it gives way to what this one will.
            self._stale[line.slot] = [old for old in self._reel.of(line.key) if old.slot == line.slot]

    def _write(self, line: Line) -> None:
        self._reel.add(line, instead=self._stale.pop(line.slot, ()))
        self._recorded += 1

    def _refuse(self, thing: Any, known: Mapping[str, str], where: str, so: str) -> None:
        """Raise `CassetteError` if there is a secret in what is to be written."""
        leak = leak_in(thing, known)
        if leak is not None:
            place, kind = leak
            message = f"There is {kind} in {where}{f' at {place}' if place else ''}, so {so}."
            raise CassetteError(message, remedy='Take it out of there, or go without a cassette: mode="live".')


def _may_pass(line: Exchange) -> bool:
    failed = line.error or line.broke
    return failed is not None and failed not in _LASTING


def _as_it_broke(line: Exchange) -> ProviderError:
    """Return the error with which the connection broke when it was recorded."""
    name = line.broke or ""
    kind: type[ProviderError] = getattr(errors, name, ProviderError)
    error = kind(f"{_BROKEN.get(name, 'Something went wrong')} when this was recorded.")
    error.remedy = 'Record it again: mode="record".'
    error.replayed = True
    return error


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
