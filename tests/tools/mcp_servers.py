"""MCP servers for tests: objects of the official SDK, such a server over HTTP, and a program in plain Python."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from pathlib import Path

import jsonschema.validators  # noqa: F401 - the SDK loads it late, and that takes longer than a test should
import mcp_types
import uvicorn
from mcp.server import Server
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError

PLAIN = str(Path(__file__).with_name("stdio_server.py"))
ANYTHING = {"type": "object"}


def numbers(name="numbers"):
    """Make a server with a few tools; `server.met` says who went in and out of `wait`."""
    server = MCPServer(name, log_level="CRITICAL")
    server.met = []

    @server.tool()
    def add(a: int, b: int = 1) -> int:
        """Add two numbers."""
        return a + b

    @server.tool()
    async def wait() -> str:
        """Wait for very long."""
        server.met.append("in")
        try:
            await asyncio.sleep(30)
        finally:
            server.met.append("out")
        return "late"

    @server.tool()
    def refuse(why: str) -> str:
        """Refuse."""
        raise ToolError(why)

    return server


def answering(*results, schema=None):
    """Make a server whose only tool, `give`, gives these results as they are, one after the other."""
    left = list(results)

    async def listed(_context, _params):
        tool = mcp_types.Tool(name="give", input_schema=ANYTHING, output_schema=schema)
        return mcp_types.ListToolsResult(tools=[tool])

    async def called(_context, _params):
        return left.pop(0)

    return Server("answering", on_list_tools=listed, on_call_tool=called)


def listing(pages):
    """Make a server that tells its tools page by page: per cursor their names and the next cursor."""

    async def listed(_context, params):
        names, following = pages[params.cursor if params else None]
        tools = [mcp_types.Tool(name=name, input_schema=ANYTHING) for name in names]
        return mcp_types.ListToolsResult(tools=tools, next_cursor=following)

    async def called(_context, params):
        return given(words(f"this was {params.name}"))

    return Server("listing", on_list_tools=listed, on_call_tool=called)


def given(*content, **more):
    return mcp_types.CallToolResult(content=list(content), **more)


def words(text):
    return mcp_types.TextContent(text=text)


async def holds(condition, within=5.0):
    """Wait for something that happens in another process or thread, and tell whether it did."""
    until = time.monotonic() + within
    while not condition() and time.monotonic() < until:  # noqa: ASYNC110 - nobody there can set an event here
        await asyncio.sleep(0.005)
    return condition()


async def refuse(send, status):
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": b""})


class OverHTTP:
    """Serves an MCP server on loopback from a thread of its own while the `with` block runs.

    `token` is what it wants to be shown; an `old` one speaks the protocol that has sessions.
    """

    def __init__(self, server, *, token=None, old=False, port=0):
        self._app = server.streamable_http_app()
        self._token = token
        self._old = old
        self._socket = socket.create_server(("127.0.0.1", port))
        self.port = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/mcp"
        config = uvicorn.Config(self._checked, interface="asgi3", log_level="critical", ws="none")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), daemon=True)

    async def _checked(self, scope, receive, send):
        if scope["type"] == "http":
            headers = dict(scope["headers"])
            if self._token and headers.get(b"authorization") != f"Bearer {self._token}".encode():
                return await refuse(send, 401)
            if self._old and headers.get(b"mcp-method") == b"server/discover":
                return await refuse(send, 400)
        return await self._app(scope, receive, send)

    def __enter__(self):
        self._thread.start()
        until = time.monotonic() + 5
        while not self._server.started and time.monotonic() < until:
            time.sleep(0.005)
        return self

    def hang_up(self):
        """Break every connection off and serve no more."""
        for connection in list(self._server.server_state.connections):
            connection.loop.call_soon_threadsafe(connection.transport.abort)
        self.end()

    def end(self):
        self._server.should_exit = self._server.force_exit = True
        self._thread.join(5)
        with contextlib.suppress(OSError):
            self._socket.close()

    def __exit__(self, *_):
        self.end()
