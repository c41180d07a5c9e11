"""Any graph of typed steps, given in any order, disturbed anywhere: made up by hypothesis.

Every step waits at a gate, and the tests open the gates one by one, so nothing here depends on the clock.
"""

import asyncio
import inspect
from dataclasses import dataclass, make_dataclass

from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from quire import Pipeline, Step, errors
from quire.testing import in_memory
from tests.kit import ENDS, ends, tasks_left

MOST = 7
TYPES = [make_dataclass(f"T{n}", [("value", tuple)], frozen=True) for n in range(MOST + 1)]
ENTRY = TYPES[MOST]
SETTINGS = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


@dataclass
class Graph:
    """Steps by number; a step's sources are earlier steps, or -1 for the input."""

    sources: list[list[int]]

    @property
    def ends(self) -> list[int]:
        used = {source for sources in self.sources for source in sources}
        return [node for node in range(len(self.sources)) if node not in used]

    def below(self, node: int) -> set[int]:
        found = {node}
        for other, sources in enumerate(self.sources):
            if found & set(sources):
                found.add(other)
        return found - {node}

    def value(self, node: int) -> object:
        if node < 0:
            return ENTRY(("in",))
        return TYPES[node]((node, *(self.value(source).value for source in self.sources[node])))

    def ready(self, done: set[int]) -> set[int]:
        return {n for n, sources in enumerate(self.sources) if n not in done and set(sources) <= done | {-1}}


class Gates:
    """Where the steps wait until the test lets them go on."""

    def __init__(self, size: int) -> None:
        self.gates = [asyncio.get_running_loop().create_future() for _ in range(size)]
        self.begun: list[int] = []
        self.inside: set[int] = set()

    async def enter(self, node: int) -> None:
        self.begun.append(node)
        self.inside.add(node)
        try:
            await self.gates[node]
        finally:
            self.inside.discard(node)

    async def settle(self) -> None:
        for _ in range(12):
            await asyncio.sleep(0)


def step_of(graph: Graph, node: int, gates: Gates) -> Step:
    kinds = {f"from_{source}" if source >= 0 else "entry": TYPES[source] for source in graph.sources[node]}

    async def work(**given):
        await gates.enter(node)
        return TYPES[node]((node, *(given[name].value for name in kinds)))

    work.__annotations__ = {**kinds, "return": TYPES[node]}
    work.__signature__ = inspect.Signature(
        [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=kind) for name, kind in kinds.items()]
    )
    return Step(name=f"step_{node}")(work)


def pipeline_of(graph: Graph, order: list[int], gates: Gates) -> Pipeline:
    outputs = tuple(TYPES[node] for node in graph.ends)
    wanted = outputs[0] if len(outputs) == 1 else tuple[outputs]
    return Pipeline(*(step_of(graph, node, gates) for node in order), name="flow", input=ENTRY, output=wanted)


@st.composite
def graphs(draw):
    size = draw(st.integers(1, MOST))
    sources = [draw(st.lists(st.integers(-1, node - 1), min_size=1, max_size=3, unique=True)) for node in range(size)]
    return Graph([sorted(found) for found in sources])


@given(graphs(), st.data())
@SETTINGS
def test_any_order_of_the_arguments_gives_the_result_of_plain_evaluation(graph, data):
    """And every step begins once, as soon as its sources are there, beside whatever else is going on."""
    nodes = list(range(len(graph.sources)))
    order = data.draw(st.permutations(nodes))

    async def main():
        gates = Gates(len(nodes))
        run = pipeline_of(graph, order, gates).start(graph.value(-1))
        done: set[int] = set()
        while len(done) < len(nodes):
            await gates.settle()
            assert gates.inside == graph.ready(done)
            node = data.draw(st.sampled_from(sorted(gates.inside)))
            gates.gates[node].set_result(None)
            done.add(node)
        result = await run
        assert sorted(gates.begun) == nodes
        assert {end.kind for end in ends(run).values()} == {"succeeded"}
        assert tasks_left() == []
        return result

    with in_memory():
        result = asyncio.run(main())
    expected = tuple(graph.value(node) for node in graph.ends)
    assert result == (expected[0] if len(expected) == 1 else expected)


class OwnError(Exception):
    pass


@given(graphs(), st.sampled_from(["failure", "cancellation", "inner cancellation", "timeout"]), st.data())
@SETTINGS
def test_whatever_goes_wrong_wherever_every_step_ends_and_says_why(graph, trouble, data):  # noqa: C901 - cases
    nodes = list(range(len(graph.sources)))
    order = data.draw(st.permutations(nodes))
    undisturbed = data.draw(st.integers(0, len(nodes) - 1))

    async def main():
        gates = Gates(len(nodes))
        flow = pipeline_of(graph, order, gates)
        run = flow.start(graph.value(-1), timeout=0.05 if trouble == "timeout" else None)
        done: set[int] = set()
        for _ in range(undisturbed):
            await gates.settle()
            if run.finished:
                reject()
            node = data.draw(st.sampled_from(sorted(gates.inside)))
            gates.gates[node].set_result(None)
            done.add(node)
        await gates.settle()
        if run.finished:  # a busy machine: the time was up before anything could go wrong
            reject()
        victim = data.draw(st.sampled_from(sorted(gates.inside)))
        match trouble:
            case "failure":
                gates.gates[victim].set_exception(OwnError(victim))
            case "inner cancellation":
                gates.gates[victim].cancel()
            case "cancellation":
                run.cancel("enough")
        error = await error_of(run)
        assert tasks_left() == []
        return run, done, victim, error

    with in_memory():
        run, done, victim, error = asyncio.run(main())
    found = ends(run)
    states = {node: found[f"step_{node}"] for node in nodes}
    assert {states[node].kind for node in done} <= {"succeeded"}
    assert all(state.kind in ENDS for state in states.values())
    assert all(
        getattr(state, "reason", None) or getattr(state, "error", None) for n, state in states.items() if n not in done
    )
    shown = run.fold().snapshot()
    assert {node["status"] for node in shown["nodes"].values()} <= ENDS
    assert shown["head"]["done"] == shown["head"]["total"]
    match trouble:
        case "failure":
            check_failure(graph, states, done, victim, error)
        case "cancellation":
            assert isinstance(error, errors.RunCancelled)
            assert {state.reason for node, state in states.items() if node not in done} == {"enough"}
        case "inner cancellation":
            assert isinstance(error, errors.RunCancelled)
            assert states[victim].kind == "cancelled"
        case "timeout":
            assert isinstance(error, errors.DeadlineExceeded)
            assert {state.reason for node, state in states.items() if node not in done} == {"its time was up"}


async def error_of(run):
    try:
        await run
    except (OwnError, errors.QuireError) as error:
        return error
    raise AssertionError("it did not fail")


def check_failure(graph, states, done, victim, error):
    """The user's own error comes out, siblings were stopped because of it, and followers skipped because of it."""
    assert isinstance(error, OwnError)
    assert error.args == (victim,)
    assert states[victim].kind == "failed"
    for node, state in states.items():
        if node in done or node == victim:
            continue
        if node in graph.below(victim):
            assert state.kind == "skipped"
            assert state.reason.startswith("needs `step_")
        elif state.kind == "cancelled":
            assert state.reason == f"`step_{victim}` failed"
        else:  # never reached: directly, or because what it needs was not
            assert state.kind == "skipped"
            assert state.reason == f"`step_{victim}` failed" or state.reason.endswith("which was skipped")
