"""The tools of an MCP server in an agent's hands.

A server that is a program or an address has one connection, on Quire's background loop, whichever loop
asks: it is one process with one state, and `execute_sync` must not see another one than `await` does. It
also outlives the loop of an `asyncio.run`. A server in this process is the user's code, and is used on the
loop that asks, where the user's locks and clients live.
"""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from collections.abc import Awaitable, Callable, Container, Mapping
from functools import partial
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any, Self, TypeVar, cast

from quire.agents.tool import Tool, offered_name
from quire.core.errors import DefinitionError, QuireError, ToolFailed, ToolsUnreachable
from quire.run import bridge
from quire.tools.connection import Connection
from quire.tools.mcp_servers import Address, Here, Program, Server
from quire.tools.mcp_session import Expired, Lost, Session, opened

__all__ = ["MCP"]

R = TypeVar("R")

_MOMENT = 0.25
"""Seconds in which a connection that broke is known to be broken."""

_PATIENCE = 8.0
"""Seconds in which a server has ended, by itself or by force."""

_LONGEST = 64


class MCPTool(Tool[Any]):
    """A tool that an MCP server offers."""

    @property
    def note(self) -> str:
        """The second line of its node."""
        return "mcp"


class MCP:
    """An MCP server, whose tools agents can use; needs `pip install "quire[mcp]"`.

    It is an address, `MCP("https://example.org/mcp", headers={"Authorization": "Bearer ..."})`; or a
    program that is started, `MCP("npx", "-y", "some-server", env={"TOKEN": "..."})`, with no more of this
    process's environment than `PATH`, `HOME` and the like; or a server object of the official SDK, in this
    very process.

    `await mcp.tools()` asks for the tools it has now. The model is told their names, descriptions and
    parameters in the server's own words, so use servers you trust. `prefix` goes before each name, for two
    servers with tools of one name. `timeout` is the seconds that the server has to get ready, and for each
    answer. What fails is told to the model.

    It is connected to when it is first used, again after it broke down, and until `close()`, the end of
    an `async with`, or the end of the last thing that uses it. Headers and environment appear in no log.

    Raises:
        DefinitionError: an argument makes no sense.
        QuireError: the SDK is not installed.

    Example:
        >>> from mcp.server.mcpserver import MCPServer
        >>> from quire import LLM, Agent
        >>> from quire.tools import MCP
        >>> server = MCPServer("numbers")
        >>> @server.tool()
        ... def add(a: int, b: int) -> int:
        ...     "Add two numbers."
        ...     return a + b
        >>> mcp = MCP(server)
        >>> tools = mcp.tools_sync()  # in a notebook: await mcp.tools()
        >>> agent = Agent(LLM("offline"), "Calculate.", tools=tools)
        >>> tools[0].execute_sync({"a": 2, "b": 3})
        5
    """

    def __init__(
        self,
        *server: Any,
        env: Mapping[str, str] | None = None,
        cwd: str | os.PathLike[str] | None = None,
        headers: Mapping[str, str] | None = None,
        prefix: str | None = None,
        timeout: float = 60.0,
    ) -> None:
        if find_spec("mcp") is None:
            message = "The tools of MCP servers need the official SDK, which is not installed."
            raise QuireError(message, remedy='pip install "quire[mcp]"')
        if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not timeout > 0:  # pyright: ignore[reportUnnecessaryIsInstance]
            message = f"MCP(timeout={timeout!r}) leaves no time."
            raise DefinitionError(message, remedy="Give seconds above 0.")
        if prefix is not None and not isinstance(prefix, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise DefinitionError(
                f"MCP(prefix={prefix!r}) is no text.", remedy='prefix="docs" makes docs_search of search.'
            )
        _check_texts(env=env, headers=headers)
        self.prefix = prefix
        self.timeout = timeout
        self._server = _server(server, env, cwd, headers)
        self._closed = False
        self._lock = threading.Lock()
        self._connections: dict[asyncio.AbstractEventLoop, Connection[Session]] = {}
        # What nobody can use any more need not be closed by hand.
        weakref.finalize(self, _stop_all, self._connections).atexit = False

    async def tools(self) -> list[Tool[Any]]:
        """Return the tools the server has now.

        Raises:
            ToolsUnreachable: it could not be started or reached, or gave no answer in time.
        """
        try:
            listed = await self._use(self._listed, "its tools were listed")
        except TimeoutError:
            what = f"The MCP server `{self._server.label}` has not told its tools after {self.timeout:g} s."
            raise ToolsUnreachable(what, remedy="Give it more with MCP(timeout=...), in seconds.") from None
        tools: dict[str, Tool[Any]] = {}
        for tool in listed:
            name = _name(tool.name, self.prefix, tools)
            tools[name] = self._tool(name, tool)
        return list(tools.values())

    def tools_sync(self) -> list[Tool[Any]]:
        """Return the tools the server has now, without `await`: in scripts."""
        return bridge.wait_for(self.tools)

    async def close(self) -> None:
        """Disconnect; a server that was started is ended. Tools of it that are used later fail."""
        self._closed = True
        connections = list(self._connections.values())
        _stop_all(self._connections)
        for connection in connections:
            await connection.ended(_PATIENCE)

    async def __aenter__(self) -> Self:
        self._closed = False
        await self._use(_nothing, "it was opened")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"MCP({self._server.label!r})"

    async def _listed(self, session: Session) -> list[Any]:
        async with asyncio.timeout(self.timeout):
            return await session.tools()

    def _tool(self, name: str, tool: Any) -> Tool[Any]:
        async def call(arguments: dict[str, Any]) -> Any:
            work = partial(Session.call, tool=tool.name, arguments=arguments, output_schema=tool.output_schema)
            return await self._use(work, f"`{name}` was used")

        return MCPTool(
            call,
            name=name,
            description=tool.description or tool.title or tool.name,
            parameters={"type": "object", "properties": {}, **tool.input_schema},
            timeout=self.timeout,
        )

    async def _use(self, work: Callable[[Session], Awaitable[R]], doing: str, *, again: bool = True) -> R:
        connection = self._connection()
        try:
            return await connection.use(work)
        except Expired as expired:
            connection.stop()
            if again:  # it has done nothing, so it can be asked once more
                return await self._use(work, doing, again=False)
            raise ToolsUnreachable(f"The MCP server `{self._server.label}` knows nobody: {expired}") from None
        except Lost as lost:
            raise await self._told(connection, lost, doing) from None
        except ConnectionAbortedError:
            raise self._gone() from None
        except ToolsUnreachable as error:
            # The connection's own, which others who wait for it get as well.
            raise ToolsUnreachable(error.what, remedy=error.remedy) from None

    async def _told(self, connection: Connection[Session], lost: Lost, doing: str) -> ToolFailed:
        await connection.ended(_MOMENT)
        if connection.usable:
            return ToolFailed(f"The MCP server `{self._server.label}` broke off: {lost}")
        await connection.ended(_PATIENCE)
        why = connection.reason
        if not isinstance(why, QuireError):
            return self._gone()
        unknown = f"That was while {doing}, and nobody knows how far it came. The next use connects again."
        return ToolsUnreachable(why.what, remedy=f"{why.remedy}\n{unknown}" if why.remedy else unknown)

    def _gone(self) -> ToolsUnreachable:
        return ToolsUnreachable(f"The MCP server `{self._server.label}` was closed.")

    def _connection(self) -> Connection[Session]:
        home = asyncio.get_running_loop() if isinstance(self._server, Here) else bridge.background_loop()
        with self._lock:
            if self._closed:
                raise self._gone()
            for loop, connection in list(self._connections.items()):
                if not connection.usable:
                    del self._connections[loop]
            if home not in self._connections:
                self._connections[home] = Connection(partial(opened, self._server, self.timeout), home)
            return self._connections[home]


async def _nothing(_: Session) -> None:
    """Want no more than that the connection is open."""


def _stop_all(connections: dict[asyncio.AbstractEventLoop, Connection[Session]]) -> None:
    for connection in list(connections.values()):
        connection.stop()


def _name(name: str, prefix: str | None, taken: Container[str]) -> str:
    """Return a name that every provider takes and that no other tool of the server has."""
    wanted = offered_name(f"{prefix}_{name}" if prefix else name) or "tool"
    if wanted not in taken:
        return wanted
    tails = (f"_{number}" for number in count(2))
    return next(name for tail in tails if (name := wanted[: _LONGEST - len(tail)] + tail) not in taken)


# What was written down


def _server(
    words: tuple[Any, ...],
    env: Mapping[str, str] | None,
    cwd: str | os.PathLike[str] | None,
    headers: Mapping[str, str] | None,
) -> Server:
    if not words or words[0] == "":
        raise DefinitionError("MCP() names no server.", remedy=_WAYS)
    first = words[0]
    if not isinstance(first, str | os.PathLike):
        _refuse("a server in this process", words=words[1:], env=env, cwd=cwd, headers=headers)
        return Here(server=first)
    if isinstance(first, str) and first.startswith(("http://", "https://")):
        _refuse("a server at an address", words=words[1:], env=env, cwd=cwd)
        return Address(url=first, headers=headers or {})
    _refuse("a server that is started", headers=headers)
    if cwd is not None and not Path(cwd).is_dir():
        raise DefinitionError(f"MCP(cwd={cwd!r}) is no folder.", remedy="Name one that is there.")
    return Program(command=_command(words), env=env or {}, folder=cwd)


def _check_texts(**given: object) -> None:
    for name, texts in given.items():
        pairs = cast("Mapping[Any, Any]", texts).items() if isinstance(texts, Mapping) else [(None, texts)]
        if texts is not None and not all(isinstance(word, str) for pair in pairs for word in pair):
            # What it is instead is not repeated: it may hold a key.
            message = f"MCP({name}=...) is not texts by name."
            raise DefinitionError(message, remedy=f'{name}={{"NAME": "text"}}')


def _refuse(what: str, **given: object) -> None:
    for name, value in given.items():
        if value:
            raise DefinitionError(f"MCP({name}=...) means nothing to {what}.", remedy="Leave it out.")


def _command(words: tuple[Any, ...]) -> tuple[str, ...]:
    strange = next((word for word in words if not isinstance(word, str | os.PathLike)), None)
    if strange is not None:
        raise DefinitionError(f"MCP(..., {strange!r}) is no word of a command.", remedy=_WAYS)
    command = tuple(map(os.fspath, words))
    if len(command) == 1 and " " in command[0] and not Path(command[0]).exists():
        written = ", ".join(f'"{word}"' for word in command[0].split())
        raise DefinitionError(f"MCP({command[0]!r}) is one word.", remedy=f"Give each word by itself: MCP({written})")
    return command


_WAYS = 'MCP("https://example.org/mcp"), MCP("npx", "-y", "some-server"), or MCP(server) with an object of the SDK.'
