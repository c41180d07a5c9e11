"""A JSON schema as OpenAI's strict mode wants it, if it can be said that way.

The subset (https://platform.openai.com/docs/guides/structured-outputs): objects are closed and all of their
properties required, no defaults, `anyOf` instead of `oneOf`, nothing beside a `$ref`. What is only a hint or a bound is
moved into the description, so the model still reads it; pydantic checks it afterwards. What would change the meaning,
such as an object with any keys, does not fit: the schema is then sent as it is, without `strict`.
"""

from __future__ import annotations

import json
import re
from typing import Any

from quire.adapters.providers.loose import mapping, rows, text
from quire.core.ports import OutputForm

__all__ = ["strict_form", "strict_schema"]

_FORMATS = frozenset({"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"})
_TOLD = (
    "default", "minLength", "maxLength", "uniqueItems", "minProperties", "maxProperties", "examples", "contentEncoding",
)  # fmt: skip
_DROPPED = frozenset({"title", "discriminator", "$schema", "$id", "$comment", "readOnly", "writeOnly", "deprecated"})
_KEPT = frozenset({"type", "enum", "const", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"})
_KEPT_TOO = frozenset({"minItems", "maxItems"})


class _DoesNotFitError(Exception):
    """The schema says something that the strict subset cannot."""


def strict_form(output: OutputForm) -> dict[str, Any]:
    """Return the shape of a reply as OpenAI wants it told: strict if that can be.

    Example:
        >>> strict_form(OutputForm(name="A b!", schema={"type": "object", "properties": {}}))["name"]
        'A_b_'
    """
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", output.name)[:64] or "reply"
    strict = strict_schema(output.schema)
    return {"name": name, "schema": output.schema if strict is None else strict, "strict": strict is not None}


def strict_schema(schema: dict[str, Any]) -> dict[str, Any] | None:
    """Return the schema in the strict subset, a new dict; `None` if it does not fit.

    Example:
        >>> strict_schema({"type": "object", "properties": {"n": {"type": "integer", "default": 1}}})
        {'type': 'object', 'properties': {'n': {'type': 'integer', 'description': 'default: 1'}}, 'required': ['n'], \
'additionalProperties': False}
    """
    definitions = mapping(schema.get("$defs"))
    try:
        root = _root(schema, definitions)
        if definitions:
            root["$defs"] = {name: _strict(part) for name, part in definitions.items()}
    except _DoesNotFitError:
        return None
    return root


def _root(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    # The root of a type that contains itself is a reference, which the subset wants spelled out.
    name = text(schema.get("$ref")).removeprefix("#/$defs/")
    root = _strict(definitions[name] if name in definitions else {k: v for k, v in schema.items() if k != "$defs"})
    if root.get("type") != "object":
        raise _DoesNotFitError
    return root


def _strict(schema: Any) -> dict[str, Any]:
    given = dict(mapping(schema))
    notes = [f"{name}: {json.dumps(given.pop(name), ensure_ascii=False)}" for name in _TOLD if name in given]
    notes += _unsupported(given)
    strict = _reference(given) or _parts(given)
    described = ". ".join(filter(None, (text(given.get("description")).rstrip("."), *notes)))
    if described and "$ref" in strict:
        # Nothing may stand beside a reference, its description neither.
        strict = {"anyOf": [strict]}
    return {**strict, "description": described} if described else strict


def _unsupported(given: dict[str, Any]) -> list[str]:
    notes: list[str] = []
    if "format" in given and given["format"] not in _FORMATS:
        notes.append(f"format: {given.pop('format')}")
    if re.search(r"\(\?[=!<]", text(given.get("pattern"))):
        notes.append(f"pattern: {given.pop('pattern')}")
    return notes


def _reference(given: dict[str, Any]) -> dict[str, Any] | None:
    # `allOf` with one member is how older pydantic put a description beside a reference.
    if len(rows(given.get("allOf"))) == 1:
        member = mapping(given["allOf"][0])
        given = {**given, **member} if "$ref" in member else given
    return {"$ref": given["$ref"]} if "$ref" in given else None


def _parts(given: dict[str, Any]) -> dict[str, Any]:
    strict: dict[str, Any] = {}
    for name, value in given.items():
        match name:
            case "anyOf" | "oneOf":
                strict["anyOf"] = [_strict(part) for part in rows(value)]
            case "items":
                strict["items"] = _strict(value)
            case _ if name in _KEPT or name in _KEPT_TOO or name in ("format", "pattern"):
                strict[name] = value
            case _ if name in _DROPPED or name in ("description", "properties", "required", "additionalProperties"):
                pass
            case _:
                raise _DoesNotFitError
    _check(strict)
    return strict | _object(given) if strict.get("type") == "object" else strict


def _check(strict: dict[str, Any]) -> None:
    says_something = strict.keys() & {"type", "anyOf", "enum", "const"}
    if (
        not says_something
        or isinstance(strict.get("type"), list)
        or (strict.get("type") == "array" and "items" not in strict)
    ):
        raise _DoesNotFitError


def _object(given: dict[str, Any]) -> dict[str, Any]:
    open_to = given.get("additionalProperties", False)
    if open_to is not False:
        raise _DoesNotFitError
    properties = {name: _strict(part) for name, part in mapping(given.get("properties")).items()}
    return {"properties": properties, "required": list(properties), "additionalProperties": False}
