"""A tool: a typed function a model may ask for, told to it by name, docstring and parameters."""

from __future__ import annotations

import asyncio
import inspect
import re
import warnings
from collections.abc import Awaitable, Callable, Mapping
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
from quire.run.again import Once, doubt
from quire.run.bracket import bracket
from quire.run.context import Context
from quire.run.definitions import define, function_key, latest
from quire.run.naming import given_name
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

    A run that breaks off while the tool works cannot tell whether it has done it. `verify`, a function of the
    same arguments, returns the tool's result if its effect is there, else `None`. `idempotency_key`, a function
    of the arguments too, returns a text that tells the effect apart from every other: then the tool may be used
    again, and finds the text in `current_context().key` to hand on. With neither, resuming the run raises
    `UnresolvedEffect`.

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
        idempotency_key: Callable[..., str] | None = None,
        verify: Callable[..., Any] | None = None,
    ) -> Any:
        """Allow `@Tool` as well as `@Tool(timeout=...)`."""
        if function is None:
            return partial(
                cls,
                name=name,
                description=description,
                timeout=timeout,
                parameters=parameters,
                idempotency_key=idempotency_key,
                verify=verify,
            )
        return super().__new__(cls)

    def __init__(
        self,
        function: Callable[..., Any] | None = None,
        *,
        name: str | None = None,
        description: str | None = None,
        timeout: float | None = None,
        parameters: Mapping[str, Any] | None = None,
        idempotency_key: Callable[..., str] | None = None,
        verify: Callable[..., Any] | None = None,
    ) -> None:
        if not callable(function):
            message = f"Tool needs a function, not {function!r}."
            raise DefinitionError(message, remedy="Put @Tool on the line above a def.")
        number = isinstance(timeout, (int, float)) and not isinstance(timeout, bool)
        if timeout is not None and not (number and timeout > 0):
            message = f"Tool(timeout={timeout!r}) leaves no time."
            raise DefinitionError(message, remedy="Give seconds above 0, or leave it out.")
        inputs, self.output = inputs_of(function, "Tool")
        self._function = function
        self._is_async = inspect.iscoroutinefunction(function)
        self.name = given_name(name) or getattr(function, "__name__", "tool")
        self.description = description or inspect.getdoc(function) or ""
        self.timeout = timeout
        self.parameters = None if parameters is None else dict(parameters)
        self.__doc__ = function.__doc__
        self.__wrapped__ = function
        self._only, self.input = _input(function, inputs, self.name, self.parameters)
        self.once = Once(
            key=self._of_arguments(idempotency_key, "idempotency_key"),
            verify=self._checking(self._of_arguments(verify, "verify")),
            gives=self.output,
        )
        # Last: it is compared with the one it takes the place of.
        define(self, function_key(function, self.name))

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

    async def _run(self, input: Any, ctx: Context) -> O:
        ctx.key = self.once.key(input) if self.once.key else None
        if ctx.log.recall is not None and ctx.log.recall.unsettled(ctx.span):
            done, result = await doubt(self.once, self.name, input, ctx)
            if done:
                return result
        # That it is about to work is kept before it does, so that a crash in between can be told.
        await ctx.log.flush()
        return await self.called(input)

    async def _call(self, value: Any) -> O:
        call = partial(self._function, **self._given(value))
        return await call() if self._is_async else await in_thread(call)

    def _given(self, value: Any) -> dict[str, Any]:
        """Return an input as arguments by name."""
        return {self._only: value} if self._only else {name: getattr(value, name) for name in self.input.model_fields}

    def _of_arguments(self, function: Callable[..., Any] | None, which: str) -> Callable[[Any], Any] | None:
        """Return a user's function of the tool's arguments as one of its input."""
        if function is None:
            return None
        own = [self._only] if self._only else list(self.input.model_fields)
        if not callable(function):
            message = f"Tool({which}={function!r}) is no function."
            raise DefinitionError(message, remedy=f"Give a function of {', '.join(own) or 'nothing'}.")
        names = list(inspect.signature(function).parameters)
        if set(names) <= set(own):
            return lambda value: function(**{name: self._given(value)[name] for name in names})
        if len(names) == 1:  # called something else: the only argument there is, or all of them
            return lambda value: function(next(iter(self._given(value).values())) if len(own) == 1 else value)
        taken, given = ", ".join(names), ", ".join(own) or "nothing"
        message = f"{which}= of `{self.name}` takes {taken}, and the tool takes {given}."
        raise DefinitionError(message, remedy="Name its parameters as the tool's are.")

    def _checking(self, verify: Callable[[Any], Any] | None) -> Callable[[Any], Awaitable[Any]] | None:
        if verify is None:
            return None

        async def check(value: Any) -> Any:
            found = await in_thread(partial(verify, value))
            return await found if inspect.isawaitable(found) else found

        return check


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

    def promise(self, text: str) -> tuple[Once | None, Any]:
        """Return what a plain tool says of its effect, and its input; anything else knows itself what it has done."""
        runnable = latest(self.runnable)
        try:
            return (runnable.once, self.read(text)) if isinstance(runnable, Tool) else (None, None)
        except ValueError:  # it will not get as far as an effect
            return None, None

    async def use(self, value: Any, context: Context) -> Any:
        """Do it: a plain tool in the call's own span, anything else as a run below it."""
        runnable = latest(self.runnable)
        if isinstance(runnable, Tool):
            return await runnable.called(value)
        return await bracket(self.runnable, value, context.child(self.runnable.name))
