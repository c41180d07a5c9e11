"""Reads JSON from servers that may send anything: a value of the wrong kind counts as not there."""

from __future__ import annotations

from typing import Any, cast

from pydantic_core import from_json

__all__ = ["mapping", "number", "parsed", "rows", "text", "whole"]


_MOST = 2**53
"""What is more is no count and no amount: nothing could be added to it without losing something."""


def parsed(raw: bytes | str) -> Any:
    """Return the JSON a text holds, or `None` if it holds none."""
    try:
        return from_json(raw)
    except (ValueError, TypeError):  # half a surrogate pair, which has no UTF-8, is the latter
        return None


def mapping(value: Any) -> dict[str, Any]:
    """Return a JSON object, or an empty one."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def rows(value: Any) -> list[Any]:
    """Return a JSON array, or an empty one."""
    return cast("list[Any]", value) if isinstance(value, list) else []


def text(value: Any) -> str:
    """Return a JSON string, or an empty one."""
    return value if isinstance(value, str) else ""


def whole(value: Any) -> int | None:
    """Return a count, or `None`; some write it with a point.

    Example:
        >>> whole(12.0), whole(12.5), whole(-1), whole(10**30)
        (12, None, None, None)
    """
    counted = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= _MOST
    return int(value) if counted and value == int(value) else None


def number(value: Any) -> float | None:
    """Return an amount, or `None`."""
    amount = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= _MOST
    return float(value) if amount else None
