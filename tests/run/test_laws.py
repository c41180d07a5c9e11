"""What holds of every log, whatever happened in the run: checked on runs made up by hypothesis."""

import asyncio
import itertools
from contextlib import suppress

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quire import Agent, Pipeline, Step, Tool, current_context
from quire.errors import AnswerRefused, Overloaded, StreamInterrupted
from quire.log.log import Log
from quire.run.context import Context
from quire.testing import ScriptedModel, ToolUse, in_memory
from quire.views.details import details
from quire.views.live import RunFold
from tests.kit import ENDS, Draft, Outline, Question, folded, patched, plain, reread, tables_of

FEW = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


@Tool
async def look(key: str) -> dict[str, str]:
    """Look something up."""
    await asyncio.sleep(0)
    if key == "bad":
        raise LookupError(key)
    if key == "ask":
        return {key: await current_context().ask("What is it?", timeout=0.01)}
    return {key: "found"}


@Step
async def ask(topic: str) -> Question:
    return Question(text=topic)


@Step
async def write(outline: Outline) -> Draft:
    if not outline.points:
        raise ValueError("no points")
    return Draft(body=", ".join(outline.points))


class Flaky(ScriptedModel):
    """Lets others go on between its words, and drops the line where its script says so."""

    async def ask(self, request):
        async for piece in super().ask(request):
            if getattr(piece, "text", "") == "CUT ":
                raise StreamInterrupted("The line dropped.")
            yield piece
            await asyncio.sleep(0)


uses = st.sampled_from(
    [
        ToolUse("look", {"key": "a"}),
        ToolUse("look", {"key": "bad"}),
        ToolUse("look", {"key": "ask"}),
        ToolUse("gone"),
        ToolUse("look", "{"),
    ]
)
replies = st.one_of(
    st.just(Outline(points=["one", "two"])),
    st.just(Outline(points=[])),
    st.just("no json at all, but quite a number of words"),
    st.just("these words and then CUT off"),
    uses,
    st.lists(uses, min_size=2, max_size=3),
    st.just(Overloaded("busy")),
)


@st.composite
def logs(draw):
    """Draw the events of a run that somebody watched, ephemeral ones included."""
    script = draw(st.lists(replies, min_size=1, max_size=4))
    stop_after = draw(st.none() | st.integers(1, 25))
    return run_of(script, alone=draw(st.booleans()), stop_after=stop_after, answers=draw(st.booleans()))


def run_of(script, *, alone, stop_after, answers):
    planner = Agent(Flaky(script), "Plan.", name="planner", input=Question, output=Outline, tools=[look])
    thing, value = (planner, Question(text="x")) if alone else (Pipeline(ask, planner, write, name="flow"), "x")

    async def watch():
        seen = []
        run = thing.start(value, attended=True)

        def follow(event):
            seen.append(event)
            if len(seen) == stop_after:
                run.cancel("enough seen")
            if event.kind == "asked" and answers:
                run.loop.call_later(0.001, answer, event.span)

        def answer(question):
            with suppress(AnswerRefused):  # it has just been stopped
                run.answer(question, "a bee")

        run.log.subscribe(follow)
        await asyncio.wait([asyncio.ensure_future(_settled(run))])
        return seen

    with in_memory():
        return asyncio.run(watch())


async def _settled(run):
    with suppress(Exception):  # any end will do
        await run


def lasting(events):
    return [event for event in events if not event.ephemeral]


@given(logs(), st.data())
@FEW
def test_patches_bring_any_snapshot_to_the_next(events, data):
    """A page that opens at any moment and applies what it is sent shows what a page opened later shows."""
    marks = data.draw(st.sets(st.integers(1, len(events))).map(sorted))
    fold, pages, number = RunFold(), [], 0
    for begin, end in itertools.pairwise([0, *marks, len(events)]):
        for event in events[begin:end]:
            fold.apply(event)
        pages.append((plain(fold.snapshot()), fold.seq))
        patch = plain(fold.patch())
        if patch is not None:
            number += 1
            assert patch["seq"] == number == fold.seq
            assert {seq for _, seq in pages} == {number - 1}
            pages = [(patched(page, patch), number) for page, _ in pages]
        assert all(page == plain(fold.snapshot()) for page, _ in pages)
    assert fold.patch() is None


@given(logs(), st.data())
@FEW
def test_folding_in_slices_equals_folding_whole(events, data):
    """Looking at a fold in between, by snapshot or patch, changes nothing about where it ends."""
    looks = data.draw(st.sets(st.integers(0, len(events))))
    fold = RunFold()
    for number, event in enumerate(events):
        if number in looks:
            fold.snapshot()
            fold.patch()
        fold.apply(event)
    assert plain(fold.snapshot()) == folded(events)


@given(logs())
@FEW
def test_lasting_views_are_the_same_without_ephemeral_events_and_after_the_store(events):
    kept = reread(events)
    assert folded(events) == folded(lasting(events)) == folded(kept)
    assert tables_of(events) == tables_of(lasting(events)) == tables_of(kept)
    for node in folded(events)["nodes"]:
        assert details(events, node) == details(kept, node)


@given(logs())
@FEW
def test_whatever_began_has_ended_and_says_how(events):
    shown = folded(events)
    assert shown["head"]["status"] in ENDS
    assert not any(message["writing"] for message in shown["messages"])
    states = [node["status"] for node in shown["nodes"].values()]
    assert not {"running", "waiting"} & set(states)
    assert all(question["answer"] for question in shown["head"]["questions"])
    parts = [part for message in shown["messages"] for part in message["parts"] if part["type"] == "call"]
    if shown["head"]["status"] == "succeeded":
        assert {part["status"] for part in parts} <= {"succeeded", "failed"}
    begun = {event.span for event in events if event.kind in {"started", "requested", "called", "asked"}}
    over = [event.span for event in events if event.kind in {*ENDS, "responded", "returned", "answered"}]
    assert sorted(begun) == sorted(span for span in over if span in begun)


@given(logs())
@FEW
def test_seq_counts_the_lasting_events(events):
    assert [event.seq for event in lasting(events)] == list(range(1, len(lasting(events)) + 1))


@given(st.lists(st.none() | st.floats(0.001, 1e6), max_size=12))
def test_a_child_never_has_more_time_than_its_parent(timeouts):
    loop = asyncio.new_event_loop()
    log = Log("r")
    context = Context(
        log=log,
        loop=loop,
        span="1",
        parent=None,
        name="a",
        path=("a",),
        deadline=None,
        streaming=False,
        parts=[],
        timed=True,
    )
    for timeout in timeouts:
        child = context.child("b", timeout)
        assert context.deadline is None or child.deadline <= context.deadline
        assert timeout is None or child.deadline <= loop.time() + timeout
        assert child.path == (*context.path, "b")
        context = child
    loop.close()
