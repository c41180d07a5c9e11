"""What another process does to a store while a test looks on: `python -m tests.adapters.stores.other_process JSON`."""

from __future__ import annotations

import asyncio
import json
import sys

from quire.core.errors import StreamConflict
from quire.core.ports import Store
from tests.adapters.stores.places import Place, said


async def race(store: Store, stream: str, name: str, times: int) -> None:
    """Append one event at a time from a word on, each again and again until it has got its place."""
    print("ready", flush=True)
    sys.stdin.readline()
    there = 0
    for time in range(times):
        while True:
            try:
                await store.append(stream, [said(there + 1, f"{name} {time}")], there)
                there += 1
                break
            except StreamConflict:
                there += len(await store.read(stream, there))
        await asyncio.sleep(0.001)  # or the first to start would be done before the other's turn


async def write(store: Store, stream: str, seed: int) -> None:
    """Append without end, in batches of one to five events of very different sizes; print the length reached."""
    there = len(await store.read(stream))
    while True:
        events = [said(seq, text(seed, seq)) for seq in range(there + 1, there + 2 + (there + seed) % 5)]
        await store.append(stream, events, there)
        there += len(events)
        print(there, flush=True)


def text(seed: int, seq: int) -> str:
    """Make up a text that only this seed and number have."""
    return f"{seed}.{seq} " * (20_000 if (seed + seq) % 7 == 0 else 3)


if __name__ == "__main__":
    target, given, role, arguments = json.loads(sys.argv[1])
    store = Place(target, tuple(given)).open()
    asyncio.run({"race": race, "write": write}[role](store, *arguments))
