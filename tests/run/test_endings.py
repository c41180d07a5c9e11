"""How runs end when they do not end well: cancelled, out of time, failed, unkept, interrupted."""

import asyncio
import signal
import time
import traceback
from dataclasses import dataclass

import pytest

from quire import Agent, Step, Tool, errors
from quire.adapters.stores.file import FileStore
from quire.run.run import running
from quire.run.runtime import keep_in
from quire.testing import ScriptedModel, ToolUse
from tests.kit import ends, kinds, program, tasks_left


@Step
async def forever(n: int) -> int:
    await asyncio.Event().wait()
    return n


@Step
async def fails(n: int) -> int:
    raise ValueError(f"no {n}")


# Cancelling


async def test_a_run_cancelled_at_once_is_recorded_and_does_none_of_its_work():
    worked = False

    @Step
    async def work(n: int) -> int:
        nonlocal worked
        worked = True
        return n

    run = work.start(1)
    await run.cancel()
    assert (run.status, worked) == ("cancelled", False)
    assert kinds(run) == ["started", "cancelled"]
    assert run.past[-1].reason == "stopped by you"
    assert run.past[0].graph["nodes"][0]["id"] == "work"


async def test_cancelling_returns_at_once_and_may_be_awaited_or_not():
    run = forever.start(1)
    await asyncio.sleep(0)
    ending = run.cancel("enough")
    assert not run.finished
    await ending
    await ending
    assert (run.finished, run.past[-1].reason) == (True, "enough")
    await run.cancel()
    assert kinds(run) == ["started", "cancelled"]


async def test_a_run_cancelled_while_it_claims_its_log_is_recorded_too():
    run = forever.start(1, key="job")
    await asyncio.sleep(0)
    await run.cancel("enough")
    assert (run.status, kinds(run), run.past[-1].reason) == ("cancelled", ["started", "cancelled"], "enough")
    again = forever.resume(run.id)
    await asyncio.sleep(0)
    await again.cancel("enough")
    assert (again.status, kinds(again)) == ("cancelled", ["started", "cancelled", "resumed", "cancelled"])


def test_a_run_of_a_script_can_be_cancelled_from_any_thread():
    run = forever.start(1)
    run.cancel("from here")
    with pytest.raises(errors.RunCancelled, match="from here"):
        run.wait()
    assert kinds(run) == ["started", "cancelled"]


async def test_a_run_awaited_elsewhere_tells_that_it_was_cancelled():
    run = forever.start(1)

    async def wait():
        return await run

    waiting = asyncio.create_task(wait())
    await asyncio.sleep(0)
    run.cancel("lunch")
    with pytest.raises(errors.RunCancelled, match=r"`forever` was cancelled: lunch"):
        await waiting
    with pytest.raises(errors.RunCancelled):
        _ = run.result


async def test_cancelling_the_task_that_awaits_cancels_the_run():
    waiting = asyncio.create_task(forever.execute(1))
    await asyncio.sleep(0.01)
    [run] = running.values()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert run.status == "cancelled"
    assert run.past[-1].reason == "interrupted"
    assert tasks_left() == []


async def test_the_reason_reaches_every_span_below():
    @Step
    async def middle(n: int) -> int:
        return await forever.execute(n)

    @Step
    async def outer(n: int) -> int:
        return await middle.start(n)

    run = outer.start(1)
    await asyncio.sleep(0.01)
    await run.cancel("enough")
    assert {name: end.reason for name, end in ends(run).items()} == dict.fromkeys(
        ("outer", "middle", "forever"), "enough"
    )


async def test_who_cleans_up_may_take_its_time_and_is_waited_for():
    cleaned = []

    @Step
    async def tidy(n: int) -> int:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.02)
            cleaned.append(n)
        return n

    run = tidy.start(1)
    await asyncio.sleep(0)
    await run.cancel()
    assert cleaned == [1]


async def test_a_step_that_awaits_something_cancelled_elsewhere_is_cancelled():
    other = asyncio.create_task(asyncio.sleep(9))

    @Step
    async def waits(n: int) -> int:
        await other
        return n

    run = waits.start(1)
    await asyncio.sleep(0)
    other.cancel()
    with pytest.raises(errors.RunCancelled):
        await run


# Time


async def test_a_run_out_of_time_says_so_and_is_recorded():
    began = time.perf_counter()
    run = forever.start(1, timeout=0.05)
    with pytest.raises(errors.DeadlineExceeded, match=r"`forever` was not finished") as raised:
        await run
    assert time.perf_counter() - began < 1
    assert isinstance(raised.value, TimeoutError)
    assert (run.status, run.past[-1].error_type, run.past[-1].where) == ("failed", "DeadlineExceeded", "forever")


async def test_the_nearest_deadline_wins_and_what_was_inside_says_why_it_stopped():
    @Step
    async def outer(n: int) -> int:
        try:
            return await forever.execute(n, timeout=0.02)
        except errors.DeadlineExceeded:
            return await forever.execute(n, timeout=60)

    run = outer.start(1, timeout=0.1)
    with pytest.raises(errors.DeadlineExceeded, match="`outer`"):
        await run
    failed, cancelled = [e for e in run.past if e.kind in {"failed", "cancelled"} and e.parent]
    assert (failed.error_type, cancelled.reason) == ("DeadlineExceeded", "its time was up")


async def test_what_is_started_has_no_more_time_than_what_started_it():
    parts = []

    @Step
    async def inner(n: int) -> int:
        parts.append(forever.start(n))
        await asyncio.Event().wait()

    @Step
    async def outer(n: int) -> str:
        with pytest.raises(errors.DeadlineExceeded, match="`inner`"):
            await inner.execute(n, timeout=0.03)
        with pytest.raises(errors.DeadlineExceeded, match="`forever`"):
            await parts[0]
        return parts[0].status

    assert await outer.execute(1, timeout=5) == "failed"


async def test_a_users_own_timeout_is_not_taken_for_ours():
    @Step
    async def impatient(n: int) -> int:
        async with asyncio.timeout(0.01):
            await asyncio.Event().wait()
        return n

    with pytest.raises(TimeoutError) as raised:
        await impatient.execute(1, timeout=60)
    assert type(raised.value) is TimeoutError


# Errors


async def test_an_error_reaches_the_caller_as_itself_with_a_note_of_where():
    @Step
    async def outer(n: int) -> int:
        return await fails.execute(n)

    run = outer.start(7)
    with pytest.raises(ValueError, match=r"^no 7") as raised:
        await run
    assert raised.value.__notes__ == [f"in outer › fails (run {run.id})"]
    assert raised.value is run.error


async def test_the_log_says_where_it_arose_and_only_there_with_the_users_own_frames():
    @Step
    async def outer(n: int) -> int:
        return await fails.execute(n)

    run = outer.start(7)
    with pytest.raises(ValueError, match="no 7"):
        await run
    inner, passed = [event for event in run.past if event.kind == "failed"]
    assert (inner.error_type, inner.error, inner.where, inner.origin) == ("ValueError", "no 7", "outer › fails", None)
    assert (passed.where, passed.origin, passed.traceback) == ("outer › fails", inner.span, None)
    lines = inner.traceback.splitlines()
    assert lines[-1] == "ValueError: no 7"
    assert 'raise ValueError(f"no {n}")' in lines[-2]
    assert __file__ in lines[0]
    assert "toolkit" not in inner.traceback
    assert "asyncio" not in inner.traceback


@pytest.mark.parametrize("verb", ["async", "thread"])
async def test_a_traceback_leads_through_the_users_own_functions(verb):
    def deepest():
        gone = "gone"
        return {}[gone]

    def deep():
        return deepest()

    if verb == "async":

        @Step
        async def step(n: int) -> int:
            return deep()
    else:

        @Step
        def step(n: int) -> int:
            return deep()

    run = step.start(1)
    with pytest.raises(KeyError) as raised:
        await run
    told = run.past[-1].traceback
    assert [name in told for name in ("in step", "in deep", "in deepest", "return {}[gone]")] == [True] * 4
    assert "quire/run" not in told
    assert "return {}[gone]" in "".join(traceback.format_exception(raised.value))


async def test_one_error_object_in_two_runs_belongs_to_both():
    error = OSError("the same")

    @Step
    async def first(n: int) -> int:
        raise error

    @Step
    async def second(n: int) -> int:
        raise error

    runs = [first.start(1), second.start(1)]
    for run in runs:
        with pytest.raises(OSError, match="the same"):
            await run
    assert [(run.past[-1].where, run.past[-1].origin) for run in runs] == [("first", None), ("second", None)]


async def test_an_error_that_takes_no_notes_is_still_itself():
    @dataclass(frozen=True)
    class FrozenError(Exception):
        code: int

    @Step
    async def outer(n: int) -> int:
        raise FrozenError(n)

    run = outer.start(3)
    with pytest.raises(FrozenError) as raised:
        await run
    assert (raised.value.code, run.past[-1].error_type) == (3, "FrozenError")


async def test_exit_in_a_step_is_an_error_of_the_run_and_not_the_end_of_the_loop():
    @Step
    def leaves(n: int) -> int:
        raise SystemExit(2)

    @Step
    async def stops(n: int) -> int:
        raise StopIteration

    run = leaves.start(1)
    with pytest.raises(SystemExit):
        await run
    assert run.past[-1].error_type == "SystemExit"
    with pytest.raises(RuntimeError):
        await stops.execute(1)


async def test_reading_a_failed_result_again_and_again_does_not_grow_its_traceback():
    run = fails.start(1)
    lengths = []
    for _ in range(4):
        with pytest.raises(ValueError, match="no 1") as raised:
            await run
        lengths.append(len(traceback.extract_tb(raised.value.__traceback__)))
    assert len(set(lengths)) == 1


# A store that fails


@pytest.fixture
def blocked(tmp_path):
    """A store whose folder cannot be made: there is a file in its place."""
    (tmp_path / "house").write_text("in the way")
    with keep_in(FileStore(tmp_path / "house")) as store:
        yield store


async def test_a_result_that_cannot_be_kept_is_an_error_with_a_remedy(blocked):
    @Step
    async def double(n: int) -> int:
        await asyncio.sleep(0.05)
        return 2 * n

    run = double.start(1)
    with pytest.raises(errors.StoreError, match="could not be written") as raised:
        await asyncio.wait_for(run._wait(), 3)
    assert "QUIRE_HOME" in raised.value.remedy
    assert running == {}


async def test_a_users_own_error_comes_before_the_stores(blocked):
    with pytest.raises(ValueError, match="no 1"):
        await asyncio.wait_for(fails.execute(1), 3)


async def test_no_tool_has_an_effect_that_cannot_be_recorded_before(blocked):
    effects = []

    @Tool
    async def pay(amount: int) -> str:
        """Pay."""
        effects.append(amount)
        return "paid"

    agent = Agent(ScriptedModel([ToolUse("pay", {"amount": 5}), "done"]), "Pay.", tools=[pay], name="payer")
    run = agent.start("go")
    with pytest.raises(errors.StoreError):
        await asyncio.wait_for(run._wait(), 3)
    assert effects == []
    assert kinds(run, "pay") == ["called", "failed"]
    assert tasks_left() == []


async def test_a_store_that_fails_in_the_middle_of_a_run(tmp_path):
    house = tmp_path / "house"

    @Step
    async def first(n: int) -> int:
        await asyncio.sleep(0.06)  # long enough for the first events to be kept
        (house / "runs").rename(tmp_path / "elsewhere")
        (house / "runs").write_text("in the way")
        return n

    with keep_in(FileStore(house)):
        run = first.start(1)
        with pytest.raises(errors.StoreError):
            await asyncio.wait_for(run._wait(), 3)
    kept = (tmp_path / "elsewhere" / f"{run.id}.jsonl").read_text().splitlines()
    assert len(kept) == 1
    assert '"started"' in kept[0]


# A person at the keyboard


def test_an_interrupt_in_a_script_cancels_the_run_and_records_it(tmp_path):
    running_program = program(
        """
        import asyncio, quire
        from quire import Step
        @Step
        async def forever(n: int) -> int:
            print("ready", flush=True)
            await asyncio.Event().wait()
        try:
            forever.execute_sync(1)
        except KeyboardInterrupt:
            print(quire.runs()["status"].tolist())
        """,
        tmp_path,
    )
    assert running_program.stdout.readline() == "ready\n"
    running_program.send_signal(signal.SIGINT)
    out, err = running_program.communicate(timeout=10)
    assert (out.strip(), err) == ("['cancelled']", "")
