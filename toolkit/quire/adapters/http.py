"""The HTTP seam: the only module that knows the HTTP library.

A `Target` is an address with its headers and its patience, prepared once; `Target.post` sends JSON and
gives the `Reply`, whole or chunk by chunk. There are no retries and no redirects here: a run decides about
the first, and the second would send a prompt to a place nobody named.

It talks to the library's transport instead of its client, which costs a fifth less per call: cookies, redirects and
the merging of defaults are never wanted here. Connections are kept alive, one pool for each event loop,
because a connection belongs to the loop that opened it. A recorder can later stand in `_pool`, around the
transport it returns.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from urllib.request import getproxies, proxy_bypass
from weakref import WeakKeyDictionary

import httpx

from quire.core.errors import DefinitionError, ProviderError, ProviderTimeout, ProviderUnreachable, StreamInterrupted

__all__ = ["Reply", "Target", "close"]

_CONNECT_SECONDS = 10.0
_DRAIN_SECONDS = 0.1
# As many at once as the official SDKs allow; a call beyond that waits for its turn without a limit.
_LIMITS = httpx.Limits(max_connections=1000, max_keepalive_connections=100, keepalive_expiry=30.0)


@dataclass(frozen=True, slots=True)
class Reply:
    """What a server answered; readable until the `async with` block of `Target.post` ends."""

    status: int
    headers: Mapping[str, str]
    """Looked up without regard to case."""
    _response: httpx.Response
    _target: Target

    async def read(self) -> bytes:
        """Return the whole body; raise `StreamInterrupted` if it breaks off."""
        with _translated(self._target, reading=True):
            return await self._response.aread()

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """Yield the body as it arrives; raise `StreamInterrupted` if it breaks off."""
        with _translated(self._target, reading=True):
            async for chunk in self._response.aiter_bytes():
                yield chunk

    @staticmethod
    async def drain(chunks: AsyncIterator[bytes]) -> None:
        """Read what is left of a body that has said all it had to say.

        A body read to its end leaves a connection that can be used again. A server that goes on
        after its last word is left after a moment.
        """
        with contextlib.suppress(TimeoutError, ProviderError):
            async with asyncio.timeout(_DRAIN_SECONDS):
                async for _ in chunks:
                    pass


class Target:
    """Where requests go: an address with its headers, and how long to wait for the next bytes.

    Example:
        >>> Target("http://127.0.0.1:8000/v1/chat/completions", {"authorization": "Bearer key"}, 60.0).host
        'http://127.0.0.1:8000'
    """

    def __init__(self, url: str, headers: Mapping[str, str], timeout: float) -> None:
        try:
            self._url = httpx.URL(url)
        except (httpx.InvalidURL, ValueError) as error:
            what = f"{url!r} is not an address: {error}"
            raise DefinitionError(what, remedy="Set base_url, such as http://127.0.0.1:8000/v1.") from None
        self.host = f"{self._url.scheme}://{self._url.netloc.decode('ascii')}"
        self.timeout = timeout
        self._proxy = _proxy(self._url)
        # What arrives is read as it is sent: a compressed stream would come in bursts.
        sent = {"content-type": "application/json", "accept-encoding": "identity", **headers}
        self._headers = [(name.encode("ascii"), value.encode("ascii")) for name, value in sent.items()]
        connect = min(timeout, _CONNECT_SECONDS)
        self._patience = {"timeout": {"connect": connect, "read": timeout, "write": timeout, "pool": None}}

    @contextlib.asynccontextmanager
    async def post(self, body: bytes) -> AsyncIterator[Reply]:
        """Send JSON and give the reply; leaving the block, or being cancelled in it, ends the exchange at once.

        Raises `ProviderTimeout` when nothing arrives in time and `ProviderUnreachable` when there is no
        connection, or when it is lost before the reply begins.
        """
        request = httpx.Request("POST", self._url, headers=self._headers, content=body, extensions=self._patience)
        with _translated(self, reading=False):
            pool = await _pool(self._proxy)
            response = await pool.handle_async_request(request)
        try:
            yield Reply(response.status_code, response.headers, response, self)
        finally:
            await response.aclose()


@contextlib.contextmanager
def _translated(target: Target, *, reading: bool) -> Iterator[None]:
    try:
        yield
    except httpx.ConnectTimeout:
        what = f"{target.host} did not take the connection in time."
        raise ProviderTimeout(what, remedy="Check base_url and the network, or raise LLM(timeout=...).") from None
    except httpx.TimeoutException:
        what = f"{target.host} sent nothing for {target.timeout:g} s."
        raise ProviderTimeout(what, remedy="Try again, or raise LLM(timeout=...).") from None
    except httpx.ConnectError as error:
        what = f"No connection to {target.host}: {error}."
        raise ProviderUnreachable(what, remedy="Check base_url, and that the server is running.") from error
    except httpx.TransportError as error:
        what = f"{target.host} closed the connection: {error or type(error).__name__}."
        lost = StreamInterrupted if reading else ProviderUnreachable
        raise lost(what, remedy="Try again.") from error
    except httpx.HTTPError as error:
        what = f"{target.host} sent a reply that cannot be read: {error}."
        raise ProviderError(what, remedy="Check that base_url is a model's server.") from error


@dataclass(slots=True)
class _Pools:
    """The connections of one event loop, by the proxy they go through."""

    by_proxy: dict[str | None, httpx.AsyncHTTPTransport] = field(
        default_factory=dict[str | None, httpx.AsyncHTTPTransport]
    )
    keeper: AsyncGenerator[None, None] | None = None

    async def keep(self, loop: asyncio.AbstractEventLoop) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            _loops.pop(loop, None)
            for transport in self.by_proxy.values():
                await transport.aclose()


_loops: WeakKeyDictionary[asyncio.AbstractEventLoop, _Pools] = WeakKeyDictionary()


async def _pool(proxy: str | None) -> httpx.AsyncHTTPTransport:
    loop = asyncio.get_running_loop()
    pools = _loops.get(loop)
    if pools is None:
        pools = await _open_pools(loop)
    transport = pools.by_proxy.get(proxy)
    if transport is None:
        transport = httpx.AsyncHTTPTransport(verify=_trust(), limits=_LIMITS, proxy=proxy)
        pools.by_proxy[proxy] = transport
    return transport


async def _open_pools(loop: asyncio.AbstractEventLoop) -> _Pools:
    # Pools refer to their loop, so the weak key alone frees nothing: closed loops are forgotten here.
    for gone in [known for known in list(_loops) if known.is_closed()]:
        _loops.pop(gone, None)
    pools = _loops[loop] = _Pools()
    # asyncio closes the generators it has seen started when it shuts a loop down; that closes the connections.
    pools.keeper = pools.keep(loop)
    await anext(pools.keeper)
    return pools


async def close() -> None:
    """Close every connection of the running event loop; the next call opens new ones."""
    pools = _loops.get(asyncio.get_running_loop())
    if pools is not None and pools.keeper is not None:
        await pools.keeper.aclose()


@cache
def _trust() -> ssl.SSLContext:
    # Reading the certificates takes 20 ms, so it is done once and not for each loop.
    return httpx.create_ssl_context()


def _proxy(url: httpx.URL) -> str | None:
    proxies = getproxies()
    if not proxies or proxy_bypass(url.host):
        return None
    return proxies.get(url.scheme) or proxies.get("all")
