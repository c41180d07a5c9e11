"""The browser of sessions on a page: what is listed stays as it is kept, and a person can go on from any place.

Everything here happens on the kernel's own loop, where the page's messages arrive.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Protocol, runtime_checkable

from quire.core.errors import QuireError
from quire.views import tree
from quire.views.browsing import PlaceDetails, SessionRow, SessionsSnapshot, Tree

__all__ = ["Browsable", "SessionsView"]

Said = dict[str, Any]
"""An answer to what a page asked; the words are in `widgets/src/browsing.ts`."""

_QUIET = 1.0
"""Seconds without news after which the still picture is renewed: it is for whoever saves the notebook."""


class Browsing(Protocol):
    """What looks through sessions, and goes on from places in them."""

    only: str | None

    def snapshot(self) -> SessionsSnapshot:
        """Return everything to begin with."""
        ...

    async def rows(self) -> list[SessionRow]:
        """Return what the list shows."""
        ...

    async def row(self, session: str) -> SessionRow | None:
        """Return what the list shows of one session."""
        ...

    async def tree(self, session: str) -> Tree:
        """Return a session's branches."""
        ...

    async def place(self, session: str, branch: str, message: int) -> PlaceDetails | None:
        """Return one message."""
        ...

    async def find(self, words: str) -> list[str]:
        """Return the sessions in which words were said."""
        ...

    async def restore(self, session: str, branch: str, message: int) -> None:
        """Let a session go on from a message."""

    async def fork(self, session: str, branch: str, message: int, into: str) -> None:
        """Let a new session go on from a message."""

    async def checkpoint(self, session: str, name: str) -> None:
        """Give the place where a session is now a name."""

    async def chat(self, session: str) -> Any:
        """Return a chat in a session."""

    def follow(self, hear: Callable[[str], None]) -> Callable[[], None]:
        """Have every change told."""
        ...

    def forget(self) -> None:
        """Let go of what was read."""


@runtime_checkable
class Browsable(Protocol):
    """Something with sessions: a memory, one session, or what looks through them."""

    def browse(self) -> Browsing:
        """Return what looks through them."""
        ...


class SessionsView:
    """The sessions of a memory, or one of them."""

    def __init__(self, browser: Browsing) -> None:
        self._browser = browser
        self._shown: SessionsSnapshot = browser.snapshot()
        self._seq = 0
        self._news: dict[str, SessionRow | None] = {}
        """What the page has not been told yet; `None` is of a session that is gone."""
        self._leave: Callable[[], None] | None = None
        self._changed: Callable[[], None] = lambda: None
        self._work: set[asyncio.Task[None]] = set()
        self._quiet: asyncio.TimerHandle | None = None
        self.renew: Callable[[], None] = lambda: None
        """Called when the still picture is not true any more."""

    def open(self, changed: Callable[[], None]) -> None:
        """Begin to follow, and look what other processes have added meanwhile."""
        self._changed = changed
        loop = asyncio.get_running_loop()
        if self._leave is None:

            def hear(session: str) -> None:
                with suppress(RuntimeError):  # the loop has just ended
                    loop.call_soon_threadsafe(lambda: self._begin(self._look_at(session)))

            self._leave = self._browser.follow(hear)
        self._begin(self._look())

    def close(self) -> None:
        """Stop following; the list stays, what was read for it does not."""
        if self._leave is not None:
            self._leave()
        self._leave = None
        self._browser.forget()

    def snapshot(self) -> tuple[SessionsSnapshot, int]:
        """Return everything that is shown."""
        return self._shown, self._seq

    def patch(self) -> Any | None:
        """Return the sessions that have changed since the last patch."""
        if not self._news:
            return None
        news, self._news = self._news, {}
        self._seq += 1
        rows = [row for row in news.values() if row is not None]
        return {"seq": self._seq, "rows": rows, "gone": [name for name, row in news.items() if row is None]}

    def soon(self, do: Callable[[], None]) -> None:
        """Call it at once."""
        do()

    def still(self) -> dict[str, str]:
        """Return the picture of this moment."""
        shown = self._shown
        told = {"text/html": tree.sessions_html(shown), "text/plain": tree.sessions_text(shown)}
        return told if shown["tree"] is None else {**told, "image/svg+xml": tree.tree_svg(shown["tree"])}

    # What is new

    async def _look(self) -> None:
        rows = {row["session"]: row for row in await self._browser.rows()}
        known = {row["session"] for row in self._shown["rows"]}
        await self._take({**dict.fromkeys(known - rows.keys()), **rows})

    async def _look_at(self, session: str) -> None:
        if self._browser.only in (None, session):
            await self._take({session: await self._browser.row(session)})

    async def _take(self, found: dict[str, SessionRow | None]) -> None:
        known = {row["session"]: row for row in self._shown["rows"]}
        news = {name: row for name, row in found.items() if known.get(name) != row}
        if not news:
            return
        rows = [row for row in {**known, **news}.values() if row is not None]
        rows.sort(key=lambda row: row["last_at"], reverse=True)
        first = await self._browser.tree(rows[0]["session"]) if rows else None
        self._shown = {**self._shown, "rows": rows, "tree": first}
        self._news.update(news)
        self._changed()
        self._renew_soon()

    def _renew_soon(self) -> None:
        if self._quiet is not None:
            self._quiet.cancel()
        self._quiet = asyncio.get_running_loop().call_later(_QUIET, self.renew)

    # What a page asks

    def take(self, ask: Said, answer: Callable[[Said], None]) -> None:
        """Do what a page asks, and answer."""
        self._begin(self._do(ask, answer))

    def talk(self, session: str, begun: Callable[[Any], None], refused: Callable[[QuireError], None]) -> None:
        """Open a chat in a session."""

        async def talk() -> None:
            try:
                begun(await self._browser.chat(session))
            except QuireError as error:
                refused(error)

        self._begin(talk())

    async def _do(self, ask: Said, answer: Callable[[Said], None]) -> None:
        try:
            said = await self._answer(ask)
        except QuireError as error:
            said = {"said": "refused", "message": error.what, "remedy": error.remedy}
        except Exception as error:  # noqa: BLE001 - a store that cannot be reached says so in its own way
            said = {"said": "refused", "message": f"{type(error).__name__}: {error}", "remedy": None}
        answer({**said, "by": ask.get("by"), "ask": ask["ask"]})

    async def _answer(self, ask: Said) -> Said:
        browser = self._browser
        match ask:
            case {"ask": "tree", "session": str(session)}:
                return {"said": "tree", "tree": await browser.tree(session)}
            case {"ask": "place", "session": str(session), "branch": str(branch), "message": int(message)}:
                return {"said": "place", "place": await browser.place(session, branch, message)}
            case {"ask": "find", "words": str(words)}:
                return {"said": "found", "words": words, "sessions": await browser.find(words)}
            case {"ask": "restore", "session": str(session), "branch": str(branch), "message": int(message)}:
                await browser.restore(session, branch, message)
            case {"ask": "fork", "session": str(session), "branch": str(branch), "message": int(message)}:
                await browser.fork(session, branch, message, into=str(ask["into"]))
                session = str(ask["into"]).strip()
            case {"ask": "checkpoint", "session": str(session), "name": str(name)}:
                await browser.checkpoint(session, name)
            case _:
                message = f"Nobody knows how to {ask['ask']!r}."
                raise QuireError(message, remedy="Reload the page: it is of another version.")
        return {"said": "done", "session": session}

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        # A loop holds on to its tasks only weakly.
        task = asyncio.get_running_loop().create_task(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)
