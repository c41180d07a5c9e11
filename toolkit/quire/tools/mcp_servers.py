"""Where an MCP server is: a program to start, an address, or an object in this very process."""

from __future__ import annotations

import os
import shlex
from collections.abc import AsyncGenerator, Callable, Collection, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import shorten
from typing import Any, Self, TypeAlias
from urllib.parse import urlsplit

from quire.core.errors import DefinitionError
from quire.tools.mcp_clues import Clues

__all__ = ["Address", "Here", "Program", "Server"]

_CONNECTING = 30.0
"""Seconds that a connection over HTTP may take; how long an answer may take is for the caller to say."""

_WHO_ARE_YOU = ("HTTP 401", "HTTP 403")


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A server that is started, and is talked to over its input and output."""

    command: tuple[str, ...]
    env: Mapping[str, str] = field(repr=False)
    folder: str | os.PathLike[str] | None

    @property
    def label(self) -> str:
        """What people call it: the program and what it runs; no options, which may hold secrets."""
        program, *rest = self.command
        words = [Path(program).name, *(word for word in rest if not word.startswith("-"))]
        return shorten(shlex.join(words[:2]), 60, placeholder="…")

    @property
    def secrets(self) -> Collection[str]:
        """What nobody else may be told."""
        return self.env.values()

    @asynccontextmanager
    async def target(self, clues: Clues, lost: Callable[[], None]) -> AsyncGenerator[tuple[Any, Any]]:
        """Start it and give the two streams the SDK talks over."""
        from mcp import StdioServerParameters, stdio_client

        program, *rest = self.command
        folder = None if self.folder is None else os.fspath(self.folder)
        start = StdioServerParameters(command=program, args=rest, env=dict(self.env), cwd=folder)
        async with AsyncExitStack() as stack:
            with clues.listening() as output:
                heard, said = await stack.enter_async_context(stdio_client(start, output))
            yield _Watched(heard, lost), said

    def remedy(self, error: BaseException, clues: Clues, words: str) -> str:  # noqa: ARG002 - one signature for all
        """Return what to do about an error, given the last words of the program."""
        if isinstance(error, FileNotFoundError | PermissionError):
            return f"Is `{self.command[0]}` installed, and on the PATH?"
        return f"It wrote:\n{words}" if words else "It wrote no error; run it in a terminal to see what it does."


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A server that runs somewhere, and is talked to over HTTP."""

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)

    @property
    def label(self) -> str:
        """What people call it: its address, without what may be secret in it."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"

    @property
    def secrets(self) -> Collection[str]:
        """What nobody else may be told."""
        parts = urlsplit(self.url)
        words = [word for value in self.headers.values() for word in (value, *value.split())]
        return [*words, parts.password or "", *(pair.rpartition("=")[2] for pair in parts.query.split("&"))]

    @asynccontextmanager
    async def target(self, clues: Clues, lost: Callable[[], None]) -> AsyncGenerator[tuple[Any, Any]]:  # noqa: ARG002
        """Give the two streams the SDK talks over; it connects with the first message."""
        import httpx2
        from mcp.client.streamable_http import streamable_http_client

        wait = httpx2.Timeout(_CONNECTING, read=None)
        hooks = {"response": [clues.notice]}
        async with (
            httpx2.AsyncClient(headers=dict(self.headers), timeout=wait, event_hooks=hooks) as client,
            streamable_http_client(self.url, http_client=client) as streams,
        ):
            yield streams

    def remedy(self, error: BaseException, clues: Clues, words: str) -> str:  # noqa: ARG002
        """Return what to do about an error."""
        if (clues.status or "").startswith(_WHO_ARE_YOU):
            return 'It wants to know who asks: MCP(url, headers={"Authorization": "Bearer ..."})'
        return "Is it running, and is this its address?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Here:
    """A server in this process: an object of the SDK."""

    server: Any

    def __post_init__(self) -> None:
        from mcp.server import Server
        from mcp.server.mcpserver import MCPServer

        if not isinstance(self.server, Server | MCPServer):
            message = f"{self.server!r} is no MCP server."
            remedy = "Give an address, a command word by word, or an MCPServer of the official SDK."
            raise DefinitionError(message, remedy=remedy)

    @property
    def label(self) -> str:
        """What people call it."""
        return str(self.server.name)

    @property
    def secrets(self) -> Collection[str]:
        """What nobody else may be told: nothing."""
        return ()

    def target(self, clues: Clues, lost: Callable[[], None]) -> Any:  # noqa: ARG002
        """Give the server itself, which the SDK talks to without any streams."""
        return self.server

    def remedy(self, error: BaseException, clues: Clues, words: str) -> None:  # noqa: ARG002
        """Return what to do about an error: only its author knows."""
        return


Server: TypeAlias = Program | Address | Here


class _Watched:
    """The messages of a server, and a word when there will be no more."""

    def __init__(self, messages: Any, lost: Callable[[], None]) -> None:
        self._messages = messages
        self._lost = lost

    async def receive(self) -> Any:
        return await self._messages.receive()

    async def aclose(self) -> None:
        await self._messages.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        try:
            return await self._messages.__anext__()
        except StopAsyncIteration:
            self._lost()
            raise

    async def __aenter__(self) -> Self:
        await self._messages.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> bool | None:
        return await self._messages.__aexit__(*error)
