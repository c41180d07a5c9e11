"""An agent: a model with instructions, typed input and output, and tools."""

from __future__ import annotations

import asyncio
import typing
from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast

from pydantic_core import from_json

from quire.agents import turn as turns
from quire.agents.asking import Minutes, ask, speaker
from quire.agents.chat import Chat
from quire.agents.llm import LLM
from quire.agents.memory import Memory
from quire.agents.tool import Offer, Tool, as_tool
from quire.core.contents import Contents, contents, headed, says_files, spoken
from quire.core.errors import DefinitionError
from quire.core.messages import Message, Text, ToolCall, ToolResult
from quire.core.ports import Model
from quire.core.schema import checked, fields_of, type_name
from quire.flow.compose import Composable
from quire.flow.forecast import UNKNOWN, Estimate, History, Range, from_history, from_prompt
from quire.run import bridge
from quire.run.calls import use_tool
from quire.run.context import Context
from quire.run.definitions import define, place_key
from quire.run.naming import calling_place, given_name
from quire.run.retry import Retry
from quire.run.runnable import Runnable, parts_of
from quire.run.scope import at_once
from quire.views.shapes import AgentHead, AgentSnapshot, AgentTool, Facts, Graph

__all__ = ["Agent"]


class Agent(Composable[Any, Any]):
    """A model that follows instructions, may use tools, and answers with a value of the type asked for.

    `str` input is the user's message as it is. A `File`, or a list of words and files, is shown in its
    order; anything else is written as JSON, and files inside follow it. The output is validated: a reply
    that does not fit goes back to the model with what is wrong, `output_attempts` tries in all. `retry`
    asks again when the server could not answer. Tools that are asked for together run together; what they
    raise is told to the model, and files they give are shown to it. `llm` may be changed on a living
    agent. With a `memory`, each turn begins with the conversation so far: that of the session the run was
    started in, or else the agent's own. Without a `name` it has the name of its variable.

    Raises:
        DefinitionError: an argument makes no sense.

    Example:
        >>> from quire import LLM, Agent
        >>> agent = Agent(LLM("offline"), "Answer in one sentence.")
        >>> isinstance(agent.execute_sync("Why is the sky blue?"), str)
        True
    """

    kind = "agent"

    def __init__(
        self,
        llm: LLM | Model,
        instructions: str,
        *,
        name: str | None = None,
        input: Any = str,
        output: Any = str,
        tools: Sequence[Runnable[Any, Any] | Callable[..., Any]] = (),
        memory: Memory | None = None,
        retry: Retry | int | None = None,
        output_attempts: int = 2,
        max_tool_rounds: int = 16,
    ) -> None:
        self._name, self._place = given_name(name), calling_place(1)
        self.llm = llm
        self.instructions = _checked_instructions(instructions)
        self.input = _checked_type("input", input)
        self.output = _checked_type("output", output)
        self.tools = _checked_tools(tools)
        self.memory = _checked_memory(memory)
        self.retry = _checked_retry(retry)
        self.output_attempts = _at_least("output_attempts", output_attempts, 1)
        self.max_tool_rounds = _at_least("max_tool_rounds", max_tool_rounds, 0)
        self._offers = _offers(self.tools)
        if bridge.in_kernel():
            define(self, place_key(self._place, self.name))

    @property
    def llm(self) -> LLM | Model:
        """The model it asks; a new one serves from the next question on and is told the whole conversation."""
        return self._llm

    @llm.setter
    def llm(self, llm: LLM | Model) -> None:
        if not hasattr(llm, "ask") and not isinstance(llm, LLM):
            message = f"Agent(llm={llm!r}) has no model to ask."
            raise DefinitionError(message, remedy='Agent(LLM("gpt-4o-mini"), ...), or LLM("offline") without any key.')
        self._llm = llm

    @property
    def description(self) -> str:
        """What another model is told when this agent is its tool."""
        return self.instructions

    @property
    def note(self) -> str:
        """The second line of its node: the model."""
        return self.llm.model

    def accept(self, value: Any) -> Any:
        """Return the value as its input; one that takes text also takes files, words with files, and models."""
        if self.input is str and (fields_of(type(value)) or spoken(value, words_alone=True)):
            return value
        return checked(self.input, value)

    def takes_anything(self, kind: Any) -> bool:
        """Whether it takes text, and can be shown a value of that type instead."""
        return self.input is str and (bool(fields_of(kind)) or says_files(kind))

    async def _run(self, input: Any, ctx: Context) -> Any:
        if self.memory is None:
            _, value = await self._take_turn(input, (), ctx)
            return value
        async with self.memory.turn(self.name, ctx) as sitting:
            turn, value = await self._take_turn(input, sitting.messages, ctx)
            await sitting.keep(turns.exchange(turn))
            return value

    async def _take_turn(self, input: Any, before: Sequence[Message], ctx: Context) -> tuple[turns.Turn, Any]:
        """Return the turn when it is over, and its value."""
        turn, want = turns.begin(self._rules(), self.instructions, self._shown(input), before)
        minutes = Minutes(ctx, turn)
        while True:
            match want:
                case turns.Ask():
                    # Another model may have taken its place since the last answer.
                    answer = await ask(self.llm, turn, self.retry, minutes, ctx)
                    turn, want = turns.heard(turn, answer)
                case turns.Use():
                    turn, want = turns.used(turn, await self._use(want.calls, ctx))
                case turns.Done():
                    return turn, want.value
                case turns.Broken():
                    raise want.error

    def _rules(self) -> turns.Rules:
        return turns.Rules(
            agent=self.name,
            output=self.output,
            tools=tuple(offer.form for offer in self._offers.values()),
            output_attempts=self.output_attempts,
            max_tool_rounds=self.max_tool_rounds,
        )

    def _shown(self, value: Any) -> Contents:
        """Return the user's message that an input is."""
        in_order = spoken(value, words_alone=self.input is str or says_files(self.input))
        if in_order is not None:
            return in_order
        kinds = parts_of(self.input)
        if len(kinds) == 1:
            return contents(value)
        return headed((type_name(kind), part) for kind, part in zip(kinds, value, strict=True))

    async def _use(self, calls: tuple[ToolCall, ...], ctx: Context) -> list[ToolResult]:
        if len(calls) == 1:
            return [await self._use_one(calls[0], ctx)]
        tasks = [ctx.loop.create_task(self._use_one(call, ctx)) for call in calls]
        try:
            with at_once(ctx.state):
                return list(await asyncio.gather(*tasks))
        except BaseException as error:
            # A cancellation has reached them already, with its own reason.
            if not isinstance(error, asyncio.CancelledError):
                for task in tasks:
                    task.cancel("another tool ended the run")
            await asyncio.wait(tasks)
            raise

    async def _use_one(self, call: ToolCall, ctx: Context) -> ToolResult:
        offer = self._offers.get(call.tool)
        once, given = offer.promise(call.arguments) if offer else (None, None)

        async def work(place: Context) -> Any:
            if offer is None:
                known = ", ".join(self._offers) or "none"
                message = f"There is no tool {call.tool!r}. The tools are: {known}."
                raise ValueError(message)
            return await offer.use(given if once else offer.read(call.arguments), place)

        kind = offer.runnable.kind if offer else ""
        return await use_tool(call, _arguments(call), work, ctx, kind=kind, once=once, given=given)

    def forecast(self, node: str, value: Any, history: History) -> list[Estimate]:
        """Return what its model is expected to consume."""
        known = from_history(node, self.kind, history)
        if known is not None and known.calls.high:
            return [known]
        who = speaker(self.llm)
        given = UNKNOWN if value is UNKNOWN else _words(self._shown(value))
        forms = "".join(str(offer.form.parameters) + offer.form.description for offer in self._offers.values())
        calls = Range(1, 2, 1 + self.max_tool_rounds) if self._offers else Range(1, 1, self.output_attempts)
        if self.output is str and not self._offers:
            calls = Range(1, 1, 1)
        prompt = f"{self.instructions}{forms}"
        most = who.settings.get("max_tokens")
        return [from_prompt(node, prompt, given, calls=calls, max_tokens=most, price=who.cost)]

    def chat(self, session: str | None = None) -> Chat:
        """Return a conversation to hold by hand: on the last line of a cell, a box to write in.

        It goes on with that session, or with the agent's own. Without a `memory` the agent remembers in this chat,
        and nowhere else.

        Raises:
            DefinitionError: it does not take text, or nothing can be kept by the name of the session.

        Example:
            >>> import asyncio
            >>> from quire import LLM, Agent
            >>> chat = Agent(LLM("offline"), "Answer briefly.").chat()
            >>> isinstance(asyncio.run(chat.send("Hello")), str)
            True
        """
        if self.input is not str:
            message = f"`{self.name}` takes {self.input_name}, and in a chat people write text."
            raise DefinitionError(message, remedy=f"Give it an input of str, or run it: {self.name}.start(...)")
        return Chat(self, session)

    # How it looks

    def graph(self) -> Graph:
        """Return itself and its tools as a drawing."""
        graph = super().graph()
        for offer in self._offers.values():
            node = offer.runnable.as_node()
            node["id"] = offer.name
            graph["nodes"].append(node)
            graph["edges"].append({"source": self.name, "target": offer.name, "label": ""})
        return graph

    def facts(self) -> Facts:
        """Return what an inspector says about it."""
        facts: Facts = {"model": self.llm.model, "instructions": self.instructions, **super().facts()}
        others = _stand_ins(self.llm)
        if others:
            facts["limits"] = others
        if self._offers:
            facts["tools"] = list(self._offers)
        return facts

    def card(self) -> AgentSnapshot:
        """Return what its card shows before it has run."""
        head = AgentHead(
            name=self.name,
            model=self.llm.model,
            input=self.input_name,
            output=self.output_name,
            simulated=_is_simulated(self.llm),
            runs=None,
            median_s=None,
            cost_per_run=None,
            failed=None,
        )
        return AgentSnapshot(
            kind="agent",
            head=head,
            instructions=self.instructions,
            tools=[_row(offer) for offer in self._offers.values()],
            output=[{"name": name, "type": kind} for name, kind in fields_of(self.output)]
            or [{"name": "reply", "type": self.output_name}],
            limits=self._limits(),
            reach=[],
        )

    def _limits(self) -> list[tuple[str, str]]:
        others = _stand_ins(self.llm)
        return [
            ("rounds", f"{self.max_tool_rounds} of tools"),
            ("tries", f"{self.output_attempts} for a valid reply"),
            *([("memory", self.memory.reach)] if self.memory is not None else ()),
            *([("overload", others)] if others else ()),
            *([("cache", "the same request is asked once")] if isinstance(self.llm, LLM) and self.llm.cache else ()),
        ]


def _stand_ins(llm: LLM | Model) -> str | None:
    others = llm.stand_ins if isinstance(llm, LLM) else ()
    return f"else {', '.join(others)}" if others else None


def _words(shown: Contents) -> str:
    return "".join(part.text for part in shown if isinstance(part, Text))


def _is_simulated(llm: LLM | Model) -> bool:
    return llm.model == "offline" if isinstance(llm, LLM) else llm.simulated


def _row(offer: Offer) -> AgentTool:
    runnable = offer.runnable
    return AgentTool(
        name=offer.name,
        takes=runnable.takes_text if isinstance(runnable, Tool) else runnable.input_name,
        gives=runnable.output_name,
        approval=False,
        timeout_s=runnable.timeout if isinstance(runnable, Tool) else None,
    )


def _arguments(call: ToolCall) -> Any:
    """Return the arguments as the log keeps them: as data if they are JSON, as text if they are not."""
    try:
        return from_json(call.arguments or "{}")
    except ValueError:
        return call.arguments


def _offers(tools: Sequence[Runnable[Any, Any]]) -> dict[str, Offer]:
    offers: dict[str, Offer] = {}
    for tool in tools:
        offer = Offer(tool)
        if offer.name in offers:
            message = f"Two tools are called `{offer.name}`."
            raise DefinitionError(message, remedy='Name one of them otherwise: @Tool(name="..."), MCP(prefix="...")')
        offers[offer.name] = offer
    return offers


def _checked_instructions(instructions: Any) -> str:
    if not isinstance(instructions, str):
        message = f"Agent(instructions={instructions!r}) are no words."
        raise DefinitionError(message, remedy='Agent(llm, "What it should do, in plain words.")')
    return instructions


def _checked_tools(tools: Any) -> tuple[Runnable[Any, Any], ...]:
    if not isinstance(tools, Iterable) or isinstance(tools, str):
        message = f"Agent(tools={tools!r}) is no list."
        raise DefinitionError(message, remedy="Give a list of functions, tools or other runnables: tools=[search]")
    return tuple(as_tool(tool) for tool in cast("Iterable[Any]", tools))


def _checked_memory(memory: Any) -> Memory | None:
    if memory is None or isinstance(memory, Memory):
        return memory
    message = f"Agent(memory={memory!r}) is no memory."
    raise DefinitionError(message, remedy="memory=Memory()")


def _checked_type(which: str, kind: Any) -> Any:
    if isinstance(kind, type) or typing.get_origin(kind) is not None or kind is Any:
        return kind
    message = f"Agent({which}={kind!r}) is a value, not a type."
    raise DefinitionError(message, remedy=f"Give a class or a type such as list[str]: {which}=Summary")


def _checked_retry(retry: Any) -> Retry | None:
    if retry is None or isinstance(retry, Retry):
        return retry
    if isinstance(retry, int):
        return Retry(max_attempts=retry)
    message = f"Agent(retry={retry!r}) does not say how often to try."
    raise DefinitionError(message, remedy="retry=3, or retry=Retry(max_attempts=3, backoff=1.0)")


def _at_least(which: str, number: Any, least: int) -> int:
    if not isinstance(number, int) or isinstance(number, bool) or number < least:
        message = f"Agent({which}={number!r}) makes no sense."
        raise DefinitionError(message, remedy=f"{which} is a whole number, {least} or more.")
    return number
