"""The stores under test: a new one is a line in `PLACES`, and passes everything in `test_conformance.py`."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import pkgutil
import subprocess
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from quire.core.events import Said
from quire.core.ports import Store
from tests.adapters.stores import servers


@dataclass(frozen=True)
class Place:
    """Where streams are kept, said so that any process can open a store there."""

    store: str
    arguments: tuple[str, ...] = ()

    def open(self) -> Store:
        return pkgutil.resolve_name(self.store)(*self.arguments)

    def start(self, role: str, *arguments: Any) -> subprocess.Popen[str]:
        """Start another process that opens a store here and plays a role of `other_process.py`."""
        words = json.dumps([self.store, self.arguments, role, arguments])
        return python("-m", "tests.adapters.stores.other_process", words)


PLACES: dict[str, Callable[[Path], Place]] = {
    "memory": lambda _: Place("quire.adapters.stores.memory:MemoryStore"),
    "file": lambda folder: Place("quire.adapters.stores.file:FileStore", (str(folder / "logs"),)),
    "objects": lambda folder: Place("quire.adapters.stores.objects:ObjectStore", (folder.as_uri(),)),
    "s3": lambda _: Place("quire.adapters.stores.objects:ObjectStore", (servers.bucket(),)),
    "postgres": lambda _: Place("quire.adapters.stores.postgres:PostgresStore", (servers.database(),)),
    "redis": lambda _: Place("quire.adapters.stores.redis:RedisStore", (servers.number(),)),
    "sqlite": lambda folder: Place("quire.adapters.stores.sqlite:SQLiteStore", (str(folder / "logs" / "runs.db"),)),
}
LASTING = [name for name in PLACES if name != "memory"]
"""Those that other processes see."""


def python(*arguments: str) -> subprocess.Popen[str]:
    """Start Python with what this one can import."""
    path = os.pathsep.join(filter(None, ["", *sys.path]))
    return subprocess.Popen(
        [sys.executable, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
        cwd=Path(__file__).parents[3],
    )


async def finished(process: subprocess.Popen[str]) -> str:
    """Wait for a process that must succeed; return what it printed."""
    printed, _ = await asyncio.to_thread(process.communicate)
    assert process.returncode == 0, printed
    return printed


def said(seq: int, text: str = "") -> Said:
    """Make an event."""
    return Said(seq=seq, at=float(seq), run="r", span="1", parent=None, sender="me", role="user", text=text)


def everything(error: BaseException) -> str:
    """Write out an error as a notebook does, with what it was made from."""
    return f"{error!r} {error} {''.join(traceback.format_exception(error))}"


async def soon(happened: Callable[[], object]) -> None:
    """Wait for something that another thread does about what is forgotten."""
    for _ in range(500):
        gc.collect()
        if happened():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("It did not happen.")
