import json
import subprocess
import sys
from fractions import Fraction
from itertools import count

import pandas as pd
import pytest
from hypothesis import given as given_any
from hypothesis import settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from quire.core.codec import decode, encode, to_record
from quire.core.errors import DefinitionError
from quire.core.events import (
    Called,
    Cancelled,
    Delta,
    Event,
    Failed,
    Requested,
    Responded,
    Returned,
    Said,
    Skipped,
    Started,
    Succeeded,
    Thinking,
    Unknown,
)
from quire.core.messages import Message, Text, Thought, ToolCall, ToolResult
from quire.core.price import Quote
from quire.core.usage import Usage
from quire.views import rows, tables
from quire.views.columns import GROUPINGS, TABLES

OF_ONE_RUN = (tables.nodes, tables.calls, tables.tools, tables.messages, tables.events, tables.cost)
SUMS = (
    "calls input_tokens cached_input_tokens output_tokens reasoning_tokens cost_usd unpriced_calls "
    "cached_share first_token_s price_source"
)
PROMISED = {
    "runs": "run name kind status reason started_at duration_s session tenant parent_run nodes model_calls tool_calls "
    "input_tokens cached_input_tokens output_tokens reasoning_tokens cost_usd simulated replayed error_type error tags",
    "nodes": "run span parent node kind status reason attempt started_at queued_s duration_s input output "
    "input_tokens output_tokens cost_usd error_type error item",
    "calls": "run span node agent provider model started_at latency_s first_token_s input_tokens cached_input_tokens "
    "cache_write_tokens output_tokens reasoning_tokens cost_usd price_source finish_reason attempt simulated replayed "
    "error_type cached_share cached",
    "tools": "run span node agent tool arguments result started_at duration_s approved_by approval_wait_s permission "
    "sandbox_tier error_type error",
    "messages": "run session branch seq at turn sender role kind text tool call_span tokens",
    "events": "run seq at kind span parent data",
    "cost": f"agent model provider {SUMS}",
    "costs": f"run agent node model provider session tenant day {SUMS}",
    "reprice": "agent model provider other_model other_provider calls input_tokens cached_input_tokens output_tokens "
    "cost_usd other_cost_usd difference_usd price_source simulated",
    "states": "run seq at span node state channel value reducer whole counts checkpoint",
    "sessions": "session agent tenant started_at last_at turns messages branches checkpoints head_seq input_tokens "
    "output_tokens cost_usd head simulated",
    "session_messages": "run session branch seq at turn sender role kind text tool span tokens hidden",
    "branches": "session branch head origin origin_seq turns started_at last_at",
    "checkpoints": "session checkpoint branch seq at turns",
    "models": "provider model context_tokens input_usd output_usd cached_input_usd price_source tools output_schema "
    "images reasoning usable key",
}
NOBODY_TELLS_YET = {
    "runs": {"tenant", "parent_run"},
    "nodes": {"queued_s"},
    "tools": {"approved_by", "approval_wait_s", "permission", "sandbox_tier"},
}


class Script:
    """Writes a log by hand: a tenth of a second and the next place for each event."""

    def __init__(self, run="r", began=1_700_000_000.0):
        self.run, self.began = run, began
        self.events: list[Event] = []
        self.spans = (str(number) for number in count(1))

    def add(self, kind, span, parent, **fields):
        seq = len(self.events) + 1
        self.events.append(kind(seq=seq, at=self.began + seq / 10, run=self.run, span=span, parent=parent, **fields))

    def start(self, parent, name, of="step", **fields):
        span = next(self.spans)
        self.add(Started, span, parent, name=name, of=of, **fields)
        return span

    def request(self, parent, agent="writer", **fields):
        span = next(self.spans)
        call = {"provider": "openai", "model": "small", "messages": 2} | fields
        self.add(Requested, span, parent, agent=agent, **call)
        return span

    def reply(self, span, parent, *parts, **fields):
        message = Message(role="assistant", parts=parts)
        self.add(Responded, span, parent, message=message, **({"finish_reason": "stop"} | fields))

    def call(self, parent, tool="look_up", arguments=None):
        span = next(self.spans)
        self.add(Called, span, parent, tool=tool, call="c1", arguments=arguments)
        return span


def story():
    """A pipeline of an agent that uses a tool, a step that fails in it, and one that is skipped."""
    log = Script()
    root = log.start(None, "trip", "pipeline", input="Rome", tags={"who": "me"})
    agent = log.start(root, "writer", "agent", input={"city": "Rome"})
    log.add(Said, agent, root, sender="writer", role="system", text="Be brief.")
    log.add(Said, agent, root, sender="you", role="user", text="Rome?")
    first = log.request(agent)
    log.reply(
        first,
        agent,
        Thought(text="Hm."),
        Text(text="Let me see."),
        ToolCall(id="c1", tool="look_up", arguments='{"q": "Rome"}'),
        finish_reason="tool_calls",
        usage=Usage(input_tokens=10, output_tokens=7, cached_input_tokens=4),
        first_token_s=0.05,
        cost_usd=0.25,
        price_source="list",
    )
    tool = log.call(agent, arguments={"q": "Rome"})
    log.add(Returned, tool, agent, tool="look_up", call="c1", result={"hits": 2})
    log.add(Said, agent, root, sender="you", role="user", text="Well?")
    second = log.request(agent)
    log.reply(second, agent, Text(text="Old."), usage=Usage(input_tokens=20, output_tokens=3), cost_usd=0.5)
    log.add(Succeeded, agent, root, output="Old.")
    outer = log.start(root, "check", "pipeline")
    inner = log.start(outer, "spell")
    error = {"error_type": "ValueError", "error": "not a word"}
    log.add(Failed, inner, outer, **error)
    log.add(Failed, outer, root, origin=inner, **error)
    log.add(Skipped, next(log.spans), root, name="send", of="step", reason="check failed")
    log.add(Failed, root, None, origin=inner, **error)
    return log.events


# What is promised


@pytest.mark.parametrize("table", PROMISED)
def test_columns_are_the_promised_ones(table):
    assert [column.name for column in TABLES[table]] == PROMISED[table].split()


@pytest.mark.parametrize("table", PROMISED)
def test_schema_explains_every_column(table):
    explained = tables.schema(table)
    assert list(explained["column"]) == PROMISED[table].split()
    assert list(explained["dtype"]) == [column.dtype for column in TABLES[table]]
    assert explained["meaning"].str.len().min() > 0


def test_schema_of_no_table():
    with pytest.raises(DefinitionError, match="no table 'nodez'"):
        tables.schema("nodez")


def everything(log):
    """Every table of a log, by name."""
    yield from ((table.__name__, table(log)) for table in OF_ONE_RUN)
    yield "runs", tables.runs([log])
    yield "costs", tables.costs([log], by=list(GROUPINGS))


@pytest.mark.parametrize("log", [[], story()], ids=["empty", "story"])
def test_columns_have_the_declared_dtypes(log):
    for name, table in everything(log):
        assert list(table.columns) == PROMISED[name].split()
        assert [str(dtype) for dtype in table.dtypes] == [column.dtype for column in TABLES[name]], name


def test_rows_name_no_column_that_is_not_declared():
    log = rows.Reading(story())
    for name in ("nodes", "calls", "tools", "messages"):
        assert set(getattr(rows, name)(log)) == set(PROMISED[name].split()) - NOBODY_TELLS_YET.get(name, set())
    assert set(rows.events(log)) == set(PROMISED["events"].split())
    assert set(rows.runs([log])) == set(PROMISED["runs"].split()) - NOBODY_TELLS_YET["runs"]
    assert set(rows.costs([log], list(GROUPINGS))) == set(PROMISED["costs"].split())


def test_pandas_waits_for_the_first_table():
    code = "import sys, quire.views.tables; sys.exit('pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# What a story looks like


def listed(table, *columns):
    """A table's columns as lists, missing values as None."""
    return [[None if pd.isna(value) else value for value in table[column]] for column in columns]


def test_nodes():
    table = tables.nodes(story())
    assert listed(table, "node", "status", "kind") == [
        ["trip", "writer", "check", "check/spell", "send"],
        ["failed", "succeeded", "failed", "failed", "skipped"],
        ["pipeline", "agent", "pipeline", "step", "step"],
    ]
    assert listed(table, "input_tokens", "output_tokens", "cost_usd") == [
        [0, 30, 0, 0, 0],
        [0, 10, 0, 0, 0],
        [0, 0.75, 0, 0, 0],
    ]
    assert listed(table, "input", "output", "attempt") == [
        ['"Rome"', '{"city":"Rome"}', "null", "null", None],
        [None, '"Old."', None, None, None],
        [1, 1, 1, 1, None],
    ]


def test_an_error_that_passed_through_says_from_where():
    table = tables.nodes(story())
    assert listed(table, "reason", "error") == [
        ["failed in check/spell", None, "failed in check/spell", None, "check failed"],
        ["not a word", None, "not a word", "not a word", None],
    ]


def test_an_error_of_its_own_model_call_is_a_nodes_own():
    log = Script()
    agent = log.start(None, "writer", "agent")
    call = log.request(agent)
    error = {"error_type": "RateLimited", "error": "slow down"}
    log.add(Failed, call, agent, **error)
    log.add(Failed, agent, None, origin=call, **error)
    assert listed(tables.nodes(log.events), "reason", "error") == [[None], ["slow down"]]
    assert listed(tables.calls(log.events), "error_type", "finish_reason", "cost_usd") == [
        ["RateLimited"],
        [None],
        [None],
    ]
    assert tables.calls(log.events)["latency_s"][0] == pytest.approx(0.1, abs=1e-6)
    # Nothing came back, so nothing lacks a price; what it took nobody knows.
    assert listed(tables.cost(log.events), "calls", "unpriced_calls", "cost_usd") == [[1], [0], [None]]


def test_calls():
    table = tables.calls(story())
    assert listed(table, "node", "agent", "provider", "model", "price_source", "finish_reason") == [
        ["writer"] * 2,
        ["writer"] * 2,
        ["openai"] * 2,
        ["small"] * 2,
        ["list", None],
        ["tool_calls", "stop"],
    ]
    assert listed(table, "input_tokens", "cached_input_tokens", "output_tokens", "cost_usd", "first_token_s") == [
        [10, 20],
        [4, None],
        [7, 3],
        [0.25, 0.5],
        [0.05, None],
    ]


def test_tools():
    table = tables.tools(story())
    assert listed(table, "node", "agent", "tool", "arguments", "result", "error") == [
        ["writer"], ["writer"], ["look_up"], ['{"q":"Rome"}'], ['{"hits":2}'], [None],
    ]  # fmt: skip
    assert table["duration_s"][0] == pytest.approx(0.1, abs=1e-6)


def test_a_tool_that_raised_or_was_stopped():
    log = Script()
    agent = log.start(None, "writer", "agent")
    raised, stopped, running = (log.call(agent) for _ in range(3))
    log.add(Returned, raised, agent, tool="look_up", call="c1", error_type="KeyError", error="'Rome'")
    log.add(Cancelled, stopped, agent, reason="stopped by you")
    table = tables.tools(log.events)
    assert listed(table, "span", "result", "error_type") == [
        [raised, stopped, running],
        [None] * 3,
        ["KeyError", None, None],
    ]
    assert list(table["duration_s"].isna()) == [False, False, True]
    assert listed(tables.messages(log.events), "text", "turn") == [["'Rome'"], [1]]


def test_messages():
    table = tables.messages(story())
    assert listed(table, "turn", "sender", "role", "kind", "text") == [
        [1, 1, 1, 1, 1, 1, 2, 2],
        ["writer", "you", "writer", "writer", "writer", "look_up", "you", "writer"],
        ["system", "user", "assistant", "assistant", "assistant", "tool", "user", "assistant"],
        ["text", "text", "thinking", "text", "tool_call", "tool_result", "text", "text"],
        ["Be brief.", "Rome?", "Hm.", "Let me see.", '{"q": "Rome"}', '{"hits":2}', "Well?", "Old."],
    ]
    assert listed(table, "tokens", "tool", "call_span") == [
        [None, None, 7, None, None, None, None, 3],
        [None, None, None, None, "look_up", "look_up", None, None],
        [None, None, "3", "3", "3", "4", None, "5"],
    ]
    assert set(table["branch"]) == {"main"}


def test_a_reply_without_words_has_its_tokens():
    log = Script()
    agent = log.start(None, "writer", "agent")
    log.reply(log.request(agent), agent, usage=Usage(input_tokens=1, output_tokens=2))
    assert listed(tables.messages(log.events), "kind", "text", "tokens") == [["text"], [""], [2]]


def test_runs():
    table = tables.runs([story()])
    assert table.iloc[0].dropna().drop(["started_at", "duration_s"]).to_dict() == {
        "run": "r",
        "name": "trip",
        "kind": "pipeline",
        "status": "failed",
        "reason": "failed in check/spell",
        "nodes": 5,
        "model_calls": 2,
        "tool_calls": 1,
        "input_tokens": 30,
        "cached_input_tokens": 4,
        "output_tokens": 10,
        "cost_usd": 0.75,
        "simulated": False,
        "replayed": False,
        "error_type": "ValueError",
        "error": "not a word",
        "tags": '{"who":"me"}',
    }


def test_runs_come_newest_first_and_only_those_that_have_begun():
    old, new = Script("old"), Script("new", 1_800_000_000.0)
    for log in (old, new):
        log.start(None, "greet")
    new.add(Cancelled, "1", None, reason="stopped by you")
    table = tables.runs([old.events, [], new.events])
    assert listed(table, "run", "status") == [["new", "old"], ["cancelled", "running"]]
    assert list(table["duration_s"].isna()) == [False, True]


def test_a_run_with_one_simulated_reply_is_simulated():
    log = Script()
    agent = log.start(None, "writer", "agent")
    log.request(agent)
    log.request(agent, simulated=True)
    assert list(tables.calls(log.events)["simulated"]) == [False, True]
    assert tables.runs([log.events])["simulated"][0]


def test_moments_are_exact_to_the_microsecond():
    log = Script(began=1_700_000_000.000001 - 0.1)
    log.start(None, "greet")
    assert tables.events(log.events)["at"][0] == pd.Timestamp("2023-11-14 22:13:20.000001", tz="UTC")


def test_a_tool_that_is_an_agent():
    log = Script()
    boss = log.start(None, "boss", "agent")
    tool = log.call(boss, "clerk")
    clerk = log.start(tool, "clerk", "agent")
    log.request(clerk, "clerk")
    # One that is called and started on one span.
    typist = log.call(clerk, "typist")
    log.add(Started, typist, clerk, name="typist", of="tool")
    log.call(typist, "press")
    assert listed(tables.nodes(log.events), "node") == [["boss", "clerk", "clerk/typist"]]
    assert listed(tables.calls(log.events), "node") == [["clerk"]]
    assert listed(tables.tools(log.events), "node", "agent") == [
        ["boss", "clerk", "clerk/typist"],
        ["boss", "clerk", "clerk"],
    ]


# Money


def priced(*costs):
    log = Script()
    for agent, cost in costs:
        span = log.start(None if not log.events else "1", agent, "agent")
        log.reply(log.request(span, agent), span, Text(text="Yes."), cost_usd=cost)
    return log.events


def test_a_total_with_an_unpriced_reply_is_unknown():
    log = priced(("a", 0.25), ("b", None), ("b", 0.5), ("c", 0.0))
    assert listed(tables.cost(log), "agent", "cost_usd", "unpriced_calls", "calls") == [
        ["a", "b", "c"],
        [0.25, None, 0.0],
        [0, 1, 0],
        [1, 2, 1],
    ]
    assert listed(tables.runs([log]), "cost_usd", "input_tokens") == [[None], [None]]
    assert listed(tables.nodes(log), "cost_usd") == [[0.25, None, 0.5, 0.0]]


def test_the_order_of_many_small_costs_does_not_matter():
    costs = [0.1] * 10 + [1e-9, 3.7e-7, 12.5] * 5
    one, other = (priced(*(("a", cost) for cost in order)) for order in (costs, costs[::-1]))
    total = float(sum(map(Fraction, costs)))
    assert tables.cost(one)["cost_usd"][0] == tables.cost(other)["cost_usd"][0] == total


def test_costs_by_day_and_agent():
    logs = [Script("monday", 86_400.0 * 4).events, priced(("b", 1.0)), priced(("a", 2.0), ("b", 4.0))]
    table = tables.costs(logs, by=["day", "agent"])
    assert list(table.columns) == ["day", "agent", *SUMS.split()]
    assert listed(table, "agent", "cost_usd", "calls") == [["a", "b"], [2.0, 5.0], [1, 2]]
    assert set(table["day"]) == {pd.Timestamp("2023-11-14", tz="UTC")}
    assert list(tables.costs(logs)["agent"]) == ["a", "b"]


@pytest.mark.parametrize("by", ["week", ["agent", "week"], []])
def test_costs_by_nonsense(by):
    with pytest.raises(DefinitionError, match="provider, session, tenant, day"):
        tables.costs([], by=by)


# What is typical


def replies(*told):
    """A run of one agent whose replies are told as fields of the event, or None for a call that failed."""
    log = Script()
    agent = log.start(None, "writer", "agent")
    for fields in told:
        call = log.request(agent)
        if fields is None:
            log.add(Failed, call, agent, error_type="RateLimited", error="slow down")
        else:
            log.reply(call, agent, Text(text="Yes."), **fields)
    return log.events


def used(whole, cached=None):
    return Usage(input_tokens=whole, output_tokens=1, cached_input_tokens=cached)


def test_the_share_of_a_prompt_that_was_cached():
    told = [used(100, 25), used(100, 130), used(100, 0), used(100), used(0, 0), None]
    log = replies(*({"usage": usage} for usage in told), None)
    assert listed(tables.calls(log), "cached_share") == [[0.25, 1.0, 0.0, None, None, None, None]]
    # Of those that report it, which is not the same as taking the others to have cached nothing.
    assert listed(tables.cost(log), "cached_share") == [[125 / 300]]
    assert listed(tables.cost(replies({"usage": used(100)}, {"usage": used(0, 0)}, None)), "cached_share") == [[None]]


def test_the_wait_for_the_first_token_is_the_median_of_those_that_came_in_pieces():
    log = replies({"first_token_s": 0.5}, {}, {"first_token_s": 9.0}, {"first_token_s": 0.75}, None)
    assert listed(tables.cost(log), "first_token_s") == [[0.75]]
    assert listed(tables.costs([log, log], "model"), "first_token_s") == [[0.75]]
    assert listed(tables.cost(replies({"first_token_s": 1.0}, {"first_token_s": 2.0})), "first_token_s") == [[1.5]]
    assert listed(tables.cost(replies({}, None)), "first_token_s") == [[None]]


def test_where_the_prices_of_a_group_are_from():
    names = ["provider", "genai-prices", None, "provider"]
    log = replies(*({"price_source": name} for name in names), None)
    assert listed(tables.calls(log), "price_source") == [[*names, None]]
    assert listed(tables.cost(log), "price_source") == [["genai-prices, provider"]]
    assert listed(tables.cost(replies({}, None)), "price_source") == [[None]]


def test_what_was_replayed_and_what_was_known_already():
    log = replies({"replayed": True}, {"cached": True}, {}, None)
    assert listed(tables.calls(log), "replayed", "cached") == [[True, False, False, False], [False, True, False, False]]
    assert list(tables.runs([log, replies({}), replies(None)])["replayed"]) == [True, False, False]


# What another model would have cost


def by_token(price, model="other"):
    """A quote of so many dollars per token, whatever the day."""
    return Quote(
        model=model,
        provider="elsewhere",
        source="given",
        charge=lambda usage, at: (usage.input_tokens + usage.output_tokens) * price,
    )


def test_repriced():
    log = story()
    table = tables.reprice(log, [by_token(0.5), by_token(0.0, "free")])
    assert listed(table, "agent", "model", "other_model", "other_provider", "price_source", "calls") == [
        ["writer"] * 2,
        ["small"] * 2,
        ["other", "free"],
        ["elsewhere"] * 2,
        ["given"] * 2,
        [2, 2],
    ]
    assert listed(table, "cost_usd", "other_cost_usd", "difference_usd", "simulated") == [
        [0.75, 0.75],
        [20.0, 0.0],
        [19.25, -0.75],
        [False, False],
    ]
    assert [str(dtype) for dtype in table.dtypes] == [column.dtype for column in TABLES["reprice"]]


def test_a_reply_that_reported_nothing_leaves_the_other_cost_unknown():
    known, unknown, failed = {"usage": used(9), "cost_usd": 1.0}, {"cost_usd": 1.0}, None
    unreported = tables.reprice(replies(known, unknown), [by_token(0.5)])
    assert listed(unreported, "cost_usd", "other_cost_usd", "difference_usd") == [[2.0], [None], [None]]
    # A call without a reply has nothing to add, here and there.
    without = tables.reprice(replies(known, failed), [by_token(0.5)])
    assert listed(without, "cost_usd", "other_cost_usd", "difference_usd") == [[1.0], [5.0], [4.0]]


def test_a_cost_that_was_unknown_does_not_hide_the_other():
    table = tables.reprice(replies({"usage": used(9)}), [by_token(0.5)])
    assert listed(table, "cost_usd", "other_cost_usd", "difference_usd") == [[None], [5.0], [None]]


def test_what_was_known_already_costs_nothing_on_another_model_either():
    log = replies({"usage": used(9), "cost_usd": 1.0}, {"usage": used(9), "cost_usd": 0.0, "cached": True})
    assert listed(tables.reprice(log, [by_token(0.5)]), "other_cost_usd") == [[5.0]]


def test_a_quote_is_asked_for_the_moment_of_each_call():
    log = replies({"usage": used(1)}, {"usage": used(2)})
    moments = [event.at for event in log if isinstance(event, Requested)]
    heard = []

    def charge(usage, at):
        heard.append((usage, at))
        return 1.0

    tables.reprice(log, [Quote(model="m", provider=None, source="given", charge=charge)])
    assert heard == [(used(1), moments[0]), (used(2), moments[1])]


def test_nothing_to_reprice():
    assert list(tables.reprice([], [by_token(1.0)]).columns) == PROMISED["reprice"].split()
    assert len(tables.reprice(replies(), [by_token(1.0)])) == 0


# Laws


def given(*strategies):
    """Twenty-five examples without a clock: each makes many tables, and the machine may be busy."""
    return lambda test: settings(max_examples=25, deadline=None)(given_any(*strategies)(test))


WORDS = st.sampled_from(["plan", "write", "check"])
# Eighths, so that sums are exact in whatever order pandas adds.
COSTS = st.none() | st.integers(0, 800).map(lambda eighths: eighths / 8)
WAITS = st.none() | st.floats(0, 9)
COUNTS = st.integers(0, 1000)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=4,
)
PARTS = (
    st.builds(Text, text=st.text(max_size=3))
    | st.builds(Thought, text=st.text(max_size=3))
    | st.builds(ToolCall, id=WORDS, tool=WORDS, arguments=st.text(max_size=3))
    | st.builds(ToolResult, id=WORDS, tool=WORDS, text=st.text(max_size=3), failed=st.booleans())
)
MAYBE = st.none() | COUNTS
USAGES = st.none() | st.builds(
    Usage,
    input_tokens=COUNTS,
    output_tokens=COUNTS,
    cached_input_tokens=MAYBE,
    cache_write_tokens=MAYBE,
    reasoning_tokens=MAYBE,
)
ERRORS = st.fixed_dictionaries({"error_type": st.just("ValueError"), "error": st.text(max_size=3)})


def model_call(draw, log, parent, _depth):
    span = log.request(parent, draw(WORDS), model=draw(WORDS), simulated=draw(st.booleans()))
    match draw(st.sampled_from(["reply", "reply", "reply", "fail", "stop", "hang"])):
        case "reply":
            parts = draw(st.lists(PARTS, max_size=3))
            told = {
                "first_token_s": draw(WAITS),
                "price_source": draw(st.none() | WORDS),
                "replayed": draw(st.booleans()),
            }
            log.reply(span, parent, *parts, usage=draw(USAGES), cost_usd=draw(COSTS), **told)
        case "fail":
            log.add(Failed, span, parent, **draw(ERRORS))
        case "stop":
            log.add(Cancelled, span, parent, reason="enough")


def tool_call(draw, log, parent, depth):
    span = log.call(parent, draw(WORDS), draw(VALUES))
    if depth < 3 and draw(st.booleans()):
        node(draw, log, span, depth + 1)
    if draw(st.booleans()):
        log.add(Returned, span, parent, tool="t", call="c1", result=draw(VALUES))
    else:
        log.add(Returned, span, parent, tool="t", call="c1", **draw(ERRORS))


def said(draw, log, parent, _depth):
    own = draw(st.booleans())
    span = parent if own else next(log.spans)
    log.add(Said, span, parent, sender=draw(WORDS), role="user", text=draw(st.text(max_size=3)))


def skipped(draw, log, parent, _depth):
    log.add(Skipped, next(log.spans), parent, name=draw(WORDS), of="step", reason="not needed")


def strange(draw, log, parent, _depth):
    log.add(Unknown, next(log.spans), parent, name="sang", data={"song": draw(VALUES)})


def node(draw, log, parent, depth):
    span = log.start(parent, draw(WORDS), draw(st.sampled_from(["agent", "step"])), input=draw(VALUES))
    parts = [model_call, tool_call, said, skipped, strange]
    for part in draw(st.lists(st.sampled_from([*parts, node] if depth < 3 else parts), max_size=4)):
        part(draw, log, span, depth + 1)
    match draw(st.sampled_from(["succeed", "fail", "stop"])):
        case "succeed":
            log.add(Succeeded, span, parent, output=draw(VALUES))
        case "fail":
            origins = st.none() | st.sampled_from([event.span for event in log.events])
            log.add(Failed, span, parent, origin=draw(origins), **draw(ERRORS))
        case "stop":
            log.add(Cancelled, span, parent, reason="enough")


@st.composite
def logs(draw):
    """A run of random parts, cut off at a random place."""
    log = Script(draw(st.sampled_from(["r", "s"])))
    node(draw, log, None, 0)
    return log.events[: draw(st.integers(0, len(log.events)))]


def total(table, column):
    return int(table[column].sum())


@given(logs())
def test_tokens_add_up_to_the_run_in_every_table(log):
    run, calls, cost = tables.runs([log]), tables.calls(log), tables.cost(log)
    for column in ("input_tokens", "cached_input_tokens", "output_tokens", "reasoning_tokens"):
        assert total(run, column) == total(calls, column) == total(cost, column)
    for column in ("input_tokens", "output_tokens"):
        assert total(tables.nodes(log), column) == total(run, column)
    assert total(tables.messages(log), "tokens") == total(run, "output_tokens")


@given(logs())
def test_rows_add_up_to_the_run(log):
    run = tables.runs([log])
    assert total(run, "model_calls") == len(tables.calls(log)) == total(tables.cost(log), "calls")
    assert total(run, "tool_calls") == len(tables.tools(log))
    assert total(run, "nodes") == len(tables.nodes(log))


@given(logs())
def test_money_adds_up_to_the_run_or_is_unknown_in_both(log):
    run, calls, cost = tables.runs([log]), tables.calls(log), tables.cost(log)
    unpriced = int((calls["finish_reason"].notna() & calls["cost_usd"].isna()).sum())
    assert total(cost, "unpriced_calls") == unpriced
    if unpriced:
        assert run["cost_usd"].isna().all()
        assert tables.nodes(log)["cost_usd"].isna().any()
    else:
        assert run["cost_usd"].sum() == calls["cost_usd"].sum() == cost["cost_usd"].sum()
        assert run["cost_usd"].sum() == tables.nodes(log)["cost_usd"].sum()


@given(logs())
def test_what_is_typical_of_a_group_is_within_what_its_calls_say(log):
    calls, groups = tables.calls(log), tables.cost(log).set_index(["agent", "model"])
    for key, own in calls.groupby(["agent", "model"]):
        group = groups.loc[key]
        for column in ("cached_share", "first_token_s"):
            said = own[column].dropna()
            assert pd.isna(group[column]) if said.empty else said.min() <= group[column] <= said.max()
        sources = set(own["price_source"].dropna())
        assert sources == (set() if pd.isna(group["price_source"]) else set(group["price_source"].split(", ")))


@given(logs())
def test_repricing_at_what_it_did_cost_changes_nothing(log):
    costs = {
        call.span: reply.cost_usd
        for call in log
        if isinstance(call, Requested)
        for reply in log
        if isinstance(reply, Responded) and reply.span == call.span and reply.usage
    }
    moments = {call.at: call.span for call in log if isinstance(call, Requested)}
    same = Quote(model="m", provider=None, source="given", charge=lambda _, at: costs[moments[at]])
    table = tables.reprice(log, [same])
    known = table["other_cost_usd"].notna()
    assert list(table["other_cost_usd"][known]) == list(table["cost_usd"][known])


@given(st.lists(logs(), max_size=3), st.sets(st.sampled_from(sorted(GROUPINGS)), min_size=1))
def test_groups_of_any_kind_add_up_to_all_runs(some, by):
    groups, every = tables.costs(some, by=sorted(by)), tables.runs(some)
    assert total(groups, "calls") == total(every, "model_calls")
    assert total(groups, "output_tokens") == total(every, "output_tokens")
    assert not groups.duplicated(sorted(by)).any()


@given(logs(), st.data())
def test_ephemeral_events_change_nothing(log, data):
    noisy = []
    for event in log:
        noisy.append(event)
        kind = data.draw(st.sampled_from([None, Delta, Thinking]))
        if kind is not None:
            noisy.append(
                kind(seq=event.seq, at=event.at, run=event.run, span=event.span, parent=event.parent, text="x")
            )
    for (_, quiet), (_, loud) in zip(everything(log), everything(noisy), strict=True):
        assert_frame_equal(quiet, loud)


@given(logs())
def test_a_log_that_was_kept_gives_the_same_tables(log):
    kept = [decode(encode(event)) for event in log]
    for (_, before), (_, after) in zip(everything(log), everything(kept), strict=True):
        assert_frame_equal(before, after)


@given(logs())
def test_unknown_kinds_are_in_events_alone(log):
    known = [event for event in log if not isinstance(event, Unknown)]
    pairs = zip(everything(log), everything(known), strict=True)
    names = [name for (name, one), (_, other) in pairs if not one.equals(other)]
    assert names == ([] if len(known) == len(log) else ["events"])
    assert list(tables.events(log)["kind"]).count("sang") == len(log) - len(known)


@given(logs())
def test_data_is_what_the_log_says(log):
    common = {"kind", "seq", "at", "run", "span", "parent"}
    told = [{name: value for name, value in to_record(event).items() if name not in common} for event in log]
    assert [json.loads(data) for data in tables.events(log)["data"]] == json.loads(json.dumps(told))


def test_one_reading_gives_every_table_as_often_as_asked():
    log = rows.Reading(story())
    for table in (*OF_ONE_RUN, *OF_ONE_RUN):
        assert_frame_equal(table(log), table(story()))


@pytest.mark.parametrize("size", [1, 2, 5])
def test_tables_made_in_pieces_are_the_same(monkeypatch, size):
    log = story()
    whole = dict(everything(log))
    monkeypatch.setattr(rows, "_PIECE", size)
    for name, table in everything(log):
        assert_frame_equal(table, whole[name])


def test_half_a_surrogate_pair_is_escaped():
    log = Script()
    span = log.start(None, "greet", input="\ud83d")
    log.add(Said, span, None, sender="you", role="user", text="\ud83d")
    assert list(tables.nodes(log.events)["input"]) == ['"\\ud83d"']
    assert json.loads(tables.events(log.events)["data"][1])["text"] == "\ud83d"
