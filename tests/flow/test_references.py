"""Where a step's input comes from: written down with references, and refused on the line that cannot work."""

import asyncio
import copy
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from IPython.lib.pretty import pretty
from pydantic import BaseModel, computed_field
from typing_extensions import TypedDict

from quire import Agent, Process, Step, errors
from quire.testing import ScriptedModel
from tests.kit import ends


class Order(BaseModel):
    id: int
    total: float

    @computed_field
    @property
    def cents(self) -> int:
        return round(self.total * 100)


class Ticket(BaseModel):
    text: str
    order: Order


class Color(Enum):
    red = "red"


class Words(TypedDict):
    first: str


@dataclass
class Kind:
    label: Literal["bug", "refund"]
    tags: list[str]
    order: Order | None = None
    color: Color = Color.red


@dataclass
class Reply:
    text: str


TICKET = Ticket(text="it broke", order=Order(id=4, total=2.5))


@Step
async def triage(ticket: Ticket) -> Kind:
    return Kind("bug", ["a", "b"], ticket.order)


@Step
async def fix(text: str, order_id: int) -> Reply:
    return Reply(f"{text} {order_id}")


@Step
async def shout(text: str) -> Reply:
    return Reply(text.upper())


@Step
async def count(tags: list[str]) -> int:
    return len(tags)


@Step
async def price(cents: int) -> str:
    return f"{cents} cents"


@Step
async def echo(reply: Reply) -> Reply:
    return reply


def desk(**options):
    return Process(input=Ticket, name="desk", **options)


def refused(kind, do):
    with pytest.raises(kind) as raised:
        do()
    assert raised.value.remedy
    return str(raised.value)


# What goes together


async def test_a_reference_is_the_whole_output_and_its_attributes_are_the_fields():
    p = desk()
    kind = p.add(triage)
    assert await Process.execute(p, TICKET) == Kind("bug", ["a", "b"], TICKET.order)
    answer = p.add(count, inputs=kind.tags)
    p.returns(answer)
    assert await p.execute(TICKET) == 2


async def test_inputs_by_name_by_position_and_as_constants():
    for inputs in (
        lambda p, kind: {"text": p.given.text, "order_id": kind.order.id},
        lambda p, kind: [p.given.text, kind.order.id],
        lambda p, kind: (p.given.text, p.given.order.id),
        lambda p, kind: {"text": "it broke", "order_id": p.given.order.id},
        lambda p, kind: ["it broke", 4],
    ):
        p = desk()
        kind = p.add(triage)
        p.returns(p.add(fix, inputs=inputs(p, kind)))
        assert await p.execute(TICKET) == Reply("it broke 4")


async def test_fields_of_a_single_input_are_put_together():
    p = desk()
    p.returns(p.add(echo, inputs={"text": p.given.text}))
    assert await p.execute(TICKET) == Reply("it broke")


async def test_computed_fields_and_properties_are_fields():
    p = desk()
    p.add(price, inputs=p.given.order.cents)
    assert await p.execute(TICKET) == "250 cents"


async def test_a_literal_is_text_a_list_is_a_list_and_an_annotated_type_is_its_type():
    @Step
    async def label(text: Annotated[str, "a label"]) -> str:
        return text

    @Step
    async def many(tags: list) -> int:
        return len(tags)

    p = desk()
    kind = p.add(triage)
    p.returns(p.add(label, inputs=kind.label))
    p.add(many, inputs=kind.tags)
    assert await p.execute(TICKET) == "bug"


async def test_whichever_of_two_has_run():
    p = desk()
    p.add(triage)
    one = p.add(shout, inputs=p.given.text, when="triage.label == 'bug'", name="one")
    other = p.add(echo, inputs={"text": "no"}, when="triage.label == 'refund'", name="other")
    both = p.add(echo, inputs=one | other, name="both")
    p.add(shout, inputs=both.text, name="last")
    p.returns((one | other).text)
    run = p.start(TICKET)
    assert await run == "IT BROKE"
    assert ends(run)["other"].kind == "skipped"
    assert ends(run)["both"].output == {"text": "IT BROKE"}


async def test_inputs_may_be_left_out_where_types_tell_and_given_where_they_do_not():
    @Step
    async def join(kind: Kind, reply: Reply) -> str:
        return f"{kind.label}: {reply.text}"

    p = desk()
    p.add(join)
    p.add(triage)
    p.add(shout, inputs=p.given.text)
    assert await p.execute(TICKET) == "bug: IT BROKE"
    assert [node["id"] for node in p.graph()["nodes"]] == ["triage", "shout", "join"]


async def test_an_agent_that_takes_text_takes_a_model_too():
    writer = Agent(ScriptedModel(["done"]), "Write.", name="writer")
    p = desk()
    p.add(writer, inputs=p.given.order)
    run = p.start(TICKET)
    assert await run == "done"
    assert '{"id":4,"total":2.5,"cents":250}' in run.messages["text"].tolist()[1]


async def test_a_typed_dict_and_an_untyped_one():
    @Step
    async def words(ticket: Ticket) -> Words:
        return {"first": "it"}

    @Step
    async def loose(ticket: Ticket) -> dict:
        return {"deep": {"est": "down"}}

    p = desk()
    p.add(shout, inputs=p.add(words).first)
    p.returns(p.add(shout, inputs=p.add(loose).deep.est, name="other"))
    assert await p.execute(TICKET) == Reply("DOWN")
    assert "no field 'second'" in refused(errors.UnknownField, lambda: Process(input=Words).given.second)


# What a reference is to those who look at it


def test_looking_at_a_reference_does_not_explode():
    p = desk()
    kind = p.add(triage)
    assert repr(kind) == "triage"
    assert repr(kind.order.id) == "triage.order.id"
    assert repr(p.given.text) == "the input.text"
    assert pretty(kind) == "triage"
    assert not hasattr(kind, "nope")
    assert hasattr(kind, "label")
    assert not hasattr(kind, "_repr_html_")
    assert not hasattr(kind, "_ipython_canary_method_should_not_exist_")
    assert repr(copy.copy(kind)) == "triage"
    assert kind == kind  # noqa: PLR0124


def test_a_reference_has_no_value_yet():
    p = desk()
    kind = p.add(triage)
    assert "neither true nor false" in refused(errors.DefinitionError, lambda: kind or 3)
    with pytest.raises(TypeError):
        kind | 3
    with pytest.raises(TypeError):
        list(kind)


# What does not


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda kind, given: kind.nope, "`?triage`? gives Kind, which has no field 'nope'"),
        (lambda kind, given: given.order.nope, "has no field 'nope'"),
        (lambda kind, given: kind.label.upper, "has no field 'upper'"),
        (lambda kind, given: given.text.upper, "str, which has no field 'upper'"),
        (lambda kind, given: kind.tags.first, "has no field 'first'"),
        (lambda kind, given: (kind | given).label, "Ticket, which has no field 'label'"),
    ],
)
def test_an_unknown_field_is_refused_where_it_is_written(ask, message):
    p = desk()
    kind = p.add(triage)
    with pytest.raises(errors.UnknownField, match=message) as raised:
        ask(kind, p.given)
    assert "Its fields:" in raised.value.remedy
    assert isinstance(raised.value, AttributeError)


def test_private_names_are_no_fields():
    p = desk()
    with pytest.raises(AttributeError, match="_secret"):
        _ = p.given._secret


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (lambda p, k: k, "`fix` takes tuple"),
        (lambda p, k: [k.label], "takes 2 things, and 1 references"),
        (lambda p, k: [k.label, k.tags], "takes int, and triage.tags gives list"),
        (lambda p, k: {"text": k.label}, "also needs 'order_id'"),
        (lambda p, k: {"text": k.label, "order_id": 1, "x": 2}, "has no input called 'x'"),
        (lambda p, k: {"text": k.tags, "order_id": 1}, r"`fix`.text takes str, and triage.tags gives"),
        (lambda p, k: {"text": "x", "order_id": "four"}, r"`fix`.order_id takes int, not 'four'"),
        (lambda p, k: "triage", "no reference"),
        (lambda p, k: 3, "no reference"),
    ],
)
def test_a_wrong_edge_is_refused_when_it_is_added(inputs, message):
    p = desk()
    kind = p.add(triage)
    with pytest.raises(errors.RegistrationError, match=message) as raised:
        p.add(fix, inputs=inputs(p, kind))
    assert raised.value.remedy
    assert [node["id"] for node in p.graph()["nodes"]] == ["triage"]


def test_references_of_another_process_are_refused():
    other = Process(input=Order, name="other")
    theirs = other.add(price, inputs=other.given.cents)
    p = desk()
    p.add(triage)
    assert "'price' is no step of this process" in refused(
        errors.RegistrationError, lambda: p.add(shout, inputs=theirs)
    )
    message = refused(errors.RegistrationError, lambda: p.add(price, inputs=other.given.cents))
    assert "input of another process" in message
    refused(errors.RegistrationError, lambda: p.returns(theirs))


def test_two_producers_no_producer_a_cycle_and_nothing_at_all():
    p = desk()
    p.add(shout, inputs=p.given.text, name="one")
    p.add(shout, inputs=p.given.text, name="two")
    p.add(echo)
    assert "`one` and `two`" in refused(errors.AmbiguousProducer, p.graph)

    p = desk()
    p.add(count)
    assert "produces the list[str] that `count` expects" in refused(errors.MissingProducer, p.graph)

    @Step
    async def back(tags: list[str]) -> Ticket:
        return TICKET

    @Step
    async def forth(ticket: Ticket) -> list[str]:
        return []

    p = Process(input=int, name="round")
    p.add(back)
    p.add(forth)
    assert "-> " in refused(errors.CycleFound, p.graph)
    assert "has no steps" in refused(errors.PipelineError, lambda: Process(name="empty").start(1))


def test_several_ends_need_a_choice():
    p = desk(output=Reply)
    p.add(shout, inputs=p.given.text, name="one")
    p.add(shout, inputs=p.given.text, name="two")
    assert "returns(" in refused(errors.PipelineError, p.graph)
    p = desk()
    refused(errors.RegistrationError, p.returns)
    refused(errors.RegistrationError, lambda: p.returns("one"))


async def test_of_several_that_give_the_output_the_last_one_on_the_way_is_meant():
    @Step
    async def middle(reply: Reply) -> list[str]:
        return [reply.text]

    @Step
    async def end(tags: list[str]) -> Reply:
        return Reply(tags[0] + "!")

    p = desk(output=Reply)
    p.add(end, inputs=p.add(middle, inputs=p.add(shout, inputs=p.given.text)))
    assert await p.execute(TICKET) == Reply("IT BROKE!")


def test_what_a_process_returns_has_to_be_what_it_promises():
    p = desk(output=Reply)
    kind = p.add(triage)
    assert "gives Kind, and the process promises Reply" in refused(errors.RegistrationError, lambda: p.returns(kind))


def test_names():
    p = desk()
    p.add(triage)
    refused(errors.DuplicateName, lambda: p.add(triage))
    p.add(triage, name="again")
    refused(errors.RegistrationError, lambda: p.add(triage, name="a/b"))
    refused(errors.RegistrationError, lambda: p.add(triage, name=""))


def test_what_is_no_step_and_what_is_no_type():
    p = desk()
    for nonsense in ("triage", 5, None, Ticket):
        with pytest.raises(errors.DefinitionError):
            p.add(nonsense)
    for nonsense in ({"input": 3}, {"output": "Ticket!"}, {"max_parallel": 0}, {"max_parallel": "many"}):
        with pytest.raises(errors.DefinitionError):
            Process(**nonsense)


def test_a_plain_function_becomes_a_step():
    def length(text: str) -> int:
        return len(text)

    p = Process(input=str)
    p.add(length)
    assert p.execute_sync("abc") == 3


def test_a_process_is_no_part_of_itself():
    p = desk()
    p.add(triage)
    refused(errors.RegistrationError, lambda: p.add(p))
    outer = Process(input=Ticket)
    outer.add(p)
    refused(errors.RegistrationError, lambda: p.add(outer.with_retry(2), name="outer"))


async def test_a_field_that_is_not_there_after_all_is_told_by_the_step_that_needs_it():
    @Step
    async def vague(ticket: Ticket) -> Kind:
        return Kind("bug", [])

    p = desk()
    kind = p.add(vague)
    p.add(price, inputs=kind.order.id)
    run = p.start(TICKET)
    with pytest.raises(errors.DispatchError, match="`price` takes could not be read") as raised:
        await run
    assert raised.value.where == "desk › price"
    assert ends(run)["price"].kind == "failed"
    assert run.fold().snapshot()["nodes"]["price"]["status"] == "failed"


async def test_anything_goes_through_any():
    @Step
    async def free(x: Any) -> Any:
        return [x]

    p = Process(input=Any, name="free")
    p.add(free, inputs=p.given)
    assert await p.execute(3) == [3]


async def test_twenty_at_once():
    together = asyncio.Barrier(20)

    @Step
    async def meet(n: int) -> int:
        await together.wait()
        return n

    p = Process(input=int, name="p")
    first = p.add(meet, inputs=p.given)
    p.add(meet, inputs=first, name="again")
    assert await asyncio.gather(*(p.execute(n, timeout=10) for n in range(20))) == list(range(20))
