"""What is true of every state: whatever the schedule, wherever the run broke off, and however it is folded."""

import asyncio
import signal
from typing import Annotated

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import quire
from quire import Agent, Process, Retry, State, Step, Tool, current_context, errors
from quire.adapters.stores.file import FileStore
from quire.adapters.stores.sqlite import SQLiteStore
from quire.events import Forked, Started, Succeeded, Wrote
from quire.log.writes import Writes
from quire.reducers import add, append, merge
from quire.run.runtime import keep_in
from quire.testing import ScriptedModel, ToolUse, in_memory
from tests.kit import output_of, program

SETTINGS = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


class Board(State):
    words: Annotated[list[str], append] = []  # noqa: RUF012 - pydantic copies it
    facts: Annotated[dict[str, int], merge] = {}  # noqa: RUF012 - pydantic copies it
    count: Annotated[int, add] = 0
    last: str = ""


# Random graphs on random schedules

nodes = st.lists(
    st.tuples(st.sets(st.integers(0, 5), max_size=3), st.sampled_from(["words", "facts", "count", "last", "nothing"])),
    min_size=1,
    max_size=7,
)


def written(number, channel):
    return {
        "words": {"words": [str(number)]},
        "facts": {"facts": {"x": number}},
        "count": {"count": number},
        "last": {"last": str(number)},
        "nothing": {},
    }[channel]


def graph_of(plan, gates, seen):
    p = Process(input=int, name="graph")

    def make(number, channel):
        @Step
        async def step(n: int, before: tuple[int, ...]) -> int:
            await gates[number].wait()
            seen[number] = Board.now()
            Board.write(**written(number, channel))
            return number

        return step

    @Step
    async def gathered(n: int) -> tuple[int, ...]:
        return (n,)

    refs = []
    for number, (sources, channel) in enumerate(plan):
        earlier = sorted({source for source in sources if source < number})
        step = make(number, channel)
        entry = p.add(gathered, inputs=p.given, name=f"entry_{number}")
        # The condition is only there to be waited for.
        when = " or ".join([f"node_{source} >= 0" for source in earlier]) or None
        refs.append(p.add(step, inputs=[p.given, entry], when=when, name=f"node_{number}"))
    return p.returns(refs[-1])


@Step
async def look(n: int) -> Board:
    return Board.now()


def expected(plan):
    """Return what each step sees and the state in the end, or `None` where two writers are refused."""
    above = []
    for number, (sources, _) in enumerate(plan):
        direct = {source for source in sources if source < number}
        above.append(direct.union(*(above[source] for source in direct)))

    def board(numbers):
        held = Board()
        values = {"words": [], "facts": {}, "count": 0, "last": ""}
        lasts = [number for number in sorted(numbers) if plan[number][1] == "last"]
        if lasts and not set(lasts[:-1]) <= above[lasts[-1]]:
            return None
        for number in sorted(numbers):
            match plan[number][1]:
                case "words":
                    values["words"].append(str(number))
                case "facts":
                    values["facts"]["x"] = number
                case "count":
                    values["count"] += number
                case "last":
                    values["last"] = str(number)
        return held.model_copy(update=values)

    return [board(numbers) for numbers in above], board(range(len(plan)))


@given(nodes, st.randoms(use_true_random=False))
@SETTINGS
def test_a_graph_gives_the_same_state_on_every_schedule(plan, random):
    sees, end = expected(plan)
    # The order of the plan is not that of the numbers where a later one can begin earlier: levels come first.
    seen = {}

    async def main():
        gates = [asyncio.Event() for _ in plan]
        run = (graph_of(plan, gates, seen) >> look).with_state(Board).start(1)
        order = list(range(len(plan)))
        random.shuffle(order)
        for number in order:
            gates[number].set()
            for _ in range(random.randrange(8)):
                await asyncio.sleep(0)
        try:
            await run
        except errors.StateConflict:
            return run, None
        assert run.result == run.state
        return run, run.state

    with in_memory():
        run, state = asyncio.run(main())
    if end is None or None in sees:
        assert state is None
        return
    assert (state.count, state.last) == (end.count, end.last)
    assert sorted(state.words) == sorted(end.words)
    for number, own in seen.items():
        assert own.count == sees[number].count
        assert own.last == sees[number].last
        assert set(own.words) == set(sees[number].words)
    again = {}

    async def one_by_one():
        gates = [asyncio.Event() for _ in plan]
        for gate in gates:
            gate.set()
        other = graph_of(plan, gates, again).with_state(Board).start(1)
        await other
        return other.state

    with in_memory():
        assert asyncio.run(one_by_one()) == state
    assert again == seen
    check_folds(run.past)


def check_folds(events):
    """Fold in slices, and look on the way."""
    whole = Writes(events)
    piecewise = Writes()
    for event in events:
        piecewise.apply(event)
        for opening in piecewise.openings:
            piecewise.of(opening)
    assert piecewise.openings == whole.openings
    for opening in whole.openings:
        assert piecewise.of(opening) == whole.of(opening)


# Broken off anywhere, and gone on with


@Step
async def first(n: int) -> str:
    Board.write(words=["first"], count=1, last="first")
    return "x"


@Step
async def left(text: str) -> float:
    await asyncio.sleep(0)
    Board.write(words=["left"], facts={"who": 1}, count=Board.now().count)
    return 1.0


@Step
async def right(text: str) -> bytes:
    Board.write(words=["right"], facts={"who": 2}, count=10)
    return b"x"


@Step
async def items(a: float, b: bytes) -> list[int]:
    return [3, 1, 2]


@Step
async def item(n: int) -> int:
    for _ in range(n):
        await asyncio.sleep(0)
    Board.write(words=[f"item {n}"], count=100)
    return n


@Step
async def again(parts: list[int]) -> list[int]:
    Board.write(words=[f"again {len(Board.now().words)}"], last=str(len(parts)))
    return [*parts, 0]


@Step
async def never(parts: list[int]) -> list[int]:
    Board.write(words=["never"])
    await asyncio.Event().wait()
    return parts


tries: dict[str, int] = {}


@Step
async def flaky(parts: list[int]) -> list[int]:
    place = current_context().run
    tries[place] = tries.get(place, 0) + 1
    Board.write(words=["flaky"])
    if tries[place] == 1:
        raise ValueError
    return parts


@Tool(idempotency_key=lambda word: word)
async def jot(word: str) -> str:
    "Write a word down."
    Board.write(words=[word], last=word)
    return word


@Step
async def told(parts: list[int]) -> str:
    return "Go."


def reply(request):
    """Ask for two words at once, then for one, then for none."""
    rounds = sum(message.role == "assistant" for message in request.messages)
    return [[use("jot a"), use("jot b")], [use("jot c")], "Done."][rounds]


def use(word):
    return ToolUse("jot", {"word": word})


def writer():
    return Agent(ScriptedModel([reply] * 500), "Jot.", tools=[jot], name="writer")


def story():
    p = Process(input=int, name="story")
    start = p.add(first, inputs=p.given)
    sides = p.add(items, inputs=[p.add(left, inputs=start), p.add(right, inputs=start)])
    spread = p.add(Process.for_each(item, name="spread"), inputs=sides)
    around = p.add(Process.loop(again, until=lambda parts: len(parts) > 5, name="around"), inputs=spread)
    raced = p.add(Process.race(never, again, name="raced"), inputs=around)
    mended = p.add((again >> flaky).with_retry(Retry(max_attempts=3, backoff=0)), inputs=raced, name="mended")
    go = p.add(told, inputs=mended)
    p.add(writer(), inputs=go)
    return p.with_state(Board(facts={"who": 0}))


def shown(run):
    return run.state, run.output


@pytest.fixture(scope="module")
def whole():
    with in_memory():
        run = story().start(1)
        run.wait()
    return run


def test_the_story_is_told(whole):
    assert whole.state.words == [
        *("first", "left", "right", "item 3", "item 1", "item 2"),
        *("again 6", "again 7", "again 8", "again 9", "again 10", "flaky", "jot a", "jot b", "jot c"),
    ]
    assert whole.state.facts == {"who": 2}
    assert (whole.state.count, whole.state.last) == (312, "jot c")
    check_folds(whole.past)


@pytest.mark.may_block
async def test_it_goes_on_from_every_event_as_if_never_broken_off(whole):
    for place in range(1, len(whole.past)):
        with in_memory() as kept:
            await kept.append(whole.log.stream, whole.past[:place], 0)
            run = story().resume(whole.id)
            await run
            assert shown(run) == shown(whole), place
            check_folds(run.past)


@pytest.mark.may_block
async def test_a_fork_of_every_place_comes_to_the_same_state(whole):
    with in_memory():
        for place in range(1, len(whole.past) + 1):
            run = whole.fork(at=place)
            await run
            assert shown(run) == shown(whole), place
            mark = next(event.seq for event in run.past if isinstance(event, Forked))
            assert place < 6 or run.at(mark).state == whole.at(place).state, place
            check_folds(run.past)


@pytest.mark.may_block
async def test_an_edited_state_is_what_follows_sees(whole):
    ended = {e.span for e in whole.past if isinstance(e, Started) and e.name in {"left", "right"}}
    place = max(e.seq for e in whole.past if isinstance(e, Succeeded) and e.span in ended)
    with in_memory():
        run = whole.fork(at=place, edit={"state": {"words": ["edited"], "last": "edited"}})
        await run
        assert run.state.words[:3] == ["edited", "item 3", "item 1"]
        assert (run.state.count, run.state.facts) == (whole.state.count, whole.state.facts)
        again_from = run.fork(edit={"state": Board(words=["twice"])})
        await again_from
        assert (again_from.state.words, again_from.state.count) == (["twice"], whole.state.count)
        assert run.states[run.states["whole"]]["channel"].tolist() == [*Board.model_fields, "words", "last"]
        with pytest.raises(errors.StateError, match="no channel `word`"):
            whole.fork(at=place, edit={"state": {"word": 1}})


def test_what_depends_on_an_edited_output_writes_anew_and_the_rest_once(whole):
    with in_memory():
        run = whole.fork(edit={"items": [2]})
        run.wait()
    assert run.state.words[:4] == ["first", "left", "right", "item 2"]
    assert run.state.count == 112


@pytest.mark.parametrize("make", [FileStore, lambda folder: SQLiteStore(folder / "runs.db")], ids=["file", "sqlite"])
@pytest.mark.may_block
async def test_in_a_real_store_too(make, tmp_path, whole):
    for place in range(3, len(whole.past), 17):
        store = make(tmp_path / str(place))
        with keep_in(store):
            await store.append(whole.log.stream, whole.past[:place], 0)
            await story().resume(whole.id)
            run = quire.load(whole.id)
            assert run.state == whole.state
            assert isinstance(run.state.words, list)


KILLED = """
    import asyncio, os, signal, typing
    from quire import State, Step
    from quire.reducers import add, append

    class Tally(State):
        words: typing.Annotated[list[str], append] = []
        count: typing.Annotated[int, add] = 0

    @Step
    async def first(n: int) -> int:
        Tally.write(words=["first"], count=1)
        return n

    @Step
    async def second(n: int) -> int:
        Tally.write(words=["second"], count=10)
        if "DIES" in os.environ:
            await asyncio.sleep(0.1)
            os.kill(os.getpid(), signal.SIGKILL)
        return Tally.now().count

    run = (first >> second).with_state(Tally).start(1, key="tally")
    print(run.wait(), run.state, len(run.states))
"""


@pytest.mark.parametrize("url", ["", "sqlite:///{home}/runs.db"], ids=["file", "sqlite"])
def test_a_killed_run_goes_on_with_its_state(url, quire_home):
    quire_home.mkdir()
    env = {"QUIRE_DATABASE_URL": url.format(home=quire_home)} if url else {}
    dying = program(KILLED, quire_home, DIES="1", **env)
    dying.communicate()
    assert dying.returncode == -signal.SIGKILL
    assert output_of(KILLED, quire_home, **env) == "11 words=['first', 'second'] count=11 6"


def test_a_write_that_was_recorded_before_its_step_had_ended_counts_once(whole):
    place = next(event.seq for event in whole.past if isinstance(event, Wrote) and not event.whole)
    assert whole.at(place).state.words == []
    assert whole.at(place).states["counts"].tolist()[-1] == False  # noqa: E712
