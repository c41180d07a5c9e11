"""A line between a store and its server that can be cut, at the very moment that hurts."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import Literal


class Line:
    """Passes on what both sides say, until it is told to cut the connection."""

    def __init__(self, port: int) -> None:
        self.port = 0
        """Where it takes connections."""
        self.cut: Literal["asking", "answering"] | None = None
        """Cut the next question instead of passing it on, or the next answer; then do it no more."""
        self.cuts = 0
        self._server_port = port
        self._conversations: set[asyncio.Task[None]] = set()

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncGenerator[Line]:
        """Take connections while the block runs."""
        server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for conversation in self._conversations:
                conversation.cancel()
            await asyncio.gather(*self._conversations, return_exceptions=True)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._conversations.add(asyncio.current_task())
        with contextlib.suppress(OSError, asyncio.CancelledError):
            there, back = await asyncio.open_connection("127.0.0.1", self._server_port)
            ways = [self._pass_on(reader, back, "asking"), self._pass_on(there, writer, "answering")]
            tasks = list(map(asyncio.ensure_future, ways))
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                back.transport.abort()
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        writer.transport.abort()
        await asyncio.sleep(0)  # so that both are closed before the loop is

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: str) -> None:
        while said := await reader.read(1 << 16):
            if self.cut == way:
                self.cut, self.cuts = None, self.cuts + 1
                return
            writer.write(said)
            await writer.drain()
