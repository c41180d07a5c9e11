"""What every test may count on: no network, no keys, a house of its own, and an event loop nobody holds.

Network is refused except on this machine itself. Keys and settings of the person at the keyboard are not seen.
Each test keeps its runs in a folder of its own. An async test fails if a callback holds its event loop for longer
than `tests.loop_watch.LIMIT`; `@pytest.mark.may_block` is for the few that have to.
"""

from __future__ import annotations

import ipaddress
import os
import re
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

# Imported by nobody in particular: their first import takes long, and would count against whichever test needs them.
import httpx  # noqa: F401
import jsonschema  # noqa: F401
import pandas as pd  # noqa: F401
import pytest

from tests.loop_watch import LoopWatch

LAST = ("packaging", "browser")
"""Slow folders; the browser's driver also keeps a loop running in this thread, where no other could run after it."""

PERSONAL = re.compile(
    r"QUIRE_.*|.*_API_(KEY|BASE|TOKEN|VERSION)|.*_(AUTH_TOKEN|BASE_URL)|(HTTPS?|ALL|NO)_PROXY", re.IGNORECASE
)
"""Environment variables that would make a test depend on who runs it."""


class NetworkRefusedError(RuntimeError):
    """A test reached for the network. Not an OSError, lest code that retries those hides it."""


def pytest_configure() -> None:
    """Forget who runs the tests, and close the door."""
    for name in filter(PERSONAL.fullmatch, list(os.environ)):
        del os.environ[name]
    sys.addaudithook(refuse_network)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Cheap tests first."""
    items.sort(key=lambda item: LAST.index(item.path.parent.name) if item.path.parent.name in LAST else -1)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Fail an async test that blocked its event loop."""
    if item.get_closest_marker("asyncio") is None or item.get_closest_marker("may_block"):
        return (yield)
    with LoopWatch() as watch:
        result = yield
    if watch.blocked:
        pytest.fail("\n".join(watch.blocked), pytrace=False)
    return result


@pytest.fixture(autouse=True)
def quire_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give each test a house of its own."""
    home = tmp_path / "quire_home"
    monkeypatch.setenv("QUIRE_HOME", str(home))
    return home


def refuse_network(event: str, arguments: tuple[Any, ...]) -> None:
    """Raise if the interpreter is about to speak to, or ask the name of, another machine."""
    if event in {"socket.connect", "socket.sendto", "socket.sendmsg"}:
        address = arguments[1]
        host = address[0] if isinstance(address, tuple) else None  # a path of AF_UNIX, or already connected
    elif event in {"socket.getaddrinfo", "socket.gethostbyname"}:
        host = arguments[0]
    else:
        return
    name = host.decode() if isinstance(host, bytes) else host
    if name and not is_this_machine(name):
        raise NetworkRefusedError(f"A test may not reach {name}: only this machine itself.")


def is_this_machine(name: str) -> bool:
    """Whether talking to the host stays on this machine."""
    if name == "localhost":
        return True
    try:
        address = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified
