"""Talking to an MCP server that has been reached: opening a session, listing its tools, calling one.

The SDK is loaded with the first session, in a thread: that takes a second, in which a loop would stand still.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from quire.core.errors import QuireError, ToolFailed, ToolsUnreachable
from quire.run.threads import in_thread
from quire.tools.mcp_clues import Clues
from quire.tools.mcp_results import value_of
from quire.tools.mcp_servers import Server

if TYPE_CHECKING:
    from mcp import Client
    from mcp_types import Tool as Listed

__all__ = ["Expired", "Lost", "Session", "opened"]

_GRACE = 5.0
"""Seconds that a server gets to take its leave."""


class Lost(Exception):
    """An answer will not come; perhaps the connection is gone."""


class Expired(Exception):
    """The server has forgotten who is asking, and has not done what it was asked."""


class Session:
    """An open connection to a server, as far as its tools go."""

    def __init__(self, client: Client, clues: Clues) -> None:
        self._client = client
        self._clues = clues
        self._listed = False

    async def tools(self) -> list[Listed]:
        """Return the server's tools, however many pages they take.

        Raises:
            ToolFailed, Lost, Expired: it did not tell them.
        """
        found: list[Listed] = []
        cursor, before = None, set[str | None]()
        while cursor not in before:  # else it goes around in a circle
            before.add(cursor)
            with self._translated():
                page = await self._client.list_tools(cursor=cursor)
            found += page.tools
            cursor = page.next_cursor or None
        if any(tool.output_schema for tool in found):
            # The SDK checks results with it, and would load it on the loop: another second.
            await in_thread(import_module, "jsonschema.validators")
        self._listed = True
        return found

    async def call(self, tool: str, arguments: dict[str, Any], output_schema: dict[str, Any] | None) -> Any:
        """Use a tool and return what it gave.

        Raises:
            ToolFailed, Lost, Expired: it gave nothing.
        """
        if not self._listed:
            await self.tools()  # the SDK wants to have seen what it is to check
        with self._translated():
            return value_of(await self._client.call_tool(tool, arguments), output_schema)

    @contextmanager
    def _translated(self) -> Generator[None]:
        from mcp import MCPError
        from mcp_types import CONNECTION_CLOSED

        told = self._clues.without_secrets
        try:
            yield
        except ToolFailed as error:
            raise ToolFailed(told(error.what)) from None
        except MCPError as error:
            if self._clues.expired:
                raise Expired(error.message) from None
            said = told(f"{error.message} ({self._clues.status})" if self._clues.status else error.message)
            raise (Lost(said) if error.code == CONNECTION_CLOSED else ToolFailed(said)) from None
        except (RuntimeError, ValueError) as error:  # what the SDK raises about an answer against the rules
            raise ToolFailed(told(f"Its answer makes no sense: {error}")) from None


@asynccontextmanager
async def opened(server: Server, patience: float, lost: Callable[[], None]) -> AsyncGenerator[Session]:
    """Open a session with a server within that many seconds; `lost` is called if the server goes away.

    Raises:
        ToolsUnreachable: the server could not be reached, or went away.
        QuireError: the SDK is not installed.
    """
    await in_thread(_load_sdk)
    from mcp import Client

    clues, is_open = Clues(server.secrets), False

    def gone() -> None:
        clues.ended = True
        lost()

    try:
        async with asyncio.timeout(patience) as timer, Client(server.target(clues, gone), cache=None) as client:
            timer.reschedule(None)
            is_open = True
            yield Session(client, clues)
            timer.reschedule(asyncio.get_running_loop().time() + _GRACE)
        _check_that_it_was_asked_to_end(clues)
    except Exception as error:  # noqa: BLE001 - whatever the SDK raises
        cause, words = _innermost(error), await clues.last_words()
        verb = "went away" if is_open else "could not be opened"
        what = f"The MCP server `{server.label}` {verb}: {clues.without_secrets(_why(cause, clues, patience))}."
        raise ToolsUnreachable(what, remedy=_remedy(server, cause, clues, words)) from None


def _check_that_it_was_asked_to_end(clues: Clues) -> None:
    if clues.ended:
        raise ConnectionError


def _remedy(server: Server, error: BaseException, clues: Clues, words: str) -> str | None:
    if not isinstance(error, TimeoutError):
        return server.remedy(error, clues, words)
    more = "Give it more with MCP(timeout=...), in seconds."
    return f"{more}\nIt wrote:\n{words}" if words else more


def _why(error: BaseException, clues: Clues, patience: float) -> str:
    if isinstance(error, TimeoutError):
        return f"it was not ready after {patience:g} s"
    if clues.ended:
        return "it ended"
    if clues.status is not None:
        return clues.status
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).rstrip(".")


def _innermost(error: BaseException) -> BaseException:
    """Return the error that a group of errors is about."""
    while isinstance(error, BaseExceptionGroup):
        error = cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
    return error


@cache
def _load_sdk() -> None:
    try:
        from mcp import Client  # noqa: F401  # pyright: ignore[reportUnusedImport]
    except ImportError as error:
        message = f"The tools of MCP servers need the official SDK, version 2: {error}."
        raise QuireError(message, remedy='pip install "quire[mcp]"') from None
    # What it complains of is in our errors; without a handler of its own, Python would print it as well.
    logging.getLogger("mcp").addHandler(logging.NullHandler())
