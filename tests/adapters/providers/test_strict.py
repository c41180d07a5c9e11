"""OpenAI's strict subset: said in it when it can be, left alone when not."""

from __future__ import annotations

import copy
from enum import Enum
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field, TypeAdapter

from quire.adapters.providers.strict import strict_schema


class Color(Enum):
    red = "red"
    blue = "blue"


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int = 9


class Dog(BaseModel):
    kind: Literal["dog"]
    good: bool


class Node(BaseModel):
    name: str
    children: list[Node] = []


class Pet(BaseModel):
    """An animal."""

    name: str = Field(min_length=1, max_length=20, description="What it is called.")
    animal: Cat | Dog = Field(discriminator="kind")
    color: Color = Field(default=Color.red, description="Its coat.")
    age: int = Field(ge=0, le=40)
    tags: set[str] = set()
    note: str | None = None


def walk(schema: Any) -> list[dict[str, Any]]:
    if isinstance(schema, dict):
        return [schema, *(found for value in schema.values() for found in walk(value))]
    return [found for value in schema for found in walk(value)] if isinstance(schema, list) else []


def test_a_model_fits_and_its_own_schema_is_not_changed():
    given = Pet.model_json_schema()
    before = copy.deepcopy(given)
    strict = strict_schema(given)
    assert given == before
    assert strict is not None
    objects = [part for part in walk(strict) if part.get("type") == "object"]
    assert len(objects) == 3
    assert all(part["additionalProperties"] is False for part in objects)
    assert all(part["required"] == list(part["properties"]) for part in objects)
    named = {key for part in walk(strict) for key in part}
    assert not named & {"default", "oneOf", "minLength", "maxLength", "uniqueItems", "discriminator", "title", "allOf"}
    assert all(part.keys() == {"$ref"} for part in walk(strict) if "$ref" in part)
    assert strict["properties"]["name"]["description"] == "What it is called. minLength: 1. maxLength: 20"
    assert strict["properties"]["age"] == {"type": "integer", "minimum": 0, "maximum": 40}


def test_what_is_valid_in_strict_form_is_valid():
    value = {"name": "Tom", "animal": {"kind": "cat", "lives": 9}, "color": "blue", "age": 3, "tags": [], "note": None}
    assert Pet.model_validate(value)


def test_a_type_that_contains_itself_has_its_root_spelled_out():
    strict = strict_schema(Node.model_json_schema())
    assert strict is not None
    assert strict["type"] == "object"
    assert strict["$defs"]["Node"]["required"] == ["name", "children"]


@pytest.mark.parametrize("kind", [dict[str, int], Cat | Dog, list[int], tuple[int, str], int, BaseModel])
def test_other_roots(kind: Any):
    strict = strict_schema(TypeAdapter(kind).json_schema() if kind is not BaseModel else {"type": "object"})
    assert strict is None or kind is BaseModel


class Open(BaseModel):
    anything: Any


class Map(BaseModel):
    counts: dict[str, int]


class Pair(BaseModel):
    both: tuple[int, str]


class Bare(BaseModel):
    items: list


@pytest.mark.parametrize("kind", [Open, Map, Pair, Bare])
def test_what_cannot_be_said_is_left_alone(kind: type[BaseModel]):
    assert strict_schema(kind.model_json_schema()) is None
