"""What only the store in memory promises."""

from __future__ import annotations

from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from quire.adapters.stores.memory import MemoryStore
from quire.core.errors import StreamConflict
from tests.adapters.stores.places import said


def at_once(work: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine that never suspends, without a loop."""
    with pytest.raises(StopIteration) as done:
        work.send(None)
    return done.value.value


def test_nothing_waits():
    store = MemoryStore()
    at_once(store.append("runs/2", [said(1)], 0))
    at_once(store.append("runs/1", [said(1)], 0))
    assert at_once(store.read("runs/1")) == [said(1)]
    assert at_once(store.streams("runs")) == ["runs/2", "runs/1"]
    at_once(store.delete("runs/2"))
    assert at_once(store.streams()) == ["runs/1"]


def test_an_event_is_kept_and_not_copied():
    store, event = MemoryStore(), said(1)
    at_once(store.append("runs/1", [event], 0))
    assert at_once(store.read("runs/1"))[0] is event


def test_threads_race_for_every_place():
    store = MemoryStore()

    def race(name: str) -> int:
        won = 0
        for place in range(500):
            try:
                store.append("runs/1", [said(place + 1, name)], place).send(None)
            except StopIteration:
                won += 1
            except StreamConflict:
                pass
        return won

    with ThreadPoolExecutor() as threads:
        won = sum(threads.map(race, "abcd"))
    assert [event.seq for event in at_once(store.read("runs/1"))] == list(range(1, won + 1))
