"""Values for any JSON schema, taken from a text where it offers one, and always valid.

Everything is a pure function of the schema and the text, so the same question has the same answer tomorrow.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, TypeGuard
from uuid import NAMESPACE_URL, uuid5

from quire.adapters.providers.clues import FREE_FORMATS, Clues, spaced
from quire.adapters.providers.loose import mapping, rows, text
from quire.adapters.providers.specimen import specimen

__all__ = ["Inventor"]

_ENOUGH = 5
"""How deep optional parts and lists go, where a type contains itself."""
_SOME = 3
"""How many members a list has that may have any number."""
_SHALLOW = 3
_TOO_DEEP = 60
_FORMATS = {
    "date": "2025-01-15",
    "date-time": "2025-01-15T09:00:00Z",
    "time": "09:00:00Z",
    "duration": "PT1H",
    "email": "someone@example.com",
    "idn-email": "someone@example.com",
    "name-email": "Someone <someone@example.com>",
    "uri": "https://example.com/",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "ipvanyaddress": "192.0.2.1",
    "ipvanyinterface": "192.0.2.1/24",
    "ipvanynetwork": "192.0.2.0/24",
    "ipv4network": "192.0.2.0/24",
    "ipv6network": "2001:db8::/32",
    "ipv4interface": "192.0.2.1/24",
    "ipv6interface": "2001:db8::1/32",
    "directory-path": ".",
    "json-string": "{}",
    "regex": ".*",
    "base64": "c2ltdWxhdGVk",
    "base64url": "c2ltdWxhdGVk",
    "multi-host-uri": "https://example.com/",
}
"""Examples that belong to nobody (RFC 2606, RFC 5737, RFC 3849)."""


class Inventor:
    """Makes values of one schema.

    Example:
        >>> schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
        >>> Inventor(schema, Clues("What's the weather in Tokyo right now?")).value()
        {'city': 'Tokyo'}
    """

    def __init__(self, schema: dict[str, Any], clues: Clues) -> None:
        self._schema = schema
        self._clues = clues
        self._taken: list[float] = []

    def value(self, part: Any = None, name: str = "", depth: int = 0) -> Any:
        """Return a value that the schema, or a part of it, accepts."""
        return self._any(self._schema if part is None else part, name, depth)

    def _any(self, given: Any, name: str, depth: int) -> Any:
        schema = self._resolved(given)
        if depth > _TOO_DEEP:
            return None
        if "const" in schema:
            return schema["const"]
        if rows(schema.get("enum")):
            return self._clues.choice(schema["enum"])
        options = rows(schema.get("anyOf")) or rows(schema.get("oneOf"))
        if options:
            rest = {key: value for key, value in schema.items() if key not in ("anyOf", "oneOf", "default")}
            return self._any(_merged(rest, self._resolved(self._option(options, depth))), name, depth + 1)
        return self._of_type(schema, name, depth)

    def _of_type(self, schema: dict[str, Any], name: str, depth: int) -> Any:
        match _kind(schema):
            case "object":
                return self._object(schema, depth)
            case "array":
                return self._array(schema, name, depth)
            case "integer" | "number" as kind:
                return self._number(schema, name, whole=kind == "integer")
            case "boolean":
                return self._clues.mentions(name)
            case "null":
                return None
            case _:
                return self._string(schema, name)

    # --- references and alternatives

    def _resolved(self, given: Any) -> dict[str, Any]:
        schema = mapping(given)
        for _ in range(_TOO_DEEP):
            if "$ref" not in schema:
                break
            rest = {key: value for key, value in schema.items() if key != "$ref"}
            schema = _merged(self._at(text(schema["$ref"])), rest)
        for part in rows(schema.get("allOf")):
            rest = {key: value for key, value in schema.items() if key != "allOf"}
            schema = _merged(rest, self._resolved(part))
        return schema

    def _at(self, reference: str) -> dict[str, Any]:
        place: Any = self._schema
        for step in reference.removeprefix("#").split("/")[1:]:
            place = mapping(place).get(step.replace("~1", "/").replace("~0", "~"))
        return mapping(place)

    def _option(self, options: list[Any], depth: int) -> Any:
        if depth > _ENOUGH:
            return min(options, key=lambda option: self._height(option, _ENOUGH))
        spoken = [option for option in options if self._named_in_text(option)]
        other = [option for option in options if _kind(self._resolved(option)) != "null"]
        # A member of a union that has to contain the union again is the last choice.
        return min(spoken or other or options, key=lambda option: self._height(option, _ENOUGH) >= _ENOUGH)

    def _named_in_text(self, option: Any) -> bool:
        schema = self._resolved(option)
        marks = [mapping(part).get("const") for part in mapping(schema.get("properties")).values()]
        return any(isinstance(mark, str) and self._clues.mentions(mark) for mark in (*marks, schema.get("const")))

    def _height(self, given: Any, most: int) -> int:
        """Return how many levels the smallest value has, counted no further than `most`."""
        schema = self._resolved(given)
        options = rows(schema.get("anyOf")) or rows(schema.get("oneOf"))
        if most <= 0 or "const" in schema or "enum" in schema:
            return 0
        if options:
            return min(self._height(option, most - 1) for option in options)
        parts = [mapping(schema.get("properties")).get(name) for name in rows(schema.get("required"))]
        if _kind(schema) == "array":
            parts = rows(schema.get("prefixItems")) + ([schema.get("items")] if schema.get("minItems") else [])
        kind = {"null": 0, "object": 1, "array": 1}.get(_kind(schema), 0)
        return kind + max((self._height(part, most - 1) for part in parts), default=0)

    # --- objects and lists

    def _object(self, schema: dict[str, Any], depth: int) -> dict[str, Any]:
        properties, required = mapping(schema.get("properties")), rows(schema.get("required"))
        named = [name for name in properties if name in required or self._worth_it(name, properties[name], depth)]
        made = {name: self._any(properties[name], name, depth + 1) for name in named}
        made |= {name: None for name in required if name not in properties}
        any_keys = "properties" not in schema and bool(schema.get("additionalProperties"))
        least = schema.get("minProperties", 1 if any_keys and depth < _ENOUGH else 0)
        self._fill_up(made, schema, least, depth)
        return made

    def _worth_it(self, name: str, schema: Any, depth: int) -> bool:
        # What may be left out is left out, unless the text speaks of it; a default is better than an invention.
        part = self._resolved(schema)
        options = rows(part.get("anyOf")) or rows(part.get("oneOf")) or [part]
        kinds = {_kind(self._resolved(option)) for option in options}
        return depth < _ENOUGH and any(self._clues.speaks_of(name, kind) for kind in kinds)

    def _fill_up(self, made: dict[str, Any], schema: dict[str, Any], least: int, depth: int) -> None:
        by_pattern = mapping(schema.get("patternProperties"))
        values = next(iter(by_pattern.values()), schema.get("additionalProperties", True))
        if values is False:
            return
        names = mapping(schema.get("propertyNames")) or ({"pattern": next(iter(by_pattern))} if by_pattern else {})
        for key in self._keys(self._resolved(names)):
            if len(made) >= least:
                return
            made.setdefault(key, self._any(values, key, depth + 1))

    def _keys(self, names: dict[str, Any]) -> Iterable[str]:
        if rows(names.get("enum")):
            return [str(key) for key in names["enum"]]
        if "const" in names:
            return [str(names["const"])]
        if names.keys() & {"pattern", "format", "minLength", "maxLength"}:
            return self._distinct_strings(names, ())
        return [*self._clues.keywords(), *(f"key_{n}" for n in range(1, 100))]

    def _array(self, schema: dict[str, Any], name: str, depth: int) -> list[Any]:
        made = [self._any(part, name, depth + 1) for part in rows(schema.get("prefixItems"))]
        least, most = schema.get("minItems", 0), schema.get("maxItems")
        items = schema.get("items", True)
        if items is False:
            return made
        wanted = least if depth > _ENOUGH else max(least, len(made) or _SOME)
        wanted = wanted if most is None else min(wanted, most)
        item, unique = self._resolved(items), bool(schema.get("uniqueItems"))
        if len(made) < wanted:
            made += self._items(item, name, depth, unique=unique)[: wanted - len(made)]
        made += [self._any(item, name, depth + 1) for _ in range(0 if unique else least - len(made))]
        return made

    def _items(self, items: dict[str, Any], name: str, depth: int, *, unique: bool) -> list[Any]:
        """Return members for a list: all different if they must be, else a few that look natural."""
        kind = _kind(items)
        if rows(items.get("enum")):
            first = self._clues.choice(items["enum"])
            return [first, *(value for value in items["enum"] if value != first and unique)]
        if items.keys() & {"const", "anyOf", "oneOf"} or kind in ("array", "null", "boolean"):
            one = self._any(items, name, depth + 1)
            return [one, not one] if unique and kind == "boolean" else [one]
        match kind:
            case "object":
                # Each is about another part of the text; further down one is enough.
                points = self._clues.points()[: _SOME if depth < _SHALLOW else 1]
                return [Inventor(self._schema, Clues(point)).value(items, name, depth + 1) for point in points]
            case "string" if text(items.get("format")) not in FREE_FORMATS:
                return self._formed(text(items["format"]), name)
            case "string":
                return self._distinct_strings(items, self._clues.points(), usual=unique)
            case _:
                return self._numbers(items, name, whole=kind == "integer", unique=unique)

    # --- numbers and words

    def _number(self, schema: dict[str, Any], name: str, *, whole: bool) -> float:
        said = (n for n in self._clues.numbers(name, self._taken) if not whole or n == int(n))
        tries = (*said, *_spread(schema, self._share(name), name, whole=whole))
        made = next((n for n in tries if _number_fits(n, schema)), 0)
        self._taken.append(made)
        return int(made) if whole else made

    def _numbers(self, schema: dict[str, Any], name: str, *, whole: bool, unique: bool) -> list[float]:
        said = [n for n in self._clues.numbers(name) if _number_fits(n, schema) and (not whole or n == int(n))]
        step = schema.get("multipleOf") or (1 if whole else 0.5)
        low = next((n for n in _spread(schema, 0.0, "", whole=whole) if _number_fits(n, schema)), 0)
        many = (low + sign * step * n for n in range(100) for sign in (1, -1)) if unique else ()
        made = dict.fromkeys([*said, *(n for n in many if _number_fits(n, schema))])
        return [int(n) if whole else n for n in made] or [self._number(schema, name, whole=whole)]

    def _string(self, schema: dict[str, Any], name: str) -> str:
        form = text(schema.get("format"))
        if form not in FREE_FORMATS:
            fitting = (words for words in self._formed(form, name) if _string_fits(words, schema))
            return next(fitting, _FORMATS.get(form, form))
        return self._distinct_strings(schema, self._clues.strings(name), name)[0]

    def _formed(self, form: str, name: str) -> list[str]:
        """Return different texts of a format."""
        if form.startswith("uuid"):
            return [str(uuid5(NAMESPACE_URL, f"{name} {n} {self._clues.text}")) for n in range(_SOME)]
        usual = _FORMATS.get(form, form)
        later = [usual.replace("-15", f"-{day}") for day in range(16, 28)] if form.startswith("date") else []
        return list(dict.fromkeys([*self._clues.strings(name, form), usual, *later]))

    def _distinct_strings(
        self, schema: dict[str, Any], wished: Iterable[str], name: str = "", *, usual: bool = True
    ) -> list[str]:
        """Return texts that the schema accepts, never none; the usual ones come after those wished for."""
        low, high = schema.get("minLength", 0), schema.get("maxLength")
        pattern = text(schema.get("pattern"))
        if pattern:
            made = [specimen(pattern, shortest, high) for shortest in range(low, low + 12)]
            return [words for words in (*wished, *made) if words and _string_fits(words, schema)] or [""]
        fitted = [_fitted(words, low, high) for words in wished if words]
        rest = [_fitted(words, low, high) for words in (spaced(name) or "text", *"abcdefghijklmnop")]
        return list(dict.fromkeys(fitted + rest if usual or not fitted else fitted))

    def _share(self, name: str) -> float:
        """Return a number between 0 and 1 that looks arbitrary and never changes."""
        return int.from_bytes(hashlib.sha256(f"{name}|{self._clues.text}".encode()).digest()[:2], "big") / 65536


def _merged(schema: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    merged = {**schema, **other}
    for name in ("properties", "$defs"):
        if name in schema and name in other:
            merged[name] = {**schema[name], **other[name]}
    if "required" in schema and "required" in other:
        merged["required"] = list(dict.fromkeys([*schema["required"], *other["required"]]))
    return merged


def _kind(schema: dict[str, Any]) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        return next((text(one) for one in rows(kind) if one != "null"), "null")
    if kind:
        return text(kind)
    hints = {"properties": "object", "additionalProperties": "object", "items": "array", "prefixItems": "array"}
    hints |= {"minimum": "number", "maximum": "number", "multipleOf": "number"}
    return next((hints[hint] for hint in hints if hint in schema), "string")


def _bounds(schema: dict[str, Any]) -> tuple[float | None, float | None]:
    lows = [n for key in ("minimum", "exclusiveMinimum") if _is_number(n := schema.get(key))]
    highs = [n for key in ("maximum", "exclusiveMaximum") if _is_number(n := schema.get(key))]
    return max(lows, default=None), min(highs, default=None)


_SHARES = re.compile(r"confidence|score|probability|likelihood|certainty|ratio|share|relevance|similarity")


def _spread(schema: dict[str, Any], share: float, name: str, *, whole: bool) -> Iterable[float]:
    """Return numbers to try: the first ones look natural, the last ones are the bounds themselves."""
    is_share = bool(_SHARES.search(name))
    low, high = _bounds(schema)
    bottom = low if low is not None else (high - 9 if high is not None else 0 if is_share else 1)
    top = high if high is not None else bottom + (1 if is_share and not whole else 9)
    step, start, end = (Decimal(str(n)) for n in (schema.get("multipleOf", 1 if whole else "0.01"), bottom, top))
    # A share of confidence is rather high; nothing else has a tendency.
    wished = start + Decimal(str(0.6 + 0.35 * share if is_share else share)) * (end - start)
    steps, least = math.floor(wished / step), math.ceil(start / step)
    yield from (int(step * n) if whole else float(step * n) for n in (steps, steps + 1, steps - 1, least, least + 1))
    if not whole:
        yield from (bottom, top, (bottom + top) / 2, math.nextafter(bottom, math.inf), math.nextafter(top, -math.inf))


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _number_fits(n: float, schema: dict[str, Any]) -> bool:
    step = schema.get("multipleOf")
    return (
        n >= schema.get("minimum", -math.inf)
        and n <= schema.get("maximum", math.inf)
        and n > schema.get("exclusiveMinimum", -math.inf)
        and n < schema.get("exclusiveMaximum", math.inf)
        and (not step or Decimal(str(n)) % Decimal(str(step)) == 0)
    )


def _string_fits(words: str, schema: dict[str, Any]) -> bool:
    pattern = text(schema.get("pattern"))
    long_enough = schema.get("minLength", 0) <= len(words) <= schema.get("maxLength", math.inf)
    return long_enough and (not pattern or bool(re.search(pattern, words)))


def _fitted(words: str, low: int, high: int | None) -> str:
    cut = words if high is None else words[:high]
    return cut + "." * (low - len(cut))
