"""What belongs to the whole process: where logs are kept, and which runs are going on."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from quire.core.doors import open_door
from quire.core.ports import Store

__all__ = ["home", "keep_in", "new_run_id", "store"]

_chosen: list[Store] = []


def home() -> Path:
    """Return the folder where everything is kept: `QUIRE_HOME`, or `.quire` beside the notebook."""
    return Path(os.environ.get("QUIRE_HOME") or ".quire")


def store() -> Store:
    """Return the store that new runs are kept in and `quire.runs()` reads."""
    return _chosen[-1] if _chosen else _file_store(os.environ.get("QUIRE_HOME") or ".quire")


@cache
def _file_store(folder: str) -> Store:
    # Made absolute once: a notebook that changes its folder keeps its runs together.
    return open_door("quire.stores", "file")(Path(folder).resolve())


@contextmanager
def keep_in(other: Store) -> Generator[Store]:
    """Keep the runs that start inside the block somewhere else."""
    _chosen.append(other)
    try:
        yield other
    finally:
        _chosen.remove(other)


def new_run_id() -> str:
    """Return an id that sorts by time: eight hexadecimal digits of the second, ten at random."""
    return f"{int(time.time()):08x}{_dice.getrandbits(40):010x}"


_dice = random.Random()  # noqa: S311 - ids need to differ, not to be secret; the system's own dice are slow
# A forked process would otherwise throw the same numbers as its parent.
os.register_at_fork(after_in_child=_dice.seed)
