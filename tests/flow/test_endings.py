"""One branch ends badly: what happens to the others, at once and with a reason."""

import asyncio
import time

import pytest

from quire import Pipeline, Step, errors
from tests.kit import Draft, OnePager, Outline, Question, ends, tasks_left


@Step
async def slow(question: Question) -> Outline:
    await asyncio.sleep(30)
    return Outline(points=[])


@Step
async def fails(question: Question) -> Draft:
    await asyncio.sleep(0.005)  # the others have begun by then
    raise KeyError("the user's own")


@Step
async def join(outline: Outline, draft: Draft) -> OnePager:
    return OnePager(summary="")


QUESTION = Question(text="?")


@pytest.mark.parametrize("order", [(slow, fails, join), (fails, slow, join), (join, slow, fails)])
async def test_a_failure_stops_its_siblings_at_once_whichever_came_first(order):
    began = time.perf_counter()
    run = Pipeline(*order, name="flow").start(QUESTION)
    with pytest.raises(KeyError, match="the user's own") as raised:
        await run
    assert time.perf_counter() - began < 5
    found = ends(run)
    assert (found["slow"].kind, found["slow"].reason) == ("cancelled", "`fails` failed")
    assert (found["join"].kind, found["join"].reason) == ("skipped", "needs `fails`, which failed")
    assert found["flow"].origin == found["fails"].span
    assert found["flow"].where == "flow › fails"
    assert raised.value.__notes__ == [f"in flow › fails (run {run.id})", "skipped because of it: join"]
    assert tasks_left() == []
    head = run.fold().head()
    assert head["error"]["path"] == "flow › fails"
    assert "the user's own" in head["error"]["traceback"]


async def test_siblings_clean_up_before_the_error_comes_out():
    cleaned = []

    @Step
    async def tidy(question: Question) -> Outline:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.02)
            cleaned.append(True)

    with pytest.raises(KeyError):
        await Pipeline(tidy, fails, join).execute(QUESTION)
    assert cleaned == [True]


async def test_a_second_cancellation_while_the_first_is_being_done_loses_nobody():
    @Step
    async def stubborn(question: Question) -> Outline:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(30)

    @Step
    async def other(question: Question) -> Draft:
        await asyncio.Event().wait()

    run = Pipeline(stubborn, other, join, name="flow").start(QUESTION)
    await asyncio.sleep(0.01)
    run.cancel("enough")
    await asyncio.sleep(0.01)
    await run.cancel("really")
    assert {name: end.kind for name, end in ends(run).items()} == {
        "flow": "cancelled",
        "stubborn": "cancelled",
        "other": "cancelled",
        "join": "skipped",
    }
    assert tasks_left() == []


async def test_a_step_that_ignores_its_cancellation_begins_nothing_new():
    @Step
    async def deaf(question: Question) -> Outline:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return Outline(points=["all the same"])

    @Step
    async def after(outline: Outline) -> OnePager:
        return OnePager(summary="")

    run = Pipeline(deaf, after, name="flow").start(QUESTION)
    await asyncio.sleep(0.01)
    await run.cancel("enough")
    found = ends(run)
    assert (found["deaf"].kind, found["after"].kind, found["flow"].kind) == ("succeeded", "skipped", "cancelled")


async def test_two_failures_at_once_are_both_recorded_and_the_first_is_raised():
    @Step
    async def also_fails(question: Question) -> Outline:
        raise OSError("the other")

    run = Pipeline(also_fails, fails, join, name="flow").start(QUESTION)
    with pytest.raises(OSError, match="the other"):
        await run
    assert ends(run)["also_fails"].kind == "failed"
    assert ends(run)["fails"].kind in {"failed", "skipped"}


async def test_an_inner_pipelines_failure_is_told_with_its_whole_path():
    @Step
    async def ask(topic: str) -> Question:
        return Question(text=topic)

    inner = Pipeline(slow, fails, join)
    outer = Pipeline(ask, inner)
    run = outer.start("x")
    with pytest.raises(KeyError):
        await run
    assert [event.where for event in run.past if event.kind == "failed"] == ["outer › inner › fails"] * 3
    assert len({event.origin for event in run.past if event.kind == "failed"}) == 2
    assert ends(run)["slow"].reason == "`fails` failed"


async def test_a_tool_waiting_in_a_thread_does_not_hold_up_the_others():
    @Step
    def blocks(question: Question) -> Outline:
        time.sleep(0.3)
        return Outline(points=[])

    began = time.perf_counter()
    with pytest.raises(KeyError):
        await Pipeline(blocks, fails, join).execute(QUESTION)
    assert time.perf_counter() - began < 0.25


async def test_a_promise_that_is_not_kept_is_found_at_the_step_that_made_it():
    @Step
    async def liar(question: Question) -> Outline:
        return "not an outline"

    @Step
    async def after(outline: Outline) -> OnePager:
        raise AssertionError("never reached")

    run = Pipeline(liar, after, name="flow").start(QUESTION)
    with pytest.raises(errors.OutputValidationError, match="`liar` promises Outline"):
        await run
    assert ends(run)["after"].reason == "needs `liar`, which failed"
