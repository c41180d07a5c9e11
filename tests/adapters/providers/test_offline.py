"""The embedded model: valid for any schema, sensible for the examples, the same every time."""

from __future__ import annotations

import json
import time
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal
from uuid import UUID

import jsonschema
import pytest
from annotated_types import Ge, Le, MultipleOf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import AnyUrl, BaseModel, Field, TypeAdapter, create_model

from quire.adapters.providers.clues import Clues
from quire.adapters.providers.inventions import Inventor
from quire.adapters.providers.offline import Offline
from quire.adapters.providers.specimen import specimen
from quire.core.messages import Message, ToolResult
from quire.core.ports import Answer, Endpoint, ModelRequest, OutputForm, Piece, ToolForm

OFFLINE = Offline(Endpoint(provider="offline", model="offline"))


async def ask(*words: str | Message, system: str = "", **request: Any) -> Answer:
    """Ask with turns of user and assistant by turns."""
    turns = [
        one if isinstance(one, Message) else Message.of("assistant" if n % 2 else "user", one)
        for n, one in enumerate(words)
    ]
    messages = (*([Message.of("system", system)] if system else []), *turns)
    *_, answer = [found async for found in OFFLINE.ask(ModelRequest(messages=messages, **request))]
    assert isinstance(answer, Answer)
    return answer


async def fill(kind: Any, words: str, **more: Any) -> Any:
    adapter = TypeAdapter(kind)
    answer = await ask(words, output=OutputForm(name="output", schema=adapter.json_schema()), **more)
    return adapter.validate_json(answer.message.text)


def tool(name: str, kind: type[BaseModel], description: str = "") -> ToolForm:
    return ToolForm(name=name, description=description, parameters=kind.model_json_schema())


class City(BaseModel):
    city: str


class Refund(BaseModel):
    order_id: str
    amount_usd: float


class Pair(BaseModel):
    a: int
    b: int


WEATHER = tool("get_weather", City)
ASKED = "What's the weather in Tokyo right now?"


# --- words


async def test_it_answers_with_the_conversations_own_words():
    answer = await ask("Why are Rust runtimes a good fit for agents?", system="Answer in one short paragraph.")
    assert "Rust runtimes" in answer.message.text
    assert answer.finish_reason == "stop"


async def test_it_remembers_what_it_was_told():
    answer = await ask("My favourite colour is teal.", "Noted.", "What is my favourite colour?")
    assert "teal" in answer.message.text
    told_twice = ("My favourite colour is teal.", "Noted.", "My favourite colour is red now.", "Noted.")
    assert "red" in (await ask(*told_twice, "What's my favourite colour?")).message.text
    assert "Ada" in (await ask("Hi, I'm Ada.", "Noted.", "What is my name?")).message.text
    plan = await ask("Let's plan a 3-day trip to Kyoto.", "Fine.", "OK keep Kyoto only. What's day 1?")
    assert "Kyoto" in plan.message.text


async def test_it_knows_nothing_it_was_not_told():
    assert "teal" not in (await ask("What is my favourite colour?")).message.text


@pytest.mark.parametrize(("ticket", "word"), [("My laptop is on fire.", "high"), ("When do you open?", "low")])
async def test_it_keeps_to_the_words_it_may_use(ticket: str, word: str):
    system = "Classify severity. Reply with exactly one word: low or high."
    assert (await ask(json.dumps({"text": ticket}), system=system)).message.text == word


async def test_it_writes_as_many_bullets_as_asked():
    answer = await ask("Today's top AI stories?", system="Write a 3-bullet morning brief.")
    assert answer.message.text.count("\n- ") == 2


async def test_the_same_question_has_the_same_answer():
    assert await ask(ASKED, tools=(WEATHER,)) == await ask(ASKED, tools=(WEATHER,))


async def test_nothing_at_all_is_answered_too():
    assert (await ask()).message.text
    assert (await ask("")).message.text


# --- tools


async def test_it_calls_a_tool_and_then_uses_its_result():
    answer = await ask(ASKED, tools=(WEATHER,), system="If asked about weather, call get_weather.")
    (call,) = answer.message.calls
    assert (call.tool, json.loads(call.arguments), answer.finish_reason) == (
        "get_weather",
        {"city": "Tokyo"},
        "tool_calls",
    )
    result = ToolResult(id=call.id, tool=call.tool, text='{"city":"Tokyo","temp_c":23,"condition":"sunny"}')
    after = Message(role="tool", parts=(result,))
    final = await ask(Message.of("user", ASKED), answer.message, after, tools=(WEATHER,))
    assert final.message.calls == ()
    assert "23" in final.message.text
    assert "sunny" in final.message.text


async def test_it_leaves_tools_alone_when_nobody_asks():
    system = "If asked about weather, call get_weather."
    assert (await ask("Hello there", tools=(WEATHER,), system=system)).message.calls == ()


async def test_it_finds_ids_and_amounts():
    pay = tool("pay_refund", Refund)
    answer = await ask("Please refund order #1234 for $19.99.", tools=(pay, WEATHER))
    (call,) = answer.message.calls
    assert json.loads(call.arguments) == {"order_id": "1234", "amount_usd": 19.99}


async def test_it_takes_numbers_in_order():
    (call,) = (await ask("What is 17 times 23?", tools=(tool("multiply", Pair),))).message.calls
    assert json.loads(call.arguments) == {"a": 17, "b": 23}


async def test_it_calls_several_tools_at_once():
    class Search(BaseModel):
        query: str

    news = tool("search_news", Search)
    answer = await ask("Search the news for Rust, and tell me the weather in Oslo.", tools=(news, WEATHER))
    assert {call.tool for call in answer.message.calls} == {"search_news", "get_weather"}
    assert len({call.id for call in answer.message.calls}) == 2


@pytest.mark.parametrize("parameters", [{}, {"type": "object", "properties": {}}])
async def test_a_tool_without_parameters_gets_none(parameters: dict[str, Any]):
    dice = ToolForm(name="roll_dice", description="", parameters=parameters)
    (call,) = (await ask("Roll the dice", tools=(dice,))).message.calls
    assert call.arguments == "{}"


async def test_a_tool_that_failed_is_told():
    failed = ToolResult(id="c", tool="get_weather", text="No such city.", failed=True)
    answer = await ask(Message.of("user", ASKED), Message(role="tool", parts=(failed,)), tools=(WEATHER,))
    assert answer.message.text == "get_weather failed: No such city."


# --- shapes


class Ticket(BaseModel):
    kind: Literal["question", "bug", "feature"]
    title: str = Field(max_length=40)
    summary: str
    confidence: float = Field(ge=0, le=1)
    days: int | None = None


async def test_values_come_from_the_text():
    words = "The export button crashes since Monday. It is a bug; please fix it within 5 days."
    ticket = await fill(Ticket, words)
    assert (ticket.kind, ticket.days, ticket.summary) == ("bug", 5, "The export button crashes since Monday.")
    assert 0.5 < ticket.confidence < 1


async def test_a_list_of_objects_has_one_for_each_point():
    class Task(BaseModel):
        title: str

    tasks = await fill(list[Task], "Book the flights. Reserve a hotel. Buy a map.")
    assert [task.title for task in tasks] == ["Book the flights", "Reserve a hotel", "Buy a map"]


async def test_values_come_from_fields_of_the_same_name():
    class Order(BaseModel):
        order_id: str
        quantity: int

    assert (await fill(Order, '{"order_id": "A-7", "quantity": 12, "text": "3 boxes"}')) == Order(
        order_id="A-7", quantity=12
    )


async def test_values_come_from_results_of_tools():
    result = ToolResult(id="c", tool="get_weather", text='{"city": "Oslo", "temp_c": -3}')

    class Weather(BaseModel):
        city: str
        temp_c: int

    turns = (Message.of("user", ASKED), Message(role="tool", parts=(result,)))
    answer = await ask(*turns, output=OutputForm(name="Weather", schema=Weather.model_json_schema()))
    assert Weather.model_validate_json(answer.message.text) == Weather(city="Oslo", temp_c=-3)


class Kind(Enum):
    small = "small"
    large = "large"


class Leaf(BaseModel):
    type: Literal["leaf"]
    n: int


class Sum(BaseModel):
    type: Literal["sum"]
    left: Tree
    right: Tree


Tree = Annotated[Leaf | Sum, Field(discriminator="type")]
Sum.model_rebuild()


class Everything(BaseModel):
    when: datetime
    day: date
    wait: timedelta
    id: UUID
    url: AnyUrl
    price: Decimal
    code: str = Field(pattern=r"^[A-Z]{2}-\d{3,5}$")
    short: str = Field(min_length=30, max_length=32)
    ratio: float = Field(gt=0, lt=0.001)
    even: int = Field(ge=7, multiple_of=4)
    cents: float = Field(ge=0, le=0.3, multiple_of=0.1)
    kinds: set[Kind] = Field(min_length=2)
    pair: tuple[int, str]
    many: list[City] = Field(min_length=5)
    three: set[int] = Field(min_length=3)
    words: set[str] = Field(min_length=6)
    counts: dict[str, int] = Field(min_length=2)
    coded: dict[Annotated[str, Field(pattern=r"^k\d$")], bool] = Field(min_length=1)
    tree: Tree
    nothing: None
    any: Any


async def test_every_kind_of_value():
    assert await fill(Everything, "hello")


@pytest.mark.parametrize(
    "kind", [str, int, bool, float, list[str], list[int], Literal["a", "b"], Kind, dict[str, City], Tree, date]
)
async def test_every_root(kind: Any):
    await fill(kind, "The city is Rome, 3 times.")


NAMES = st.sampled_from(
    ["city", "order_id", "amount", "summary", "title", "query", "tags", "when", "nameOfUser", "x", "ratio"]
)
TEXTS = st.one_of(
    st.text(max_size=60),
    st.sampled_from([ASKED, "Order #12 for $9.50 to Ada in New York on 2024-05-06.", '{"city": "Rome", "amount": 3}']),
)
SMALL = st.integers(-20, 20)


def bounded_ints(low: int, span: int, step: int | None) -> Any:
    return Annotated[int, Ge(low), Le(low + span + (step or 0)), *([MultipleOf(step)] if step else [])]


SCALARS: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from([str, int, float, bool, date, datetime, UUID, Kind, Any, Decimal, type(None), bytes]),
    st.builds(bounded_ints, SMALL, st.integers(0, 9), st.sampled_from([None, 2, 3, 5])),
    st.builds(lambda low, span: Annotated[float, Field(ge=low, lt=low + span)], SMALL, st.floats(0.01, 9)),
    st.builds(
        lambda low, more: Annotated[str, Field(min_length=low, max_length=low + more)],
        st.integers(0, 40),
        st.integers(0, 9),
    ),
    st.sampled_from([r"^\d{3}-\d{4}$", r"^[a-f0-9]+$", r"^(yes|no)$", r"^\w{2,4}@x\.org$", r"^[^aeiou]{3}"]).map(
        lambda pattern: Annotated[str, Field(pattern=pattern)]
    ),
    st.lists(st.sampled_from(["red", "high", 1, True, "bug"]), min_size=1, max_size=3, unique_by=str).map(
        lambda values: Literal[*values]
    ),
)
KINDS: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        inner.map(lambda kind: list[kind]),
        st.builds(
            lambda kind, low, more: Annotated[list[kind], Field(min_length=low, max_length=low + more)],
            inner,
            st.integers(0, 4),
            st.integers(0, 3),
        ),
        inner.map(lambda kind: dict[str, kind]),
        st.builds(
            lambda one, other: one | other if one is not other else one,
            st.sampled_from([str, int, None]),
            st.sampled_from([bool, date, float]),
        ),
        inner.map(lambda kind: kind | None if isinstance(kind, type) else kind),
        st.builds(lambda one, other: tuple[one, other], inner, inner),
        st.dictionaries(NAMES, st.tuples(inner, st.booleans()), min_size=1, max_size=4).map(
            lambda fields: create_model(
                "Made",
                **{
                    name: (kind, ...) if needed else (kind | None if isinstance(kind, type) else kind, None)
                    for name, (kind, needed) in fields.items()
                },
            )
        ),
    ),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(KINDS, TEXTS)
def test_any_type_is_filled_with_a_valid_value(kind: Any, words: str):
    adapter = TypeAdapter(kind)
    schema = adapter.json_schema()
    before = json.dumps(schema)
    made = Inventor(schema, Clues(words)).value()
    adapter.validate_json(json.dumps(made))
    assert json.dumps(schema) == before
    assert Inventor(schema, Clues(words)).value() == made


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"enum": [3, None]},
        {"const": {"a": [1]}},
        {"type": ["null", "integer"], "minimum": 4},
        {
            "allOf": [
                {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
                {"properties": {"b": {"const": 2}}, "required": ["b"]},
            ]
        },
        {"oneOf": [{"type": "null"}, {"type": "string", "minLength": 3}]},
        {
            "type": "object",
            "required": ["n"],
            "properties": {"n": {"$ref": "#/$defs/N"}},
            "$defs": {"N": {"type": "array", "items": {"$ref": "#/$defs/N"}}},
        },
        {
            "type": "object",
            "patternProperties": {"^x\\d+$": {"type": "integer"}},
            "additionalProperties": False,
            "minProperties": 2,
        },
        {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "boolean"}], "items": False},
        {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1e-6},
        {"type": "integer", "maximum": -100},
        {"type": "string", "format": "date-time"},
        {"type": "string", "format": "email", "maxLength": 40},
        {"properties": {"a": {"type": "integer"}}, "required": ["a"]},
        {"type": "object", "required": ["ghost"]},
        {"type": "array", "items": {"enum": ["a", "b", "c"]}, "minItems": 3, "uniqueItems": True},
    ],
)
def test_any_schema_is_filled_with_a_valid_value(schema: dict[str, Any]):
    jsonschema.Draft202012Validator(schema).validate(Inventor(schema, Clues("hello")).value())


@pytest.mark.parametrize(
    "pattern",
    [
        r"^[A-Z]{3}$",
        r"\d+",
        r"^(?:a|b)+c?$",
        r"^(?P<year>\d{4})-\d\d$",
        r"^[\w.-]+@[\w-]+\.com$",
        r"^\S{2,}$",
        r"^$",
        r"[^x]y|z",
        r"^#[0-9a-f]{6}$",
    ],
)
def test_specimens_match(pattern: str):
    assert specimen(pattern) is not None


def test_a_pattern_beyond_it_is_no_crash():
    assert specimen(r"(?<=x)y(") is None


# --- how it is delivered


async def test_it_streams_word_by_word():
    began = time.monotonic()
    request = ModelRequest(messages=(Message.of("user", "Why are Rust runtimes a good fit for agents?"),), stream=True)
    *pieces, answer = [found async for found in OFFLINE.ask(request)]
    assert isinstance(answer, Answer)
    assert len(pieces) > 5
    assert "".join(piece.text for piece in pieces if isinstance(piece, Piece)) == answer.message.text
    assert 0.02 < time.monotonic() - began < 1.5


async def test_a_long_stream_does_not_take_long():
    began = time.monotonic()
    request = ModelRequest(messages=(Message.of("user", "My plan is " + "very " * 3000 + "long."),), stream=True)
    assert [found async for found in OFFLINE.ask(request)]
    assert time.monotonic() - began < 2.5


async def test_whole_answers_are_quick():
    began = time.perf_counter()
    for _ in range(100):
        await ask("Why are Rust runtimes a good fit for agents?")
    assert time.perf_counter() - began < 0.5


async def test_it_counts_tokens_and_costs_nothing():
    short, long = await ask("Hello"), await ask("Hello " * 100)
    assert short.usage is not None
    assert long.usage is not None
    assert 0 < short.usage.input_tokens < long.usage.input_tokens
    assert short.usage.output_tokens > 0
    assert short.cost_usd == 0.0
    assert (OFFLINE.provider, OFFLINE.model, OFFLINE.simulated) == ("offline", "offline", True)


async def test_it_keeps_to_its_limits():
    answer = await ask("Why are Rust runtimes a good fit for agents?", max_tokens=3)
    assert (answer.finish_reason, len(answer.message.text)) == ("length", 12)
    assert "agents" not in (await ask("Why Rust for agents?", stop=(" for",))).message.text
