"""From what a model wrote to the value it was asked for: pure functions.

A type that is not an object (a list, an enum, a number) travels as `{"value": ...}`, because every
provider wants an object at the root.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, cast

from pydantic import ValidationError
from pydantic_core import from_json

from quire.core.ports import OutputForm
from quire.core.schema import adapter, complaint, json_schema, type_name

__all__ = ["form_of", "instruction_for", "is_object", "parse", "wrapped"]

_FENCE = re.compile(r"```(?:json)?\s*\n?(.*?)```", re.DOTALL)
_BAD_IN_NAME = re.compile(r"[^A-Za-z0-9_-]+")


@lru_cache(maxsize=1024)
def form_of(kind: Any) -> OutputForm | None:
    """Return the shape a reply of that type must have; `None` for plain text."""
    if kind is str:
        return None
    schema = json_schema(kind)
    if not is_object(schema):
        schema = wrapped("value", schema)
    name = _BAD_IN_NAME.sub("_", type_name(kind)).strip("_")[:64]
    return OutputForm(name=name or "output", schema=schema)


def wrapped(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of an object whose only field has that schema; its definitions stay at the root."""
    definitions = {"$defs": schema["$defs"]} if "$defs" in schema else {}
    inner = {key: part for key, part in schema.items() if key != "$defs"}
    return {"type": "object", "properties": {name: inner}, "required": [name], **definitions}


def is_object(schema: dict[str, Any]) -> bool:
    """Whether values of that schema are objects."""
    if "$ref" in schema:
        schema = schema.get("$defs", {}).get(schema["$ref"].rsplit("/", 1)[-1], {})
    return schema.get("type") == "object"


def instruction_for(form: OutputForm) -> str:
    """Return the words that ask for the shape where a provider cannot be held to it."""
    schema = adapter(Any).dump_json(form.schema).decode()
    return f"Reply with JSON alone, no other words, that fits this JSON schema:\n{schema}"


def parse(kind: Any, text: str) -> Any:
    """Return the value a reply holds; `ValueError` says to the model what is wrong with it.

    Example:
        >>> parse(list[int], '{"value": [1, 2]}')
        [1, 2]
    """
    if kind is str:
        return text
    text = text.strip()
    try:
        data = _json_in(text)
    except ValueError as error:
        return _bare_word(kind, text, f"This is not JSON: {error}.")
    is_wrapped = not is_object(json_schema(kind))
    if is_wrapped and isinstance(data, dict) and set(cast("dict[str, Any]", data)) == {"value"}:
        data = cast("dict[str, Any]", data)["value"]
    try:
        # As JSON, so that dates, enums and the like are read from their text.
        return adapter(kind).validate_json(adapter(Any).dump_json(data))
    except ValidationError as error:
        return _bare_word(kind, text, complaint(error))


def _json_in(text: str) -> Any:
    """Return the JSON a reply is, or has in a fence; fences inside a JSON text are part of it."""
    try:
        return from_json(text)
    except ValueError:
        fenced = _FENCE.search(text)
        if fenced is None:
            raise
        return from_json(fenced.group(1).strip())


def _bare_word(kind: Any, text: str, problem: str) -> Any:
    """Read a reply that is a value without quotes, such as `high` for an enum; in a fence, if it likes."""
    fenced = _FENCE.fullmatch(text)
    try:
        return adapter(kind).validate_python(fenced.group(1).strip() if fenced else text)
    except ValidationError:
        raise ValueError(problem) from None
