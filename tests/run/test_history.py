"""Runs are there tomorrow: listed, loaded by id and from a file, summed up."""

import asyncio

import pytest

import quire
from quire import Agent, Step, errors
from quire.run.history import load
from quire.testing import ScriptedModel, ToolUse, in_memory
from tests.kit import output_of, plain, tables_of


@Step
def double(n: int) -> int:
    return 2 * n


def talk(*replies):
    talker = Agent(ScriptedModel(replies), "Talk.", tools=[double])
    run = talker.start("hello")
    run.wait()
    return run


def test_runs_of_another_process_are_listed_newest_first(quire_home):
    [earlier] = output_of(
        """
        from quire import Step
        @Step
        def earlier(n: int) -> int:
            return n
        run = earlier.start(5, tags={"who": "me"})
        run.wait()
        print(run.id)
        """,
        quire_home,
    ).split()
    double.execute_sync(1)
    listed = quire.runs()
    assert listed["name"].tolist() == ["double", "earlier"]
    assert listed["run"].tolist()[1] == earlier
    assert listed["status"].tolist() == ["succeeded", "succeeded"]
    record = load(earlier)
    assert (record.name, record.status, record.output) == ("earlier", "succeeded", 5)


def test_a_run_loaded_by_id_or_from_an_export_is_the_run(tmp_path):
    run = talk(ToolUse("double", {"input": 4}), "eight")
    by_id, exported = load(run.id), load(run.export(tmp_path / "run.jsonl"))
    for record in (by_id, exported):
        assert list(record.past) == run.past
        assert plain(record.fold().snapshot()) == plain(run.fold().snapshot())
        assert tables_of(record.past) == tables_of(run.past)
        assert (record.id, record.name, record.status, record.output) == (run.id, "talker", "succeeded", "eight")
        assert str(record) == str(run)


def test_a_run_that_goes_on_is_listed_and_loaded_alive():
    @Step
    async def forever(n: int) -> int:
        await asyncio.Event().wait()
        return n

    run = forever.start(1)
    while run.status == "pending":
        pass
    assert quire.runs()[["name", "status"]].values.tolist() == [["forever", "running"]]
    assert load(run.id) is run
    run.cancel()
    with pytest.raises(errors.RunCancelled):
        run.wait()
    assert quire.runs()["status"].tolist() == ["cancelled"]


def test_costs_are_grouped():
    talk("one two")
    talk("three")
    costs = quire.costs(by=["agent", "model"])
    assert costs[["agent", "model", "calls", "output_tokens"]].values.tolist() == [["talker", "scripted", 2, 3]]
    assert quire.costs()["cost_usd"].tolist() == [0.0]
    for nonsense in ("weather", ["agent", "weather"], [], 5, None, [[]]):
        with pytest.raises(errors.DefinitionError, match="no groups"):
            quire.costs(by=nonsense)


def test_the_tables_of_a_run_have_their_rows():
    run = talk(ToolUse("double", {"input": 4}), "eight")
    assert run.nodes["node"].tolist() == ["talker", "double"]
    assert run.calls["finish_reason"].tolist() == ["tool_calls", "stop"]
    assert run.tools[["tool", "result"]].values.tolist() == [["double", "8"]]
    assert run.messages["role"].tolist() == ["system", "user", "assistant", "tool", "assistant"]
    assert len(run.events) == len(run.past)
    assert run.cost["calls"].tolist() == [2]


async def test_the_tables_of_a_run_that_goes_on_keep_up_with_it():
    begun, going = asyncio.Event(), asyncio.Event()

    @Step
    async def wait(n: int) -> int:
        begun.set()
        await going.wait()
        return n

    run = wait.start(1)
    await begun.wait()
    assert run.nodes["status"].tolist() == run.nodes["status"].tolist() == ["running"]
    going.set()
    await run
    assert run.nodes["status"].tolist() == ["succeeded"]
    assert run.events["kind"].tolist() == ["started", "succeeded"]


def test_what_is_not_there_is_said(tmp_path):
    with pytest.raises(errors.StoreError, match="no run 'nowhere'"):
        load("nowhere")
    with pytest.raises(errors.StoreError, match="cannot be read"):
        load(tmp_path / "gone.jsonl")
    (tmp_path / "torn.jsonl").write_bytes(b'{"kind":\n')
    with pytest.raises(errors.CorruptLog, match="Line 1"):
        load(tmp_path / "torn.jsonl")
    (tmp_path / "empty.jsonl").write_bytes(b"")
    assert load(tmp_path / "empty.jsonl").status == "pending"


def test_one_damaged_log_does_not_hide_the_others(quire_home):
    damaged, whole = double.start(1), double.start(2)
    damaged.wait(), whole.wait()
    path = quire_home / "runs" / f"{damaged.id}.jsonl"
    first, *_ = path.read_text().splitlines(keepends=True)
    path.write_text(first + "not an event\n")
    told = quire.runs().set_index("run")
    assert told["status"].to_dict() == {damaged.id: "failed", whole.id: "succeeded"}
    assert told.loc[damaged.id, "error_type"] == "CorruptLog"
    assert "Line 2 of a log is not event 2" in told.loc[damaged.id, "error"]


def test_runs_in_memory_are_forgotten_and_leave_nothing_on_disk(quire_home):
    with in_memory():
        double.execute_sync(1)
        assert len(quire.runs()) == 1
    assert len(quire.runs()) == 0
    assert not quire_home.exists()
