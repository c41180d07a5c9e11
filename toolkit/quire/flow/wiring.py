"""Where a step's input comes from, as data: the flow's input, another step, a field of one, a constant.

`Ref` is what people write; it resolves fields against the types at once, so a reference that can never
work is an error on the line that writes it. `Source` is what the engine reads.
"""

from __future__ import annotations

import dataclasses
import inspect
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias, cast

from pydantic import BaseModel

from quire.core.errors import DefinitionError, UnknownField
from quire.core.schema import fields_of, hints_of, namesakes, type_name

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
    "agrees",
    "entries_in",
    "field_of",
    "field_type",
    "fits",
    "missing",
    "renewed",
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

    def value(self, results: Results, entry: Any) -> Any:  # noqa: ARG002 - one signature for all sources
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

    def value(self, results: Results, entry: Any) -> Any:  # noqa: ARG002
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
        return field_of(self.of.value(results, entry), self.name)


@dataclass(frozen=True, slots=True)
class Fixed:
    """A constant."""

    constant: Any

    @property
    def type(self) -> Any:
        """The type of the constant."""
        return cast("Any", type(self.constant))

    @property
    def needs(self) -> frozenset[str]:
        """The steps it reads: none."""
        return frozenset()

    def value(self, results: Results, entry: Any) -> Any:  # noqa: ARG002
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
        return frozenset[str]().union(*(source.needs for source in self.sources))

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
        return frozenset[str]().union(*(source.needs for source in self.sources))

    def value(self, results: Results, entry: Any) -> Any:
        """Return what it gives."""
        values = tuple(source.value(results, entry) for source in self.sources)
        return dict(zip(self.names, values, strict=True)) if self.names else values


Source: TypeAlias = Entry | Output | Field | Fixed | FirstOf | Together
"""Somewhere a value comes from."""


def missing(source: Source, results: Results) -> str | None:
    """Return a step that a source waits for in vain; `None` when the source can be read."""
    if isinstance(source, Output):
        return None if source.step in results else source.step
    if isinstance(source, FirstOf):
        lost = [missing(one, results) for one in source.sources]
        return None if None in lost else lost[0]
    if isinstance(source, Field):
        return missing(source.of, results)
    if isinstance(source, Together):
        return next((name for one in source.sources if (name := missing(one, results))), None)
    return None


def renewed(source: Source, kinds: Mapping[str, Any]) -> Source:
    """Return a source with its types as the steps give them now.

    Raises:
        UnknownField: a field that it reads is not there any more.
    """
    match source:
        case Output():
            return Output(source.step, kinds.get(source.step, source.type))
        case Field():
            of = renewed(source.of, kinds)
            return Field(of, source.name, field_type(of.type, source.name, f"`{_written(of)}`"))
        case FirstOf():
            return FirstOf(tuple(renewed(one, kinds) for one in source.sources))
        case Together():
            return dataclasses.replace(source, sources=tuple(renewed(one, kinds) for one in source.sources))
        case _:
            return source


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
        if not isinstance(other, Ref):  # pyright: ignore[reportUnnecessaryIsInstance]
            return NotImplemented
        return Ref(FirstOf((*_ways(self._source), *_ways(other._source))))

    def __bool__(self) -> bool:
        message = f"`{self!r}` is neither true nor false before it has run."
        raise DefinitionError(message, remedy="`a | b` is whichever has run; a condition goes into when=.")

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
    kind = _bare(kind)
    if typing.get_origin(kind) in _UNIONS:
        return union(field_type(part, name, whose) for part in typing.get_args(kind) if part is not type(None))
    known = _known_fields(kind)
    if known is None:
        return Any
    if name in known:
        return known[name]
    made = inspect.getattr_static(kind, name, None)
    if isinstance(made, (property, cached_property)):
        getter = made.fget if isinstance(made, property) else made.func
        return Any if getter is None else hints_of(getter).get("return", Any)
    fields = ", ".join(known) or "none"
    message = f"{whose} gives {type_name(kind)}, which has no field {name!r}."
    raise UnknownField(message, remedy=f"Its fields: {fields}.")


_UNIONS = (typing.Union, types.UnionType)
_WITHOUT_FIELDS = (list, tuple, set, frozenset)


def _known_fields(kind: Any) -> dict[str, Any] | None:
    """Return the fields of a type with their types; `None` for one that may have any."""
    if typing.get_origin(kind) in (*_WITHOUT_FIELDS, typing.Literal):
        return {}
    if not isinstance(kind, type):
        return None
    if issubclass(kind, BaseModel):
        return {name: info.annotation for name, info in kind.model_fields.items()}
    own = cast("Any", kind)
    if dataclasses.is_dataclass(own) or hasattr(own, "__required_keys__"):
        return _hints(own)
    return {} if own.__module__ == "builtins" and own not in (dict, object) else None


def _hints(kind: Any) -> dict[str, Any]:
    try:
        return hints_of(kind)
    except NameError:  # a type that only its author's function knows
        return dict.fromkeys((name for name, _ in fields_of(kind)), Any)


def field_of(value: Any, name: str) -> Any:
    """Return a field of a value, or what a mapping has under that name."""
    return cast("Mapping[str, Any]", value)[name] if isinstance(value, Mapping) else getattr(value, name)


def entries_in(source: Source) -> list[Entry]:
    """Return where a source reads the flow's own input."""
    match source:
        case Entry():
            return [source]
        case Field():
            return entries_in(source.of)
        case FirstOf() | Together():
            return [entry for one in source.sources for entry in entries_in(one)]
        case _:
            return []


def union(kinds: typing.Iterable[Any]) -> Any:
    """Return the type of a value that is one of several."""
    distinct = list(dict.fromkeys(kinds))
    return distinct[0] if len(distinct) == 1 else typing.Union[tuple(distinct)]  # noqa: UP007 - built at run time


def fits(given: Any, wanted: Any) -> bool:
    """Whether a value of one type can be taken as the other: the same, a subclass, or a member of a union."""
    if given == wanted or wanted is Any:
        return given == wanted or given is not Any
    given, wanted = _unannotated(given), _unannotated(wanted)
    if given == wanted:
        return True
    if typing.get_origin(given) in _UNIONS:
        return all(fits(part, wanted) for part in typing.get_args(given))
    if typing.get_origin(wanted) in _UNIONS:
        return any(fits(given, part) for part in typing.get_args(wanted))
    if (given is int and wanted is float) or namesakes(given, wanted):
        return True
    both = isinstance(given, type) and isinstance(wanted, type)
    # bool is an int to Python, but nobody means that when they ask for one.
    return both and wanted.__module__ != "builtins" and issubclass(given, wanted)


def agrees(given: Any, wanted: Any) -> bool:
    """Whether somebody who connects these two by hand may mean it: what fits, and what only inference is wary of."""
    given, wanted = _bare(given), _bare(wanted)
    if Any in (given, wanted) or wanted is object or fits(given, wanted):
        return True
    if typing.get_origin(given) in _UNIONS:
        return all(agrees(part, wanted) for part in typing.get_args(given))
    if typing.get_origin(wanted) in _UNIONS:
        return any(agrees(given, part) for part in typing.get_args(wanted))
    if typing.get_origin(given) is typing.Literal:
        return all(agrees(type(value), wanted) or value in typing.get_args(wanted) for value in typing.get_args(given))
    return _same_shape(given, wanted)


def _same_shape(given: Any, wanted: Any) -> bool:
    """Whether classes, or lists and the like of what agrees, can stand for each other."""
    own, other = typing.get_origin(given) or given, typing.get_origin(wanted) or wanted
    if not (isinstance(own, type) and isinstance(other, type)) or own is bool or not issubclass(own, other):
        return False
    parts: Sequence[Any] = typing.get_args(given)
    others: Sequence[Any] = typing.get_args(wanted)
    if not parts or not others:
        return True
    if own is tuple:
        some = [part for part in parts if part is not ...]
        if ... in others or other is not tuple:  # tuple[int, ...], or Sequence[int]: each part has to be one
            return all(agrees(part, others[0]) for part in some)
        if ... in parts:
            return False
    return len(parts) == len(others) and all(agrees(part, other) for part, other in zip(parts, others, strict=True))


def _unannotated(kind: Any) -> Any:
    return typing.get_args(kind)[0] if typing.get_origin(kind) is typing.Annotated else kind


def _bare(kind: Any) -> Any:
    """Return a type without what is only said about it: annotations, and a new name for an old type."""
    kind = _unannotated(kind)
    return _bare(kind.__supertype__) if isinstance(kind, typing.NewType) else kind
