"""Where a step's input comes from, as data: the flow's input, another step, a field of one, a constant.

`Ref` is what people write; it resolves fields against the types at once, so a reference that can never
work is an error on the line that writes it. `Source` is what the engine reads.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from pydantic import BaseModel

from quire.core.errors import UnknownField
from quire.core.schema import fields_of, namesakes, type_name

__all__ = [
    "Entry",
    "Field",
    "FirstOf",
    "Fixed",
    "Output",
    "Ref",
    "Results",
    "Source",
    "Together",
    "field_type",
    "fits",
    "missing",
    "source_of",
    "union",
]

Results: TypeAlias = Mapping[str, Any]
"""What has been made so far, by step name."""


@dataclass(frozen=True, slots=True)
class Entry:
    """The flow's own input: the whole of it, or one part of a tuple."""

    type: Any
    part: int | None = None

    @property
    def needs(self) -> frozenset[str]:
        """The steps it reads: none."""
        return frozenset()

    def value(self, results: Results, entry: Any) -> Any:
        """Return what it gives."""
        return entry if self.part is None else entry[self.part]


@dataclass(frozen=True, slots=True)
class Output:
    """What a step made."""

    step: str
    type: Any

    @property
    def needs(self) -> frozenset[str]:
        """The steps it reads."""
        return frozenset((self.step,))

    def value(self, results: Results, entry: Any) -> Any:
        """Return what it gives."""
        return results[self.step]


@dataclass(frozen=True, slots=True)
class Field:
    """A field of what another source gives."""

    of: Source
    name: str
    type: Any

    @property
    def needs(self) -> frozenset[str]:
        """The steps it reads."""
        return self.of.needs

    def value(self, results: Results, entry: Any) -> Any:
        """Return what it gives."""
        whole = self.of.value(results, entry)
        return whole[self.name] if isinstance(whole, Mapping) else getattr(whole, self.name)


@dataclass(frozen=True, slots=True)
class Fixed:
    """A constant."""

    constant: Any

    @property
    def type(self) -> Any:
        """The type of the constant."""
        return type(self.constant)

    @property
    def needs(self) -> frozenset[str]:
        """The steps it reads: none."""
        return frozenset()

    def value(self, results: Results, entry: Any) -> Any:
        """Return what it gives."""
        return self.constant


@dataclass(frozen=True, slots=True)
class FirstOf:
    """The first of several sources that is there: how ways that part come together again."""

    sources: tuple[Source, ...]

    @property
    def type(self) -> Any:
        """The union of the types it may give."""
        return union(source.type for source in self.sources)

    @property
    def needs(self) -> frozenset[str]:
        """The steps it may read."""
        return frozenset().union(*(source.needs for source in self.sources))

    def value(self, results: Results, entry: Any) -> Any:
        """Return what it gives."""
        return next(s.value(results, entry) for s in self.sources if not missing(s, results))


@dataclass(frozen=True, slots=True)
class Together:
    """Several sources as a tuple, or as an instance of a class that takes them by name."""

    sources: tuple[Source, ...]
    names: tuple[str, ...] = ()
    type: Any = tuple

    @property
    def needs(self) -> frozenset[str]:
        """The steps it reads."""
        return frozenset().union(*(source.needs for source in self.sources))

    def value(self, results: Results, entry: Any) -> Any:
        """Return what it gives."""
        values = tuple(source.value(results, entry) for source in self.sources)
        return dict(zip(self.names, values, strict=True)) if self.names else values


Source: TypeAlias = Entry | Output | Field | Fixed | FirstOf | Together
"""Somewhere a value comes from."""


def missing(source: Source, results: Results) -> str | None:
    """Return a step that a source waits for in vain; `None` when the source can be read."""
    if isinstance(source, FirstOf):
        lost = [missing(one, results) for one in source.sources]
        return None if None in lost else lost[0]
    if isinstance(source, Together):
        return next((name for one in source.sources if (name := missing(one, results))), None)
    return next((name for name in source.needs if name not in results), None)


class Ref:
    """What a step will have made, written down before it is: `triage`, `triage.kind`, `refund | complaint`.

    Attributes are the fields of the output type. `a | b` is whichever of the two has run.

    Raises:
        UnknownField: the output type has no such field.
    """

    __slots__ = ("_source",)

    def __init__(self, source: Source) -> None:
        self._source = source

    def __getattr__(self, name: str) -> Ref:
        if name.startswith("_"):
            raise AttributeError(name)
        return Ref(Field(self._source, name, field_type(self._source.type, name, repr(self))))

    def __or__(self, other: Ref) -> Ref:
        return Ref(FirstOf((*_ways(self._source), *_ways(other._source))))

    def __repr__(self) -> str:
        return _written(self._source)


def source_of(ref: Ref) -> Source:
    """Return what a reference stands for."""
    return ref._source  # pyright: ignore[reportPrivateUsage]  # noqa: SLF001 - a Ref has no other room for it


def _ways(source: Source) -> tuple[Source, ...]:
    return source.sources if isinstance(source, FirstOf) else (source,)


def _written(source: Source) -> str:
    match source:
        case Output():
            return source.step
        case Field():
            return f"{_written(source.of)}.{source.name}"
        case FirstOf():
            return " | ".join(_written(one) for one in source.sources)
        case Entry():
            return "the input"
        case _:
            return repr(source)


def field_type(kind: Any, name: str, whose: str) -> Any:
    """Return the type of a field; `Any` where the type does not say what it has.

    Raises:
        UnknownField: it says, and the field is not there.
    """
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        if name in kind.model_fields:
            return kind.model_fields[name].annotation
    elif isinstance(kind, type) and dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        if name in hints:
            return hints[name]
    elif not (isinstance(kind, type) and kind.__module__ == "builtins" and kind is not dict):
        return Any
    fields = ", ".join(field for field, _ in fields_of(kind)) or "none"
    message = f"{whose} gives {type_name(kind)}, which has no field {name!r}."
    raise UnknownField(message, remedy=f"Its fields: {fields}.")


def union(kinds: typing.Iterable[Any]) -> Any:
    """Return the type of a value that is one of several."""
    distinct = list(dict.fromkeys(kinds))
    return distinct[0] if len(distinct) == 1 else typing.Union[tuple(distinct)]  # noqa: UP007 - built at run time


def fits(given: Any, wanted: Any) -> bool:
    """Whether a value of one type can be taken as the other: the same, a subclass, or a member of a union."""
    if given == wanted or wanted is Any:
        return given == wanted or given is not Any
    if typing.get_origin(given) in (typing.Union, types.UnionType):
        return all(fits(part, wanted) for part in typing.get_args(given))
    if typing.get_origin(wanted) in (typing.Union, types.UnionType):
        return any(fits(given, part) for part in typing.get_args(wanted))
    if given is int and wanted is float:
        return True
    if namesakes(given, wanted):
        return True
    both = isinstance(given, type) and isinstance(wanted, type)
    # bool is an int to Python, but nobody means that when they ask for one.
    return both and wanted.__module__ != "builtins" and issubclass(given, wanted)
