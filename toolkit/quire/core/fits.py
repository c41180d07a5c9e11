"""Whether a JSON value fits a JSON schema, for those who have the schema of a type and not the type."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

__all__ = ["mismatch"]

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}
_DEEPEST = 50


def mismatch(schema: Mapping[str, Any], value: Any) -> str | None:
    """Return in one line what does not fit; `None` if nothing is known to.

    Types, choices, and the parts of lists and objects are looked at, and not the finer rules, which only the type
    itself knows.

    Example:
        >>> mismatch({"type": "object", "required": ["a"], "properties": {"a": {"type": "integer"}}}, {"a": "x"})
        'a: this is not of type integer'
        >>> mismatch({"enum": ["low", "high"]}, "low") is None
        True
    """
    return _mismatch(schema, value, "value", schema.get("$defs", {}), _DEEPEST)


def _mismatch(schema: Mapping[str, Any], value: Any, at: str, known: Mapping[str, Any], levels: int) -> str | None:
    reference = str(schema.get("$ref", "")).removeprefix("#/$defs/")
    if reference in known:
        schema = {**known[reference], **{name: part for name, part in schema.items() if name != "$ref"}}
    if levels == 0:
        return None
    ways: list[Any] = schema.get("anyOf") or schema.get("oneOf") or []
    if ways:
        found = [_mismatch(way, value, at, known, levels - 1) for way in ways]
        return None if None in found else found[0]
    choices: Sequence[Any] = schema.get("enum", [schema["const"]] if "const" in schema else [])
    if choices and not any(type(choice) is type(value) and choice == value for choice in choices):
        return f"{at}: this is none of {', '.join(map(repr, choices))}"
    kind = schema.get("type")
    if isinstance(kind, str) and not _is_a(value, kind):
        return f"{at}: this is not of type {kind}"
    return _in_parts(schema, value, "" if at == "value" else f"{at}.", known, levels - 1)


def _is_a(value: Any, kind: str) -> bool:
    return isinstance(value, _TYPES.get(kind, (object,))) and (kind == "boolean" or not isinstance(value, bool))


def _in_parts(schema: Mapping[str, Any], value: Any, at: str, known: Mapping[str, Any], levels: int) -> str | None:
    parts: list[tuple[str, Mapping[str, Any], Any]] = []
    if isinstance(value, dict):
        given = cast("dict[str, Any]", value)
        lacking = [name for name in schema.get("required", ()) if name not in given]
        if lacking:
            return f"{at}{lacking[0]}: this is missing"
        fields: Mapping[str, Any] = schema.get("properties", {})
        parts = [(name, fields[name], part) for name, part in given.items() if name in fields]
    elif isinstance(value, list) and isinstance(schema.get("items"), dict):
        parts = [(str(place), schema["items"], part) for place, part in enumerate(cast("list[Any]", value))]
    found = (_mismatch(shape, part, f"{at}{name}", known, levels) for name, shape, part in parts)
    return next((wrong for wrong in found if wrong), None)
