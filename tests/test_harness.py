"""The tests' own tools keep what `conftest.py` promises."""

import asyncio
import gc
import os
import socket
import threading
import time

import httpx
import pytest

from tests.loop_watch import LoopWatch


def test_the_network_is_refused():
    with pytest.raises(RuntimeError, match="may not reach example"):
        socket.getaddrinfo("example.org", 443)
    with pytest.raises(RuntimeError, match=r"may not reach 192\.0\.2\.1"):
        socket.create_connection(("192.0.2.1", 443), timeout=1)


async def test_an_http_client_is_refused_too():
    async with httpx.AsyncClient() as client:
        with pytest.raises(RuntimeError, match="may not reach example"):
            await client.get("http://example.org")


async def test_loopback_is_open():
    server = await asyncio.start_server(lambda _, writer: writer.close(), "localhost", 0)
    async with server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.sockets[0].getsockname()[1])
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()


def test_no_key_and_a_house_of_its_own(tmp_path):
    assert not [name for name in os.environ if name.endswith("_API_KEY")]
    assert os.environ["QUIRE_HOME"].startswith(str(tmp_path))


def run_watched(work):
    with LoopWatch() as watch:
        asyncio.run(work)
    return watch.blocked


async def sleeps():
    time.sleep(0.4)  # noqa: ASYNC251  (the very mistake)


async def computes():
    until = time.thread_time() + 0.4
    while time.thread_time() < until:
        pass


@pytest.mark.parametrize("work", [sleeps, computes])
def test_a_callback_that_holds_its_loop_is_named(work):
    [message] = run_watched(work())
    assert f"in {work.__name__}" in message


def test_a_loop_in_another_thread_is_watched_too():
    with LoopWatch() as watch:
        thread = threading.Thread(target=asyncio.run, args=(sleeps(),))
        thread.start()
        thread.join()
    assert len(watch.blocked) == 1


def test_awaiting_long_and_many_short_callbacks_hold_nothing():
    async def patient():
        for _ in range(10):
            await asyncio.gather(asyncio.sleep(0.05), *(asyncio.sleep(0) for _ in range(1000)))

    assert run_watched(patient()) == []


def test_a_full_garbage_collection_is_nobodys_fault():
    heap = [[number] for number in range(300_000)]

    began = time.thread_time()
    gc.collect()
    repeats = 1 + int(0.4 / (time.thread_time() - began))

    async def collects_for_long():
        for _ in range(repeats):
            gc.collect()

    assert run_watched(collects_for_long()) == []
    assert len(heap) == 300_000


@pytest.mark.may_block
async def test_one_may_block_if_it_says_so():
    await sleeps()
