"""When a step runs: expressions that are checked when they are written, and functions of what is there."""

import asyncio
from dataclasses import dataclass
from enum import Enum

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quire import Process, Step, current_context, errors
from quire.flow.condition import Expression
from tests.kit import ends


class Level(Enum):
    low = "low"
    high = "high"


@dataclass
class Seen:
    kind: str
    score: float = 0.5
    tags: tuple[str, ...] = ()
    level: Level = Level.low


@Step
async def triage(text: str) -> Seen:
    return Seen("bug" if "bug" in text else "other", len(text), tuple(text.split()))


@Step
async def fix(seen: Seen) -> str:
    return f"fixed {seen.kind}"


@Step
async def close(text: str) -> str:
    return f"closed: {text}"


def conditioned(when, **options):
    p = Process(input=str, name="p", **options)
    seen = p.add(triage, inputs=p.given)
    fixed = p.add(fix, inputs=seen, when=when)
    p.add(close, inputs=fixed)
    other = p.add(close, inputs=p.given, name="beside")
    p.returns(other)
    return p


def states(run):
    return {name: state["status"] for name, state in run.fold().snapshot()["nodes"].items()}


def reasons(run):
    return {name: end.reason for name, end in ends(run).items() if end.kind == "skipped"}


@pytest.mark.parametrize(
    "when",
    [
        "triage.kind == 'bug'",
        "  triage.kind == 'bug' and triage.score > 2",
        "'bug' in triage.tags",
        "len(triage.tags) == 2",
        lambda done: done["triage"].kind == "bug",
        lambda done: "bug" in done["triage"].tags and len(done) == 1,
    ],
)
async def test_a_step_runs_if_its_condition_holds_and_is_skipped_if_not(when):
    p = conditioned(when)
    run = p.start("a bug")
    assert await run == "closed: a bug"
    assert set(states(run).values()) == {"succeeded"}
    run = p.start("a very nice day")
    assert await run == "closed: a very nice day"
    assert states(run) == {"triage": "succeeded", "fix": "skipped", "close": "skipped", "beside": "succeeded"}
    assert "is false: triage said Seen(kind='other'" in reasons(run)["fix"]
    assert reasons(run)["close"] == "needs `fix`, which was skipped"
    table = run.nodes.set_index("node")
    assert table.loc["fix", "status"] == "skipped"
    assert "is false" in table.loc["fix", "reason"]


async def test_a_process_whose_result_was_skipped_says_why():
    p = Process(input=str, name="p")
    p.add(fix, inputs=p.add(triage, inputs=p.given), when="triage.kind == 'bug'")
    with pytest.raises(errors.CompletionError, match=r"`fix` was skipped: triage.kind == 'bug' is false") as raised:
        await p.execute("nothing")
    assert "returns(" in raised.value.remedy
    assert raised.value.where == "p"


@pytest.mark.parametrize("when", [lambda done: done["triage"].kind / 0, "triage.score / 0 > 1", "triage.score > 'x'"])
async def test_a_condition_that_raises_is_a_failed_node_that_says_so(when):
    run = conditioned(when).start("a bug")
    with pytest.raises(errors.ConditionError, match="The condition of `fix` could not be decided: ") as raised:
        await run
    assert isinstance(raised.value.__cause__, (TypeError, ZeroDivisionError))
    assert raised.value.where == "p › fix"
    assert states(run) == {"triage": "succeeded", "fix": "failed", "close": "skipped", "beside": "succeeded"}
    assert raised.value.__notes__[-1] == "skipped because of it: close"


async def test_a_function_may_ask_for_what_was_skipped_and_an_expression_needs_it():
    def build(when):
        p = Process(input=str, name="p")
        seen = p.add(triage, inputs=p.given)
        p.add(fix, inputs=seen, when="triage.kind == 'bug'")
        p.returns(p.add(close, inputs=p.given, when=when))
        return p

    assert await build(lambda done: done.get("fix") is None).execute("fine") == "closed: fine"
    for needing in (lambda done: done["fix"] == "x", "fix == 'x'"):
        run = build(needing).start("fine")
        with pytest.raises(errors.CompletionError):
            await run
        assert reasons(run)["close"] == "needs `fix`, which was skipped"


async def test_a_condition_waits_for_the_steps_it_looks_at_and_for_no_others():
    order = []

    @Step
    async def slow(text: str) -> int:
        await asyncio.sleep(0.02)
        order.append("slow")
        return 1

    @Step
    async def stuck(text: str) -> float:
        await asyncio.sleep(0.05)
        order.append("stuck")
        return 1.0

    @Step
    async def after(text: str) -> str:
        order.append(current_context().name)
        return text

    p = Process(input=str)
    p.add(stuck, inputs=p.given)
    p.add(slow, inputs=p.given)
    p.add(after, inputs=p.given, when="slow == 1", name="one")
    p.add(after, inputs=p.given, when=lambda done: done["slow"] == 1, name="two")
    p.returns(p.add(after, inputs=p.given, when=lambda done: all(done.values()), name="three"))
    await p.execute("x")
    assert order == ["slow", "one", "two", "stuck", "three"]


async def test_what_waits_for_a_failed_step_is_skipped_and_what_does_not_goes_on():
    @Step
    async def boom(text: str) -> int:
        raise ValueError("boom")

    p = Process(input=str, name="p")
    p.add(boom, inputs=p.given)
    p.add(close, inputs=p.given, when="boom > 1")
    p.add(triage, inputs=p.given)
    p.add(fix, when="triage.kind == 'never'")
    p.returns(p.add(close, inputs=p.given, name="beside"))
    run = p.start("x")
    with pytest.raises(ValueError, match="boom") as raised:
        await run
    assert reasons(run)["close"] == "needs `boom`, which failed"
    assert ends(run)["beside"].kind == "succeeded"
    assert raised.value.__notes__[-1] == "skipped because of it: close"  # and not `fix`, which had its own reason


@pytest.mark.parametrize(
    ("when", "message"),
    [
        ("nope.kind == 'bug'", "names nope"),
        ("fix == 'x'", "names fix"),
        ("triage.nope == 'bug'", "no field 'nope'"),
        ("triage.kind.upper == 'bug'", "no field 'upper'"),
        ("triage.kind = 'bug'", "is not an expression"),
        ("triage.kind ==", "is not an expression"),
        ("", "is not an expression"),
        ("\0", "is not an expression"),
        ("triage.kind.upper() == 'BUG'", "uses Call"),
        ("__import__('os').system('true')", "uses Call"),
        ("print(triage)", "uses Call"),
        ("len(triage.tags, key=1)", "uses Call"),
        ("min(*triage.tags)", "uses Starred"),
        ("triage.__class__", "private"),
        ("triage._kind", "private"),
        ("[t for t in triage.tags]", "uses ListComp"),
        ("any(t for t in triage.tags)", "uses GeneratorExp"),
        ("(lambda: 1)", "uses Lambda"),
        ("triage.score ** 9", "uses Pow"),
        ("triage.score << 9", "uses LShift"),
        ("triage.score // 9", "uses FloorDiv"),
        ("triage.tags[0:1]", "uses Slice"),
        ("f'{triage.kind}'", "uses JoinedStr"),
        ("(x := triage.kind)", "uses NamedExpr"),
        ("{'a': 1}", "uses Dict"),
        ("1 if triage.kind else 2", "uses IfExp"),
        ("triage.kind is 'bug'", "one and the same"),
        ("await triage", "is not an expression|uses Await"),
        ("yield", "is not an expression|uses Yield"),
        ("(" * 300 + "1" + ")" * 300, "not an expression|nested"),
        ("-" * 300 + "1", "nested too deeply"),
        ("1" + "+1" * 900, "nested too deeply"),
        ("1" + " " * 5000, "more than"),
        (False, "already False"),
        (3, "expression or a plain function"),
        (asyncio.sleep, "plain function"),
    ],
)
def test_what_cannot_be_decided_is_refused_when_it_is_added(when, message):
    with pytest.raises(errors.DefinitionError, match=message) as raised:
        conditioned(when)
    assert raised.value.remedy


def test_a_comparison_of_references_is_told_apart_from_a_condition():
    p = Process(input=str)
    seen = p.add(triage, inputs=p.given)
    with pytest.raises(errors.DefinitionError, match="already False") as raised:
        p.add(fix, inputs=seen, when=seen.kind == "bug")
    assert "as text" in raised.value.remedy


# The small language, against Python itself

NAMES = {"a": 3, "b": -2.5, "t": "word", "l": [1, 2, 3], "n": None, "d": {"x": 1, "y": [0]}, "e": (), "s": {1, 2}}
WORDS = "a b t l n d e s 1 0 2.5 'word' '' True None (1,) [1,2,3] d['x'] d.y l[0] l[-1] l[9] d['z'] {1,2} ()"
SINGLE = st.sampled_from(WORDS.split(" "))


def combined(inner):
    signs = st.sampled_from(["==", "!=", "<", "<=", ">", ">=", "in", "not in"])
    same = st.sampled_from(["is None", "is not None", "is True"])
    sums = st.sampled_from(["+", "-", "*", "/", "%"])
    joins = st.sampled_from(["and", "or"])
    words = st.sampled_from(["len", "min", "max", "abs", "any", "all"])
    return st.one_of(
        st.builds("({} {} {})".format, inner, signs, inner),
        st.builds("({} {} {} {} {})".format, inner, signs, inner, signs, inner),
        st.builds("({} {} {})".format, inner, sums, inner),
        st.builds("({} {} {} {} {})".format, inner, joins, inner, joins, inner),
        st.builds("(not {})".format, inner),
        st.builds("({} {})".format, inner, same),
        st.builds("(-{})".format, inner),
        st.builds("{}({})".format, words, inner),
        st.builds("{}({}, {})".format, words, inner, inner),
        st.builds("[{}, {}][0]".format, inner, inner),
    )


def outcome(do):
    try:
        return do()
    except (TypeError, ValueError, LookupError, ArithmeticError) as error:
        return type(error)


@given(st.recursive(SINGLE, combined, max_leaves=8))
@settings(max_examples=300, deadline=None)
@pytest.mark.filterwarnings("ignore::SyntaxWarning")
def test_an_expression_means_what_it_means_in_python(text):
    python = outcome(lambda: eval(text.replace("d.y", "d['y']"), {}, dict(NAMES)))
    ours = outcome(lambda: Expression(text)(NAMES))
    if ours is TypeError and ("*" in text or "%" in text):
        return  # repeating and formatting text is refused, on purpose
    assert type(ours) is type(python)
    assert repr(ours) == repr(python)  # NaN is not equal to itself


def test_no_text_makes_a_bomb():
    for text in ("t * 1000000000", "l * 1000000000", "'%999999999d' % 1", "t % 1"):
        with pytest.raises(TypeError, match="only numbers"):
            Expression(text)(NAMES)


def test_methods_and_machinery_are_no_values():
    async def coroutine():
        return 1

    alive = coroutine()
    try:
        for text in ("t.upper", "c.cr_frame", "c.cr_code", "c.send"):
            with pytest.raises(TypeError, match="not a value"):
                Expression(text)({**NAMES, "c": alive})
    finally:
        alive.close()


def test_what_comes_after_the_answer_is_not_looked_at():
    assert Expression("a == 3 or nope.x")({"a": 3}) is True
    assert Expression("a == 4 and nope.x")({"a": 3}) is False


def test_an_enum_is_compared_by_its_value():
    assert Expression("seen.level.value == 'high'")({"seen": Seen("x", level=Level.high)})
