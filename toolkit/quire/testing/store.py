"""Runs that are kept in memory only."""

from __future__ import annotations

from contextlib import AbstractContextManager

from quire.core.ports import Store
from quire.run.runtime import keep_in, open_store

__all__ = ["in_memory"]


def in_memory() -> AbstractContextManager[Store]:
    """Keep the runs that start inside the block in memory, and forget them after it.

    Example:
        >>> import quire
        >>> from quire.testing import in_memory
        >>> with in_memory():
        ...     len(quire.runs())
        0
    """
    return keep_in(open_store("memory://"))
