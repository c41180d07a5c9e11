"""The contract: start, execute, stream, execute_sync, and the handle they share."""

import asyncio
import threading
import time

import pytest

from quire import Agent, Pipeline, Step, current_context, errors
from quire.run.run import running
from quire.testing import ScriptedModel, in_memory
from tests.kit import Draft, Outline, Question, ends, kinds, output_of, tasks_left


@Step
async def double(n: int) -> int:
    return 2 * n


@Step
async def forever(n: int) -> int:
    await asyncio.Event().wait()
    return n


@Step
def slow(n: int) -> int:
    time.sleep(0.1)
    return n


# Every verb, everywhere


async def test_the_verbs_inside_a_loop():
    run = double.start(1)
    # execute_sync here would patch asyncio for the whole process: it has a program of its own below.
    assert (await run, await double.execute(2)) == (2, 4)
    assert [event.kind async for event in double.stream(4)] == ["started", "succeeded"]


def test_the_verbs_without_a_loop():
    run = double.start(1)
    assert (run.wait(), double.execute_sync(2), run.result) == (2, 4, 2)


def test_the_verbs_in_several_loops_one_after_the_other():
    async def main(n):
        return await asyncio.gather(double.execute(n), double.start(n))

    assert [asyncio.run(main(n)) for n in (1, 2)] == [[2, 2], [4, 4]]


def test_a_run_begun_in_one_place_can_be_awaited_in_another():
    run = slow.start(5)

    async def main():
        return await run

    assert asyncio.run(main()) == run.wait() == 5


def test_the_verbs_in_a_script_and_inside_asyncio_run_without_any_test_tool(tmp_path):
    assert output_of(
        """
        import asyncio
        from quire import Step
        @Step
        async def double(n: int) -> int:
            return 2 * n
        print(double.execute_sync(1), double.start(2).wait())
        async def main():
            print(await double.execute(3), double.execute_sync(4), await double.start(5))
        asyncio.run(main())
        asyncio.run(main())
        print(double.execute_sync(6))
        """,
        tmp_path,
    ).split() == ["2", "4", "6", "8", "10", "6", "8", "10", "12"]


# Awaiting


async def test_a_run_can_be_awaited_many_times_and_by_many():
    run = slow.start(3)
    assert await asyncio.gather(run._wait(), run._wait()) == [3, 3]
    assert await run == run.result == 3


async def test_a_result_read_too_early_says_what_to_do():
    run = forever.start(1)
    with pytest.raises(errors.RunNotFinished, match="still pending") as raised:
        _ = run.result
    assert "await run" in raised.value.remedy
    await asyncio.sleep(0.01)
    assert (run.status, run.finished, run.error) == ("running", False, None)
    await run.cancel()


async def test_twenty_at_once_take_as_long_as_one():
    @Step
    async def nap(n: int) -> int:
        await asyncio.sleep(0.1)
        return n

    began = time.perf_counter()
    assert await asyncio.gather(*(nap.execute(n) for n in range(20))) == list(range(20))
    assert time.perf_counter() - began < 0.6


async def test_plain_functions_run_side_by_side_and_hold_no_loop():
    ticks = 0

    async def tick():
        nonlocal ticks
        while True:
            await asyncio.sleep(0.005)
            ticks += 1

    ticking = asyncio.create_task(tick())
    began = time.perf_counter()
    assert await asyncio.gather(*(slow.execute(n) for n in range(10))) == list(range(10))
    assert time.perf_counter() - began < 0.6
    assert ticks >= 5
    ticking.cancel()


# Inside each other


async def test_an_execute_inside_a_step_is_part_of_the_same_run():
    @Step
    async def outer(n: int) -> int:
        return await double.execute(n) + await double.execute(n)

    run = outer.start(1)
    assert await run == 4
    assert sorted(ends(run)) == ["double", "outer"]
    assert kinds(run) == ["started", "started", "succeeded", "started", "succeeded", "succeeded"]
    inner = [event for event in run.past if event.kind == "started"][1:]
    assert {event.parent for event in inner} == {run.past[0].span}


def test_every_verb_in_a_worker_thread_is_part_of_its_run():
    @Step
    def outer(n: int) -> list[int]:
        return [double.execute_sync(n), double.start(n).wait(), double.execute_sync(n, timeout=5)]

    run = outer.start(1)
    assert run.wait() == [2, 2, 2]
    assert kinds(run).count("started") == 4


async def test_a_worker_threads_part_is_stopped_with_its_run():
    reached = asyncio.Event()

    @Step
    async def inner(n: int) -> int:
        reached.set()
        await asyncio.Event().wait()
        return n

    @Step
    def outer(n: int) -> int:
        return inner.execute_sync(n)

    run = outer.start(1)
    await reached.wait()
    await run.cancel()
    assert {name: end.kind for name, end in ends(run).items()} == {"outer": "cancelled", "inner": "cancelled"}
    assert tasks_left() == []


async def test_what_a_step_starts_and_forgets_ends_with_its_run():
    @Step
    async def careless(n: int) -> int:
        forever.start(n)
        await asyncio.sleep(0)
        return n

    run = careless.start(1)
    assert await run == 1
    assert ends(run)["forever"].reason == "its run has ended"
    assert tasks_left() == []


async def test_what_a_step_starts_can_be_awaited_there():
    @Step
    async def careful(n: int) -> int:
        runs = [double.start(n), double.start(n + 1)]
        return sum([await run for run in runs])

    run = careful.start(1)
    assert await run == 6
    assert len(running) == 0
    assert kinds(run, "double").count("succeeded") == 2


async def test_current_context_is_the_innermost_and_gone_afterwards():
    @Step
    async def where(n: int) -> str:
        return current_context().where

    @Step
    async def outer(n: int) -> str:
        return f"{await where.execute(n)} in {current_context().where}"

    assert await outer.execute(1) == "outer › where in outer"
    with pytest.raises(errors.QuireError, match="no run here"):
        current_context()


# Streaming


async def test_a_stream_brings_words_before_the_run_is_over():
    agent = Agent(ScriptedModel(["three little words"]), "Talk.", name="talker")
    seen = [(event.kind, getattr(event, "text", None)) async for event in agent.stream("go")]
    words = [text for kind, text in seen if kind == "delta"]
    assert words == ["three ", "little ", "words"]
    assert seen.index(("delta", "three ")) < seen.index(("responded", None))
    assert seen[-1] == ("succeeded", None)


async def test_leaving_a_stream_early_cancels_the_run():
    events = forever.stream(1)
    first = await anext(events)
    [run] = [run for run in running.values() if run.id == first.run]
    await events.aclose()
    assert run.status == "cancelled"
    assert ends(run)["forever"].reason == "nobody reads its events any more"


async def test_breaking_out_of_a_stream_cancels_the_run_soon():
    async for event in forever.stream(1):
        run = running[event.run]
        break
    await asyncio.wait_for(asyncio.shield(_ended(run)), 2)
    assert run.status == "cancelled"


async def _ended(run):
    ended = asyncio.Event()
    run.when_ended(ended.set)
    await ended.wait()


async def test_a_stream_raises_the_runs_error_after_its_events():
    @Step
    async def broken(n: int) -> int:
        raise KeyError("gone")

    seen = []

    async def watch():
        async for event in broken.stream(1):
            seen.append(event.kind)  # noqa: PERF401 - the list is wanted although it raises

    with pytest.raises(KeyError, match="gone"):
        await watch()
    assert seen == ["started", "failed"]


async def test_a_stream_inside_a_step_yields_that_parts_events_and_ends():
    agent = Agent(ScriptedModel(["a b"]), "Talk.", name="talker")

    @Step
    async def outer(text: str) -> list[str]:
        await double.execute(1)
        return [event.kind async for event in agent.stream(text)]

    heard = await outer.execute("x", timeout=5)
    assert heard[0] == "started"
    assert heard[-1] == "succeeded"
    assert heard.count("delta") == 2
    assert heard.count("started") == 1


# Types at the door


async def test_an_input_of_another_type_is_refused_and_recorded():
    run = double.start("many")
    with pytest.raises(errors.InputValidationError, match=r"`double` takes int, not str 'many'") as raised:
        await run
    assert raised.value.where == "double"
    assert "integer" in raised.value.remedy
    assert kinds(run) == ["started", "failed"]
    assert isinstance(raised.value, ValueError)


async def test_an_output_of_another_type_is_refused_and_recorded():
    @Step
    async def liar(n: int) -> int:
        return "many"

    run = liar.start(1)
    with pytest.raises(errors.OutputValidationError, match=r"`liar` promises int, but gave str 'many'"):
        await run
    assert run.past[-1].error_type == "OutputValidationError"


async def test_values_are_taken_as_their_types():
    @Step
    async def count(outline: Outline) -> int:
        return len(outline.points)

    assert await count.execute({"points": ["a", "b"]}) == 2
    assert await double.execute("21") == 42


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), "long"])
def test_a_time_in_which_nothing_can_be_done_is_refused(timeout):
    @Step
    async def outer(n: int) -> int:
        return await double.execute(n, timeout=timeout)

    for verb in (lambda: double.start(1, timeout=timeout), lambda: outer.execute_sync(1)):
        with pytest.raises(errors.DefinitionError, match="leaves no time"):
            verb()


async def test_tags_are_kept_with_the_run():
    run = double.start(1, tags={"purpose": "test"})
    await run
    assert run.past[0].tags == {"purpose": "test"}


async def test_a_run_shows_its_graph_before_its_first_moment():
    @Step
    async def ask(topic: str) -> Question:
        return Question(text=topic)

    @Step
    async def write(question: Question) -> Draft:
        return Draft(body=question.text)

    flow = Pipeline(ask, write)
    run = flow.start("x")
    shown = run.fold().snapshot()
    assert (run.status, shown["head"]["name"], shown["head"]["total"]) == ("pending", "flow", 2)
    assert {node: state["status"] for node, state in shown["nodes"].items()} == {"ask": "pending", "write": "pending"}
    await run
    assert run.fold().snapshot()["graph"] == shown["graph"]


# The loop may go, the thread may hang


def test_runs_that_asyncio_run_leaves_behind_are_recorded_as_cancelled():
    async def main():
        begun = forever.start(1)
        await asyncio.sleep(0.01)
        return begun, forever.start(2)

    with in_memory():
        for run in asyncio.run(main()):
            assert (run.status, run.finished) == ("cancelled", True)
            assert kinds(run) == ["started", "cancelled"]
            with pytest.raises(errors.RunCancelled):
                run.wait()
            run.cancel()  # nothing left to cancel, and no loop to do it on
    assert running == {}


def test_a_step_that_hangs_in_its_thread_does_not_keep_the_interpreter(tmp_path):
    began = time.perf_counter()
    out = output_of(
        """
        import time
        from quire import Step
        @Step
        def hang(n: int) -> int:
            time.sleep(600)
            return n
        try:
            hang.execute_sync(1, timeout=0.2)
        except TimeoutError as error:
            print(type(error).__name__)
        """,
        tmp_path,
    )
    assert out == "DeadlineExceeded"
    assert time.perf_counter() - began < 10


def test_plain_functions_may_wait_for_plain_functions_however_many():
    @Step
    def leaf(n: int) -> int:
        return n

    @Step
    def branch(n: int) -> int:
        barrier.wait(20)
        return leaf.execute_sync(n)

    barrier = threading.Barrier(64)

    async def main():
        return await asyncio.wait_for(asyncio.gather(*(branch.execute(n) for n in range(64))), 15)

    assert asyncio.run(main()) == list(range(64))
