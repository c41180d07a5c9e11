"""Which screens are told when a run asks somebody: one that does not show the run yet can do so then."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

__all__ = ["tell", "when_asked"]

_screens: list[Callable[[str], object]] = []


def when_asked(show: Callable[[str], object]) -> None:
    """Call a function with a run's id whenever the run asks somebody, on the run's loop."""
    _screens.append(show)


def tell(run: str) -> None:
    """Tell the screens, soon, that a run asks: whatever goes wrong there is not the run's."""
    for show in _screens:
        asyncio.get_running_loop().call_soon(show, run)
