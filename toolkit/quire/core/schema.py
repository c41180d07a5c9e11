"""Types as people, models and logs see them: a name, a JSON schema, a check, plain JSON."""

from __future__ import annotations

import dataclasses
import enum
import inspect
import json
import math
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import lru_cache, wraps
from hashlib import sha256
from typing import Any, TypeVar, cast

from pydantic import BaseModel, ConfigDict, PydanticUserError, TypeAdapter, ValidationError
from pydantic_core import from_json, to_json

__all__ = [
    "adapter",
    "checked",
    "complaint",
    "fields_of",
    "hints_of",
    "input_fields",
    "json_schema",
    "namesakes",
    "plain",
    "read_back",
    "render",
    "survives",
    "type_name",
]

T = TypeVar("T")

_SCALARS = frozenset({str, bool, type(None)})
_NUMBERS = frozenset({int, float})
_INSIDE = {
    "any": "",
    "is-instance": "",
    "dict": "values_schema",
    "list": "items_schema",
    "tuple": "items_schema",
    "set": "items_schema",
    "frozenset": "items_schema",
}
"""Pydantic's words for types that may leave open what is inside, and for where they say it if they do."""
_DEEPEST = 100
"""Levels of a value that no fast reader holds; the strictest common one, Rust's serde, reads 128."""


def _remembered(make: Callable[[Any], T]) -> Callable[[Any], T]:
    cached = lru_cache(maxsize=4096)(make)

    @wraps(make)
    def look_up(kind: Any) -> T:
        try:
            return cached(kind)
        except TypeError:  # Annotated[int, ["a list"]] has no hash
            return make(kind)

    return look_up


@_remembered
def type_name(kind: Any) -> str:
    """Return a type as a reader writes it.

    Example:
        >>> type_name(list[int] | None)
        'list[int] | None'
    """
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        return " | ".join(type_name(part) for part in typing.get_args(kind))
    if origin is typing.Literal:
        return " | ".join(_literal(value) for value in typing.get_args(kind))
    if origin is typing.Annotated:
        return type_name(typing.get_args(kind)[0])
    if origin is not None:
        name, arguments = getattr(origin, "__name__", str(origin)), _listed(typing.get_args(kind))
        return f"{name}[{arguments}]" if arguments else name
    if kind is type(None):
        return "None"
    own = getattr(kind, "__forward_arg__", None) or getattr(kind, "__name__", None)
    return own or str(kind).removeprefix("typing.")


def _literal(value: Any) -> str:
    if isinstance(value, enum.Enum):
        return f"{type(value).__name__}.{value.name}"
    return f'"{value}"' if isinstance(value, str) else repr(value)


def _listed(parts: Any) -> str:
    return ", ".join(
        "…" if part is ... else f"[{_listed(part)}]" if isinstance(part, list) else type_name(part) for part in parts
    )


@_remembered
def adapter(kind: Any) -> TypeAdapter[Any]:
    """Return pydantic's adapter for a type; any class at all is allowed and checked with `isinstance`."""
    config = ConfigDict(arbitrary_types_allowed=True)
    try:
        return TypeAdapter(kind, config=config)
    except PydanticUserError:
        # Models, dataclasses and typed dicts refuse a configuration, unless another type is around them.
        around: Any = typing.NewType
        return TypeAdapter(around("_", kind), config=config)


def checked(kind: Any, value: Any) -> Any:
    """Return the value as that type; raise pydantic's `ValidationError` if it cannot be.

    An instance of exactly that class is taken as it is: it was checked when it was made.
    """
    if type(value) is kind or kind is Any:
        return value
    if namesakes(type(value), kind):
        value = cast("BaseModel", value).model_dump()
    return adapter(kind).validate_python(value)


def namesakes(one: Any, other: Any) -> bool:
    """Whether two model classes are one and the same to their author: defined twice, with the same fields.

    Running a notebook's cell again makes new classes; what was built with the old ones still fits.
    """
    if one is other or not (isinstance(one, type) and isinstance(other, type)):
        return False
    same_name = one.__qualname__ == other.__qualname__ and one.__module__ == other.__module__
    models = same_name and issubclass(one, BaseModel) and issubclass(other, BaseModel)
    return models and fields_of(one) == fields_of(other)


def complaint(error: ValidationError) -> str:
    """Return pydantic's findings as one line each: `field.path: what is wrong`."""
    lines = [f"{'.'.join(map(str, found['loc'])) or 'value'}: {found['msg']}" for found in error.errors()]
    return "\n".join(lines)


@_remembered
def json_schema(kind: Any) -> dict[str, Any]:
    """Return the JSON schema of a type; the caller must not change it."""
    return adapter(kind).json_schema()


def plain(value: Any) -> Any:
    """Return a value as plain JSON, a copy that later changes do not reach.

    What JSON cannot hold is written as its `repr`, or as its type's name if it has none; NaN and
    infinities as text (inside a pydantic model, as that model is configured). Bytes that are no text are
    written as what tells them apart, which cannot be read back as bytes. An iterator is not read.

    Example:
        >>> plain({"when": {1, 1}})
        {'when': [1]}
    """
    if type(value) in _SCALARS or (type(value) is float and math.isfinite(value)):
        return value
    if _is_iterator(type(value)):  # reading it would take its items from the user, and may never end
        return f"<{type(value).__name__}>"
    try:
        return _whole(value)
    except Exception:  # noqa: BLE001 - whatever user code in it raises must not take the run down
        return _piecemeal(value, _DEEPEST, set())


@_remembered
def _is_iterator(kind: Any) -> bool:
    return issubclass(kind, Iterator)


def _whole(value: Any) -> Any:
    # Through JSON and back: two passes in Rust cost less than one look at every value in Python.
    return from_json(to_json(value, fallback=repr, inf_nan_mode="strings"))


def _piecemeal(value: Any, levels: int, seen: set[int]) -> Any:
    """Save what can be saved of a value that is broken somewhere, goes around in a circle or is too deep."""
    try:
        parts = _parts(value)
        if parts is None:
            return value if isinstance(value, str) else _whole(value)
        if levels == 0 or id(value) in seen:
            return f"<{type(value).__name__}>"
        seen.add(id(value))
        if isinstance(parts, list):
            return [_piecemeal(part, levels - 1, seen) for part in parts]
        return {str(name): _piecemeal(part, levels - 1, seen) for name, part in parts.items()}
    except Exception:  # noqa: BLE001 - see `plain`
        if isinstance(value, bytes | bytearray):
            return {"bytes": len(value), "sha256": sha256(value).hexdigest()[:16]}
        return f"<{type(value).__name__}>"


def _parts(value: Any) -> list[Any] | dict[Any, Any] | None:
    if isinstance(value, BaseModel | Mapping):
        return dict(cast("Mapping[Any, Any]", value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    if isinstance(value, list | tuple | set | frozenset):
        return list(cast("list[Any]", value))
    return None


def render(value: Any) -> str:
    """Return a value as words for a model: text as it is, anything else as JSON.

    Example:
        >>> render([1, 2])
        '[1,2]'
    """
    if isinstance(value, str):
        return value
    return json.dumps(plain(value), ensure_ascii=False, separators=(",", ":"))


def fields_of(kind: Any) -> list[tuple[str, str]]:
    """Return the fields of a model or dataclass as names and type names; none for any other type."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return [(name, type_name(info.annotation)) for name, info in kind.model_fields.items()]
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        hints: dict[str, Any] = {}
        with suppress(NameError):  # a type that only its author's function knows: its name as written will do
            hints = typing.get_type_hints(kind)
        return [(f.name, type_name(hints.get(f.name, f.type))) for f in dataclasses.fields(kind)]
    return []


def input_fields(kind: Any) -> dict[str, tuple[Any, bool]]:
    """Return the fields of a model or dataclass: per name the type, and whether it has to be given."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return {name: (info.annotation, info.is_required()) for name, info in kind.model_fields.items()}
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        hints = hints_of(kind)
        none = dataclasses.MISSING
        return {
            f.name: (hints[f.name], f.default is none and f.default_factory is none) for f in dataclasses.fields(kind)
        }
    return {}


def read_back(kind: Any, data: Any) -> Any:
    """Return the value that `plain` wrote as JSON; raise `ValidationError` if it is not one of that type."""
    return adapter(kind).validate_json(to_json(data))


def survives(kind: Any, value: Any, data: Any) -> bool:
    """Whether what `plain` wrote of a value of that type can be read back as it was.

    Types that say what is in them are taken at their word: `read_back` finds what does not fit. Where
    anything may be inside, it is tried.

    Example:
        >>> survives(dict, {"a": 1}, plain({"a": 1})), survives(dict, {"a": (1, 2)}, plain({"a": (1, 2)}))
        (True, False)
    """
    if type(value) in _SCALARS or type(value) in _NUMBERS or not _is_open(kind):
        return True
    try:
        return bool(read_back(kind, data) == value)
    except Exception:  # noqa: BLE001 - whatever user code in it raises: then it cannot be
        return False


@_remembered
def _is_open(kind: Any) -> bool:
    """Whether a type leaves open what is in its values."""
    model = isinstance(kind, type) and issubclass(kind, BaseModel)
    try:
        return _leaves_open(cast("Any", kind).__pydantic_core_schema__ if model else adapter(kind).core_schema)
    except Exception:  # noqa: BLE001 - a type that is not ready to be looked at
        return True


def _leaves_open(schema: Any) -> bool:
    if isinstance(schema, list | tuple):
        return any(_leaves_open(part) for part in cast("list[Any]", schema))
    if not isinstance(schema, dict):
        return False
    known = cast("dict[str, Any]", schema)
    inside = _INSIDE.get(known.get("type", ""))
    if inside is not None and (not inside or inside not in known):
        return True
    return any(_leaves_open(part) for name, part in known.items() if name not in {"metadata", "default", "ref"})


def hints_of(function: Callable[..., Any]) -> dict[str, Any]:
    """Return a function's annotations, also of one defined inside another function or a cell.

    Names that only the enclosing function knows are looked up in its closure and in its caller's frame.
    """
    try:
        return typing.get_type_hints(function, include_extras=True)
    except NameError:
        return typing.get_type_hints(function, localns=_names_around(function), include_extras=True)


def _names_around(function: Callable[..., Any]) -> dict[str, Any]:
    names: dict[str, Any] = {}
    frame = inspect.currentframe()
    while frame is not None:
        if frame.f_code.co_name != "<module>" and frame.f_globals is getattr(function, "__globals__", None):
            names = {**frame.f_locals, **names}
        frame = frame.f_back
    return {**names, **_closure(function)}


def _closure(function: Callable[..., Any]) -> dict[str, Any]:
    names: dict[str, Any] = {}
    if isinstance(function, types.FunctionType):
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            with suppress(ValueError):  # empty: a function that calls itself has no self yet while it is decorated
                names[name] = cell.cell_contents
    return names
