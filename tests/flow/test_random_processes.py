"""Any process of any shapes, with conditions, disturbed anywhere: made up by hypothesis, compared with plain Python.

In the first test every step waits at a gate, so nothing in it depends on the clock.
"""

import asyncio
import copy
from dataclasses import dataclass, field

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quire import Process, Retry, Step, current_context, errors
from quire.testing import in_memory
from quire.views.live import RunFold
from tests.kit import ENDS, ends, folded, plain, tasks_left

MOST = 7
SETTINGS = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
SHAPES = ["plain", "thread", "retry", "fallback", "cache", "loop", "race", "branch", "each", "process", "parallel"]


class OwnError(Exception):
    pass


@dataclass
class Node:
    sources: list[int]
    """Earlier nodes, or -1 for the input; at most two."""
    looks_at: int | None
    """The node its condition reads."""
    parity: int
    shape: str


@dataclass
class Plan:
    nodes: list[Node]
    done: dict[int, int] = field(default_factory=dict)
    skipped: set[int] = field(default_factory=set)

    def waits(self, number):
        node = self.nodes[number]
        return {*node.sources, *([] if node.looks_at is None else [node.looks_at])} - {-1}

    def holds(self, number):
        node = self.nodes[number]
        if self.waits(number) & self.skipped:
            return False
        return node.looks_at is None or self.done[node.looks_at] % 2 == node.parity

    def settle(self):
        """Skip what will not run; return what should be at work."""
        ready = set()
        for number in range(len(self.nodes)):
            if number in self.done or number in self.skipped:
                continue
            if self.waits(number) <= self.done.keys() | self.skipped:
                (ready if self.holds(number) else self.skipped).add(number)
        return ready

    def value(self, number, entry=3):
        given = [entry if source < 0 else self.done[source] for source in self.nodes[number].sources]
        return made_of(self.nodes[number].shape, sum(given) % 1000 if len(given) > 1 else given[0])


def made_of(shape, n):
    """Return what a node of that shape makes of a number."""
    match shape:
        case "loop":
            return n + 1 if (n + 1) % 3 == 0 else made_of("loop", n + 1)
        case "branch":
            return n + 1 if n % 2 else -n
        case "each" | "process":
            return 3 * (n + 1)
        case "parallel":
            return 2 * (n + 1)
        case _:
            return n + 1


@st.composite
def plans(draw, shapes=("plain",)):
    nodes = []
    for number in range(draw(st.integers(1, MOST))):
        sources = draw(st.lists(st.integers(-1, number - 1), min_size=1, max_size=2, unique=True))
        looks_at = draw(st.one_of(st.none(), st.integers(0, number - 1))) if number else None
        nodes.append(Node(sources, looks_at, draw(st.integers(0, 1)), draw(st.sampled_from(shapes))))
    return Plan(nodes)


def process_of(plan, make):
    """Return the process; `make(number, node)` gives the runnable that makes one number of one."""
    p = Process(input=int, name="flow")
    refs = {-1: p.given}
    for number, node in enumerate(plan.nodes):
        inputs = refs[node.sources[0]]
        if len(node.sources) == 2:
            inputs = p.add(add, inputs=[refs[source] for source in node.sources], name=f"sum_{number}")
        when = None if node.looks_at is None else f"node_{node.looks_at} % 2 == {node.parity}"
        refs[number] = p.add(make(number, node), inputs=inputs, when=when, name=f"node_{number}")
    return p.returns(*(refs[number] for number in range(len(plan.nodes))), p.given)


@Step
async def add(a: int, b: int) -> int:
    return (a + b) % 1000


def states_of(run):
    return {int(name[5:]): state for name, state in all_states(run).items() if name[5:].isdigit() and "node_" in name}


def all_states(run):
    return run.fold().snapshot()["nodes"]


# Nothing waits for more than its sources


@given(plans(), st.data())
@SETTINGS
def test_every_node_runs_once_as_soon_as_it_can_and_only_if_it_should(plan, data):
    async def main():
        loop = asyncio.get_running_loop()
        gates = [loop.create_future() for _ in plan.nodes]
        begun, inside = [], set()

        def make(number, node):
            @Step
            async def work(n: int) -> int:
                begun.append(number)
                inside.add(number)
                await gates[number]
                inside.discard(number)
                return made_of("plain", n)

            return work

        run = process_of(plan, make).start(3)
        while True:
            for _ in range(20):
                await asyncio.sleep(0)
            ready = plan.settle()
            assert inside == ready
            if not ready:
                break
            number = data.draw(st.sampled_from(sorted(ready)))
            plan.done[number] = plan.value(number)
            gates[number].set_result(None)
        await run
        assert sorted(begun) == sorted(plan.done)
        assert tasks_left() == []
        return run

    with in_memory():
        run = asyncio.run(main())
    for number, state in states_of(run).items():
        assert state["status"] == ("succeeded" if number in plan.done else "skipped")
        assert number in plan.done or "is false" in state["reason"] or "was skipped" in state["reason"]


# Shapes in shapes


def shaped(shape, tries):  # noqa: C901 - the steps of all shapes
    @Step
    async def work(n: int) -> int:
        await asyncio.sleep(0)
        return n + 1

    @Step
    async def negative(n: int) -> int:
        return -n

    @Step
    async def halt(n: int) -> int:
        await asyncio.Event().wait()
        return n

    @Step
    async def flaky(n: int) -> int:
        place = current_context().span
        tries[place] = tries.get(place, 0) + 1
        if tries[place] == 1:
            raise OwnError("the first time")
        return n + 1

    @Step
    async def boom(n: int) -> int:
        raise OwnError("always")

    @Step
    async def odd(n: int) -> bool:
        return n % 2 == 1

    @Step
    async def thrice(n: int) -> list[int]:
        return [n, n, n]

    @Step
    async def total(parts: list[int]) -> int:
        return sum(parts)

    @Step
    async def both(parts: tuple[int, ...]) -> int:
        return sum(parts)

    @Step
    def thread(n: int) -> int:
        return n + 1

    def spread():
        p = Process(input=int)
        each = Process.for_each(work, max_parallel=2, name="each")
        p.add(total, inputs=p.add(each, inputs=p.add(thrice, inputs=p.given)))
        return p

    return {
        "plain": lambda: work,
        "thread": lambda: thread,
        "retry": lambda: flaky.with_retry(Retry(max_attempts=2, backoff=0)),
        "fallback": lambda: boom.with_fallback(work),
        "cache": work.with_cache,
        "loop": lambda: Process.loop(work, until="output % 3 == 0", max_iterations=5),
        "race": lambda: Process.race(halt, work, boom),
        "branch": lambda: Process.branch(odd, {True: work, False: negative}),
        "each": lambda: thrice >> Process.for_each(work) >> total,
        "process": spread,
        "parallel": lambda: (work & work) >> both,
    }[shape]()


def check_fold(run, cut):
    """Whatever happened, the view is the same however often it was looked at on the way, and all of it is explained."""
    events = run.past
    whole = folded(events)
    fold = RunFold()
    for event in events[:cut]:
        fold.apply(event)
    fold.patch()
    copied = copy.deepcopy(fold)
    for event in events[cut:]:
        copied.apply(event)
    assert plain(copied.snapshot()) == whole
    for node, state in whole["nodes"].items():
        assert state["status"] in ENDS, node
        assert state["status"] == "succeeded" or state["reason"], node
    assert whole["head"]["done"] == whole["head"]["total"]
    table = run.nodes.set_index("node")
    assert set(table["status"]) <= ENDS
    assert all(table.loc[table["status"] == "skipped", "reason"])


@given(plans(SHAPES), st.data())
@SETTINGS
def test_the_values_are_those_of_plain_python_whatever_the_shapes(plan, data):
    async def main():
        tries = {}
        run = process_of(plan, lambda number, node: shaped(node.shape, tries)).start(3)
        await asyncio.wait_for(run._wait(), 20)
        assert tasks_left() == []
        return run

    with in_memory():
        run = asyncio.run(main())
    while ready := plan.settle():
        for number in ready:
            plan.done[number] = plan.value(number)
    states = states_of(run)
    for number in range(len(plan.nodes)):
        assert states[number]["status"] == ("succeeded" if number in plan.done else "skipped"), number
        if number in plan.done:
            assert ends(run)[f"node_{number}"].output == plan.done[number]
    check_fold(run, data.draw(st.integers(0, len(run.past))))


@given(
    plans(SHAPES),
    st.sampled_from(["failure", "cancellation", "inner cancellation", "timeout", "deadline"]),
    st.integers(0, MOST - 1),
    st.integers(0, 30),
    st.data(),
)
@SETTINGS
def test_whatever_goes_wrong_wherever_every_node_ends_and_says_why(  # noqa: C901 - one case a kind of trouble
    plan, trouble, victim, turns, data
):
    victim %= len(plan.nodes)

    @Step
    async def unlucky(n: int) -> int:
        await asyncio.sleep(0)
        if trouble == "failure":
            raise OwnError("here")
        if trouble == "inner cancellation":
            raise asyncio.CancelledError("elsewhere")
        await asyncio.Event().wait()
        return n

    def make(number, node):
        if number != victim:
            return shaped(node.shape, {})
        inner = unlucky.with_timeout(0.01) if trouble == "timeout" else unlucky
        return Process.loop(inner, until="output > 0") if node.shape in ("loop", "race") else inner

    async def main():
        run = process_of(plan, make).start(3, timeout=0.05 if trouble == "deadline" else 20)
        if trouble == "cancellation":
            for _ in range(turns):
                await asyncio.sleep(0)
            run.cancel("enough")
        error = None
        try:
            await run
        except (OwnError, errors.QuireError) as raised:
            error = raised
        assert tasks_left() == []
        return run, error

    with in_memory():
        run, error = asyncio.run(main())
    check_fold(run, data.draw(st.integers(0, len(run.past))))
    reached = states_of(run)[victim]["status"] != "skipped"
    match trouble:
        case "failure":
            assert isinstance(error, OwnError) == reached
        case "inner cancellation":
            assert isinstance(error, errors.RunCancelled) == reached
        case "timeout":
            assert isinstance(error, errors.DeadlineExceeded) == reached
        case "cancellation":
            assert run.status == "succeeded" or isinstance(error, errors.RunCancelled)
