"""A chat on a page: what was said, what is being said, and a box to say more.

Everything here happens on the kernel's own loop, where cells run: the page's messages may arrive in another thread,
whose loop ends with the page.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol, runtime_checkable

from quire.core.errors import QuireError
from quire.run.bridge import call_on, running_loop
from quire.views.chat import ChatSnapshot, chat_html, chat_text, news
from quire.views.shapes import Message

__all__ = ["ChatView", "Chatting"]

Said = dict[str, Any]
"""An answer to what a page asked; the words are in `widgets/src/chatting.ts`."""

_QUIET = 1.0
"""Seconds without news after which the still picture is renewed: it is for whoever saves the notebook."""


@runtime_checkable
class Chatting(Protocol):
    """A conversation with an agent."""

    session: str

    def snapshot(self) -> ChatSnapshot:
        """Return everything there is to see."""
        ...

    def follow(self, hear: Callable[[], None]) -> None:
        """Have all that is new told."""

    def watch(self) -> Callable[[], None]:
        """Keep up with what others add."""
        ...

    async def start(self, text: str, *, attended: bool | None = None) -> Any:
        """Say something."""

    async def edit(self, message: str, text: str, *, attended: bool | None = None) -> Any:
        """Say one of the messages in other words."""

    async def again(self, *, attended: bool | None = None) -> Any:
        """Say once more what has come to nothing."""

    async def switch(self, branch: str) -> None:
        """Go on with another branch."""

    async def restore(self, name: str) -> None:
        """Go on from a checkpoint."""

    async def checkpoint(self, name: str) -> None:
        """Give the place where the conversation is now a name."""

    def stop(self) -> None:
        """Stop the turn."""

    def going(self) -> bool:
        """Whether a turn goes on."""
        ...

    def asks(self, run: str) -> bool:
        """Whether that run is the turn."""
        ...

    def answer(self, question: str, value: Any) -> None:
        """Answer a question of the turn."""


class ChatView:
    """A chat, kept up to date while a page shows it; its still picture is renewed also without one."""

    def __init__(self, chat: Chatting) -> None:
        self.loop: asyncio.AbstractEventLoop | None = None
        """Where turns are taken; `None` if that is wherever they are asked for."""
        self._chat = chat
        self.session = chat.session
        """The conversation it goes on with."""
        self._told: ChatSnapshot | None = None
        """What a page has been told: as everything in a snapshot, it stays as it is."""
        self._seq = 0
        self._changed: Callable[[], None] | None = None
        self._leave: Callable[[], None] | None = None
        self._closed = False
        self._work: set[asyncio.Task[None]] = set()
        self._went = False
        self._quiet: tuple[asyncio.AbstractEventLoop, asyncio.TimerHandle] | None = None
        self.renew: Callable[[], None] = lambda: None
        """Puts a new still picture into the cell."""
        chat.follow(self._hear)

    def open(self, changed: Callable[[], None]) -> None:
        """Begin to follow."""
        self._changed, self._closed = changed, False
        if self._leave is None:
            self._told = self._chat.snapshot()
            self._leave = self._chat.watch()

    def close(self) -> None:
        """Stop following; the turn that goes on is not stopped."""
        if self._leave is not None:
            self._leave()
        self._changed, self._leave, self._told, self._closed = None, None, None, True

    def snapshot(self) -> tuple[ChatSnapshot, int]:
        """Return everything that a page has been told."""
        return self._told or self._chat.snapshot(), self._seq

    def patch(self) -> Any | None:
        """Return what is new since the last patch."""
        if self._told is None:
            return None
        before, self._told = self._told, self._chat.snapshot()
        patch = _difference(before, self._told)
        if not patch:
            return None
        self._seq += 1
        return {"seq": self._seq, **patch}

    def soon(self, do: Callable[[], None]) -> None:
        """Call it where turns are taken."""
        if self.loop is None:
            do()
        else:
            call_on(self.loop, do)

    def still(self) -> dict[str, str]:
        """Return the picture of this moment."""
        shown = self._chat.snapshot()
        return {"text/html": chat_html(shown), "text/plain": chat_text(shown)}

    # What is new

    def _hear(self) -> None:
        if self._changed is not None:
            self._changed()
        went, self._went = self._went, self._chat.going()
        if went and not self._went:
            self.renew()
        elif not self._went:
            self._renew_soon()

    def _renew_soon(self) -> None:
        loop = running_loop()
        if self._quiet is not None and self._quiet[0] is loop:
            self._quiet[1].cancel()
        self._quiet = None if loop is None else (loop, loop.call_later(_QUIET, self.renew))

    # What a page asks

    def stop(self) -> None:
        """Stop the turn."""
        self._chat.stop()

    def awaits(self, run: str) -> bool:
        """Whether somebody can answer that run's questions here: not once a page has closed the view again."""
        return not self._closed and self._chat.asks(run)

    def answer(self, question: str, value: Any) -> None:
        """Answer a question of the turn."""
        self._chat.answer(question, value)

    def take(self, ask: Said, answer: Callable[[Said], None]) -> None:
        """Do what a page asks, and answer once it is done, or has begun if it takes a turn."""
        # A loop holds on to its tasks only weakly.
        task = asyncio.get_running_loop().create_task(self._do(ask, answer))
        self._work.add(task)
        task.add_done_callback(self._work.discard)

    async def _do(self, ask: Said, answer: Callable[[Said], None]) -> None:
        said: Said = {"said": "done"}
        try:
            await self._asked(ask)
        except QuireError as error:
            said = {"said": "refused", "message": error.what, "remedy": error.remedy}
        except Exception as error:  # noqa: BLE001 - a store that cannot be reached says so in its own way
            said = {"said": "refused", "message": f"{type(error).__name__}: {error}", "remedy": None}
        answer({**said, "by": ask.get("by"), "ask": ask["ask"]})

    def _asked(self, ask: Said) -> Coroutine[Any, Any, Any]:
        chat = self._chat
        # Somebody sits before the page, and is asked there.
        match ask:
            case {"ask": "send", "text": str(text)}:
                return chat.start(text, attended=True)
            case {"ask": "edit", "message": str(message), "text": str(text)}:
                return chat.edit(message, text, attended=True)
            case {"ask": "again"}:
                return chat.again(attended=True)
            case {"ask": "switch", "branch": str(branch)}:
                return chat.switch(branch)
            case {"ask": "restore", "name": str(name)}:
                return chat.restore(name)
            case {"ask": "checkpoint", "name": str(name)}:
                return chat.checkpoint(name)
            case _:
                message = f"Nobody knows how to {ask['ask']!r}."
                raise QuireError(message, remedy="Reload the page: it is of another version.")


def _difference(before: ChatSnapshot, now: ChatSnapshot) -> dict[str, Any]:
    """Return what a page has to be told that shows a chat as it was before."""
    old, new = before["messages"], now["messages"]
    kept = _shared(old, new)
    changed = [
        told
        for was, is_now in zip(old[:kept], new, strict=False)
        if was is not is_now
        for told in news(was, is_now) or ()
    ]
    messages = [*changed, *new[kept:]]
    patch: dict[str, Any] = {"messages": messages} if messages else {}
    if kept < len(old):
        patch["keep"] = kept
    if patch.get("keep") is not None or before["head"] != now["head"]:
        patch["chat"] = now["head"]
    return patch


def _shared(old: Sequence[Message], new: Sequence[Message]) -> int:
    """Count the messages that both begin with, also if those have changed."""
    pairs = enumerate(zip(old, new, strict=False))
    return next((at for at, (was, now) in pairs if was["id"] != now["id"]), min(len(old), len(new)))
