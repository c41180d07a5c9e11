"""What is put around a step: tries, time, stand-ins, mended fields, remembered answers."""

import asyncio
import time
from dataclasses import dataclass

import pytest
from pydantic import BaseModel

from quire import Agent, Pipeline, Process, Retry, Step, current_context, errors
from quire.testing import ScriptedModel, in_memory
from tests.kit import ends, kinds, output_of, tasks_left


class Price(BaseModel):
    amount: float
    currency: str = "EUR"
    note: str | None = None


@dataclass
class Made:
    n: int
    how: str = "plainly"


def counting(fails=0, error=ConnectionError):
    calls = []

    @Step
    async def work(n: int) -> int:
        calls.append(n)
        if len(calls) <= fails:
            raise error("down")
        return 10 * n

    return work, calls


def one(step, **options):
    p = Process(input=int, name="p")
    p.add(step, inputs=p.given, **options)
    return p


def node(run, name="work"):
    return run.fold().snapshot()["nodes"][name]


# Tries


async def test_a_step_is_tried_again_and_the_tries_are_told():
    work, calls = counting(fails=2)
    run = one(work, retry=Retry(max_attempts=3, backoff=0.001)).start(4)
    assert await run == 40
    assert len(calls) == 3
    assert kinds(run, "work") == ["started", "retried", "resumed", "retried", "resumed", "succeeded"]
    assert node(run)["attempt"] == 3


async def test_a_number_is_the_tries_in_all_and_the_last_error_comes_out():
    work, calls = counting(fails=9)
    with pytest.raises(ConnectionError, match="down"):
        await one(work, retry=Retry(max_attempts=2, backoff=0)).execute(4)
    assert len(calls) == 2
    with pytest.raises(errors.DefinitionError):
        one(work, retry=0)


async def test_a_wrong_output_is_tried_again():
    answers = ["wrong", 7]

    @Step
    async def work(n: int) -> int:
        return answers.pop(0)

    assert await one(work, retry=Retry(max_attempts=2, backoff=0)).execute(1) == 7


async def test_a_retry_around_a_timeout_gives_each_try_its_time_and_a_timeout_around_a_retry_all_together():
    waits = [10, 0]

    @Step
    async def work(n: int) -> int:
        await asyncio.sleep(waits.pop(0))
        return n

    each = work.with_timeout(0.05).with_retry(Retry(max_attempts=2, backoff=0))
    assert await each.execute(1) == 1
    waits[:] = [10, 10, 10]
    began = time.perf_counter()
    with pytest.raises(errors.DeadlineExceeded):
        await one(work, retry=Retry(max_attempts=5, backoff=0), timeout=0.05).execute(1)
    assert time.perf_counter() - began < 1


async def test_a_whole_flow_is_tried_again():
    work, calls = counting(fails=1)

    @Step
    async def first(n: int) -> float:
        return float(n)

    @Step
    async def second(x: float) -> str:
        return str(await work.execute(int(x)))

    run = Pipeline(first, second, name="both").with_retry(Retry(max_attempts=2, backoff=0)).start(2)
    assert await run == "20"
    assert len(calls) == 2
    assert {state["status"] for state in run.fold().snapshot()["nodes"].values()} == {"succeeded"}


# Time


@pytest.mark.parametrize("plain", [True, False])
async def test_a_timeout_holds_for_coroutines_and_for_threads(plain):
    if plain:

        @Step
        def work(n: int) -> int:
            time.sleep(0.4)
            return n
    else:

        @Step
        async def work(n: int) -> int:
            await asyncio.sleep(30)
            return n

    run = one(work, timeout=0.05).start(1)
    began = time.perf_counter()
    with pytest.raises(errors.DeadlineExceeded, match="`work` was not finished"):
        await run
    assert time.perf_counter() - began < 0.3
    assert node(run)["status"] == "failed"
    assert tasks_left() == []


async def test_the_time_left_is_known_inside():
    @Step
    async def work(n: int) -> float:
        return current_context().remaining

    left = await one(work, timeout=5).execute(1, timeout=100)
    assert 4 < left <= 5
    left = await one(work, timeout=100).execute(1, timeout=5)
    assert 4 < left <= 5


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), "soon"])
def test_a_timeout_that_leaves_no_time_is_refused(seconds):
    with pytest.raises(errors.DefinitionError, match="timeout"):
        one(counting()[0], timeout=seconds)


# Stand-ins


async def test_a_stand_in_gets_the_input_and_the_error_and_its_output_takes_the_place():
    seen = []

    @Step
    async def backup(n: int) -> int:
        seen.append((n, current_context().error))
        return -n

    @Step
    async def after(n: int) -> str:
        return f"got {n}"

    work, _ = counting(fails=9)
    p = Process(input=int, name="p")
    p.add(after, inputs=p.add(work, inputs=p.given, on_failure=backup))
    run = p.start(4)
    assert await run == "got -4"
    [(given, error)] = seen
    assert given == 4
    assert isinstance(error, ConnectionError)
    assert node(run)["status"] == "succeeded"
    assert node(run)["reason"] == "by backup"
    assert "rescued" in kinds(run, "work")
    assert ends(run)["backup"].output == -4


async def test_if_the_stand_in_fails_too_both_errors_are_told():
    @Step
    async def backup(n: int) -> int:
        raise KeyError("also")

    work, _ = counting(fails=9)
    run = one(work, on_failure=backup).start(4)
    with pytest.raises(KeyError, match="also") as raised:
        await run
    assert isinstance(raised.value.__context__, ConnectionError)
    assert node(run)["status"] == "failed"


async def test_a_timeout_leads_to_the_stand_in_and_a_stop_from_outside_does_not():
    @Step
    async def slow(n: int) -> int:
        await asyncio.sleep(30)
        return n

    work, calls = counting()
    assert await one(slow, timeout=0.02, on_failure=work).execute(4) == 40
    calls.clear()
    run = one(slow, on_failure=work).start(4)
    await asyncio.sleep(0.01)
    await run.cancel("enough")
    assert calls == []
    run = one(slow, on_failure=work).start(4, timeout=0.02)
    with pytest.raises(errors.DeadlineExceeded):
        await run
    assert calls == []


def test_a_stand_in_that_takes_something_else_is_refused():
    @Step
    async def other(text: str) -> int:
        return 1

    with pytest.raises(errors.RegistrationError, match="`other` takes str"):
        one(counting()[0], on_failure=other)
    with pytest.raises(errors.DefinitionError, match="made of steps"):
        one(counting()[0], on_failure=lambda n: n)


# Afterwards


@pytest.mark.parametrize("form", ["function", "coroutine", "step"])
async def test_on_complete_is_called_with_the_result_and_changes_nothing(form):
    seen = []

    async def coroutine(n):
        seen.append(n)
        return "ignored"

    @Step
    async def step(n: int) -> None:
        seen.append(n)

    after = {"function": seen.append, "coroutine": coroutine, "step": step}[form]
    work, _ = counting()
    assert await one(work, on_complete=after).execute(4) == 40
    assert seen == [40]
    failing, _ = counting(fails=9)
    with pytest.raises(ConnectionError):
        await one(failing, on_complete=after).execute(4)
    assert seen == [40]


def test_on_complete_has_to_be_callable_and_to_fit():
    @Step
    async def other(text: str) -> None: ...

    with pytest.raises(errors.DefinitionError, match="cannot be called"):
        one(counting()[0], on_complete=5)
    with pytest.raises(errors.RegistrationError, match="`other` takes str"):
        one(counting()[0], on_complete=other)


# Mended fields


def priced(value, ladder):
    @Step
    async def parse(n: int) -> Price:
        return value

    return one(parse, validation=ladder)


@pytest.mark.parametrize(
    ("value", "ladder", "expected"),
    [
        ({"amount": "1.299,00 €"}, {"amount": "coerce"}, Price(amount=1299.0)),
        ({"amount": "about 5"}, {"amount": "coerce"}, Price(amount=5)),
        ({"amount": "-1,234,567.5"}, {"amount": "coerce"}, Price(amount=-1234567.5)),
        ({"amount": "none"}, {"amount": "default"}, Price(amount=0)),
        ({"amount": 1, "currency": 5}, {"currency": "coerce"}, Price(amount=1, currency="5")),
        ({"amount": 1, "currency": [1]}, {"currency": "default"}, Price(amount=1)),
        ({"amount": 1, "note": 5}, {"note": "drop_field"}, Price(amount=1)),
        ({"amount": "x", "note": 5}, {"note": "drop_field", "amount": "default"}, Price(amount=0)),
        ({"amount": 1}, {"amount": "fail"}, Price(amount=1)),
    ],
)
async def test_fields_are_mended_as_somebody_allowed(value, ladder, expected):
    run = priced(value, ladder).start(1)
    assert await run == expected
    mended = [event for event in run.past if event.kind == "mended"]
    assert bool(mended) == (value != {"amount": 1})


@pytest.mark.parametrize(
    ("value", "ladder"),
    [
        ({"amount": "none"}, {"amount": "coerce"}),
        ({"amount": "none"}, {"amount": "fail"}),
        ({"amount": "none"}, {"note": "drop_field"}),
        ({"amount": "5 €", "note": 5}, {"amount": "coerce"}),
        ("text", {"amount": "coerce"}),
        (None, {"amount": "coerce"}),
    ],
)
async def test_what_nobody_allowed_fails_at_the_output_gate(value, ladder):
    run = priced(value, ladder).start(1)
    with pytest.raises(errors.OutputValidationError, match="`parse` promises Price") as raised:
        await run
    assert raised.value.where == "p › parse"
    assert raised.value.remedy


async def test_an_agents_raw_text_is_mended():
    reply = 'Sure! {"amount": "12,50", "note": "thanks"}'
    agent = Agent(ScriptedModel([reply, reply]), "Read.", name="reader", input=int, output=Price)
    p = Process(input=int, name="p")
    p.add(agent, inputs=p.given, validation={"amount": "coerce"})
    assert await p.execute(1) == Price(amount=12.5, note="thanks")


async def test_dataclasses_are_mended_too():
    @Step
    async def make(n: int) -> Made:
        return {"n": "5 pieces", "how": 3}

    assert await one(make, validation={"n": "coerce", "how": "default"}).execute(1) == Made(5)


@pytest.mark.parametrize(
    ("ladder", "message"),
    [
        ({"amount": "guess"}, "no policy"),
        ({"nope": "fail"}, "no field 'nope'"),
        ({"amount": "drop_field"}, "cannot be dropped"),
    ],
)
def test_a_ladder_that_cannot_work_is_refused(ladder, message):
    with pytest.raises(errors.RegistrationError, match=message) as raised:
        priced(None, ladder)
    assert raised.value.remedy


# Remembered answers


async def test_idempotent_does_the_work_once_per_input_within_and_across_flows():
    work, calls = counting()
    p = one(work, idempotent=True)
    assert [await p.execute(n) for n in (1, 1, 2, 1)] == [10, 10, 20, 10]
    assert await one(work, idempotent=True).execute(2) == 20
    assert calls == [1, 2]
    run = p.start(1)
    await run
    assert node(run)["reason"] == "kept from an earlier run"


async def test_idempotent_by_a_key_of_ones_own():
    work, calls = counting()
    p = one(work, idempotent=lambda n: n % 10)
    assert [await p.execute(n) for n in (1, 11, 21)] == [10, 10, 10]
    assert calls == [1]


async def test_concurrent_callers_with_one_key_share_one_work():
    calls = []

    @Step
    async def work(n: int) -> int:
        calls.append(n)
        await asyncio.sleep(0.02)
        return n

    for wrapped in (one(work, idempotent=True), work.with_cache()):
        calls.clear()
        again = one(work, idempotent=True) if isinstance(wrapped, Process) else wrapped
        runs = [flow.execute(n) for n in (1, 2) for flow in (wrapped, again, wrapped)]
        assert await asyncio.gather(*runs) == [1, 1, 1, 2, 2, 2]
        assert sorted(calls) == [1, 2]


async def test_if_the_first_of_several_callers_fails_the_next_does_the_work_and_only_that():
    calls = []

    @Step
    async def work(n: int) -> int:
        calls.append(n)
        await asyncio.sleep(0.01)
        if len(calls) == 1:
            raise ConnectionError("down")
        return n

    flow = work.with_cache()

    async def late():
        await asyncio.sleep(0.015)  # while the second is at work
        return await flow.execute(1)

    found = await asyncio.gather(flow.execute(1), flow.execute(1), flow.execute(1), late(), return_exceptions=True)
    assert isinstance(found[0], ConnectionError)
    assert found[1:] == [1, 1, 1]
    assert len(calls) == 2
    assert not type(flow)._turns


async def test_failures_and_stand_ins_are_not_remembered():
    @Step
    async def backup(n: int) -> int:
        return -1

    work, calls = counting(fails=1)
    p = one(work, idempotent=True, on_failure=backup)
    assert [await p.execute(1) for _ in range(3)] == [-1, 10, 10]
    assert calls == [1, 1]


PROGRAM = """
    from pydantic import BaseModel
    from quire import Process, Step
    import time, pathlib, os, random
    class Made(BaseModel):
        who: int
    @Step
    def work(n: int) -> Made:
        with open({path!r}, "a") as file:
            file.write("x")
        time.sleep(0.3)
        return Made(who=random.randrange(10**9))
    p = Process(input=int, name="p")
    p.add(work, inputs=p.given, idempotent=True)
    print(p.execute_sync(1).who)
"""


def test_a_result_outlives_the_process(tmp_path):
    program = PROGRAM.format(path=str(tmp_path / "calls"))
    first = output_of(program, tmp_path)
    assert output_of(program, tmp_path) == first
    assert (tmp_path / "calls").read_text() == "x"


async def test_two_processes_that_race_give_one_answer(tmp_path):
    program = PROGRAM.format(path=str(tmp_path / "calls"))
    answers = await asyncio.gather(*(asyncio.to_thread(output_of, program, tmp_path) for _ in range(3)))
    assert len(set(answers)) == 1


async def test_a_cache_keeps_what_it_heard_from_this_definition():
    work, calls = counting()
    flow = work.with_cache(lambda n: n % 2)
    assert [await flow.execute(n) for n in (1, 2, 3, 4)] == [10, 20, 10, 20]
    assert calls == [1, 2]


async def test_inputs_are_told_apart_by_value_and_type():
    @Step
    async def work(x: int | str | dict | bool) -> str:
        return repr(x)

    flow = work.with_cache()
    for value in (1, "1", True, {"a": 1, "b": 2}):
        assert await flow.execute(value) == repr(value)
    assert await flow.execute({"b": 2, "a": 1}) == "{'a': 1, 'b': 2}"


async def test_what_cannot_be_a_key_is_refused_and_a_key_of_ones_own_helps():
    class Opaque: ...

    @Step
    async def work(x: object) -> int:
        return 1

    flow = work.with_cache()
    for value in (Opaque(), (n for n in range(3))):
        with pytest.raises(errors.DefinitionError, match="cannot be written down"):
            await flow.execute(value)
    assert await work.with_cache(lambda x: "same").execute(Opaque()) == 1


def test_a_cache_serves_several_loops():
    work, calls = counting()
    flow = work.with_cache()
    with in_memory():
        assert [asyncio.run(flow.execute(1)) for _ in range(3)] == [10, 10, 10]
        assert flow.execute_sync(1) == 10
    assert calls == [1]


async def test_a_flow_whose_answer_is_kept_leaves_no_node_unexplained():
    work, _ = counting()

    @Step
    async def after(n: int) -> str:
        return str(n)

    outer = Process(input=int, name="outer")
    inner = work >> after
    inner.name = "inner"
    outer.add(inner, inputs=outer.given, idempotent=True)
    await outer.execute(1)
    run = outer.start(1)
    assert await run == "10"
    shown = run.fold().snapshot()["nodes"]
    assert {shown[name]["status"] for name in ("inner/work", "inner/after")} == {"skipped"}
    assert shown["inner/work"]["reason"] == "`inner` is kept from an earlier run"


# Everything around everything


async def test_all_at_once_and_a_wrapper_is_drawn_as_what_is_inside():
    work, calls = counting(fails=1)
    around = work.with_validation({}).with_retry(2).with_timeout(5).with_fallback(counting()[0]).with_cache()
    assert await around.execute(1) == 10
    assert len(calls) == 2
    assert (around.name, around.kind, around.input, around.output) == ("work", "step", int, int)
    [drawn] = around.graph()["nodes"]
    assert drawn["facts"]["limits"] == "2 attempts, 5 s, else work, cached"
    for format in ("svg", "dot", "mermaid", "json", "ascii"):
        assert around.visualize(format)
    around.name = "renamed"
    assert work.name == "work"
