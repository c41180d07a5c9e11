"""Typed channels that the steps of a run share: what counts, in which order, and what each step sees of it."""

import asyncio
import gc
from typing import Annotated

import pytest
from pydantic import AfterValidator, BaseModel, Field, field_validator

import quire
from quire import Agent, Process, Retry, State, Step, Tool, errors
from quire.adapters.stores.file import FileStore
from quire.adapters.stores.sqlite import SQLiteStore
from quire.events import Succeeded, Wrote
from quire.flow.shapes import Each
from quire.reducers import add, append, latest, merge
from quire.run.runtime import keep_in
from quire.testing import ScriptedModel, ToolUse, in_memory
from quire.views import tables
from quire.views.details import details


class Quote(BaseModel):
    usd: float
    at: int


class Desk(State):
    """One channel of each kind."""

    words: Annotated[list[str], append] = []  # noqa: RUF012 - pydantic copies it
    facts: Annotated[dict[str, str], merge] = {}  # noqa: RUF012 - pydantic copies it
    price: Annotated[Quote, latest(by="at")] = Quote(usd=0, at=0)
    spent: Annotated[float, add] = 0.0
    top: Annotated[int, max] = 0
    plan: str = ""


def writes(name, *, wait=0, **channels):
    """Return a step that waits for some turns of the loop, then writes its name, and gives the words it saw."""

    @Step(name=name)
    async def step(n: int) -> list[str]:
        seen = Desk.now().words
        for _ in range(wait):
            await asyncio.sleep(0)
        Desk.write(words=[name], **channels)
        return seen

    return step


@Step
async def gather(parts: tuple[list[str], ...]) -> list[str]:
    return Desk.now().words


def done(flow, value=1, state=Desk):
    run = flow.with_state(state).start(value)
    run.wait()
    return run


# Reading and writing


def test_a_chain_passes_on_what_was_written():
    @Step
    def first(n: int) -> str:
        Desk.write(facts={"a": "1", "b": "1"}, price=Quote(usd=9, at=5), spent=0.25, top=3, plan="one")
        return "x"

    @Step
    async def second(text: str) -> Desk:
        Desk.write(facts={"b": "2"}, price=Quote(usd=8, at=4), spent=0.5, top=2, plan="two")
        return Desk.now()

    run = done(first >> second)
    assert run.state == run.result
    assert run.state == Desk(facts={"a": "1", "b": "2"}, price=Quote(usd=9, at=5), spent=0.75, top=3, plan="two")
    assert isinstance(run.state.price, Quote)


def test_it_begins_with_what_it_is_given():
    run = done(writes("a"), state=Desk(words=["before"], plan="p"))
    assert (run.result, run.state.words, run.state.plan) == (["before"], ["before", "a"], "p")


def test_a_step_sees_what_it_wrote_itself():
    @Step
    def work(n: int) -> float:
        Desk.write(spent=1)
        Desk.write(spent=2)
        return Desk.now().spent

    assert done(work).result == 3.0


def test_nobody_else_has_what_a_step_is_shown():
    @Step
    def spoil(n: int) -> int:
        mine = [n]
        Desk.write(words=["a"])
        Desk.now().words.append("b")
        mine.append(2)
        with pytest.raises(ValueError, match="frozen"):
            Desk.now().plan = "x"
        return n

    assert done(spoil).state.words == ["a"]


def test_nor_what_is_inside_of_it():
    class Deep(State):
        notes: dict[str, list[int]] = {"a": [1]}  # noqa: RUF012 - pydantic copies it
        quotes: Annotated[list[Quote], append] = [Quote(usd=1, at=1)]  # noqa: RUF012 - pydantic copies it

    @Step
    async def spoil(n: int) -> int:
        Deep.now().notes["a"].append(2)
        Deep.now().quotes[0].usd = 2
        return n

    @Step
    async def look(n: int) -> list[Deep]:
        return [Deep.now()]

    run = done(spoil >> look, state=Deep)
    assert run.result == [Deep()] == [run.state]


def test_a_reducer_may_change_what_it_is_given():
    def put(old: list[str], new: str) -> list[str]:
        old.append(new)
        return old

    class Notes(State):
        words: Annotated[list[str], put] = []  # noqa: RUF012 - pydantic copies it

    @Step
    async def work(n: int) -> list[str]:
        Notes.write(words="a")
        Notes.write(words="b")
        return Notes.now().words

    run = done(work, state=Notes)
    assert run.result == ["a", "b"] == run.state.words


def test_what_is_written_is_not_changed_by_who_wrote_it():
    @Step
    def work(n: int) -> int:
        mine = ["a"]
        Desk.write(words=mine)
        mine.append("b")
        return n

    assert done(work).state.words == ["a"]


def test_a_run_without_a_state_has_none():
    @Step
    def work(n: int) -> int:
        return n

    run = work.start(1)
    run.wait()
    assert run.state is None
    assert len(run.states) == 0


# Errors, where they are written


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"n": Annotated[int, "sum"]}, "reducer of `n`"),
        ({"n": Annotated[int, len]}, "reducer of `n`"),
        ({"n": Annotated[int, add, max]}, "2 reducers"),
        ({"n": Annotated[int, append]}, "append needs a list"),
        ({"n": Annotated[list[int], merge]}, "merge needs a dict"),
        ({"n": Annotated[Quote, latest(by="when")]}, "no field 'when'"),
        ({}, "is empty.\n.*Each field is a channel"),
        ({"merged": str}, "channel `merged`.\n.*something of its own"),
    ],
)
@pytest.mark.filterwarnings("ignore:Field name")  # pydantic warns of it before it is refused
def test_a_state_that_cannot_work_is_refused_where_it_is_defined(body, words):
    with pytest.raises(errors.DefinitionError, match=words):
        type("Odd", (State,), {"__annotations__": body, "__module__": __name__})


def test_a_channel_that_begins_with_nothing_is_refused():
    class Needy(State):
        price: Quote

    with pytest.raises(errors.DefinitionError, match="what `price` begins with"):
        writes("a").with_state(Needy)
    with pytest.raises(errors.DefinitionError, match="is no state"):
        writes("a").with_state(Quote)
    assert done(writes_nothing, state=Needy(price=Quote(usd=1, at=1))).state.price.usd == 1


@Step
async def writes_nothing(n: int) -> int:
    return n


@pytest.mark.parametrize(
    ("channels", "words"),
    [
        ({"word": ["a"]}, "no channel `word`.*\n.*\n.*words, facts, price, spent, top, plan"),
        ({"words": "a"}, r"`words` of Desk takes list\[str\], not 'a'"),
        ({"price": {"usd": 1}}, "at: Field required"),
    ],
)
def test_what_does_not_fit_is_an_error_where_it_is_written(channels, words):
    with pytest.raises(errors.StateError, match=words) as caught:
        writes_so(channels).with_state(Desk).execute_sync(1)
    assert "step" in str(caught.value)


def writes_so(channels):
    @Step
    def step(n: int) -> int:
        Desk.write(**channels)
        return n

    return step


def test_without_a_state_there_is_nothing_to_write_to():
    with pytest.raises(errors.StateError, match=r"with_state\(Desk\)"):
        writes("a").execute_sync(1)


async def test_what_a_step_leaves_behind_writes_nothing_after_it():
    left = []

    @Step
    async def work(n: int) -> int:
        async def late():
            await asyncio.sleep(0.01)
            Desk.write(words=["late"])

        left.append(asyncio.create_task(late()))
        return n

    await (work >> writes_nothing).with_state(Desk).execute(1)
    with pytest.raises(errors.StateError, match="has ended"):
        await left[0]


# Side by side


@pytest.mark.parametrize("waits", [(3, 0), (0, 3)])
def test_writes_side_by_side_are_merged_in_the_order_written_down(waits):
    one, two = writes("one", wait=waits[0], facts={"x": "1"}), writes("two", wait=waits[1], facts={"x": "2"})
    run = done((one & two) >> gather)
    assert run.result == run.state.words == ["one", "two"]
    assert run.state.facts == {"x": "2"}
    assert [step.output for step in run.past if isinstance(step, Succeeded)][:2] == [[], []]  # no sibling is seen


@pytest.mark.parametrize("waits", [(3, 0), (0, 3)])
def test_two_writers_of_a_channel_without_a_reducer_are_refused(waits):
    one, two = writes("one", wait=waits[0], plan="1"), writes("two", wait=waits[1], plan="2")
    run = ((one & two) >> gather).with_state(Desk).start(1)
    with pytest.raises(errors.StateConflict, match="`one` and `two` ran side by side, and both wrote `plan` of Desk"):
        run.wait()
    assert "quire.reducers" in str(run.error)


@pytest.mark.parametrize("side_by_side", [Process.parallel, lambda *steps: Process.for_each(steps[0])])
def test_a_run_that_was_refused_goes_on_when_its_state_says_how_to_merge(side_by_side):
    def bench(held):
        return type("Bench", (State,), {"__annotations__": {"plan": held}, "plan": "", "__module__": __name__})

    here = [bench(str)]

    def planner(name):
        @Step(name=name)
        async def plan(n: int) -> int:
            here[0].write(plan=name)
            return n

        return plan

    flow = side_by_side(planner("a"), planner("b"))
    run = flow.with_state(here[0]).start([1, 2] if isinstance(flow, Each) else 1)
    with pytest.raises(errors.StateConflict):
        run.wait()
    here[0] = bench(Annotated[str, add])
    again = flow.with_state(here[0]).resume(run.id)
    again.wait()
    assert again.state.plan in ("ab", "aa")


def test_whoever_comes_after_both_may_overwrite_neither_unseen():
    p = Process(input=int)
    p.add(writes("one", plan="1"), inputs=p.given)
    last = p.add(writes("two", plan="2"), inputs=p.given, when="one == []")
    p.returns(last)
    assert done(p).state.plan == "2"  # its condition waits for the first


def test_items_are_merged_in_their_order():
    @Step
    async def item(n: int) -> int:
        await asyncio.sleep(0 if n % 2 else 0.002)
        Desk.write(words=[str(n)])
        return len(Desk.now().words)

    run = done(Process.for_each(item, max_parallel=3), list(range(8)))
    assert run.state.words == [str(n) for n in range(8)]
    assert run.result == [1] * 8


def test_items_that_write_one_channel_without_a_reducer_are_refused():
    @Step
    async def item(n: int) -> int:
        Desk.write(plan=str(n))
        return n

    with pytest.raises(errors.StateConflict, match=r"`item\[0\]` and `item\[1\]`"):
        Process.for_each(item).with_state(Desk).execute_sync([1, 2])


def test_iterations_see_those_before():
    @Step
    async def again(n: int) -> int:
        Desk.write(words=[str(n)], plan=str(n))
        return len(Desk.now().words)

    run = done(Process.loop(again, until=lambda n: Desk.now().top >= 0 and n >= 3), 7)
    assert (run.state.words, run.state.plan) == (["7", "1", "2"], "2")


# What does not count


def test_only_the_winner_of_a_race_has_written():
    fast, slow = writes("fast", spent=1), writes("slow", wait=50, spent=1)
    run = done(Process.race(slow, fast))
    assert (run.state.words, run.state.spent) == (["fast"], 1.0)


async def test_a_loser_that_goes_on_writes_in_vain():
    over = asyncio.Event()

    @Step
    async def slow(n: int) -> list[str]:
        Desk.write(words=["slow"])
        await over.wait()
        return []

    @Step
    async def wait_for_it(words: list[str]) -> int:
        over.set()
        for _ in range(20):
            await asyncio.sleep(0)
        return 1

    race = Process.race(slow, writes("fast"), cancel_losers=False)
    run = (race >> wait_for_it).with_state(Desk).start(1)
    await run
    assert run.state.words == ["fast"]
    assert run.states.set_index("value")["counts"]['["slow"]'] == False  # noqa: E712


def test_an_attempt_that_failed_has_written_nothing():
    tries = []

    @Step
    async def flaky(n: int) -> int:
        Desk.write(words=["try"], spent=1)
        tries.append(Desk.now().spent)
        if len(tries) < 3:
            raise ValueError
        return n

    run = done(flaky.with_retry(Retry(max_attempts=3, backoff=0)))
    assert (run.state.words, tries) == (["try"], [1.0, 1.0, 1.0])


def test_nor_has_a_flow_that_is_tried_again():
    tries = []

    @Step
    async def flaky(seen: list[str]) -> int:
        tries.append(Desk.now().words)
        if len(tries) < 2:
            raise ValueError
        return 1

    run = done((writes("part") >> flaky).with_retry(Retry(max_attempts=2, backoff=0)))
    assert (run.state.words, tries) == (["part"], [["part"], ["part"]])
    assert run.states["counts"].tolist()[-2:] == [False, True]


def test_who_stands_in_sees_nothing_of_what_failed():
    @Step
    async def boom(seen: list[str]) -> list[str]:
        Desk.write(words=["boom"])
        raise ValueError

    run = done((writes("part") >> boom).with_fallback(writes("other")))
    assert (run.result, run.state.words) == ([], ["other"])


def test_a_failed_item_has_written_nothing():
    @Step
    async def item(n: int) -> int:
        Desk.write(words=[str(n)])
        return 1 // n

    run = done(Process.for_each(item, on_error="collect"), [1, 0, 2])
    assert run.state.words == ["1", "2"]


def test_a_skipped_step_has_written_nothing():
    @Step
    async def decide(n: int) -> bool:
        return n > 0

    branch = Process.branch(decide, {True: writes("yes"), False: writes("no")})
    assert done(branch).state.words == ["yes"]


@pytest.mark.parametrize("lasting", [False, True])
def test_an_answer_that_is_given_again_writes_what_it_wrote(lasting):
    @Step
    async def slow(seen: list[str]) -> int:
        Desk.write(words=["slow"], spent=1)
        return 1

    flow = writes("a") >> (gathered >> slow).with_cache(lasting=lasting)
    with in_memory():
        runs = [done(flow), done(flow)]
    assert [run.state.words for run in runs] == [["a", "slow"], ["a", "slow"]]
    assert [[event.kind for event in run.past].count("reused") for run in runs] == [0, 1]


def test_a_run_that_failed_shows_how_far_it_came():
    @Step
    async def boom(seen: list[str]) -> int:
        raise ValueError("boom")

    run = (writes("part") >> boom).with_state(Desk).start(1)
    with pytest.raises(ValueError, match="boom"):
        run.wait()
    assert run.state.words == ["part"]


# Flows in flows, and agents


def test_a_flow_inside_shares_the_state_and_one_of_another_name_is_its_own():
    class Private(State):
        n: Annotated[int, add] = 0

    @Step
    async def count(seen: list[str]) -> int:
        Private.write(n=1)
        Desk.write(words=[f"private {Private.now().n}"])
        return Private.now().n

    inner = (writes("inner") >> count.with_state(Private)).with_state(Desk)
    run = done(writes("outer") >> length >> inner)
    assert run.state.words == ["outer", "inner", "private 1"]
    assert sorted(set(run.states["state"])) == ["Desk", "Private"]


@Step
async def length(words: list[str]) -> int:
    return len(words)


def test_states_of_their_own_side_by_side_do_not_meet():
    class Bench(State):
        plan: str = ""

    @Step
    async def work(n: int) -> str:
        Bench.write(plan=str(n))
        Desk.write(words=[str(n)])
        return Bench.now().plan

    run = done(Process.for_each(work.with_state(Bench)), [1, 2])
    assert (run.result, run.state.words) == (["1", "2"], ["1", "2"])


def test_two_states_of_one_name_are_not_taken_for_each_other():
    def desk(module):
        return type("Bench", (State,), {"__annotations__": {"n": int}, "n": 0, "__module__": module})

    mine, other, again = desk("mine"), desk("other"), desk("mine")

    @Step
    def work(state: str) -> int:
        {"other": other, "again": again}[state].write(n=1)
        return 1

    for flow in (work.with_state(mine), work.with_state(other).with_state(mine)):
        with pytest.raises(errors.StateError, match=r"mine\.Bench, and other\.Bench has the same name"):
            flow.execute_sync("other")
    assert done(work, "again", mine).state.n == 1


def test_parts_that_a_step_runs_itself_come_where_it_runs_them():
    @Step
    async def around(n: int) -> list[str]:
        Desk.write(words=["before"])
        seen = await writes("inside").execute(n)
        Desk.write(words=["after"])
        with pytest.raises(ZeroDivisionError):
            await breaks.execute(n)
        return seen

    @Step
    async def breaks(n: int) -> float:
        Desk.write(words=["broken"])
        return n / 0

    run = done(around)
    assert (run.result, run.state.words) == (["before"], ["before", "inside", "after"])


def test_a_flow_that_a_model_uses_as_a_tool_writes_too():
    flow = writes("one") >> gathered
    flow.name = "flow"
    it = agent([ToolUse("flow", {"input": 1})], "Done.", tools=[flow])
    run = done(it, "Go.")
    assert run.state.words == ["one"]
    assert run.states["node"].tolist()[-1] == "flow/one"


def test_what_was_added_with_limits_writes_too():
    p = Process(input=int, max_parallel=1)
    tries = []

    @Step
    async def flaky(n: int) -> int:
        Desk.write(words=["flaky"])
        tries.append(n)
        if len(tries) == 1:
            raise ValueError
        return n

    @Step
    async def boom(n: int) -> int:
        Desk.write(words=["boom"])
        raise ValueError

    @Step
    def instead(n: int) -> int:
        Desk.write(words=["instead"])
        return n

    first = p.add(flaky, inputs=p.given, retry=Retry(max_attempts=2, backoff=0), timeout=5, on_complete=instead)
    p.add(boom, inputs=first, on_failure=instead)
    assert done(p).state.words == ["flaky", "instead", "instead"]


def agent(*replies, tools):
    return Agent(ScriptedModel(list(replies)), "Work.", tools=tools, name="agent")


@Tool
async def note(text: str, turns: int = 0) -> str:
    "Write down."
    seen = Desk.now().words
    for _ in range(turns):
        await asyncio.sleep(0)
    if text == "bad":
        Desk.write(words=["never"])
        raise ValueError(text)
    Desk.write(words=[text], plan=text)
    return ",".join(seen)


def asked(*calls):
    return [ToolUse("note", {"text": text, "turns": turns}) for text, turns in calls]


def test_tools_write_in_the_order_in_which_they_were_asked_for():
    it = agent(asked(("a", 5), ("b", 0), ("bad", 0)), asked(("c", 0)), "Done.", tools=[note])
    run = done(it, "Go.")
    assert (run.state.words, run.state.plan) == (["a", "b", "c"], "c")
    assert run.tools["result"].dropna().tolist() == ['""', '""', '"a,b"']


def overloaded():
    return errors.Overloaded("Busy.", status=503)


def test_a_turn_that_is_taken_again_from_the_start_writes_anew():
    replies = [asked(("a", 0)), overloaded(), asked(("b", 0)), "Done."]
    run = done(agent(*replies, tools=[note]).with_retry(Retry(max_attempts=2, backoff=0)), "Go.")
    assert (run.state.words, run.tools["result"].tolist()) == (["b"], ['""', '""'])


def test_a_question_that_is_asked_again_leaves_what_was_written():
    it = agent(asked(("a", 0)), overloaded(), asked(("b", 0)), "Done.", tools=[note])
    it.retry = Retry(max_attempts=2, backoff=0)
    run = done(it, "Go.")
    assert (run.state.words, run.tools["result"].tolist()) == (["a", "b"], ['""', '"a"'])


def test_who_stands_in_for_an_agent_sees_nothing_of_its_turn():
    it = agent(asked(("a", 0)), overloaded(), tools=[note])
    run = done(it.with_fallback(Step(words_so_far)), "Go.")
    assert (run.result, run.state.words) == ([], [])


def words_so_far(text: str) -> list[str]:
    return Desk.now().words


def test_an_inspector_says_what_a_step_wrote():
    run = done(writes("one", spent=0.5) >> gathered)
    assert ("wrote words", '["one"]') in details(run.past, "one")["facts"]
    assert ("wrote spent", "0.5") in details(run.past, "one")["facts"]


@Step
async def gathered(words: list[str]) -> list[str]:
    return Desk.now().words


# The log, and places in it


def test_the_table_has_a_row_for_each_write():
    run = done(writes("one", spent=0.5) >> gathered)
    table = run.states[~run.states["whole"]]
    assert table[["node", "state", "channel", "value", "reducer", "counts"]].values.tolist() == [
        ["one", "Desk", "words", '["one"]', "append", True],
        ["one", "Desk", "spent", "0.5", "add", True],
    ]
    place = int(table["checkpoint"].iloc[0])
    assert (run.at(place - 1).state.words, run.at(place).state.words) == ([], ["one"])
    assert tables.schema("states")["column"].tolist() == list(run.states.columns)


def test_only_what_is_written_is_recorded():
    @Step
    async def again(n: int) -> int:
        Desk.write(words=["w" * 100])
        return n + 1

    run = done(Process.loop(again, until=lambda n: n >= 200, max_iterations=300), 0)
    sizes = [len(str(event.value)) for event in run.past if isinstance(event, Wrote) and not event.whole]
    assert len(run.state.words) == len(sizes) == 200
    assert sizes[0] == sizes[-1]


def test_a_reducer_of_ones_own_may_take_something_else_than_it_holds():
    def vote(held: dict[str, int], name: str) -> dict[str, int]:
        return {**held, name: held.get(name, 0) + 1}

    class Votes(State):
        counts: Annotated[dict[str, int], vote] = {}  # noqa: RUF012 - pydantic copies it

    @Step
    def work(n: int) -> int:
        Votes.write(counts="ada")
        Votes.write(counts="ada")
        return Votes.now().counts["ada"]

    run = done(work, state=Votes)
    assert (run.result, run.state.counts) == (2, {"ada": 2})


def test_a_reducer_that_gives_something_else_is_found_out():
    def odd(old: int, new: int) -> str:
        return "no number"

    class Odd(State):
        n: Annotated[int, odd] = 0

    @Step
    def work(n: int) -> int:
        Odd.write(n=1)
        return Odd.now().n

    with pytest.raises(errors.StateError, match="odd of `n` gave 'no number'"):
        work.with_state(Odd).execute_sync(1)


def test_what_a_reducer_refuses_is_the_error_of_the_step_that_writes_it():
    def only_more(old: int, new: int) -> int:
        if new < old:
            raise ValueError("less")
        return new

    class Meter(State):
        read: Annotated[int, only_more] = 5

    @Step
    def work(n: int) -> int:
        Meter.write(read=n)
        return n

    run = work.with_state(Meter).start(3)
    with pytest.raises(ValueError, match="less") as caught:
        run.wait()
    assert "in only_more of `read` of Meter, with 5 and 3" in caught.value.__notes__
    assert run.state.read == 5
    assert done(work, 7, Meter).state.read == 7


@pytest.mark.parametrize(("channel", "told"), [("level", "takes int, not 12"), ("total", "gave 12")])
def test_what_a_channel_may_hold_is_limited_as_in_any_model(channel, told):
    class Tank(State):
        level: Annotated[int, Field(le=10)] = 0
        total: Annotated[int, add, Field(le=10)] = 0

    @Step
    def fill(n: int) -> int:
        Tank.write(**{channel: n})
        return n

    assert getattr(done(fill, 10, Tank).state, channel) == 10
    with pytest.raises(errors.StateError, match=rf"{told}(.|\n)*less than or equal to 10"):
        done(fill, 12, Tank)


def test_a_state_whose_class_is_not_here_is_named():
    with in_memory():
        run = of_a_lost_class()
        gc.collect()
        with pytest.raises(errors.QuireError, match="is a Gone, which is not defined here"):
            _ = quire.load(run).state
        assert quire.load(run).states["channel"].tolist() == ["n", "n"]


def of_a_lost_class():
    class Gone(State):
        n: int = 0

    @Step
    def work(n: int) -> int:
        Gone.write(n=n)
        return n

    run = work.with_state(Gone).start(1)
    run.wait()
    return run.id


@pytest.mark.parametrize("make", [FileStore, lambda folder: SQLiteStore(folder / "runs.db")], ids=["file", "sqlite"])
def test_a_store_gives_it_back_typed(make, tmp_path):
    with keep_in(make(tmp_path)):
        run = done(writes("one", price=Quote(usd=3, at=9), facts={"a": "b"}))
        state = quire.load(run.id).state
    assert state == run.state
    assert state.price == Quote(usd=3, at=9)


def capital(words: str) -> str:
    if not words[:1].isupper():
        raise ValueError("It begins with a capital letter.")
    return words


def test_a_validator_that_writes_would_pass_by_is_refused():
    with pytest.raises(errors.DefinitionError, match="`check` of Checked would not be asked") as caught:

        class Checked(State):
            plan: str = ""

            @field_validator("plan")
            @classmethod
            def check(cls, plan: str) -> str:
                return capital(plan)

    assert "AfterValidator" in caught.value.remedy


def test_the_type_of_a_channel_may_have_a_check_of_its_own():
    class Titled(State):
        plan: Annotated[str, AfterValidator(capital)] = "None yet"

    @Step
    def write(plan: str) -> str:
        Titled.write(plan=plan)
        return Titled.now().plan

    flow = write.with_state(Titled)
    assert flow.execute_sync("Bees") == "Bees"
    with pytest.raises(errors.StateError, match="capital letter"):
        flow.execute_sync("bees")
