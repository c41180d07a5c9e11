"""The HTTP seam against a real server on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import gzip
import subprocess
import sys
import threading
import time

import pytest

from quire.adapters import http
from quire.adapters.http import Target
from quire.core.errors import DefinitionError, ProviderTimeout, ProviderUnreachable, StreamInterrupted
from tests.servers import ChatServer, Reply, events, says, sends


def target(server: ChatServer, timeout: float = 5.0) -> Target:
    return Target(f"{server.url}/v1/x?a=b", {"authorization": "Bearer key"}, timeout)


async def read(where: Target, body: bytes = b"{}") -> bytes:
    async with where.post(body) as reply:
        return await reply.read()


async def test_sends_the_body_and_the_headers():
    with ChatServer(sends(201, b"abc", headers={"X-Thing": "1"})) as server:
        async with target(server).post(b'{"a":1}') as reply:
            assert (reply.status, reply.headers["x-thing"], await reply.read()) == (201, "1", b"abc")
    asked = server.requests[0]
    assert (asked.method, asked.path, asked.body) == ("POST", "/v1/x?a=b", b'{"a":1}')
    assert asked.headers["authorization"] == "Bearer key"
    assert asked.headers["host"] == server.url.removeprefix("http://")


async def test_a_connection_is_used_again():
    with ChatServer() as server:
        for _ in range(5):
            await read(target(server))
        assert server.connections == 1


async def test_calls_at_once_have_connections_of_their_own():
    with ChatServer(says("x", wait=0.2)) as server:
        began = time.monotonic()
        await asyncio.gather(*(read(target(server)) for _ in range(50)))
        assert time.monotonic() - began < 1.0
        assert server.connections == 50


async def test_an_idle_connection_the_server_closed_is_replaced():
    with ChatServer(Reply(chunks=[b"1"], ending="cut"), Reply(chunks=[b"2"])) as server:
        assert await read(target(server)) == b"1"
        await asyncio.sleep(0.05)
        assert await read(target(server)) == b"2"


async def test_a_connection_closed_in_the_moment_it_is_used_again_is_replaced():
    answered: list[int] = []
    hung_up = asyncio.Event()

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answered.append(0)
        with contextlib.suppress(asyncio.IncompleteReadError):
            while await reader.readuntil(b"{}"):
                if answered == [1]:  # the first connection answers once
                    break
                answered[-1] += 1
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n%d" % len(answered))
        writer.close()
        await writer.wait_closed()
        hung_up.set()

    server = await asyncio.start_server(converse, "127.0.0.1", 0)
    where = Target(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", {}, 2.0)
    assert [await read(where) for _ in range(3)] == [b"1", b"2", b"2"]
    assert answered == [1, 2]
    hung_up.clear()
    await http.close()
    await hung_up.wait()
    server.close()


async def test_chunks_arrive_as_they_are_sent():
    with ChatServer(events("1", "2", "3", pause=0.1)) as server:
        async with target(server).post(b"{}") as reply:
            at = [(chunk, time.monotonic()) async for chunk in reply.chunks()]
    assert [chunk for chunk, _ in at] == [b"data: 1\n\n", b"data: 2\n\n", b"data: 3\n\n"]
    assert at[2][1] - at[0][1] > 0.15


@pytest.mark.parametrize("reply", [says("x", wait=5), events("1", "2", ending="hang"), events("1", "2", "3", pause=3)])
async def test_cancelling_closes_the_connection_at_once(reply: Reply):
    with ChatServer(reply) as server:
        task = asyncio.create_task(read(target(server)))
        await asyncio.sleep(0.2)
        cancelled = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        gone = await asyncio.to_thread(server.await_disconnect, 1.0)
    assert gone is not None
    assert gone - cancelled < 0.5


async def test_leaving_the_block_closes_an_unfinished_reply():
    with ChatServer(events("1", ending="hang")) as server:
        async with target(server).post(b"{}"):
            left = time.monotonic()
        gone = await asyncio.to_thread(server.await_disconnect, 1.0)
    assert gone is not None
    assert gone - left < 0.5


async def test_silence_is_a_timeout():
    nothing = pytest.raises(ProviderTimeout, match=r"sent nothing for 0\.2 s")
    with ChatServer(says("x", wait=5)) as server, nothing as caught:
        await read(target(server, timeout=0.2))
    assert isinstance(caught.value, TimeoutError)


async def test_silence_in_the_middle_is_a_timeout():
    with ChatServer(events("1", ending="hang")) as server, pytest.raises(ProviderTimeout):
        await read(target(server, timeout=0.2))


async def test_nobody_there_is_unreachable():
    with pytest.raises(ProviderUnreachable, match=r"No connection to http://127\.0\.0\.1:1") as caught:
        await read(Target("http://127.0.0.1:1/v1", {}, 5.0))
    assert isinstance(caught.value, ConnectionError)


async def test_a_body_that_breaks_off_is_interrupted():
    with ChatServer(events("1", ending="cut")) as server, pytest.raises(StreamInterrupted):
        await read(target(server))


async def test_no_answer_at_all_is_unreachable():
    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(ProviderUnreachable):
        await read(Target(f"http://127.0.0.1:{port}", {}, 5.0))
    server.close()


async def test_a_compressed_body_is_unpacked():
    packed = sends(200, gzip.compress(b"hello"), headers={"content-encoding": "gzip"})
    with ChatServer(packed) as server:
        assert await read(target(server)) == b"hello"


@pytest.mark.parametrize(
    "url", ["", "localhost:8000", "ftp://x/y", "http://", "http://[::1", "http://x:99999/", f"http://{'a' * 64}.org"]
)
def test_an_address_that_is_none_is_refused(url: str):
    with pytest.raises(DefinitionError, match="base_url"):
        Target(url, {}, 1.0)


def test_an_address_that_is_none_is_told_without_its_secrets():
    with pytest.raises(DefinitionError, match=r"'http://127\.0\.0\.1:0/v1' is not the address") as raised:
        Target("http://me:secret@127.0.0.1:0/v1?key=secret", {}, 1.0)
    assert "secret" not in str(raised.value)


async def test_an_address_is_written_in_ascii():
    with ChatServer() as server:
        await read(Target(f"{server.url}/grün/a b%20c?d=é&e", {}, 5.0))
    assert server.requests[0].path == "/gr%C3%BCn/a%20b%20c?d=%C3%A9&e"


async def test_closing_forgets_and_the_next_call_opens_again():
    with ChatServer() as server:
        await read(target(server))
        await http.close()
        await read(target(server))
        assert server.connections == 2


def test_every_loop_has_connections_of_its_own_and_ends_with_none_open():
    before = set(http._loops)  # Quire's own loop in the background, if a test before this one needed it
    with ChatServer() as server:
        where = target(server)
        for _ in range(3):
            asyncio.run(read(where))
        threads = [threading.Thread(target=asyncio.run, args=(read(where),)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert server.connections == 6
    gc.collect()  # an open connection would complain here
    assert set(http._loops) <= before


@pytest.mark.may_block  # a thousand beginnings in one turn of the loop, and what the collector makes of them
async def test_a_thousand_calls_at_once():
    with ChatServer() as server:
        where = target(server)
        assert len(await asyncio.gather(*(read(where) for _ in range(1000)))) == 1000


async def test_a_proxy_is_asked_for_other_machines(monkeypatch: pytest.MonkeyPatch):
    with ChatServer(says("by proxy")) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        assert b"by proxy" in await read(Target("http://model.invalid/v1", {}, 5.0))
        assert proxy.requests[0].path == "http://model.invalid/v1"
        await http.close()


def test_importing_the_package_loads_no_http_library():
    code = "import sys, quire; print([name for name in ('httpx', 'httpcore', 'ssl') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "httpx" not in done.stdout
    assert "httpcore" not in done.stdout
