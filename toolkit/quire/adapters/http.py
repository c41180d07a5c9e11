"""The HTTP seam: the only module that knows the HTTP library.

A `Target` is an address with its headers and its patience, prepared once; `Target.post` sends JSON and
gives the `Reply`, whole or chunk by chunk. There are no retries and no redirects here: a run decides about
the first, and the second would send a prompt to a place nobody named. (A kept connection that turns out to be
closed when it is used again is no attempt: a new one takes its place.) The whole exchange passes through
`Target.post`; so that is where a tape listens, or plays what it heard earlier.

It uses httpcore, the engine inside httpx, one connection at a time. What the client around it adds (cookies,
redirects, merged defaults) is never wanted here, and its pool looks at every open connection before
every request, which makes a thousand calls at once cost a million looks. Measured in one run: a third of
the time of `httpx.AsyncClient.post`. A connection belongs to the event loop that opened it, so each loop
keeps its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
import zlib
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from functools import cache, partial
from typing import TypeAlias
from urllib.parse import SplitResult, quote, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass
from weakref import WeakKeyDictionary

import certifi
import httpcore

from quire.core.errors import DefinitionError, ProviderError, ProviderTimeout, ProviderUnreachable, StreamInterrupted
from quire.core.tape import NO_KEY, Asked, Played, Tape, in_force

__all__ = ["Reply", "Target", "close", "shown"]

_CONNECT_SECONDS = 10.0
_DRAIN_SECONDS = 0.1
_IDLE_SECONDS = 30.0
_IDLE_MOST = 100
_OPEN_MOST = 1000
_CARRIES_KEY = re.compile(rb"auth|key|token")
_SECRET = re.compile(r"(?<=//)[^/?#]*@|[?#].*", re.DOTALL)
_AS_IT_IS = "%/:;=@!$&'()*+,?[]~"
"""What is not written in another way in an address; what is no ASCII, and a space, is."""
_Line: TypeAlias = httpcore.AsyncHTTPConnection | httpcore.AsyncConnectionPool
_Headers: TypeAlias = Sequence[tuple[bytes, bytes]]
_Chunks: TypeAlias = Callable[[], AsyncGenerator[bytes, None]]


class Reply:
    """What a server answered; readable until the `async with` block of `Target.post` ends."""

    def __init__(self, status: int, headers: _Headers, chunks: _Chunks, *, replayed: bool = False) -> None:
        self.status = status
        self.replayed = replayed
        """Whether it was recorded earlier, and nobody was asked now."""
        self._headers = headers
        self._chunks = chunks

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers, names in lower case."""
        return {name.decode("latin-1").lower(): text.decode("latin-1") for name, text in self._headers}

    async def read(self) -> bytes:
        """Return the whole body; raise `StreamInterrupted` if it breaks off."""
        async with contextlib.aclosing(self.chunks()) as chunks:
            return b"".join([chunk async for chunk in chunks])

    def chunks(self) -> AsyncGenerator[bytes, None]:
        """Yield the body as it arrives; raise `StreamInterrupted` if it breaks off."""
        return self._chunks()

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


def _unpacker(headers: list[tuple[bytes, bytes]]) -> Callable[[bytes], bytes] | None:
    # Nothing compressed is asked for; some servers send it all the same.
    packed = any(name.lower() == b"content-encoding" and text in (b"gzip", b"deflate") for name, text in headers)
    return zlib.decompressobj(wbits=zlib.MAX_WBITS | 32).decompress if packed else None


class Target:
    """Where requests go: an address with its headers, and how long to wait for the next bytes.

    Example:
        >>> Target("http://127.0.0.1:8000/v1/chat/completions", {"authorization": "Bearer key"}, 60.0).host
        'http://127.0.0.1:8000'
    """

    def __init__(self, url: str, headers: Mapping[str, str], timeout: float) -> None:
        parts = _address(url)
        self.host = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        self.timeout = timeout
        self.url = url
        self.origin, self._url = _origin(parts)
        self.proxy = _proxy(parts)
        # What arrives is read as it is sent: a compressed stream would come in bursts.
        sent = {"host": self.host.partition("://")[2], "accept-encoding": "identity", "user-agent": "quire"}
        sent |= {"content-type": "application/json", **headers}
        self._headers = [(name.encode("ascii"), text.encode("ascii")) for name, text in sent.items()]
        connect = min(timeout, _CONNECT_SECONDS)
        self._patience = {"timeout": {"connect": connect, "read": timeout, "write": timeout}}

    def post(self, body: bytes) -> AbstractAsyncContextManager[Reply]:
        """Send JSON and give the reply; leaving the block, or being cancelled in it, ends the exchange at once.

        Raises `ProviderTimeout` when nothing arrives in time and `ProviderUnreachable` when there is no
        connection, or when it is lost before the reply begins.
        """
        tape = in_force()
        return self._sent(body) if tape is None else self._taped(body, tape)

    @contextlib.asynccontextmanager
    async def _taped(self, body: bytes, tape: Tape) -> AsyncGenerator[Reply, None]:
        known = await tape.open(self._asked(body))
        if isinstance(known, Played):
            with _marked():
                yield Reply(known.status, _raw(known.headers), known.chunks, replayed=True)
            return
        with known as take:
            async with self._sent(body) as reply:
                take.begin(reply.status, reply.headers)
                yield Reply(reply.status, _raw(reply.headers), lambda: take.through(reply.chunks()))

    def _asked(self, body: bytes) -> Asked:
        carried = [text.decode() for name, text in self._headers if _CARRIES_KEY.search(name)]
        lacks = next((text.partition(NO_KEY)[2] for text in carried if NO_KEY in text), "")
        return Asked(url=self.url, body=body, secrets=tuple(text.rpartition(" ")[2] for text in carried), lacks=lacks)

    @contextlib.asynccontextmanager
    async def _sent(self, body: bytes) -> AsyncGenerator[Reply, None]:
        headers = [*self._headers, (b"content-length", b"%d" % len(body))]
        request = httpcore.Request(b"POST", self._url, headers=headers, content=body, extensions=self._patience)
        async with contextlib.AsyncExitStack() as stack:
            with _translated(self, reading=False):
                response = await self._answered(request, stack)
            try:
                yield Reply(response.status, response.headers, partial(_chunks_of, response, self))
            finally:
                await response.aclose()

    async def _answered(self, request: httpcore.Request, stack: contextlib.AsyncExitStack) -> httpcore.Response:
        line, fresh = await stack.enter_async_context(_lines().line(self))
        try:
            return await line.handle_async_request(request)
        except (httpcore.NetworkError, httpcore.RemoteProtocolError):
            if fresh:
                raise
        # The server had closed a connection that was kept for the next request just when that request came.
        await stack.aclose()
        line, _ = await stack.enter_async_context(_lines().line(self, fresh=True))
        return await line.handle_async_request(request)


def _raw(headers: Mapping[str, str]) -> _Headers:
    return [(name.encode("latin-1"), text.encode("latin-1")) for name, text in headers.items()]


async def _chunks_of(response: httpcore.Response, target: Target) -> AsyncGenerator[bytes, None]:
    unpack = _unpacker(response.headers)
    with _translated(target, reading=True):
        async for chunk in response.aiter_stream():
            yield unpack(chunk) if unpack else chunk


@contextlib.contextmanager
def _marked() -> Generator[None, None, None]:
    """Let an error say that it comes from a recording."""
    try:
        yield
    except ProviderError as error:
        error.replayed = True
        raise


def _address(url: str) -> SplitResult:
    remedy = "Set base_url to an address such as http://127.0.0.1:8000/v1."
    try:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https") and parts.hostname and parts.port != 0:
            parts.hostname.encode("idna")  # UnicodeError is a ValueError
            return parts._replace(path=quote(parts.path, _AS_IT_IS), query=quote(parts.query, _AS_IT_IS))
    except ValueError:
        pass
    raise DefinitionError(f"{shown(url)!r} is not the address of a server.", remedy=remedy)


def shown(url: str) -> str:
    """Return an address, which may be none, without what may be secret in it: its user, its password, its query.

    Example:
        >>> shown("http://me:word@127.0.0.1:0/v1?key=abc")
        'http://127.0.0.1:0/v1'
    """
    return _SECRET.sub("", url)


def _origin(parts: SplitResult) -> tuple[httpcore.Origin, httpcore.URL]:
    scheme, host = parts.scheme.encode(), (parts.hostname or "").encode("idna")
    port = parts.port or (443 if parts.scheme == "https" else 80)
    path = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    return httpcore.Origin(scheme, host, port), httpcore.URL(scheme=scheme, host=host, port=parts.port, target=path)


@contextlib.contextmanager
def _translated(target: Target, *, reading: bool) -> Generator[None, None, None]:
    try:
        yield
    except httpcore.ConnectTimeout:
        what = f"{target.host} did not take the connection in time."
        raise ProviderTimeout(what, remedy="Check base_url and the network, or raise LLM(timeout=...).") from None
    except httpcore.TimeoutException:
        what = f"{target.host} sent nothing for {target.timeout:g} s."
        raise ProviderTimeout(what, remedy="Try again, or raise LLM(timeout=...).") from None
    except (httpcore.ConnectError, httpcore.ProxyError) as error:
        what = f"No connection to {target.host}: {error}."
        raise ProviderUnreachable(what, remedy="Check base_url, and that the server is running.") from error
    except (httpcore.NetworkError, httpcore.ProtocolError) as error:
        what = f"{target.host} broke off: {error or type(error).__name__}."
        lost = StreamInterrupted if reading else ProviderUnreachable
        raise lost(what, remedy="Try again.") from error
    except zlib.error as error:
        what = f"{target.host} sent a reply that cannot be unpacked: {error}."
        raise ProviderError(what, remedy="Check that base_url is a model's server.") from error


@dataclass(slots=True)
class _Lines:
    """The open connections of one event loop."""

    idle: defaultdict[str, list[httpcore.AsyncHTTPConnection]] = field(default_factory=lambda: defaultdict(list))
    """By the host they lead to, the one used last at the end."""
    proxies: dict[str, httpcore.AsyncConnectionPool] = field(default_factory=dict[str, httpcore.AsyncConnectionPool])
    free: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_most_at_once()))
    keeper: AsyncGenerator[None, None] | None = None

    @contextlib.asynccontextmanager
    async def line(self, target: Target, *, fresh: bool = False) -> AsyncGenerator[tuple[_Line, bool], None]:
        """Give a connection for one exchange, and whether nobody used it before."""
        async with self.free:
            if target.proxy is not None:
                yield self._through(target.proxy), True
                return
            kept = None if fresh else await self._idle(target)
            line = kept or self._new(target)
            try:
                yield line, kept is None
            finally:
                await self._put_back(target, line)

    async def _idle(self, target: Target) -> httpcore.AsyncHTTPConnection | None:
        idle = self.idle[target.host]
        while idle:
            line = idle.pop()
            if line.is_available() and not line.has_expired():
                return line
            await line.aclose()
        return None

    @staticmethod
    def _new(target: Target) -> httpcore.AsyncHTTPConnection:
        trust = _trust() if target.origin.scheme == b"https" else None
        return httpcore.AsyncHTTPConnection(target.origin, ssl_context=trust, keepalive_expiry=_IDLE_SECONDS)

    async def _put_back(self, target: Target, line: httpcore.AsyncHTTPConnection) -> None:
        idle = self.idle[target.host]
        if line.is_available() and len(idle) < _IDLE_MOST:
            idle.append(line)
        else:
            await line.aclose()

    def _through(self, proxy: str) -> httpcore.AsyncConnectionPool:
        if proxy not in self.proxies:
            parts = urlsplit(proxy)
            auth = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None
            bare = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
            through = httpcore.AsyncSOCKSProxy if parts.scheme.startswith("socks") else httpcore.AsyncHTTPProxy
            self.proxies[proxy] = through(
                bare, auth, ssl_context=_trust(), max_connections=_OPEN_MOST, keepalive_expiry=_IDLE_SECONDS
            )
        return self.proxies[proxy]

    async def keep(self, loop: asyncio.AbstractEventLoop) -> AsyncGenerator[None, None]:
        """Close everything when closed."""
        try:
            yield
        finally:
            _loops.pop(loop, None)
            for line in (*(line for idle in self.idle.values() for line in idle), *self.proxies.values()):
                await line.aclose()


_loops: WeakKeyDictionary[asyncio.AbstractEventLoop, _Lines] = WeakKeyDictionary()


def _lines() -> _Lines:
    loop = asyncio.get_running_loop()
    return _loops.get(loop) or _open_lines(loop)


def _open_lines(loop: asyncio.AbstractEventLoop) -> _Lines:
    # Connections refer to their loop, so the weak key alone frees nothing: closed loops are forgotten here.
    for gone in [known for known in list(_loops) if known.is_closed()]:
        _loops.pop(gone, None)
    lines = _loops[loop] = _Lines()
    # asyncio closes the generators it has seen started when it shuts a loop down; that closes the connections.
    # The first step of this one waits for nothing, so it needs no task.
    lines.keeper = lines.keep(loop)
    with contextlib.suppress(StopIteration):
        lines.keeper.__anext__().send(None)
    return lines


async def close() -> None:
    """Close every idle connection of the running event loop; the next call opens new ones."""
    lines = _loops.get(asyncio.get_running_loop())
    if lines is not None and lines.keeper is not None:
        await lines.keeper.aclose()


@cache
def _trust() -> ssl.SSLContext:
    # Reading the certificates takes 20 ms, so it is done once and not for each connection.
    context = ssl.create_default_context(cafile=certifi.where())
    # Also those of the machine and of SSL_CERT_FILE, for networks with an authority of their own.
    context.load_default_certs()
    return context


@cache
def _most_at_once() -> int:
    # Every connection is an open file, and a notebook needs some for itself.
    try:
        import resource
    except ImportError:
        return _OPEN_MOST // 2
    allowed, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= allowed < 2 * _OPEN_MOST:
        # At first a process is often given 1,024; up to its hard limit it may take more without asking.
        more = 2 * _OPEN_MOST if most < 0 else min(2 * _OPEN_MOST, most)
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (more, most))
            allowed = more
    return _OPEN_MOST if allowed < 0 else max(16, min(_OPEN_MOST, allowed // 2))


def _proxy(parts: SplitResult) -> str | None:
    proxies = getproxies()
    if not proxies or proxy_bypass(parts.hostname or ""):
        return None
    return proxies.get(parts.scheme) or proxies.get("all")
