"""Reads JSON from servers that may send anything: a value of the wrong kind counts as not there."""

from __future__ import annotations

from typing import Any, cast

from pydantic_core import from_json

__all__ = ["mapping", "number", "parsed", "rows", "text", "whole"]


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
    """Return a count, or `None`."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def number(value: Any) -> float | None:
    """Return an amount, or `None`."""
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0 else None
