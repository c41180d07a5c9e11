"""A tool: a typed function a model may ask for, told to it by name, docstring and parameters."""

from __future__ import annotations

import asyncio
import inspect
import re
import warnings
from collections.abc import Callable, Mapping
from functools import cached_property, partial
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError, create_model
from pydantic_core import to_json

from quire.agents.parse import is_object, wrapped
from quire.core.errors import DeadlineExceeded, DefinitionError
from quire.core.ports import ToolForm
from quire.core.schema import adapter, complaint, hints_of, json_schema, type_name
from quire.flow.compose import Composable
from quire.flow.step import inputs_of
from quire.run.bracket import bracket
from quire.run.context import Context
from quire.run.definitions import define, function_key, latest
from quire.run.runnable import Runnable
from quire.run.threads import in_thread

__all__ = ["Offer", "Tool", "as_tool", "offered_name"]

O = TypeVar("O")  # noqa: E741

_BAD_IN_NAME = re.compile(r"[^A-Za-z0-9_-]")


class Tool(Composable[Any, O]):
    """A function that an agent's model may call.

    Its parameters are typed, or it takes one pydantic model; its docstring tells the model what it is
    for. An `async def` runs on the loop, a plain `def` in a worker thread; `timeout` is in seconds.
    What it raises is told to the model, unless it raises `quire.errors.Stop`. A tool can also be run
    by itself and be a step of a pipeline.

    Where only data says what a tool takes, `parameters` is the JSON schema that the model is told; the
    function then has one parameter and gets the arguments as a dict, which nobody has checked against it.

    Raises:
        DefinitionError: an annotation is missing, or an argument makes no sense.

    Example:
        >>> @Tool
        ... def add(a: int, b: int) -> int:
        ...     "Add two numbers."
        ...     return a + b
        >>> add.execute_sync({"a": 2, "b": 3})
        5
    """

    kind = "tool"

    def __new__(
        cls,
        function: Callable[..., Any] | None = None,
        *,
        name: str | None = None,
        description: str | None = None,
        timeout: float | None = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> Any:
        """Allow `@Tool` as well as `@Tool(timeout=...)`."""
        if function is None:
            return partial(cls, name=name, description=description, timeout=timeout, parameters=parameters)
        return super().__new__(cls)

    def __init__(
        self,
        function: Callable[..., Any] | None = None,
        *,
        name: str | None = None,
        description: str | None = None,
        timeout: float | None = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> None:
        if not callable(function):
            message = f"Tool needs a function, not {function!r}."
            raise DefinitionError(message, remedy="Put @Tool on the line above a def.")
        if timeout is not None and not timeout > 0:
            message = f"Tool(timeout={timeout!r}) leaves no time."
            raise DefinitionError(message, remedy="Give seconds above 0, or leave it out.")
        inputs, self.output = inputs_of(function, "Tool")
        self._function = function
        self._is_async = inspect.iscoroutinefunction(function)
        self.name = name or getattr(function, "__name__", "tool")
        self.description = description or inspect.getdoc(function) or ""
        self.timeout = timeout
        self.parameters = None if parameters is None else dict(parameters)
        self.__doc__ = function.__doc__
        self.__wrapped__ = function
        define(self, function_key(function, self.name))
        self._only, self.input = _input(function, inputs, self.name, self.parameters)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function itself, outside of any run."""
        return self._function(*args, **kwargs)

    @property
    def note(self) -> str:
        """The second line of its node."""
        return "python"

    @property
    def takes_text(self) -> str:
        """Its parameters as a reader sees them: `order_id: int`."""
        if self.parameters is not None:
            return ", ".join(self.fields())
        return ", ".join(f"{name}: {type_name(field.annotation)}" for name, field in self.input.model_fields.items())

    def fields(self) -> dict[str, tuple[Any, bool]]:
        """Return what its input can be put together from: per name the type, and whether it is needed."""
        if self.parameters is None:
            return super().fields()
        properties: dict[str, Any] = self.parameters.get("properties") or {}
        needed = self.parameters.get("required") or ()
        return {name: (Any, name in needed) for name in properties}

    async def called(self, value: Any) -> O:
        """Do it, within the tool's own time."""
        timer = asyncio.timeout(self.timeout)
        try:
            async with timer:
                return await self._call(value)
        except TimeoutError:
            if not timer.expired():
                raise
            message = f"`{self.name}` was not finished after {self.timeout:g} s."
            raise DeadlineExceeded(message, remedy="Give it more with timeout=, in seconds.") from None

    async def _run(self, input: Any, ctx: Context) -> O:  # noqa: ARG002
        return await self.called(input)

    async def _call(self, value: Any) -> O:
        given = {self._only: value} if self._only else {name: getattr(value, name) for name in self.input.model_fields}
        call = partial(self._function, **given)
        return await call() if self._is_async else await in_thread(call)


def _input(
    function: Callable[..., Any], inputs: dict[str, Any], name: str, parameters: dict[str, Any] | None
) -> tuple[str | None, Any]:
    """Return which of a function's parameters gets the whole input, if one does, and the type of the input."""
    if parameters is None:
        only = _only_model(inputs)
        return only, inputs[only] if only else _arguments_model(function, name)
    if len(inputs) != 1:
        message = f"Tool `{name}` takes {', '.join(inputs) or 'nothing'}, and has parameters= of its own."
        raise DefinitionError(message, remedy="Let it take them as one dict: def call(arguments: dict[str, Any]).")
    return next(iter(inputs)), dict[str, Any]


def _only_model(inputs: dict[str, Any]) -> str | None:
    """Return the name of the one input that is a pydantic model; `None` if the inputs are anything else."""
    if len(inputs) != 1:
        return None
    name, kind = next(iter(inputs.items()))
    return name if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _arguments_model(function: Callable[..., Any], name: str) -> type[BaseModel]:
    hints = hints_of(function)
    fields: dict[str, Any] = {}
    for parameter in inspect.signature(function).parameters.values():
        default = ... if parameter.default is parameter.empty else parameter.default
        fields[parameter.name] = (hints.get(parameter.name, Any), default)
    hidden = [field for field in fields if field.startswith("_")]
    if hidden:
        message = f"Tool `{name}` has a parameter `{hidden[0]}`, which a model cannot be shown."
        raise DefinitionError(message, remedy=f"Call it `{hidden[0].strip('_') or 'value'}`.")
    with warnings.catch_warnings():
        # pydantic warns of a field called `json` or `copy`; nobody calls those methods of this model.
        warnings.simplefilter("ignore", UserWarning)
        return create_model(f"{name}_arguments", __config__={"arbitrary_types_allowed": True}, **fields)


def as_tool(thing: Any) -> Runnable[Any, Any]:
    """Return something an agent was given as a tool: a runnable as it is, a function as a `Tool`.

    Raises:
        DefinitionError: it is neither.
    """
    if isinstance(thing, Runnable):
        return thing  # pyright: ignore[reportUnknownVariableType]
    if callable(thing):
        return Tool(thing)
    message = f"{thing!r} is not a tool."
    if hasattr(thing, "tools"):
        raise DefinitionError(message, remedy="It has tools: await its tools() and give those.")
    raise DefinitionError(message, remedy="Give a function with typed parameters, a Tool, or any runnable.")


def offered_name(name: str) -> str:
    """Return a name as every provider takes it: at most 64 letters, digits, `_` and `-`.

    Example:
        >>> offered_name("look up (fast)")
        'look_up__fast_'
    """
    return _BAD_IN_NAME.sub("_", name)[:64]


class Offer:
    """A runnable as it is offered to a model."""

    def __init__(self, runnable: Runnable[Any, Any]) -> None:
        self.runnable = runnable
        self.name = offered_name(runnable.name)

    @cached_property
    def _is_object(self) -> bool:
        return is_object(json_schema(self.runnable.input))

    @cached_property
    def form(self) -> ToolForm:
        """What the model is told."""
        schema = self.runnable.parameters if isinstance(self.runnable, Tool) else None
        if schema is None:
            schema = json_schema(self.runnable.input)
            schema = schema if self._is_object else wrapped("input", schema)
        description: str = getattr(self.runnable, "description", "") or f"{self.runnable!s}"
        return ToolForm(name=self.name, description=description, parameters=schema)

    def read(self, text: str) -> Any:
        """Return the arguments a model wrote as the runnable's input; `ValueError` says what is wrong."""
        try:
            if self._is_object:
                return adapter(self.runnable.input).validate_json(text or "{}")
            given = adapter(dict[str, Any]).validate_json(text or "{}")
            return adapter(self.runnable.input).validate_json(to_json(given.get("input")))
        except ValidationError as error:
            raise ValueError(complaint(error)) from None

    async def use(self, value: Any, context: Context) -> Any:
        """Do it: a plain tool in the call's own span, anything else as a run below it."""
        runnable = latest(self.runnable)
        if isinstance(runnable, Tool):
            return await runnable.called(value)
        return await bracket(self.runnable, value, context.child(self.runnable.name))
