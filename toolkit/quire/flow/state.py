"""The state that the steps of a run share: typed channels, each with a way in which writes become one.

    class Desk(State):
        facts: Annotated[dict[str, str], merge] = {}
        spent: Annotated[float, add] = 0.0
        plan: str = ""                        # no reducer: the last write wins, two side by side are refused

    desk = process.with_state(Desk)           # or with_state(Desk(plan="first ask")), to begin with that

Inside, `Desk.now()` is the state as of the step's start (and what it wrote itself), `Desk.write(spent=0.3)` writes.
Both are said of the class and not of a parameter: what a step takes and gives stays what orders a pipeline and what a
model is told of a tool, and a plain function that a step or tool calls can read and write just as well.

A step sees what those before it wrote, never what a racing sibling writes. What it writes counts once it has ended
well: so a failed attempt, a loser of a race and a skipped branch have written nothing, and an answer that a cache
gives again writes what it wrote. Writes of steps that ran side by side are merged in the order in which the flow is
written down, items of a fan-out in their own order, the calls that one reply asks for in the order in which it asks:
of those the last one wins where there is no reducer, for a model does not ask again because of a state it cannot see.
Only what is written is recorded, not the whole state. Each step's end is a checkpoint: `run.states` has its place, for
`run.at(place).state`, `run.fork(at=place)` and `run.fork(at=place, edit={"state": {"plan": "another"}})`.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterable, Mapping
from copy import copy, deepcopy
from dataclasses import dataclass
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, ClassVar, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo

from quire.core.errors import DefinitionError, StateError
from quire.core.events import Wrote
from quire.core.schema import adapter, complaint, hints_of, input_fields, plain, read_back, type_name
from quire.run.context import current_context
from quire.run.scope import DECLARED, LAST, Scope, Write

__all__ = ["State", "add", "append", "begun_with", "latest", "merge"]


def append(old: list[Any], new: list[Any]) -> list[Any]:
    """Put what is written after what is there.

    Example:
        >>> append(["hello"], ["world"])
        ['hello', 'world']
    """
    return [*old, *new]


def merge(old: dict[Any, Any], new: dict[Any, Any]) -> dict[Any, Any]:
    """Add the entries that are written; under the same key, the later one stays.

    Example:
        >>> merge({"a": 1, "b": 1}, {"b": 2})
        {'a': 1, 'b': 2}
    """
    return {**old, **new}


def add(old: Any, new: Any) -> Any:
    """Add what is written to what is there.

    Example:
        >>> add(0.25, 0.5)
        0.75
    """
    return old + new


@dataclass(frozen=True, slots=True)
class latest:  # noqa: N801 - it is used like the functions
    """Keep the one whose field `by` is the greatest; of two alike, the one that was there.

    Example:
        >>> from types import SimpleNamespace as Quote
        >>> latest(by="at")(Quote(at=2, usd=10), Quote(at=1, usd=11)).usd
        10
    """

    by: str

    def __call__(self, old: Any, new: Any) -> Any:
        """Return the later of the two."""
        return new if getattr(new, self.by) > getattr(old, self.by) else old


@dataclass(frozen=True, slots=True, kw_only=True)
class _Channel:
    """What is known of one channel."""

    kind: Any
    """The type it holds."""
    written: Any
    """The type that is written to it."""
    reducer: Callable[[Any, Any], Any] | None
    word: str
    """The reducer's name, as the log has it."""
    surely_fits: bool
    """Whether what becomes of two writes is always what the channel holds."""
    flat: bool
    """Whether nothing inside of what it holds can be changed."""

    def copied(self, value: Any) -> Any:
        """Return the same value, of which changes are nobody else's."""
        if not self.flat:
            return deepcopy(value)
        return copy(value) if isinstance(value, list | dict | set) else value  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]


class State(BaseModel):
    """Channels that the steps of a run share; each field is one, and its annotation names its reducer.

    A reducer is a pure function of what the channel held and what is written, such as those of `quire.reducers`
    (`append`, `merge`, `add`, `latest(by="at")`), `max`, or one of your own; the annotation of its second parameter
    says what is written, if that is not what the channel holds. A run has a state with `with_state`; `run.state` is
    the state by now, `run.at(seq).state` at that place in the log, and `run.states` has a row for every write.

    Raises:
        DefinitionError: a reducer is none, a channel's name is taken, or there is a validator; channels are checked by
            their types.

    Example:
        >>> import typing
        >>> from quire import State, Step
        >>> from quire.reducers import add, append
        >>> class Count(State):
        ...     words: typing.Annotated[list[str], append] = []
        ...     letters: typing.Annotated[int, add] = 0
        >>> @Step
        ... def read(text: str) -> list[str]:
        ...     Count.write(words=text.split())
        ...     return text.split()
        >>> @Step
        ... def measure(words: list[str]) -> int:
        ...     Count.write(letters=sum(map(len, words)))
        ...     return len(Count.now().words)
        >>> run = (read >> measure).with_state(Count).start("a gathering of leaves")
        >>> run.wait()
        4
        >>> run.state
        Count(words=['a', 'gathering', 'of', 'leaves'], letters=18)
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    _known: ClassVar[dict[str, _Channel] | None] = None

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Find the reducers; raise `DefinitionError` for what is none."""
        super().__pydantic_init_subclass__(**kwargs)
        cls._refuse_validators()
        DECLARED[cls.__name__] = cls
        cls._known = None
        if cls.__pydantic_complete__:  # else a type is still to be defined that an annotation names
            cls._channels()

    @classmethod
    def _refuse_validators(cls) -> None:
        """Raise `DefinitionError` for checks that a write would pass by: it is a part of a state, never a whole one."""
        written = cls.__pydantic_decorators__
        names = [*written.field_validators, *written.model_validators, *written.validators, *written.root_validators]
        if names:
            message = f"`{names[0]}` of {cls.__name__} would not be asked when a step writes."
            remedy = "Let the channel's type check it: Annotated[str, AfterValidator(check)], or a model of its own."
            raise DefinitionError(message, remedy=remedy)

    @classmethod
    def _channels(cls) -> dict[str, _Channel]:
        """Return the channels by name."""
        if cls._known is not None:
            return cls._known
        cls.model_rebuild()
        taken = [name for name in cls.model_fields if hasattr(State, name)]
        if taken or not cls.model_fields:
            message = f"{cls.__name__} cannot have a channel `{taken[0]}`." if taken else f"{cls.__name__} is empty."
            renamed = f"State has that name for something of its own: {taken[0]}_: ..." if taken else None
            raise DefinitionError(message, remedy=renamed or "Each field is a channel: plan: str = ''")
        cls._known = {name: _channel(cls.__name__, name, info) for name, info in cls.model_fields.items()}
        return cls._known

    @classmethod
    def now(cls) -> Self:
        """Return the state as this step sees it: what was written before it began, and by itself.

        It is a copy: whatever is done to it, only what is written counts.

        Raises:
            StateError: there is no such state here.

        Example:
            >>> from quire import State, Step
            >>> class Greeting(State):
            ...     word: str = "Hello"
            >>> @Step
            ... def greet(name: str) -> str:
            ...     return f"{Greeting.now().word}, {name}!"
            >>> greet.with_state(Greeting(word="Salut")).execute_sync("Ada")
            'Salut, Ada!'
        """
        seen = cls._scope().now()
        return cls.showing(seen.values(cls.__name__, cls.merged))

    @classmethod
    def write(cls, **channels: Any) -> None:
        """Write to channels, by name; it counts when this step has ended well.

        What is written is kept as JSON and read back, here and after a crash alike.

        Raises:
            StateError: there is no such channel or state here, or a value is not what the channel takes.
        """
        scope = cls._scope()
        writes = [cls._written(channel, value) for channel, value in channels.items()]
        if scope.over:
            message = f"This step has ended, so it cannot write to {cls.__name__} any more."
            raise StateError(message, remedy="Write before the step returns.")
        # What a reducer of the user's own refuses is this step's error, and not that of whoever reads it next.
        doubtful = [write for write in writes if not cls._channels()[write.channel].surely_fits]
        if doubtful:
            cls.merged(scope.now().values(cls.__name__, cls.merged), doubtful)
        scope.write(writes)

    @classmethod
    def _scope(cls) -> Scope:
        scope = current_context().state
        if scope is None or not cls.is_among(scope.states):
            message = f"There is no state {cls.__name__} in this run."
            raise StateError(message, remedy=f"Give it to what you start: flow.with_state({cls.__name__}).start(...)")
        return scope

    # What the run asks of it

    @classmethod
    def is_among(cls, states: Mapping[str, type[Any]]) -> bool:
        """Whether it is one of these, or a later definition of one of these.

        Raises:
            StateError: another one has its name.
        """
        there = states.get(cls.__name__)
        if there is None or there is cls:
            return there is cls
        if (there.__module__, there.__qualname__) == (cls.__module__, cls.__qualname__):
            return True
        one, other = (f"{kind.__module__}.{kind.__qualname__}" for kind in (there, cls))
        message = f"This run has the state {one}, and {other} has the same name."
        raise StateError(message, remedy="A run tells its states apart by name: give one of the two another.")

    @classmethod
    def merged(cls, values: Mapping[str, Any], writes: Iterable[Write | Wrote]) -> dict[str, Any]:
        """Return the channels' values after some writes, in that order."""
        values = dict(values)
        for write in writes:
            channel = cls._channels().get(write.channel)
            if channel is None:
                continue  # of another day's class
            whole = write.whole or channel.reducer is None or write.channel not in values
            new = _read(channel.kind if write.whole else channel.written, write, cls.__name__)
            values[write.channel] = new if whole else _reduced(channel, values[write.channel], new, write)
        return values

    @classmethod
    def showing(cls, values: Mapping[str, Any]) -> Self:
        """Return a state with those values, which nobody else has."""
        known = cls._channels()
        own: dict[str, Any] = {name: known[name].copied(value) for name, value in values.items()}
        return cls.model_construct(set(own), **own)

    @classmethod
    def edited(cls, values: Any) -> list[Write]:
        """Return what gives channels these values, whatever they held."""
        if isinstance(values, State):
            values = {name: getattr(values, name) for name in values.model_fields_set}
        if not isinstance(values, Mapping):
            message = f"{values!r} is no state."
            raise StateError(message, remedy=f'Give {cls.__name__}(...), or channels by name: {{"plan": "..."}}')
        given = typing.cast("Mapping[str, Any]", values)
        return [cls._written(channel, value, whole=True) for channel, value in given.items()]

    @classmethod
    def replaces(cls, channel: str) -> bool:
        """Whether what is written to a channel takes the place of what it held."""
        known = cls._channels().get(channel)
        return known is not None and known.reducer is None

    def beginning(self) -> list[Write]:
        """Return what every channel begins with."""
        return [self._written(name, getattr(self, name), whole=True) for name in type(self).model_fields]

    @classmethod
    def _written(cls, name: str, value: Any, *, whole: bool = False) -> Write:
        channel = cls._channels().get(name)
        if channel is None:
            message = f"{cls.__name__} has no channel `{name}`."
            raise StateError(message, remedy=f"Its channels: {', '.join(cls._channels())}.")
        kind = channel.kind if whole else channel.written
        data = plain(value)
        try:
            typed = adapter(kind).validate_python(value)
            data = plain(typed)
            read_back(kind, data)
        except ValidationError as error:
            message = f"`{name}` of {cls.__name__} takes {type_name(kind)}, not {value!r}."
            raise StateError(message, remedy=complaint(error)) from None
        return Write(state=cls.__name__, channel=name, value=data, reducer=channel.word, whole=whole)


def begun_with(state: Any) -> State:
    """Return what a state begins with: an instance as it is, a class with its defaults.

    Raises:
        DefinitionError: it is neither, or a channel without a default is given nothing.
    """
    if isinstance(state, State):
        return state
    if not (isinstance(state, type) and issubclass(state, State)) or state is State:
        message = f"with_state({state!r}) is no state."
        raise DefinitionError(message, remedy="Give a class derived from quire.State, or an instance of one.")
    try:
        state.model_rebuild()
        return state()
    except ValidationError:
        needed = [name for name, (_, required) in input_fields(state).items() if required]
        message = f"{state.__name__} does not say what {', '.join(f'`{name}`' for name in needed)} begins with."
        given = ", ".join(f"{name}=..." for name in needed)
        raise DefinitionError(message, remedy=f"with_state({state.__name__}({given})), or give a default.") from None


def _read(kind: Any, write: Write | Wrote, state: str) -> Any:
    try:
        return read_back(kind, write.value)
    except ValidationError as error:
        message = f"`{write.channel}` of {state} was written as something else than {type_name(kind)} in this log."
        raise StateError(message, remedy=complaint(error)) from None


def _reduced(channel: _Channel, old: Any, new: Any, write: Write | Wrote) -> Any:
    try:
        # A reducer of the user's own may change what it is given, which others look at.
        given = old if _is_ours(channel.reducer) else channel.copied(old)
        merged = channel.reducer(given, new) if channel.reducer is not None else new
    except Exception as error:
        error.add_note(f"in {channel.word} of `{write.channel}` of {write.state}, with {old!r} and {new!r}")
        raise
    if channel.surely_fits:
        return merged
    try:
        return adapter(channel.kind).validate_python(merged)
    except ValidationError as error:
        message = (
            f"{channel.word} of `{write.channel}` gave {merged!r}, and the channel holds {type_name(channel.kind)}."
        )
        raise StateError(message, remedy=complaint(error)) from None


_OURS = (append, merge, add)


def _is_ours(reducer: Any) -> bool:
    return reducer in _OURS or isinstance(reducer, latest)


# What a class says of its channels


def _channel(state: str, name: str, info: FieldInfo) -> _Channel:
    found = [extra for extra in info.metadata if not _is_pydantics(extra)]
    where = f"`{name}` of {state}"
    if len(found) > 1:
        message = f"{where} has {len(found)} reducers: {', '.join(map(_word, found))}."
        raise DefinitionError(message, remedy="One says how two writes become one.")
    holds, limits = info.annotation, tuple(filter(_is_pydantics, info.metadata))
    kind: Any = Annotated[(holds, *limits)] if limits else holds
    if not found:
        return _Channel(kind=kind, written=kind, reducer=None, word=LAST, surely_fits=True, flat=_is_flat(holds))
    reducer = found[0]
    _check_reducer(reducer, holds, where)
    return _Channel(
        kind=kind,
        written=_second(reducer, holds),
        reducer=reducer,
        word=_word(reducer),
        surely_fits=not limits and _is_ours(reducer),
        flat=_is_flat(holds),
    )


_ATOMS = (str, bytes, int, float, complex, type(None), Enum, date, time, timedelta, Decimal, UUID)


def _is_flat(kind: Any) -> bool:
    """Whether values of a type, or what is in them if they are lists or the like, cannot be changed."""
    if typing.get_origin(kind) is typing.Literal:
        return True
    parts = [part for part in typing.get_args(kind) or (kind,) if part is not ...]
    return all(isinstance(part, type) and issubclass(part, _ATOMS) for part in parts)


def _is_pydantics(extra: Any) -> bool:
    return type(extra).__module__.partition(".")[0] in {"annotated_types", "pydantic", "pydantic_core"}


def _word(reducer: Any) -> str:
    if isinstance(reducer, latest):
        return f"latest by {reducer.by}"
    return getattr(reducer, "__name__", repr(reducer))


def _check_reducer(reducer: Any, kind: Any, where: str) -> None:
    if not callable(reducer) or not _takes_two(reducer):
        message = f"The reducer of {where} is {reducer!r}."
        raise DefinitionError(message, remedy="A reducer is a function of two things: (old, new) -> merged.")
    holds = typing.get_origin(kind) or kind
    wanted = {append: list, merge: dict}.get(reducer) if inspect.isfunction(reducer) else None
    if wanted is not None and holds is not wanted:
        message = f"{where} holds {type_name(kind)}, and {_word(reducer)} needs a {wanted.__name__}."
        raise DefinitionError(message, remedy=f"Write it as Annotated[{wanted.__name__}[...], {_word(reducer)}].")
    if isinstance(reducer, latest) and reducer.by not in (fields := input_fields(kind)):
        message = f"{where} holds {type_name(kind)}, which has no field {reducer.by!r}."
        raise DefinitionError(message, remedy=f"Its fields: {', '.join(fields) or 'none'}.")


def _takes_two(reducer: Callable[..., Any]) -> bool:
    try:
        inspect.signature(reducer).bind(None, None)
    except TypeError:
        return False
    except ValueError:  # a builtin such as max does not say
        return True
    return True


def _second(reducer: Any, kind: Any) -> Any:
    """Return what is written: what the reducer's second parameter says, else what the channel holds."""
    if not inspect.isfunction(reducer) or reducer in _OURS:
        return kind
    second = list(inspect.signature(reducer).parameters)[1]
    said = hints_of(reducer).get(second, kind)
    return kind if isinstance(said, typing.TypeVar) or said is Any else said
