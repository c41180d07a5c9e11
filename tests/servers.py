"""A model's server on loopback, for tests and benchmarks of several rooms: real sockets, scripted replies.

    with ChatServer(says("Hello"), sends(429, {"error": {"message": "slow down"}})) as server:
        ...  # talk to server.url
    server.requests[0].json["messages"]

Replies are given in order and the last one is repeated; a function of the request may stand for a reply.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Literal, Self, TypeAlias

__all__ = ["Answering", "ChatServer", "Reply", "Request", "calls", "events", "in_process", "says", "sends", "streams"]


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a client asked."""

    method: str
    path: str
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What the server does with one request."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict[str, str])
    chunks: Sequence[bytes] = ()
    wait: float = 0.0
    """Seconds before the first byte."""
    pause: float = 0.0
    """Seconds between chunks."""
    ending: Literal["complete", "cut", "hang"] = "complete"
    """After the last chunk: end well, drop the connection, or keep it open and silent."""
    stream: bool = False
    """Send the chunks one by one instead of as one body of a known length."""


Answering: TypeAlias = "Reply | Callable[[Request], Reply]"


def sends(status: int, body: Any = b"", *, headers: dict[str, str] | None = None, wait: float = 0.0) -> Reply:
    """Make a reply of any status; a body that is not text or bytes is sent as JSON."""
    raw = body if isinstance(body, bytes) else (body if isinstance(body, str) else json.dumps(body)).encode()
    kind = "text/html" if raw.lstrip().startswith(b"<") else "application/json"
    return Reply(status=status, headers={"content-type": kind, **(headers or {})}, chunks=(raw,), wait=wait)


def says(text: str | None, *, finish: str = "stop", usage: Any = "counted", wait: float = 0.0, **message: Any) -> Reply:
    """Make a chat completion with these words."""
    counted = {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15}
    body = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": "gpt-test",
        "choices": [
            {"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": text, **message}}
        ],
        "usage": counted if usage == "counted" else usage,
    }
    return sends(200, body, wait=wait)


def calls(*tools: tuple[str, dict[str, Any]]) -> Reply:
    """Make a chat completion that asks for these tools."""
    asked = [
        {"id": f"call_{n}", "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
        for n, (name, arguments) in enumerate(tools)
    ]
    return says(None, finish="tool_calls", tool_calls=asked)


def streams(*texts: str, pause: float = 0.0, wait: float = 0.0, ending: Any = "complete") -> Reply:
    """Make a streamed chat completion, one event for each text."""
    deltas: list[Any] = [{"choices": [{"index": 0, "delta": {"content": text}}]} for text in texts]
    if ending == "complete":
        deltas.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        deltas.append({"choices": [], "usage": {"prompt_tokens": 12, "completion_tokens": len(texts)}})
        deltas.append("[DONE]")
    return events(*deltas, pause=pause, wait=wait, ending=ending)


def events(*payloads: Any, pause: float = 0.0, wait: float = 0.0, ending: Any = "complete") -> Reply:
    """Make a reply of server-sent events, each in a chunk of its own; text is sent as it is, the rest as JSON."""
    chunks = [f"data: {item if isinstance(item, str) else json.dumps(item)}\n\n".encode() for item in payloads]
    headers = {"content-type": "text/event-stream"}
    return Reply(headers=headers, chunks=chunks, pause=pause, wait=wait, ending=ending, stream=True)


class ChatServer:
    """Serves scripted replies from a thread of its own while the `with` block runs."""

    def __init__(self, *replies: Answering) -> None:
        self.replies: list[Answering] = list(replies) or [says("Hello")]
        self.requests: list[Request] = []
        self.disconnects: list[float] = []
        """When (`time.monotonic`) a client went away before its reply was complete."""
        self.connections = 0
        """How many connections were opened so far."""
        self.url = ""
        self._served = count()
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait(5)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._closing.set)
        self._thread.join(5)
        self._loop.close()

    def await_disconnect(self, within: float) -> float | None:
        """Return when the first client went away, or `None` if none does in time."""
        deadline = time.monotonic() + within
        while not self.disconnects and time.monotonic() < deadline:
            time.sleep(0.005)
        return self.disconnects[0] if self.disconnects else None

    async def _serve(self) -> None:
        self._closing = asyncio.Event()
        server = await asyncio.start_server(self._converse, "127.0.0.1", 0, backlog=4096)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._ready.set()
        await self._closing.wait()
        server.close()
        conversations = asyncio.all_tasks() - {asyncio.current_task()}
        for task in conversations:
            task.cancel()
        await asyncio.gather(*conversations, return_exceptions=True)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(asyncio.CancelledError, asyncio.IncompleteReadError, ConnectionError):
            while await self._answer(await _request(reader), reader, writer):
                pass
        writer.transport.abort()

    async def _answer(self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        self.requests.append(request)
        reply = self.replies[min(next(self._served), len(self.replies) - 1)]
        if callable(reply):
            reply = reply(request)
        if not (reply.wait or reply.pause or reply.ending == "hang"):
            return await _write(reply, writer)
        writing = asyncio.ensure_future(_write(reply, writer))
        leaving = asyncio.ensure_future(reader.read(1))
        try:
            await asyncio.wait({writing, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if writing.done():
                return writing.result()
            self.disconnects.append(time.monotonic())
            return False
        finally:
            writing.cancel()
            leaving.cancel()
            # The reader serves the next request of this connection only when nobody else waits at it.
            await asyncio.wait({writing, leaving})


async def _request(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.splitlines()
    method, path, _ = first.split(" ", 2)
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Request(method=method, path=path, headers=headers, body=body)


async def _write(reply: Reply, writer: asyncio.StreamWriter) -> bool:
    await asyncio.sleep(reply.wait) if reply.wait else None
    whole = b"" if reply.stream else b"".join(reply.chunks)
    size = {"transfer-encoding": "chunked"} if reply.stream else {"content-length": str(len(whole))}
    lines = [f"{name}: {value}\r\n" for name, value in {**reply.headers, **size}.items()]
    writer.write(f"HTTP/1.1 {reply.status} Scripted\r\n{''.join(lines)}\r\n".encode() + whole)
    for n, chunk in enumerate(reply.chunks if reply.stream else ()):
        await asyncio.sleep(reply.pause) if reply.pause and n else None
        writer.write(b"%x\r\n%b\r\n" % (len(chunk), chunk) if chunk else b"")
        await writer.drain()
    if reply.ending == "hang":
        await asyncio.Event().wait()
    if reply.stream and reply.ending == "complete":
        writer.write(b"0\r\n\r\n")
    await writer.drain()
    if reply.ending == "cut":
        writer.close()
        await writer.wait_closed()
    return reply.ending == "complete"


@contextlib.contextmanager
def in_process(*replies: Reply) -> Iterator[str]:
    """Serve from another process, so that a benchmark's client has its own interpreter; yield the URL."""
    here, there = multiprocessing.get_context("spawn").Pipe()
    child = multiprocessing.get_context("spawn").Process(target=_stand_alone, args=(there, replies), daemon=True)
    child.start()
    try:
        yield here.recv()
    finally:
        child.terminate()
        child.join()


def _stand_alone(pipe: Any, replies: tuple[Reply, ...]) -> None:
    with ChatServer(*replies) as server:
        pipe.send(server.url)
        threading.Event().wait()
