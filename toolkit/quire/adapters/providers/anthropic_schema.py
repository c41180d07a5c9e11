"""A JSON schema as Anthropic's structured output takes it, if it can be said that way.

The subset (https://platform.claude.com/docs/en/build-with-claude/structured-outputs): objects are closed, nothing
contains itself, `anyOf` instead of `oneOf`, nothing beside a `$ref`, no bounds. A bound or a default is moved into the
description, so the model still reads it; pydantic checks it afterwards. What may be left out stays so. What would
change the meaning, such as an object with any keys, does not fit.
"""

from __future__ import annotations

import json
from typing import Any

from quire.adapters.providers.loose import mapping, rows, text

__all__ = ["native_schema"]

_FORMATS = frozenset({"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid", "uri"})
_DROPPED = frozenset(
    {"title", "discriminator", "$schema", "$id", "$comment", "readOnly", "writeOnly", "deprecated", "$defs"}
)
_TOLD = frozenset(
    {
        *("default", "examples", "pattern", "minLength", "maxLength", "contentEncoding", "contentMediaType"),
        *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
        *("maxItems", "uniqueItems", "minProperties", "maxProperties"),
    }
)
_SCALARS = (str, int, float, type(None))


class _DoesNotFitError(Exception):
    """The schema says something that the subset cannot."""


def native_schema(schema: dict[str, Any]) -> dict[str, Any] | None:
    """Return the schema in the subset, a new dict; `None` if it does not fit.

    Example:
        >>> native_schema({"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}})
        {'type': 'object', 'properties': {'n': {'type': 'integer', 'description': 'minimum: 1'}}, \
'additionalProperties': False}
    """
    definitions = mapping(schema.get("$defs"))
    try:
        writer = _Writer(definitions)
        root = writer.write(_followed(schema, definitions))
        native = {name: writer.write(part) for name, part in definitions.items()}
    except (_DoesNotFitError, RecursionError):
        return None
    if root.get("type") != "object" or any(_reaches(name, name, native, set()) for name in native):
        return None
    return {**root, "$defs": native} if native else root


def _followed(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    # The root must be an object itself, not a reference to one.
    name = _named(schema)
    return mapping(definitions.get(name)) if name else schema


def _named(schema: Any) -> str:
    return text(mapping(schema).get("$ref")).removeprefix("#/$defs/")


def _reaches(start: str, goal: str, definitions: dict[str, Any], seen: set[str]) -> bool:
    """Whether following the references of one definition leads to another."""
    found = set(_references(definitions.get(start)))
    fresh = found - seen
    return goal in found or any(_reaches(name, goal, definitions, seen | found) for name in fresh)


def _references(value: Any) -> list[str]:
    if isinstance(value, list):
        return [name for part in rows(value) for name in _references(part)]
    inner = [name for part in mapping(value).values() for name in _references(part)]
    return [*filter(None, (_named(value),)), *inner]


class _Writer:
    def __init__(self, definitions: dict[str, Any]) -> None:
        self._definitions = definitions

    def write(self, schema: Any) -> dict[str, Any]:
        """Return one schema in the subset."""
        given = self._referenced(dict(mapping(schema)))
        if "$ref" in given:
            return {"$ref": given["$ref"]}
        native: dict[str, Any] = {}
        notes: list[str] = []
        for name, value in given.items():
            if self._is_told(name, value):
                notes.append(f"{name}: {json.dumps(value, ensure_ascii=False)}")
            elif name not in _DROPPED:
                native |= self._part(name, value)
        native |= self._object(given) if given.get("type") == "object" else {}
        if not native.keys() & {"type", "anyOf", "allOf", "enum"}:
            raise _DoesNotFitError
        described = ". ".join(filter(None, (text(given.get("description")).rstrip("."), *notes)))
        return {**native, "description": described} if described else native

    def _referenced(self, given: dict[str, Any]) -> dict[str, Any]:
        # `allOf` with one member is how older pydantic put a description beside a reference.
        if len(rows(given.get("allOf"))) == 1:
            given |= mapping(given.pop("allOf")[0])
        name = _named(given)
        if not name or name not in self._definitions:
            if name:
                raise _DoesNotFitError
            return given
        # Nothing may stand beside a reference: what is described is written out in its place.
        if "description" in given:
            return {**mapping(self._definitions[name]), "description": given["description"]}
        return given

    @staticmethod
    def _is_told(name: str, value: Any) -> bool:
        if name == "format":
            return value not in _FORMATS
        return name in _TOLD or (name == "minItems" and value not in (0, 1))

    def _part(self, name: str, value: Any) -> dict[str, Any]:
        match name:
            case "anyOf" | "oneOf" | "allOf":
                return {name.replace("one", "any"): [self.write(part) for part in rows(value)]}
            case "items":
                return {"items": self.write(value)}
            case "const":
                return self._part("enum", [value])
            case "enum" if all(isinstance(one, _SCALARS) for one in rows(value)):
                return {"enum": value}
            case "type" | "format" | "minItems":
                return {name: value}
            case "description" | "properties" | "required" | "additionalProperties":
                return {}
            case _:
                raise _DoesNotFitError

    def _object(self, given: dict[str, Any]) -> dict[str, Any]:
        if given.get("additionalProperties", False) is not False:
            raise _DoesNotFitError
        properties = {name: self.write(part) for name, part in mapping(given.get("properties")).items()}
        required = {"required": given["required"]} if given.get("required") else {}
        return {"properties": properties, **required, "additionalProperties": False}
