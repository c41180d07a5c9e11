"""Quire's side of the comparisons: the model it asks, and where its runs are kept."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from tempfile import mkdtemp
from typing import TypeVar

from quire import LLM
from quire.adapters.stores.file import FileStore
from quire.adapters.stores.memory import MemoryStore
from quire.core.ports import Store
from quire.run.runtime import home, keep_in
from tests.benchmarks.chat import MODEL

__all__ = ["llm", "on_disk", "recorded"]

T = TypeVar("T")


def llm(url: str) -> LLM:
    """Return the model behind a server's URL."""
    return LLM(MODEL, provider="openai_compat", base_url=f"{url}/v1", api_key="none")


def recorded(work: Callable[[], Awaitable[T]], store: Store | None = None) -> Callable[[], Awaitable[T]]:
    """Do work whose runs are recorded whole: in memory, unless another store is given."""
    store = store or MemoryStore()

    async def inside() -> T:
        with keep_in(store):
            return await work()

    return inside


def on_disk() -> Store:
    """Return the store that people have by default, in a new folder."""
    return FileStore(mkdtemp(dir=home()))
