"""Pipelines find their own order, and say what is wrong before anything runs."""

import asyncio

import pytest
from pydantic import BaseModel

from quire import LLM, Agent, Pipeline, Step, Tool, errors
from quire.testing import ScriptedModel
from tests.kit import Draft, OnePager, Outline, Question, ends


class A(BaseModel):
    n: int


class B(BaseModel):
    n: int


class C(BaseModel):
    n: int


class D(BaseModel):
    n: int


class SubB(B):
    extra: str = "more"


@Step
async def a_b(a: A) -> B:
    return B(n=a.n + 1)


@Step
async def a_c(a: A) -> C:
    return C(n=a.n * 10)


@Step
async def bc_d(b: B, c: C) -> D:
    return D(n=b.n + c.n)


@Step
async def plan(question: Question) -> Outline:
    return Outline(points=question.text.split())


@Step
async def write(outline: Outline) -> Draft:
    return Draft(body=" and ".join(outline.points))


@Step
async def condense(draft: Draft) -> OnePager:
    return OnePager(summary=draft.body[:7])


def edges(pipeline):
    return {(edge["source"], edge["target"], edge["label"]) for edge in pipeline.graph()["edges"]}


# What goes together


def test_a_chain_in_any_order():
    for steps in ([plan, write, condense], [condense, write, plan], [write, condense, plan]):
        flow = Pipeline(*steps)
        assert flow.execute_sync(Question(text="a b c")) == OnePager(summary="a and b")
        assert (flow.input, flow.output) == (Question, OnePager)
        assert [node["id"] for node in flow.graph()["nodes"]] == ["plan", "write", "condense"]


def test_a_diamond_joins_two_branches():
    diamond = Pipeline(bc_d, a_c, a_b)
    assert diamond.execute_sync(A(n=1)).n == 12
    assert edges(diamond) == {
        (None, "a_b", "A"),
        (None, "a_c", "A"),
        ("a_b", "bc_d", "B"),
        ("a_c", "bc_d", "C"),
        ("bc_d", None, "D"),
    }


def test_the_input_may_be_used_again_further_down():
    @Step
    async def compare(b: B, a: A) -> bool:
        return b.n > a.n

    assert Pipeline(compare, a_b).execute_sync(A(n=1)) is True


def test_a_tuple_goes_in_by_parts():
    flow = Pipeline(bc_d, input=tuple[B, C])
    assert flow.execute_sync((B(n=1), C(n=2))).n == 3
    with pytest.raises(errors.InputValidationError):
        flow.execute_sync(B(n=1))


def test_several_results_come_out_as_a_tuple():
    flow = Pipeline(a_b, a_c, output=tuple[C, B])
    assert flow.execute_sync(A(n=1)) == (C(n=10), B(n=2))
    assert flow.output == tuple[C, B]


def test_output_chooses_among_ends_and_the_other_steps_run_all_the_same():
    run = Pipeline(a_b, a_c, output=B).start(A(n=1))
    assert run.wait() == B(n=2)
    assert {name: end.kind for name, end in ends(run).items() if name.startswith("a_")} == {
        "a_b": "succeeded",
        "a_c": "succeeded",
    }


def test_a_step_that_gives_nothing_is_not_the_result():
    seen = []

    @Step
    async def log_it(b: B) -> None:
        seen.append(b.n)

    @Step
    async def finish(b: B) -> str:
        return f"b is {b.n}"

    assert Pipeline(log_it, a_b, finish).execute_sync(A(n=1)) == "b is 2"
    assert seen == [2]


def test_a_step_without_inputs_begins_by_itself():
    @Step
    async def origin() -> A:
        return A(n=1)

    assert Pipeline(a_b, origin).execute_sync(None) == B(n=2)
    inner = Pipeline(origin, name="inner")
    assert Pipeline(a_b, inner).execute_sync(None) == B(n=2)


def test_one_step_is_a_pipeline_too():
    assert Pipeline(a_b).execute_sync({"n": 1}) == B(n=2)


def test_a_subclass_and_a_member_of_a_union_fit():
    @Step
    async def a_sub(a: A) -> SubB:
        return SubB(n=a.n)

    @Step
    async def either(b: B | C) -> str:
        return type(b).__name__

    assert Pipeline(either, a_sub).execute_sync(A(n=1)) == "SubB"
    assert Pipeline(either, a_c).execute_sync(A(n=1)) == "C"


def test_a_bool_is_not_taken_for_an_int():
    @Step
    async def judge(a: A) -> bool:
        return True

    @Step
    async def count(n: int) -> str:
        return str(n)

    with pytest.raises(errors.PipelineError):
        Pipeline(judge, count)


def test_pipelines_in_pipelines():
    inner = Pipeline(write, condense)
    outer = Pipeline(inner, plan)
    run = outer.start(Question(text="a b c"))
    assert run.wait().summary == "a and b"
    graph = outer.graph()
    assert [node["id"] for node in graph["nodes"]] == ["plan", "inner/write", "inner/condense"]
    assert [(group["id"], group["nodes"]) for group in graph["groups"]] == [
        ("inner", ["inner/write", "inner/condense"])
    ]
    ways = [(edge["source"], edge["target"]) for edge in graph["edges"]]
    assert ways == [(None, "plan"), ("inner/write", "inner/condense"), ("plan", "inner"), ("inner", None)]
    assert run.nodes["node"].tolist() == ["outer", "plan", "inner", "inner/write", "inner/condense"]


def test_an_inner_pipelines_tuple_comes_from_several_steps():
    inner = Pipeline(bc_d, input=tuple[B, C])
    assert Pipeline(a_b, a_c, inner).execute_sync(A(n=1)).n == 12


def test_a_nameless_pipeline_around_a_nameless_pipeline():
    run = Pipeline(plan, Pipeline(write)).start(Question(text="a b"))
    assert run.wait().body == "a and b"
    shown = run.fold().snapshot()
    assert {node: state["status"] for node, state in shown["nodes"].items()} == {
        "plan": "succeeded",
        "pipeline": "succeeded",
        "pipeline/write": "succeeded",
    }
    assert shown["head"]["done"] == shown["head"]["total"] == 2


def test_agents_and_tools_are_steps():
    @Tool
    async def measure(draft: Draft) -> int:
        """Count."""
        return len(draft.body)

    writer = Agent(ScriptedModel([Draft(body="four")]), "Write.", input=Outline, output=Draft)
    assert Pipeline(measure, writer, plan).execute_sync(Question(text="x")) == 4


def test_text_goes_in_and_comes_out():
    @Step
    async def split(text: str) -> list[str]:
        return text.split()

    @Step
    async def join(words: list[str]) -> str:
        return "-".join(words)

    flow = Pipeline(join, split)
    assert (flow.input, flow.output) == (str, str)
    assert flow.execute_sync("a b") == "a-b"


def test_text_agents_around_a_typed_middle():
    llm = LLM("offline")
    first = Agent(llm, "x", output=Outline)
    last = Agent(llm, "x", input=Outline)
    assert [node["id"] for node in Pipeline(last, first).graph()["nodes"]] == ["first", "last"]


async def test_independent_steps_overlap():
    both = asyncio.Barrier(2)

    @Step
    async def left(a: A) -> B:
        await both.wait()
        return B(n=1)

    @Step
    async def right(a: A) -> C:
        await both.wait()
        return C(n=2)

    assert (await Pipeline(left, right, bc_d).execute(A(n=0), timeout=5)).n == 3


# What does not


def refused(kind, *steps, **options):
    with pytest.raises(kind) as raised:
        Pipeline(*steps, **options)
    assert raised.value.remedy
    return str(raised.value)


def test_a_gap_is_told_as_the_house_tells_it():
    @Step(name="write")
    async def write_text(outline: Outline) -> str:
        return ""

    assert refused(errors.MissingProducer, plan, write_text, condense) == (
        "Nothing here produces the Draft that `condense` expects.\n"
        "  in Pipeline(plan, write, condense)\n"
        "  plan: Question -> Outline, write: Outline -> str, condense: Draft -> OnePager\n"
        "  Did you mean `write` to return Draft? Set output=Draft on `write`."
    )


def test_a_gap_that_nothing_could_fill():
    @Step
    async def judge(a: A, d: D) -> bool:
        return True

    message = refused(errors.MissingProducer, a_b, a_c, bc_d, judge, plan, output=bool)
    assert "Question" in message
    assert "`plan`" in message


def test_a_cycle_names_the_loop():
    @Step
    async def b_a(b: B, question: Question) -> A:
        return A(n=1)

    message = refused(errors.CycleFound, a_b, b_a)
    assert "a_b -> b_a -> a_b" in message or "b_a -> a_b -> b_a" in message
    assert "input=" in message


def test_a_long_cycle_is_drawn_in_the_order_of_the_data():
    @Step
    async def c_d(c: C, q: Question) -> D:
        return D(n=1)

    @Step
    async def d_b(d: D) -> B:
        return B(n=1)

    @Step
    async def b_c(b: B) -> C:
        return C(n=1)

    message = refused(errors.CycleFound, c_d, d_b, b_c)
    assert any(
        loop in message for loop in ("c_d -> d_b -> b_c -> c_d", "d_b -> b_c -> c_d -> d_b", "b_c -> c_d -> d_b -> b_c")
    )


def test_two_producers_are_ambiguous():
    @Step
    async def also_b(a: A) -> B:
        return B(n=2)

    message = refused(errors.AmbiguousProducer, a_b, also_b, a_c, bc_d)
    assert "`bc_d` takes B, and `a_b` and `also_b` give it" in message


def test_several_ends_want_a_choice():
    message = refused(errors.PipelineError, a_b, a_c)
    assert "`a_b` and `a_c` all end here" in message
    assert "output=tuple[B, C]" in message


def test_an_output_that_nothing_gives():
    assert "Nothing here gives the D" in refused(errors.PipelineError, a_b, output=D)


def test_two_steps_with_one_name():
    assert "Two steps are called `a_b`" in refused(errors.DuplicateName, a_b, a_b)
    other = Step(name="a_b")(a_c._function)
    assert "Two steps are called `a_b`" in refused(errors.DuplicateName, a_b, other)


def test_an_empty_pipeline_and_what_is_no_step():
    assert "at least one step" in refused(errors.PipelineError)
    assert "not 'plan'" in refused(errors.DefinitionError, plan, "plan")
    assert "@Step" in refused(errors.DefinitionError, plan._function)


def test_nothing_runs_before_the_whole_graph_checks():
    model = ScriptedModel([Outline(points=["x"])])
    planner = Agent(model, "Plan.", input=Question, output=Outline)
    refused(errors.MissingProducer, planner, condense)
    assert model.requests == []


def test_a_wrong_input_reaches_no_step():
    run = Pipeline(plan, write).start("text")
    with pytest.raises(errors.InputValidationError, match="takes Question, not str 'text'"):
        run.wait()
    assert [event.kind for event in run.past] == ["started", "failed"]
