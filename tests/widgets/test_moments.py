"""Where in time a run's events are, told piece by piece, and what was to be seen after some of them."""

import time

from quire import Pipeline, Process, Step
from quire.events import Failed, Forked, Started, Succeeded
from quire_widgets.moments import Moments

ROOT = {"run": "r", "span": "1", "parent": None}
PAST = [
    Started(seq=1, at=100.0, name="flow", of="pipeline", **ROOT),
    Started(seq=2, at=100.0004, run="r", span="2", parent="1", name="step", of="step"),
    Failed(seq=3, at=100.0008, run="r", span="2", parent="1", error_type="ValueError", error="no"),
    Failed(seq=4, at=101.5, error_type="ValueError", error="no", origin="2", **ROOT),
]


def test_moments_add_up_to_the_length_of_the_run_and_failures_are_marked_once():
    assert Moments(PAST).ticks() == {"times": [0, 0, 1, 1499], "marks": [(3, "failed")]}


def test_what_comes_later_is_told_once():
    past = PAST[:1]
    moments = Moments(past)
    past += PAST[1:3]
    assert moments.ticks() == {"times": [0], "marks": []}
    assert moments.news() == {"times": [0, 1], "marks": [(3, "failed")]}
    assert moments.news() is None
    past += PAST[3:]
    assert moments.news() == {"times": [1499], "marks": []}
    assert moments.ticks() == Moments(PAST).ticks()


def test_before_a_run_has_begun_there_is_no_moment():
    past = []
    moments = Moments(past)
    assert moments.ticks() == {"times": [], "marks": []}
    past += PAST[:2]
    assert moments.news() == {"times": [0, 0], "marks": []}


def test_a_fork_has_no_pause_where_it_goes_on():
    forked = Forked(seq=2, at=100.0, source="q", **ROOT)
    later = Succeeded(seq=3, at=900.0, **ROOT)
    assert Moments([PAST[0], forked, later]).ticks()["times"] == [0, 0, 0]


async def test_a_moment_shows_what_the_run_itself_would_have_shown():
    @Step
    async def first(n: int) -> str:
        return str(n)

    @Step
    async def second(text: str) -> float:
        return float(text)

    run = Pipeline(first, second, name="both").start(1)
    await run
    moments = Moments(run.past)
    for seq in (5, 2, 1, 3, len(run.past), 4):
        there = run.at(seq).fold().snapshot()
        assert moments.at(seq) == {name: there[name] for name in ("head", "nodes", "messages")}
        assert list(moments.up_to(seq)) == list(run.past)[:seq]


async def test_any_moment_of_a_long_run_is_found_at_once():
    @Step
    async def one(n: int) -> int:
        return n

    many = Process(input=list[int], name="many")
    many.returns(many.add(Process.for_each(one, name="each"), inputs=many.given))
    run = many.start(list(range(1_000)))
    await run
    moments = Moments(run.past)
    length = len(run.past)
    began = time.perf_counter()
    for seq in range(1, length):  # going forward, each event is looked at once
        moments.at(seq)
    assert time.perf_counter() - began < 1.5
