"""Trying again: when it can help, after a wait that grows, and never past the deadline."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias, TypeVar, cast

from quire.core import errors
from quire.core.events import Resumed, Retried
from quire.core.tape import in_force
from quire.run.context import Context

__all__ = ["Retry", "retrying"]

T = TypeVar("T")
Which: TypeAlias = "type[BaseException] | tuple[type[BaseException], ...] | Callable[[BaseException], bool]"

_HOPELESS = (
    errors.CassetteError,
    errors.DefinitionError,
    errors.InputValidationError,
    errors.AuthenticationError,
    errors.QuotaExceeded,
    errors.ContextTooLong,
    errors.ModelNotFound,
    errors.InvalidRequest,
    errors.ContentFiltered,
    errors.Stop,
    errors.ToolRoundsExceeded,
)
"""Errors that the same attempt would only meet again. A deadline is none of them: it is another's, for one attempt."""

_DOUBLINGS = 60
"""Of a wait, after which any bound is reached and floats still hold it."""

_LONGEST_SERVER_WAIT = 120.0
"""Seconds: a server that asks for more is not waited for (the OpenAI SDK's own bound)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How often to try, how long to wait in between, and after which errors.

    The wait doubles from `backoff` up to `longest`, in seconds, and is shortened by up to a quarter at
    random, so that many callers do not come back at the same moment. A server's own wait wins. By
    default everything is retried that another try can help: not a wrong key, a used-up quota or a
    prompt that is too long.

    Raises:
        DefinitionError: fewer than one attempt, or a wait below zero.

    Example:
        >>> Retry(max_attempts=3).wait_after(2, ConnectionError()) is not None
        True
        >>> Retry(max_attempts=3).wait_after(3, ConnectionError()) is None
        True
    """

    max_attempts: int = 1
    backoff: float = 0.5
    longest: float = 30.0
    on: Which | None = None
    """Exception classes, or a function that says yes or no to an exception."""

    def __post_init__(self) -> None:
        whole = isinstance(self.max_attempts, int) and not isinstance(self.max_attempts, bool)  # pyright: ignore[reportUnnecessaryIsInstance]
        if not whole or self.max_attempts < 1:
            message = f"Retry(max_attempts={self.max_attempts!r}) never tries."
            raise errors.DefinitionError(message, remedy="Give a whole number, 1 or more.")
        if not (_is_wait(self.backoff) and _is_wait(self.longest)):
            message = f"Retry(backoff={self.backoff!r}, longest={self.longest!r}) would wait before it began."
            raise errors.DefinitionError(message, remedy="Give seconds, 0 or more.")
        if not (self.on is None or _is_exception(self.on) or callable(self.on) or _are_exceptions(self.on)):
            message = f"Retry(on={self.on!r}) does not tell errors apart."
            raise errors.DefinitionError(message, remedy="Give exception classes, or a function of the exception.")

    def wait_after(self, attempt: int, error: BaseException) -> float | None:
        """Return the seconds to wait after a failed attempt; `None` when there is no other."""
        if attempt >= self.max_attempts or not self._can_help(error) or getattr(error, "begun", False):
            return None  # what has been shown of a reply cannot be taken back and said otherwise
        asked: float | None = getattr(error, "retry_after", None)
        if asked is not None:
            return max(asked, 0.0) if asked <= _LONGEST_SERVER_WAIT else None
        wait = min(self.backoff * 2.0 ** min(attempt - 1, _DOUBLINGS), self.longest)
        return wait * random.uniform(0.75, 1.0)  # noqa: S311 - spreads callers, keeps no secret

    def _can_help(self, error: BaseException) -> bool:
        on = Exception if self.on is None else self.on
        if not isinstance(on, (type, tuple)):
            return on(error)
        classes = cast("tuple[type[BaseException], ...]", on if isinstance(on, tuple) else (on,))
        meant = [kind for kind in classes if isinstance(error, kind)]
        # A class as wide as Exception does not mean a wrong key; who wants that tried again says so.
        return bool(meant) and (not isinstance(error, _HOPELESS) or any(issubclass(kind, _HOPELESS) for kind in meant))


def _is_wait(seconds: object) -> bool:
    return isinstance(seconds, (int, float)) and seconds >= 0


def _is_exception(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseException)


def _are_exceptions(kinds: object) -> bool:
    return isinstance(kinds, tuple) and all(map(_is_exception, cast("tuple[object, ...]", kinds)))


async def retrying(policy: Retry, attempt: Callable[[], Awaitable[T]], context: Context) -> T:
    """Return what an attempt gives, trying again as the policy says; every failed attempt is recorded."""
    number = 1
    while True:
        try:
            return await attempt()
        except Exception as error:
            wait = _paced(policy.wait_after(number, error), error)
            left = context.remaining
            if wait is None or (left is not None and wait >= left):
                raise
            context.keys.hide_in(error)
            context.log.emit(
                Retried,
                context.span,
                context.parent,
                attempt=number,
                error_type=type(error).__name__,
                error=error.what if isinstance(error, errors.QuireError) else str(error),
                wait_s=wait,
            )
        await asyncio.sleep(wait)
        number += 1
        context.log.emit(Resumed, context.span, context.parent)


def _paced(wait: float | None, error: Exception) -> float | None:
    """Return how long to wait for a server that is only a recording: nothing will have changed by then."""
    tape = in_force()
    if wait is None or tape is None or not (isinstance(error, errors.ProviderError) and error.replayed):
        return wait
    return tape.pace(wait)
