"""A tool: a typed function a model may ask for, told to it by name, docstring and parameters."""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import Callable
from functools import cached_property, partial
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel, ValidationError, create_model

from quire.core.errors import DefinitionError
from quire.core.ports import ToolForm
from quire.core.schema import adapter, complaint, hints_of, json_schema, type_name
from quire.flow.step import inputs_of
from quire.run.bracket import bracket
from quire.run.context import Context
from quire.run.runnable import Runnable
from quire.run.threads import in_thread

__all__ = ["Offer", "Tool", "as_tool"]

O = TypeVar("O")  # noqa: E741

_BAD_IN_NAME = re.compile(r"[^A-Za-z0-9_-]")


class Tool(Runnable[Any, O]):
    """A function that an agent's model may call.

    Its parameters are typed, or it takes one pydantic model; its docstring tells the model what it is
    for. An `async def` runs on the loop, a plain `def` in a worker thread; `timeout` is in seconds.
    What it raises is told to the model, unless it raises `quire.errors.Stop`. A tool can also be run
    by itself and be a step of a pipeline.

    Raises:
        DefinitionError: an annotation is missing.

    Example:
        >>> @Tool
        ... def add(a: int, b: int) -> int:
        ...     "Add two numbers."
        ...     return a + b
        >>> add.execute_sync({"a": 2, "b": 3})
        5
    """

    kind: ClassVar[str] = "tool"

    def __new__(
        cls,
        function: Callable[..., Any] | None = None,
        *,
        name: str | None = None,
        description: str | None = None,
        timeout: float | None = None,
    ) -> Any:
        """Allow `@Tool` as well as `@Tool(timeout=...)`."""
        if function is None:
            return partial(cls, name=name, description=description, timeout=timeout)
        return super().__new__(cls)

    def __init__(
        self,
        function: Callable[..., Any] | None = None,
        *,
        name: str | None = None,
        description: str | None = None,
        timeout: float | None = None,
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
        self.__doc__ = function.__doc__
        self.__wrapped__ = function
        only = next(iter(inputs.values())) if len(inputs) == 1 else None
        self._takes_model = isinstance(only, type) and issubclass(only, BaseModel)
        self.input = only if self._takes_model else _arguments_model(function, self.name)

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
        return ", ".join(f"{name}: {type_name(field.annotation)}" for name, field in self.input.model_fields.items())

    async def called(self, value: Any, context: Context) -> O:
        """Do what a model asked, within the tool's own time."""
        if self.timeout is None:
            return await self._run(value, context)
        async with asyncio.timeout(self.timeout):
            return await self._run(value, context)

    async def _run(self, input: Any, ctx: Context) -> O:  # noqa: ARG002
        if self._takes_model:
            arguments: dict[str, Any] = {}
            positional = (input,)
        else:
            positional = ()
            arguments = {name: getattr(input, name) for name in self.input.model_fields}
        if self._is_async:
            return await self._function(*positional, **arguments)
        return await in_thread(partial(self._function, *positional, **arguments))


def _arguments_model(function: Callable[..., Any], name: str) -> type[BaseModel]:
    hints = hints_of(function)
    fields: dict[str, Any] = {}
    for parameter in inspect.signature(function).parameters.values():
        default = ... if parameter.default is parameter.empty else parameter.default
        fields[parameter.name] = (hints.get(parameter.name, Any), default)
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
    raise DefinitionError(message, remedy="Give a function with typed parameters, a Tool, or any runnable.")


class Offer:
    """A runnable as it is offered to a model."""

    def __init__(self, runnable: Runnable[Any, Any]) -> None:
        self.runnable = runnable
        self.name = _BAD_IN_NAME.sub("_", runnable.name)[:64]

    @cached_property
    def _is_object(self) -> bool:
        return json_schema(self.runnable.input).get("type") == "object"

    @cached_property
    def form(self) -> ToolForm:
        """What the model is told."""
        schema = json_schema(self.runnable.input)
        if not self._is_object:
            schema = {"type": "object", "properties": {"input": schema}, "required": ["input"]}
        description: str = getattr(self.runnable, "description", "") or f"{self.runnable!s}"
        return ToolForm(name=self.name, description=description, parameters=schema)

    def read(self, text: str) -> Any:
        """Return the arguments a model wrote as the runnable's input; `ValueError` says what is wrong."""
        try:
            if self._is_object:
                return adapter(self.runnable.input).validate_json(text or "{}")
            wrapped = adapter(dict[str, Any]).validate_json(text or "{}")
            return adapter(self.runnable.input).validate_python(wrapped.get("input"))
        except ValidationError as error:
            raise ValueError(complaint(error)) from None

    async def use(self, value: Any, context: Context) -> Any:
        """Do it: a plain tool in the call's own span, anything else as a run below it."""
        if isinstance(self.runnable, Tool):
            return await self.runnable.called(value, context)
        return await bracket(self.runnable, value, context.child(self.runnable.name))
