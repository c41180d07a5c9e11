"""What belongs to the whole process: where logs are kept, and which runs are going on."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from urllib.parse import quote

from quire.core.doors import doors, open_door
from quire.core.errors import DefinitionError
from quire.core.ports import Store
from quire.core.settings import settings

__all__ = ["home", "keep_in", "new_run_id", "open_store", "store"]

_chosen: list[Store] = []


def home() -> Path:
    """Return the folder where everything is kept: `QUIRE_HOME`, or `.quire` beside the notebook."""
    return Path(os.environ.get("QUIRE_HOME") or ".quire")


def store() -> Store:
    """Return the store that new runs are kept in and `quire.runs()` reads.

    It is at the address in `QUIRE_DATABASE_URL`, or else in `quire.toml`, or else the folder `home()`.
    """
    if _chosen:
        return _chosen[-1]
    address = os.environ.get("QUIRE_DATABASE_URL") or settings().storage
    return _kept_at(address or f"file:{quote(os.environ.get('QUIRE_HOME') or '.quire')}")


@cache
def _kept_at(address: str) -> Store:
    # One for each address: a notebook that changes its folder keeps its runs together.
    return open_store(address)


def open_store(address: str) -> Store:
    """Return a new store at an address such as `sqlite:///runs.db` or `postgresql://user:password@host/name`.

    Raises:
        DefinitionError: the address makes no sense.
        QuireError: a package that such a store needs is not installed.

    Example:
        >>> open_store("memory://")
        MemoryStore()
    """
    scheme = address.partition(":")[0]
    if scheme not in (known := doors("quire.stores")):
        # Nothing of it is repeated: where the scheme should be there may be a password.
        remedy = f"Schemes are {', '.join(sorted(known))}; sqlite:///runs.db is a file, and file:folder a folder."
        raise DefinitionError("This is not the address of a store: its scheme is not known.", remedy=remedy)
    return open_door("quire.stores", scheme)(address)


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
