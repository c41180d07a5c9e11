"""Runs whose process is gone: they do not run any more, and nobody has to guess it."""

import asyncio
import json
import os
import shutil
import signal
from dataclasses import replace

import pytest

import quire
from quire import Step, errors
from quire.events import Resumed, Started
from quire.run import bridge, process
from quire.run.runtime import store
from tests.kit import output_of, program

PROGRAM = """
    import asyncio
    import quire
    from quire import Pipeline, Step

    @Step
    async def first(n: int) -> str:
        return str(n + 1)

    @Step
    async def second(text: str) -> float:
        await asyncio.sleep(WAITS)
        return 2.0 * int(text)

    @Step
    async def third(n: float) -> bool:
        return n == 10

    flow = Pipeline(first, second, third, name="flow")

    async def main():
        run = flow.start(4)
        while len(run.past) < 4:
            await asyncio.sleep(0.01)
        await run.log.flush()
        print(run.id, flush=True)
        await run

    asyncio.run(main())
"""
GONE = "its process ended before it did; resume it"


def begun(home):
    """Return a process in the middle of a run, and the run's id."""
    living = program(PROGRAM.replace("WAITS", "60"), home)
    return living, living.stdout.readline().strip()


@pytest.fixture(scope="module")
def left_behind(tmp_path_factory):
    """Return the log of a run whose process was killed in the middle of it."""
    home = tmp_path_factory.mktemp("home")
    living, run = begun(home)
    living.send_signal(signal.SIGKILL)
    living.communicate()
    return home / f"runs/{run}.jsonl"


@pytest.fixture
def killed(left_behind, quire_home):
    """Return the id of such a run, which is kept here."""
    (quire_home / "runs").mkdir(parents=True)
    shutil.copy(left_behind, quire_home / "runs")
    return left_behind.stem


def test_a_run_whose_process_was_killed_is_cancelled_wherever_one_looks(killed, quire_home):
    run = killed
    record = quire.load(run)
    row = quire.runs().iloc[0]
    assert (row["run"], row["status"], row["reason"]) == (run, "cancelled", GONE)
    assert row["duration_s"] == pytest.approx(record.past[-1].at - record.past[0].at, abs=1e-4)
    assert record.status == "cancelled"
    assert f"{record!r}" == f"<run {run} of flow: cancelled>"
    head = record.fold().head()
    assert (head["status"], head["reason"], head["ended_at"]) == ("cancelled", GONE, record.past[-1].at)
    nodes = record.fold().snapshot()["nodes"]
    assert [(name, state["status"], state["reason"]) for name, state in nodes.items()] == [
        ("first", "succeeded", None),
        ("second", "cancelled", GONE),
        ("third", "skipped", "`flow` was cancelled"),
    ]
    assert record.nodes[["node", "status", "reason"]].fillna("").values.tolist() == [
        ["flow", "cancelled", GONE],
        ["first", "succeeded", ""],
        ["second", "cancelled", GONE],
    ]
    assert GONE in str(record)
    assert GONE in str(quire.load(record.export(quire_home / "copy.jsonl")))


def test_to_look_changes_nothing_and_the_run_goes_on(killed, quire_home):
    run = killed
    path = quire_home / f"runs/{run}.jsonl"
    before = path.read_bytes()
    record = quire.load(run)
    assert (str(record), len(quire.runs()), record.output) != ("", 0, 0)
    assert len(record.events) == len(record.past) == before.count(b"\n")
    assert path.read_bytes() == before
    text = PROGRAM.replace("WAITS", "0").replace("flow.start(4)", f"flow.resume({run!r})")
    output_of(text, quire_home)
    assert (quire.load(run).status, quire.load(run).output) == ("succeeded", True)
    assert quire.runs()["status"].tolist() == ["succeeded"]


def test_a_run_of_a_living_process_is_running(quire_home):
    living, run = begun(quire_home)
    try:
        assert (quire.load(run).status, quire.runs()["status"].tolist()) == ("running", ["running"])
    finally:
        living.kill()
        living.communicate()
    assert quire.load(run).status == "cancelled"


@pytest.mark.parametrize(
    ("mark", "status"),
    [
        (lambda _: None, "running"),
        (lambda _: "0123456789ab 1 2", "running"),
        (lambda here: f"{here[0]} {here[1]} {here[2]}", "cancelled"),
        (lambda here: f"{here[0]} {here[1]} {int(here[2]) - 1}", "cancelled"),
    ],
    ids=["nobody said", "of another machine", "of this process, which knows of none", "of one whose number it has"],
)
def test_a_run_of_somebody_who_may_live_is_running(killed, quire_home, mark, status):
    path = quire_home / f"runs/{killed}.jsonl"
    first, *rest = path.read_text().splitlines()
    began = {**json.loads(first), "process": mark(process.here().split())}
    path.write_text("\n".join([json.dumps(began), *rest, ""]))
    assert (quire.load(killed).status, quire.runs()["status"].tolist()) == (status, [status])


def test_one_that_went_on_in_another_process_is_that_one_s(killed):
    run = killed
    past = quire.load(run).past
    other = Resumed(
        seq=len(past) + 1, at=past[-1].at, run=run, span="1", parent=None, process=f"0123456789ab {os.getpid()} 1"
    )
    bridge.aside(lambda: store().append(f"runs/{run}", [other], len(past)))
    assert quire.load(run).status == "running"


def test_one_that_ends_while_somebody_looks_has_ended(killed, monkeypatch):
    """Its process is gone when it is asked for, but its last events came after they were read."""
    run = killed
    home, kept, past = store(), store().read, quire.load(run).past

    async def read(stream, after=0):
        found = await kept(stream, after)
        monkeypatch.setattr(home, "read", kept)
        ended = replace(Resumed(seq=len(past) + 1, at=past[-1].at, run=run, span="1", parent=None), process=None)
        await home.append(stream, [ended], len(past))
        return found

    monkeypatch.setattr(home, "read", read)
    assert len(quire.load(run).past) == len(past) + 1


async def test_a_fork_says_whose_it_is():
    @Step
    async def double(n: int) -> int:
        return 2 * n

    run = double.start(2)
    await run
    fork = run.fork(edit={"input": 3})
    assert await fork == 6
    began = next(event for event in fork.past if isinstance(event, Started))
    assert began.process == process.here()


# What could not be kept


async def test_a_run_whose_end_could_not_be_kept_does_not_look_kept(quire_home):
    going_on = asyncio.Event()

    @Step
    async def slow(n: int) -> int:
        await going_on.wait()
        return n

    run = slow.start(1)
    await asyncio.sleep(0)
    await run.log.flush()
    aside = quire_home.with_name("aside")
    quire_home.rename(aside)
    quire_home.write_text("a file where the folder should be")
    going_on.set()
    with pytest.raises(errors.StoreError, match="could not be written"):
        await run
    assert run.status == "failed"
    assert run.output is None
    assert run.fold().head()["error"]["type"] == "StoreError"
    with pytest.raises(errors.StoreError):
        _ = run.result
    quire_home.unlink()
    aside.rename(quire_home)
    record = quire.load(run.id)
    assert record.status == "cancelled"
    assert record.fold().head()["reason"] == "how it ended could not be kept; resume it"
    assert await slow.resume(run.id) == 1
    assert quire.runs()["status"].tolist() == ["succeeded"]
