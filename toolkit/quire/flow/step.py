"""A step: a typed Python function as something that can be run, drawn and recorded."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import cached_property, partial
from types import CoroutineType
from typing import Any, TypeVar, cast

from quire.core.errors import DefinitionError
from quire.core.schema import hints_of
from quire.flow.compose import Composable
from quire.run.context import Context
from quire.run.definitions import define, function_key
from quire.run.naming import given_name
from quire.run.threads import in_thread
from quire.views.shapes import Facts

__all__ = ["Step", "inputs_of"]

O = TypeVar("O")  # noqa: E741


def inputs_of(function: Callable[..., Any], what: str) -> tuple[dict[str, Any], Any]:
    """Return a function's inputs by name and its return type; a parameter with a default is no input.

    Raises:
        DefinitionError: an annotation is missing or names nothing, it takes arguments without names, or it yields.
    """
    name = getattr(function, "__name__", repr(function))
    if inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function):
        message = f"{what} `{name}` yields; a {what.lower()} returns one value."
        raise DefinitionError(message, where=_place(function), remedy="Collect the values in a list and return it.")
    hints = _hints(function, what, name)
    inputs: dict[str, Any] = {}
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            message = f"{what} `{name}` takes {parameter} without a name, so nobody can tell what goes in."
            raise DefinitionError(
                message, where=_place(function), remedy="Name and annotate each input; no *, ** or /."
            )
        if parameter.name not in hints and parameter.default is parameter.empty:
            message = f"{what} `{name}` does not say what `{parameter.name}` is."
            remedy = f"Annotate it: def {name}({parameter.name}: SomeType, ...) -> Result"
            raise DefinitionError(message, where=_place(function), remedy=remedy)
        if parameter.default is parameter.empty:
            inputs[parameter.name] = hints[parameter.name]
    if "return" not in hints:
        message = f"{what} `{name}` does not say what it returns."
        raise DefinitionError(message, where=_place(function), remedy=f"Annotate it: def {name}(...) -> Result")
    return inputs, hints["return"]


def _hints(function: Callable[..., Any], what: str, name: str) -> dict[str, Any]:
    try:
        return hints_of(function)
    except NameError as error:
        message = f"{what} `{name}` is annotated with a type that cannot be found: {error}."
        raise DefinitionError(message, where=_place(function), remedy="Import or define the type first.") from None
    except TypeError:
        message = f"{what} `{name}` is no function, so it has no annotations."
        raise DefinitionError(message, remedy=f"Write a def around it, and @{what} above that.") from None


def _place(function: Callable[..., Any]) -> str:
    code = getattr(function, "__code__", None)
    return f"{code.co_filename}, line {code.co_firstlineno}" if code else repr(function)


class Step(Composable[Any, O]):
    """Deterministic work: a function with annotated inputs and an annotated return type.

    An `async def` runs on the loop, a plain `def` in a worker thread. With several inputs, each comes
    from its own source in a pipeline, and `execute` takes a tuple. Calling the step calls the function.

    Raises:
        DefinitionError: an annotation is missing.

    Example:
        >>> @Step
        ... def shout(text: str) -> str:
        ...     return text.upper()
        >>> shout.execute_sync("hello")
        'HELLO'
    """

    kind = "step"

    def __new__(cls, function: Callable[..., Any] | None = None, *, name: str | None = None) -> Any:
        """Allow `@Step` as well as `@Step(name=...)`."""
        return partial(cls, name=name) if function is None else super().__new__(cls)

    def __init__(self, function: Callable[..., Any] | None = None, *, name: str | None = None) -> None:
        if not callable(function):
            message = f"Step needs a function, not {function!r}."
            raise DefinitionError(message, remedy="Put @Step on the line above a def.")
        inputs, self._output = inputs_of(function, "Step")
        kinds = tuple(inputs.values())
        self._inputs = tuple(inputs)
        self._input: Any = kinds[0] if len(kinds) == 1 else tuple[kinds] if kinds else None
        self._kinds = kinds
        self._function = function
        self._is_async = inspect.iscoroutinefunction(function)
        self.name = given_name(name) or getattr(function, "__name__", "step")
        self.description = inspect.getdoc(function) or ""
        self.__doc__ = function.__doc__
        self.__wrapped__ = function
        define(self, function_key(function, self.name))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function itself, outside of any run."""
        return self._function(*args, **kwargs)

    # A function's types do not change, so nobody can set them, and what is said of them is said once.

    @property
    def input(self) -> Any:
        """The type it takes: a tuple of several."""
        return self._input

    @property
    def output(self) -> Any:
        """The type it gives."""
        return self._output

    @property
    def input_name(self) -> str:
        """The input type as a reader writes it."""
        return self._names[0]

    @property
    def output_name(self) -> str:
        """The output type as a reader writes it."""
        return self._names[1]

    @cached_property
    def _names(self) -> tuple[str, str]:
        return super().input_name, super().output_name

    def takes(self) -> tuple[Any, ...]:
        """Return the types of its inputs."""
        return self._kinds

    def fields(self) -> dict[str, tuple[Any, bool]]:
        """Return its inputs by name; for a single one that has fields of its own, those."""
        own = {name: (kind, True) for name, kind in zip(self._inputs, self._kinds, strict=True)}
        return (super().fields() or own) if len(own) == 1 else own

    def accept(self, value: Any) -> Any:
        """Return the value as its input: of several, a tuple or a mapping by name."""
        if type(value) is self._input and not self._takes_mapping:
            return value  # it was checked when it was made
        if len(self._kinds) > 1 and type(value) is tuple and tuple(map(type, cast("Any", value))) == self._kinds:
            return cast("Any", value)  # so was each part; pydantic need not learn this tuple
        if isinstance(value, Mapping):
            named = cast("Mapping[str, Any]", value)
            if set(named) == set(self._inputs) and (len(named) > 1 or not super().fields()):
                parts = tuple(named[name] for name in self._inputs)
                return super().accept(parts[0] if len(parts) == 1 else parts)
        return super().accept(value)

    @cached_property
    def _takes_mapping(self) -> bool:
        return isinstance(self._input, type) and issubclass(self._input, Mapping)

    def facts(self) -> Facts:
        """Return what an inspector says about it."""
        return self._facts

    @cached_property
    def _facts(self) -> Facts:
        return super().facts()

    @property
    def note(self) -> str:
        """The second line of its node."""
        return "python"

    def _run(self, input: Any, ctx: Context) -> CoroutineType[Any, Any, O]:  # noqa: ARG002
        # Not a coroutine around a coroutine: a fan-out has thousands of them.
        names = self._inputs
        given = {names[0]: input} if len(names) == 1 else dict(zip(names, input or (), strict=True))
        return self._function(**given) if self._is_async else in_thread(partial(self._function, **given))
