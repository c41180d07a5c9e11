"""Ways that part, races, the same for each item, again and again: what each promises."""

import asyncio
import time
from enum import Enum

import pytest
from pydantic import BaseModel

from quire import LLM, Agent, Pipeline, Process, Step, current_context, errors
from quire.testing import ScriptedModel, in_memory
from tests.kit import ends, output_of, tasks_left
from tests.servers import ChatServer, says


class Ticket(BaseModel):
    text: str


class Verdict(BaseModel):
    severity: str
    sure: float = 1.0


class Severity(Enum):
    low = "low"
    high = "very high"


TICKET = Ticket(text="on fire")


@Step
async def double(n: int) -> int:
    return 2 * n


@Step
async def halt(n: int) -> int:
    await asyncio.Event().wait()
    return n


@Step
async def boom(n: int) -> int:
    raise ValueError(f"boom {n}")


@Step
async def text_of(n: int) -> str:
    return str(n)


def waits(seconds, name="waits"):
    @Step(name=name)
    async def work(n: int) -> int:
        await asyncio.sleep(seconds)
        return n

    return work


def states(run):
    return {name: (state["status"], state["reason"]) for name, state in run.fold().snapshot()["nodes"].items()}


def decider(answer, output=str):
    @Step
    async def triage(ticket: Ticket) -> output:
        return answer

    return triage


def handler(name):
    @Step(name=name)
    async def handle(ticket: Ticket) -> str:
        return f"{name}: {ticket.text} ({current_context().decision})"

    return handle


# Branch


async def test_only_the_chosen_route_runs_and_it_gets_the_ticket():
    triage, short, long = (ScriptedModel([reply]) for reply in ("High!", "short", "So sorry"))
    flow = Process.branch(
        Agent(triage, "Classify.", input=Ticket, name="triage"),
        routes={"low": Agent(short, "Short.", name="short"), "high": Agent(long, "Long.", name="long")},
    )
    run = flow.start(TICKET)
    assert await run == "So sorry"
    assert (len(triage.requests), len(short.requests), len(long.requests)) == (1, 0, 1)
    assert '{"text":"on fire"}' in long.requests[0].messages[-1].text
    assert states(run)["short"] == ("skipped", "triage said High!")
    assert ends(run)["short"].reason == "triage said High!"
    assert run.nodes.set_index("node").loc["short", "reason"] == "triage said High!"
    assert flow.name == "flow"


@pytest.mark.parametrize(
    ("answer", "output", "routes", "chosen"),
    [
        ("high", str, ["low", "high"], "high"),
        (" HIGH. ", str, ["low", "high"], "high"),
        ("**High**", str, ["low", "high"], "high"),
        ("very-high", str, ["low", "Very High"], "Very High"),
        ("größer", str, ["GRÖSSER", "kleiner"], "GRÖSSER"),
        ("+", str, ["-", "+"], "+"),
        ("-1.", str, ["1", "-1"], "-1"),
        (-1, int, [1, -1], "-1"),
        (2.5, float, [25.0, 2.5], "2.5"),
        (True, bool, [True, False], "True"),
        (False, bool, [True, False], "False"),
        (Severity.high, Severity, list(Severity), "very high"),
        (Severity.high, Severity, ["low", "very high"], "very high"),
    ],
)
async def test_an_answer_finds_its_route(answer, output, routes, chosen):
    words = {key: str(key.value if isinstance(key, Enum) else key) for key in routes}
    flow = Process.branch(decider(answer, output), {key: handler(word) for key, word in words.items()}, name="b")
    assert await flow.execute(TICKET) == f"{chosen}: on fire ({answer})"


async def test_a_model_decides_by_a_field_or_a_function_and_the_whole_answer_is_the_decision():
    for on in ("severity", lambda verdict: "low" if verdict.sure < 0.5 else "high"):
        flow = Process.branch(
            decider(Verdict(severity="high"), Verdict), {"low": handler("low"), "high": handler("high")}, on=on
        )
        assert await flow.execute(TICKET) == "high: on fire (severity='high' sure=1.0)"


async def test_what_matches_no_route_takes_the_default_or_is_an_error_that_shows_both():
    routes = {"low": handler("low"), "high": handler("high")}
    run = Process.branch(decider("odd"), routes, default=handler("other"), name="b").start(TICKET)
    assert await run == "other: on fire (odd)"
    assert states(run)["low"] == states(run)["high"] == ("skipped", "triage said odd")
    run = Process.branch(decider("low"), routes, default=handler("other"), name="b").start(TICKET)
    assert await run == "low: on fire (low)"
    assert states(run)["other"] == ("skipped", "triage said low")
    run = Process.branch(decider("Odd!"), routes, name="b").start(TICKET)
    with pytest.raises(errors.NoRoute, match="`triage` said 'Odd!', and no route") as raised:
        await run
    assert "low, high" in raised.value.remedy
    assert raised.value.where == "b › triage"
    assert states(run)["low"] == ("skipped", "needs `triage`, which failed")


async def test_one_step_on_several_routes_and_names_that_meet():
    same = handler("same")
    flow = Process.branch(decider("b"), {"a": same, "b": same, "triage": same}, default=same, name="x")
    assert await flow.execute(TICKET) == "same: on fire (b)"
    assert len(flow.graph()["nodes"]) == 5


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Process.branch(decider("x"), {}), "at least one route"),
        (lambda: Process.branch(decider("x"), {"a b": handler("1"), "A-B": handler("2")}), "differ only in case"),
        (lambda: Process.branch(decider(None, Verdict), {"a": handler("1")}), "which field decides"),
        (lambda: Process.branch(decider(None, Verdict), {"a": handler("1")}, on="nope"), "no field 'nope'"),
        (lambda: Process.branch(decider("x"), {"a": handler("1")}, on="nope"), "no field 'nope'"),
        (lambda: Process.branch(decider("x"), {"a": handler("1")}, on=3), "plain function"),
        (lambda: Process.branch(decider("x"), {"a": double}), "`double` takes int"),
        (lambda: Process.branch(decider("x"), {"a": lambda ticket: 1}), "made of steps"),
        (lambda: Process.branch("triage", {"a": double}), "made of steps"),
    ],
)
def test_a_branch_that_cannot_work_is_refused(make, message):
    with pytest.raises(errors.DefinitionError, match=message) as raised:
        make()
    assert raised.value.remedy


async def test_a_whole_flow_is_a_route_and_the_one_not_taken_is_skipped_to_its_last_node():
    @Step
    async def first(ticket: Ticket) -> int:
        return len(ticket.text)

    deep = Pipeline(first, text_of, name="deep")
    flow = Process.branch(decider("no"), {"yes": deep, "no": handler("no")}, name="b")
    run = flow.start(TICKET)
    await run
    assert states(run)["deep/first"] == states(run)["deep"] == ("skipped", "triage said no")


# Side by side


async def test_parallel_gives_a_tuple_or_a_model_filled_by_names():
    class Both(BaseModel):
        double: int
        text_of: str

    meet = asyncio.Barrier(2)

    @Step(name="double")
    async def one(n: int) -> int:
        await meet.wait()
        return 2 * n

    @Step(name="text_of")
    async def other(n: int) -> str:
        await meet.wait()
        return str(n)

    assert await Process.parallel(one, other).execute(3, timeout=5) == (6, "3")
    assert await Process.parallel(one, other, result=Both).execute(3, timeout=5) == Both(double=6, text_of="3")
    assert Process.parallel(one, other).output == tuple[int, str]


async def test_parallel_in_a_process_and_the_same_step_twice():
    p = Process(input=int, name="p")
    p.add(Process.parallel(double, double, name="both"), inputs=p.given)
    assert await p.execute(1) == (2, 2)


def test_parallel_that_cannot_work_is_refused():
    class Wrong(BaseModel):
        double: int
        other: int

    @Step
    async def texts(text: str) -> str:
        return text

    for make in (
        Process.parallel,
        lambda: Process.parallel(double, texts),
        lambda: Process.parallel(double, len),
        lambda: Process.parallel(double, text_of, result=Wrong),
        lambda: Process.parallel(double, result=int),
    ):
        with pytest.raises(errors.DefinitionError) as raised:
            make()
        assert raised.value.remedy


async def test_a_failure_beside_others_is_raised_when_they_have_ended():
    run = Process.parallel(boom, waits(0.02), name="p").start(1)
    with pytest.raises(ValueError, match="boom"):
        await run
    assert ends(run)["waits"].kind == "succeeded"


# Race


async def test_the_first_success_wins_and_the_others_are_stopped_at_once():
    flow = Process.race(waits(30, "slow"), waits(0.02, "fast"), boom, name="r")
    run = flow.start(1)
    began = time.perf_counter()
    assert await run == 1
    assert time.perf_counter() - began < 1
    assert {name: end.kind for name, end in ends(run).items()} == {
        "r": "succeeded",
        "slow": "cancelled",
        "fast": "succeeded",
        "boom": "failed",
    }
    assert ends(run)["slow"].reason == "`fast` was first"
    assert {name: status for name, (status, _) in states(run).items()} == {
        "slow": "cancelled",
        "fast": "succeeded",
        "boom": "failed",
    }
    assert tasks_left() == []


async def test_losers_let_go_of_their_sockets():
    with ChatServer(says("slow", wait=30)) as hanging, ChatServer(says("fast", wait=0.05)) as quick:
        racers = [
            Agent(LLM("gpt-4o-mini", base_url=server.url, api_key="sk"), "x", name=name)
            for name, server in (("slow", hanging), ("fast", quick))
        ]
        began = time.monotonic()
        run = Process.race(*racers, name="r").start("hi")
        assert await run == "fast"
        decided = time.monotonic()
        assert decided - began < 2
        gone = await asyncio.to_thread(hanging.await_disconnect, 2)
        assert gone is not None
        assert gone - decided < 0.5
        assert len(hanging.requests) == 1
    assert ends(run)["slow"].reason == "`fast` was first"
    reasons = [event.reason for event in run.past if event.kind == "cancelled"]
    assert reasons == ["`fast` was first"] * 2  # the agent and its model call


async def test_if_all_fail_each_is_told():
    @Step
    async def other(n: int) -> int:
        raise KeyError(n)

    with pytest.raises(errors.AllFailed, match="Nobody finished `r`") as raised:
        await Process.race(boom, other, name="r").execute(1)
    assert {name: type(error) for name, error in raised.value.errors.items()} == {"boom": ValueError, "other": KeyError}
    assert "boom: ValueError: boom 1" in raised.value.remedy
    assert raised.value.where == "r"


async def test_two_that_finish_together_are_told_in_the_order_given():
    both = asyncio.Event()

    def racer(name):
        @Step(name=name)
        async def work(n: int) -> str:
            await both.wait()
            return name

        return work

    for _ in range(5):
        both.clear()
        run = Process.race(racer("a"), racer("b"), racer("c"), name="r").start(1)
        await asyncio.sleep(0.005)
        both.set()
        assert await run == "a"


async def test_losers_may_go_on_beside_the_rest_and_end_with_the_run():
    finished = []

    @Step
    async def slow(n: int) -> int:
        await asyncio.sleep(0.03)
        finished.append(n)
        return n

    p = Process(input=int, name="p")
    first = p.add(Process.race(slow, double, halt, cancel_losers=False, name="r"), inputs=p.given)
    p.add(waits(0.1, "after"), inputs=first)
    run = p.start(1)
    await run
    assert finished == [1]
    assert ends(run)["slow"].kind == "succeeded"
    assert ends(run)["halt"].reason == "its run has ended"
    assert tasks_left() == []


async def test_a_race_that_is_stopped_stops_everybody():
    run = Process.race(halt, waits(30), name="r").start(1)
    await asyncio.sleep(0.01)
    await run.cancel("enough")
    found = {name: (end.kind, end.reason) for name, end in ends(run).items()}
    assert found == dict.fromkeys(("r", "halt", "waits"), ("cancelled", "enough"))
    assert tasks_left() == []


async def test_a_racer_that_is_cancelled_from_elsewhere_or_exits_has_lost():
    @Step
    async def gone(n: int) -> int:
        raise asyncio.CancelledError("elsewhere")

    @Step
    async def leaves(n: int) -> int:
        raise SystemExit(3)

    assert await Process.race(gone, leaves, waits(0.01), name="r").execute(1) == 1
    with pytest.raises(errors.AllFailed) as raised:
        await Process.race(gone, leaves, name="r").execute(1)
    assert set(raised.value.errors) == {"gone", "leaves"}


async def test_a_loser_that_fails_while_it_is_stopped_and_one_in_a_thread():
    @Step
    async def untidy(n: int) -> int:
        try:
            await asyncio.Event().wait()
        finally:
            raise KeyError("while leaving")

    @Step
    def blocking(n: int) -> int:
        time.sleep(0.5)
        return n

    began = time.perf_counter()
    assert await Process.race(untidy, blocking, waits(0.01), name="r").execute(1) == 1
    assert time.perf_counter() - began < 0.3


def test_a_race_that_cannot_be_run_is_refused():
    @Step
    async def texts(text: str) -> str:
        return text

    for make in (
        Process.race,
        lambda: Process.race(double),
        lambda: Process.race(double, texts),
        lambda: Process.race(double, len),
    ):
        with pytest.raises(errors.DefinitionError) as raised:
            make()
        assert raised.value.remedy


# For each


async def test_each_item_in_order_whatever_comes_first():
    @Step
    async def work(n: int) -> int:
        await asyncio.sleep((5 - n) / 200)
        return n * n

    run = Process.for_each(work, name="all").start(list(range(5)))
    assert await run == [0, 1, 4, 9, 16]
    [(status, _)] = states(run).values()
    assert status == "succeeded"
    assert run.fold().snapshot()["nodes"]["all"]["progress"] == [5, 5]


async def test_no_more_at_once_than_said():
    at_work, most = 0, 0

    @Step
    async def work(n: int) -> int:
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        await asyncio.sleep(0.001)
        at_work -= 1
        return n

    assert await Process.for_each(work, max_parallel=3).execute(range(20)) == list(range(20))
    assert most == 3
    most = 0
    assert await Process.for_each(work).execute(range(20)) == list(range(20))
    assert most == 20


class Basket(BaseModel):
    items: list[int]
    name: str = ""


async def test_over_a_field_of_a_model_of_a_mapping_and_in_a_process():
    flow = Process.for_each(double, over="items")
    assert await flow.execute(Basket(items=[1, 2])) == [2, 4]
    assert await flow.execute({"items": [3]}) == [6]
    typed = Process.for_each(double, over="items", input=Basket)
    assert await typed.execute({"items": [1]}) == [2]
    p = Process(input=Basket, name="p")
    p.add(typed)
    assert await p.execute(Basket(items=[5])) == [10]
    p = Process(input=Basket, name="p")
    p.add(Process.for_each(double, over="items", name="e"), inputs=p.given)
    assert await p.execute(Basket(items=[5])) == [10]


async def test_any_source_of_items():
    async def slowly():
        for n in range(4):
            await asyncio.sleep(0.001)
            yield n

    flow = Process.for_each(double)
    for items in ([0, 1, 2, 3], (0, 1, 2, 3), range(4), (n for n in range(4)), iter([0, 1, 2, 3]), slowly()):
        assert await flow.execute(items) == [0, 2, 4, 6]
    for nothing in ([], (), iter([])):
        assert await flow.execute(nothing) == []


async def test_an_async_generator_is_read_as_fast_as_it_gives_and_no_faster_than_there_is_room():
    read, done = [], []

    async def source():
        for n in range(10):
            read.append(n)
            yield n

    @Step
    async def work(n: int) -> int:
        await asyncio.sleep(0.001)
        assert len(read) - len(done) <= 3
        done.append(n)
        return n

    assert await Process.for_each(work, max_parallel=2).execute(source()) == list(range(10))


@pytest.mark.parametrize("what", ["abc", b"abc", {"a": 1}, 5, None])
async def test_what_is_no_list_is_refused_at_the_gate(what):
    with pytest.raises(errors.SubmitError, match="list of items"):
        await Process.for_each(text_of, name="e").execute(what)
    with pytest.raises(errors.InputValidationError):
        await Process.for_each(text_of, over="items", name="e").execute({"items": what})
    with pytest.raises(errors.SubmitError, match="no field 'items'"):
        await Process.for_each(text_of, over="items", name="e").execute({"other": [1]})


@pytest.mark.parametrize("form", ["plain", "async"])
@pytest.mark.parametrize("on_error", ["fail", "collect"])
async def test_a_generator_that_raises_midway_fails_the_fan_out_and_cleans_up(form, on_error):
    closed = []

    def plain():
        try:
            yield 1
            yield 2
            raise OSError("no more")
        finally:
            closed.append("source")

    async def asynchronous():
        for item in plain():
            yield item

    @Step
    async def work(n: int) -> int:
        try:
            await asyncio.sleep(30)
        finally:
            closed.append(n)
        return n

    run = Process.for_each(work, on_error=on_error, name="e").start(plain() if form == "plain" else asynchronous())
    with pytest.raises(OSError, match="no more") as raised:
        await run
    assert "while item 2 of `e` was read" in raised.value.__notes__
    assert sorted(map(str, closed)) == ["1", "2", "source"]
    assert states(run)["e"][0] == "failed"
    assert tasks_left() == []


async def test_a_failure_ends_the_rest_and_the_generator_or_stays_in_its_place():
    closed = []

    def source():
        try:
            yield from range(5)
        finally:
            closed.append(True)

    @Step
    async def work(n: int) -> int:
        if n == 2:
            raise ValueError("two")
        await asyncio.sleep(0.01)
        return n

    run = Process.for_each(work, max_parallel=3, name="e").start(source())
    with pytest.raises(ValueError, match="two") as raised:
        await run
    assert f"in e › work[2] (run {run.id})" in raised.value.__notes__
    assert closed == [True]
    assert [end.reason for end in run.past if end.kind == "cancelled"] == ["item 2 failed"] * 2
    found = await Process.for_each(work, on_error="collect").execute(range(4))
    assert [found[0], found[1], found[3]] == [0, 1, 3]
    assert isinstance(found[2], ValueError)
    assert tasks_left() == []


async def test_an_item_that_does_not_fit_is_told_by_its_number():
    with pytest.raises(errors.DispatchError) as raised:
        await Process.for_each(double, name="e").execute([1, "two"])
    assert raised.value.where == "e › double[1]"
    found = await Process.for_each(double, on_error="collect").execute([1, "two"])
    assert isinstance(found[1], errors.DispatchError)


async def test_an_item_that_is_cancelled_from_elsewhere_ends_it_or_stays_in_its_place():
    @Step
    async def work(n: int) -> int:
        if n == 1:
            raise asyncio.CancelledError("elsewhere")
        return n

    with pytest.raises(errors.RunCancelled):
        await Process.for_each(work, name="e").execute(range(3))
    found = await Process.for_each(work, on_error="collect").execute(range(3))
    assert isinstance(found[1], asyncio.CancelledError)


async def test_a_fan_out_that_is_stopped_tells_everybody_why():
    closed = []

    async def source():
        try:
            for n in range(9):
                yield n
        finally:
            closed.append(True)

    run = Process.for_each(halt, max_parallel=3, name="e").start(source())
    await asyncio.sleep(0.02)
    await run.cancel("enough")
    assert {end.reason for end in run.past if end.kind == "cancelled"} == {"enough"}
    assert closed == [True]
    assert tasks_left() == []
    run = Process.for_each(halt, name="e").start(range(3), timeout=0.02)
    with pytest.raises(errors.DeadlineExceeded):
        await run
    assert {end.reason for end in run.past if end.kind == "cancelled"} == {"its time was up"}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Process.for_each(double, max_parallel=0), "lets nothing run"),
        (lambda: Process.for_each(double, max_parallel=1.5), "lets nothing run"),
        (lambda: Process.for_each(double, on_error="ignore"), "says nothing"),
        (lambda: Process.for_each(double, over="name", input=Basket), "'name' is str"),
        (lambda: Process.for_each(double, over="nope", input=Basket), "no field 'nope'"),
        (lambda: Process.for_each(double, input=list[str]), "takes int"),
        (lambda: Process.for_each(double, input=str), "is str"),
        (lambda: Process.for_each(len), "made of steps"),
        (lambda: over_given("nope"), "no field 'nope'"),
        (lambda: over_given("name"), "'name' is str"),
    ],
)
def test_a_fan_out_that_cannot_work_is_refused(make, message):
    with pytest.raises(errors.DefinitionError, match=message) as raised:
        make()
    assert raised.value.remedy


def over_given(field):
    p = Process(input=Basket, name="p")
    p.add(Process.for_each(double, over=field, name="e"), inputs=p.given)


MANY = """
    import asyncio, resource, time
    from quire import Process, Step
    from quire.testing import in_memory
    @Step
    async def work(n: int) -> int:
        await asyncio.sleep(0)
        return n
    async def main():
        with in_memory():
            flow = Process.for_each(work, name="e")
            await flow.execute(range(1000))
            began = time.process_time()
            assert await flow.execute(range({count})) == list(range({count}))
            print(time.process_time() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    asyncio.run(main())
"""


def test_a_hundred_thousand_items_take_ten_times_what_ten_thousand_take(tmp_path):
    few = [float(part) for part in output_of(MANY.format(count=10_000), tmp_path, within=60).split()]
    many = [float(part) for part in output_of(MANY.format(count=100_000), tmp_path, within=60).split()]
    assert many[0] < 20 * few[0]
    assert many[1] < 12 * few[1]


# Again and again


class Draft(BaseModel):
    text: str
    score: float = 0.0


@Step
async def revise(draft: Draft) -> Draft:
    return Draft(text=draft.text + "!", score=draft.score + 0.25)


@pytest.mark.parametrize("until", ["score >= 0.5", lambda draft: draft.score >= 0.5, "output.score == 0.5"])
async def test_a_loop_works_on_what_it_made_until_it_is_good(until):
    run = Process.loop(revise, until=until, name="l").start(Draft(text="a"))
    assert await run == Draft(text="a!!", score=0.5)
    inputs = [event.input for event in run.past if event.kind == "started" and event.name == "revise"]
    assert [given["text"] for given in inputs] == ["a", "a!"]
    assert [event.item for event in run.past if event.kind == "started" and event.name == "revise"] == [0, 1]


async def test_a_loop_that_never_is_done_gives_the_last_or_fails():
    loop = Process.loop(revise, until="score > 9", max_iterations=3, name="l")
    assert (await loop.execute(Draft(text=""))).text == "!!!"
    with pytest.raises(errors.LoopExhausted, match="`l` was not done after 3 iterations") as raised:
        await Process.loop(revise, until="score > 9", max_iterations=3, on_max="fail", name="l").execute(Draft(text=""))
    assert "max_iterations=" in raised.value.remedy


async def test_an_until_that_raises_fails_the_loop_and_says_so():
    run = Process.loop(revise, until=lambda draft: draft.nope, name="l").start(Draft(text=""))
    with pytest.raises(errors.ConditionError, match="until= of `l` could not be decided: AttributeError") as raised:
        await run
    assert raised.value.where == "l"
    assert isinstance(raised.value.__cause__, AttributeError)


async def test_a_loop_around_a_number_text_and_a_whole_flow():
    assert await Process.loop(double, until="output > 50").execute(3) == 96

    @Step
    async def take_apart(n: int) -> str:
        return str(n)

    @Step
    async def put_together(text: str) -> int:
        return int(text) + 1

    body = Pipeline(take_apart, put_together, input=int, output=int, name="body")
    run = Process.loop(body, until="output == 3", name="l").start(0)
    assert await run == 3
    assert {status for status, _ in states(run).values()} == {"succeeded"}
    assert "body/take_apart" in states(run)
    writer = Agent(ScriptedModel([Draft(text="x", score=0.1), Draft(text="y", score=1)]), "Improve.", output=Draft)
    assert (await Process.loop(writer, until="score > 0.8").execute("topic")).text == "y"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Process.loop(revise, until="score > 1", max_iterations=0), "never runs `revise`"),
        (lambda: Process.loop(revise, until="score > 1", max_iterations=2.5), "never runs `revise`"),
        (lambda: Process.loop(revise, until="score > 1", on_max="shrug"), "what to do in the end"),
        (lambda: Process.loop(revise, until="nope > 1"), "no field 'nope'"),
        (lambda: Process.loop(revise, until="output.nope > 1"), "no field 'nope'"),
        (lambda: Process.loop(double, until="value > 1"), "no field 'value'"),
        (lambda: Process.loop(revise, until="print(score)"), "uses Call"),
        (lambda: Process.loop(revise, until=None), "plain function"),
        (lambda: Process.loop(revise, until=asyncio.sleep), "plain function"),
        (lambda: Process.loop(text_of, until="output == 'x'"), "cannot go round"),
        (lambda: Process.loop(len, until="output"), "made of steps"),
    ],
)
def test_a_loop_that_cannot_work_is_refused(make, message):
    with pytest.raises(errors.DefinitionError, match=message) as raised:
        make()
    assert raised.value.remedy


async def test_a_loop_that_is_stopped_or_fails_inside():
    run = Process.loop(halt, until="output", name="l").start(1)
    await asyncio.sleep(0.01)
    await run.cancel("enough")
    assert states(run) == {"halt": ("cancelled", "enough")}
    run = Process.loop(boom, until="output", name="l").start(1)
    with pytest.raises(ValueError, match="boom"):
        await run
    assert ends(run)["l"].where == "l › boom[0]"


# Everything in everything


async def test_shapes_in_shapes_in_shapes():
    @Step
    async def split(n: int) -> list[int]:
        return [n, n + 1, n + 2]

    @Step
    async def total(parts: list[int]) -> int:
        return sum(parts)

    inner = Process(input=int, name="inner")
    parts = inner.add(split, inputs=inner.given)
    doubled = inner.add(
        Process.for_each(Process.race(double, halt, name="r"), max_parallel=2, name="each"), inputs=parts
    )
    inner.add(total, inputs=doubled)
    looped = Process.loop(inner, until="output > 50", name="again")

    @Step
    async def which(n: int) -> str:
        return "on"

    branch = Process.branch(which, {"on": looped, "off": double}, name="branch")
    outer = Process(input=int, name="outer")
    outer.add(Process.parallel(branch.with_timeout(10), double, name="both"), inputs=outer.given)
    run = outer.start(1)
    assert await run == (78, 2)
    found = states(run)
    assert {status for status, _ in found.values()} == {"succeeded", "skipped"}
    assert "both/branch/again/inner/split" in found
    assert {name for name, (status, _) in found.items() if status == "skipped"} == {"both/branch/double"}
    for format in ("svg", "dot", "mermaid", "json", "ascii"):
        assert outer.visualize(format)
        assert run.visualize(format)
    assert len(str(run)) > 100
    assert tasks_left() == []


def test_a_flow_runs_without_await_also_inside_a_plain_step():
    pair = Process.parallel(double, text_of, name="pair")

    @Step
    def outside(n: int) -> str:
        return str(pair.execute_sync(n))

    with in_memory():
        assert pair.execute_sync(2) == (4, "2")
        assert outside.execute_sync(2) == "(4, '2')"
