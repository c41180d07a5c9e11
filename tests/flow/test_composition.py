"""Runnables put together with operators, and the five gates that everything passes."""

import asyncio
from typing import Any

import pytest
from pydantic import BaseModel

from quire import Agent, Pipeline, Process, Step, errors
from quire.testing import ScriptedModel
from tests.kit import ends


@Step
async def inc(n: int) -> int:
    return n + 1


@Step
async def double(n: int) -> int:
    return 2 * n


@Step
async def text_of(n: int) -> str:
    return str(n)


@Step
async def shout(text: str) -> str:
    return text + "!"


def ids(flow):
    return [node["id"] for node in flow.graph()["nodes"]]


async def test_a_chain_is_flat_and_goes_in_the_order_written():
    chain = inc >> double >> text_of >> shout
    assert await chain.execute(3) == "8!"
    assert ids(chain) == ["inc", "double", "text_of", "shout"]
    assert (chain.input, chain.output) == (int, str)
    assert ids((inc >> double) >> (text_of >> shout)) == ids(inc >> (double >> (text_of >> shout))) == ids(chain)


async def test_the_same_step_may_come_twice():
    assert ids(inc >> inc >> inc) == ["inc", "inc_2", "inc_3"]
    assert await (inc >> inc >> inc).execute(0) == 3
    assert await (inc & inc).execute(0) == (1, 1)


async def test_side_by_side_is_flat_gives_a_tuple_and_overlaps():
    meet = asyncio.Barrier(3)

    def waiter(name):
        @Step(name=name)
        async def work(n: int) -> str:
            await meet.wait()
            return name

        return work

    both = waiter("a") & waiter("b") & waiter("c")
    assert await both.execute(1, timeout=5) == ("a", "b", "c")
    assert both.output == tuple[str, str, str]
    assert ids(both) == ["a", "b", "c"]


async def test_nested_and_with_what_has_a_shape_of_its_own():
    class Pair(BaseModel):
        inc: int
        double: int

    @Step
    async def add(pair: Pair) -> int:
        return pair.inc + pair.double

    shaped = Process.parallel(inc, double, result=Pair, name="shaped")
    assert await (shaped >> add).execute(3) == 10
    assert await (shaped & text_of).execute(3) == (Pair(inc=4, double=6), "3")

    @Step
    async def join(both: tuple[int, str]) -> str:
        return "ignored"

    assert await ((inc >> double) & text_of).execute(3) == (8, "3")
    assert await (inc >> (double & text_of)).execute(3) == (8, "4")
    retried = (inc & double).with_retry(2)
    assert await retried.execute(1) == (2, 2)


async def test_agents_pipelines_and_processes_go_together_too():
    agent = Agent(ScriptedModel(["hello"]), "x", input=int, name="agent")
    pipeline = Pipeline(shout, name="pipeline")
    p = Process(input=str, name="p")
    p.add(shout, inputs=p.given)
    run = (agent >> pipeline >> p >> shout).start(1)
    assert await run == "hello!!!"
    assert run.nodes["node"].tolist() == [
        "agent >> pipeline >> p >> shout",
        "agent",
        "pipeline",
        "pipeline/shout",
        "p",
        "p/shout",
        "shout",
    ]


def test_what_does_not_fit_is_refused_where_it_is_written():
    with pytest.raises(errors.RegistrationError, match="`shout` takes str, and gets int") as raised:
        inc >> shout
    assert "in between" in raised.value.remedy
    with pytest.raises(errors.RegistrationError, match="`inc` takes int, `shout` takes str"):
        inc & shout
    for nonsense in (5, None, len, "step"):
        with pytest.raises(TypeError):
            inc >> nonsense
        with pytest.raises(TypeError):
            inc & nonsense


async def test_a_type_that_says_nothing_fits_everything():
    @Step
    async def anything(x: Any) -> Any:
        return x

    assert await (inc >> anything >> double).execute(1) == 4


async def test_drawings_of_all_compositions():
    for flow in (inc >> double, inc & double, (inc >> double) & inc, inc.with_cache() >> double.with_timeout(3)):
        run = flow.start(1)
        await run
        for format in ("svg", "dot", "mermaid", "json", "ascii"):
            assert flow.visualize(format)
            assert run.visualize(format)
        assert repr(flow)
        assert str(flow)
        assert {state["status"] for state in run.fold().snapshot()["nodes"].values()} == {"succeeded"}


# The five gates


async def test_each_gate_has_its_own_error_that_names_the_step():
    @Step
    async def liar(n: int) -> int:
        return "not a number"

    @Step
    async def small(n: int) -> dict:
        return {"text": 5}

    class Wanted(BaseModel):
        text: str

    @Step
    async def taker(wanted: Wanted) -> int:
        return 1

    def process(*links):
        p = Process(input=int, name="p")
        ref = p.given
        for link in links:
            ref = p.add(link, inputs=ref)
        return p

    dispatch = Process(input=int, name="p")
    found = dispatch.add(small, inputs=dispatch.given)
    dispatch.returns(dispatch.add(taker, inputs={"text": found.text}))
    completion = Process(input=int, name="p")
    completion.add(inc, inputs=completion.given, name="never", when=lambda done: False)
    flows = {"submit": process(inc), "output": process(liar, inc), "dispatch": dispatch, "completion": completion}
    caught = {}
    for gate, flow in flows.items():
        with pytest.raises(errors.QuireError) as raised:
            await flow.execute("x" if gate == "submit" else 1)
        caught[gate] = raised.value
    assert {gate: type(error) for gate, error in caught.items()} == {
        "submit": errors.SubmitError,
        "dispatch": errors.DispatchError,
        "output": errors.OutputValidationError,
        "completion": errors.CompletionError,
    }
    for gate, name in {"submit": "`p`", "dispatch": "`taker`", "output": "`liar`", "completion": "`never`"}.items():
        assert name in caught[gate].what
        assert caught[gate].remedy
    assert caught["dispatch"].where == "p › taker"
    assert "text: Input should be a valid string" in caught["dispatch"].remedy
    with pytest.raises(errors.RegistrationError, match="`shout` takes str"):
        process(inc, shout)


async def test_a_failure_names_the_step_that_failed_with_its_own_lines_and_what_was_skipped():
    @Step
    async def boom(n: int) -> int:
        raise ZeroDivisionError("the user's own")

    p = Process(input=int, name="p")
    bad = p.add(boom, inputs=p.given)
    p.add(double, inputs=bad)
    p.add(text_of, inputs=p.add(inc, inputs=bad))
    p.returns(p.add(inc, inputs=p.given, name="beside"))
    run = p.start(1)
    with pytest.raises(ZeroDivisionError, match="the user's own") as raised:
        await run
    assert raised.value.__notes__ == [f"in p › boom (run {run.id})", "skipped because of it: double, inc, text_of"]
    assert raised.traceback[-1].name == "boom"
    assert ends(run)["beside"].kind == "succeeded"
    assert ends(run)["text_of"].reason == "needs `inc`, which was skipped"
    head = run.fold().head()
    assert head["error"]["path"] == "p › boom"
    assert "the user's own" in head["error"]["traceback"]


async def test_a_run_refused_at_the_first_gate_explains_every_node():
    p = Process(input=int, name="p")
    p.add(inc, inputs=p.given)
    run = p.start("x")
    with pytest.raises(errors.SubmitError):
        await run
    assert run.fold().snapshot()["nodes"]["inc"]["status"] == "skipped"
    assert run.fold().snapshot()["nodes"]["inc"]["reason"] == "`p` failed"


def test_no_model_is_called_before_the_whole_graph_checks():
    model = ScriptedModel(["x"])
    p = Process(input=str, name="p")
    p.add(Agent(model, "x", name="agent"), inputs=p.given)
    p.add(text_of)
    with pytest.raises(errors.MissingProducer):
        p.execute_sync("hi")
    assert model.requests == []


async def test_max_parallel_of_a_process():
    at_work, most = 0, 0

    @Step
    async def work(n: int) -> int:
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        await asyncio.sleep(0.001)
        at_work -= 1
        return n

    p = Process(input=int, name="p", max_parallel=2)
    for number in range(9):
        last = p.add(work, inputs=p.given, name=f"w{number}")
    p.returns(last)
    assert await p.execute(1) == 1
    assert most == 2


async def test_a_process_half_written_can_be_looked_at():
    p = Process(input=int, name="p")
    assert "has no steps" in repr(p)
    p.add(shout)
    assert "expects" in repr(p)
