"""Sessions that are gone back in, gone two ways with, and summed up."""

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import quire
from quire import LLM, Agent, Memory, Step, errors
from quire.agents.sessions import quoted, read
from quire.core.codec import decode, encode
from quire.core.events import Branched, Compacted, Remembered
from quire.core.messages import Message
from quire.run.runtime import store
from quire.testing import ScriptedModel, in_memory
from quire.views import tables
from quire.views.session import Place, SessionFold


@pytest.fixture
def memory():
    with in_memory():
        yield Memory()


def talker(memory):
    """Return an agent that answers each question with the same words in capitals, and its model."""
    model = ScriptedModel([lambda request: request.messages[-1].text.upper()] * 99)
    return Agent(model, "Talk.", name="talker", memory=memory), model


async def say(agent, session, *words):
    for word in words:
        await agent.execute(word, session=session)


async def heard(agent, model, session):
    """What the model is told of a session now, the next question left out."""
    await agent.execute("now?", session=session)
    return [message.text for message in model.requests[-1].messages[1:-1]]


def texts(messages):
    return [message.text for message in messages]


# Restore


async def test_a_restore_goes_on_from_the_checkpoint_and_keeps_the_rest(memory):
    agent, model = talker(memory)
    await say(agent, "trip", "kyoto")
    await memory.checkpoint("trip", name="outline")
    await say(agent, "trip", "osaka")
    await memory.restore("trip", name="outline")
    await say(agent, "trip", "day 1")
    assert texts(model.requests[-1].messages[1:]) == ["kyoto", "KYOTO", "day 1"]
    assert texts(await memory.history("trip")) == ["kyoto", "KYOTO", "day 1", "DAY 1"]
    assert texts(await memory.history("trip", branch="main")) == ["kyoto", "KYOTO", "osaka", "OSAKA"]
    session = memory.session("trip")
    assert session.branches[["branch", "head", "turns"]].values.tolist() == [["main", False, 2], ["outline", True, 2]]
    assert session.branches[["origin", "origin_seq"]].iloc[1].tolist() == ["trip", 2]
    assert session.messages[["branch", "turn", "text"]].values.tolist() == [
        ["main", 1, "kyoto"], ["main", 1, "KYOTO"],
        ["main", 2, "osaka"], ["main", 2, "OSAKA"],
        ["outline", 2, "day 1"], ["outline", 2, "DAY 1"],
    ]  # fmt: skip


async def test_a_checkpoint_can_be_gone_back_to_again_and_again(memory):
    agent, model = talker(memory)
    await say(agent, "s", "a")
    await memory.checkpoint("s", name="p")
    for word in "bcd":
        await memory.restore("s", name="p")
        await say(agent, "s", word)
    assert memory.session("s").branches.branch.tolist() == ["main", "p", "p 2", "p 3"]
    assert await heard(agent, model, "s") == ["a", "A", "d", "D"]


async def test_a_name_that_is_given_again_means_the_new_place(memory):
    agent, model = talker(memory)
    await say(agent, "s", "a")
    await memory.checkpoint("s", name="p")
    await say(agent, "s", "b")
    await memory.checkpoint("s", name="p")
    await say(agent, "s", "c")
    await memory.restore("s", name="p")
    assert await heard(agent, model, "s") == ["a", "A", "b", "B"]
    assert memory.session("s").checkpoints[["checkpoint", "seq", "turns"]].values.tolist() == [["p", 4, 2]]


async def test_any_place_can_be_gone_back_to_also_on_a_branch_that_was_left(memory):
    agent, model = talker(memory)
    await say(agent, "s", "a", "b", "c")
    await memory.restore("s", 1)
    await say(agent, "s", "d")
    rows = memory.session("s").messages
    await memory.restore("s", rows[rows.text == "B"].seq.iloc[0])
    assert await heard(agent, model, "s") == ["a", "A", "b", "B"]
    await memory.restore("s", 0)
    assert await heard(agent, model, "s") == []


async def test_any_turn_can_be_gone_back_to_before(memory):
    agent, model = talker(memory)
    await say(agent, "s", "a", "b")
    await memory.checkpoint("s", name="p")
    await say(agent, "s", "c")
    await memory.restore("s", 1)
    await say(agent, "s", "d", "e")
    rows = memory.session("s").messages
    expected = {"a": [], "b": ["a", "A"], "c": ["a", "A", "b", "B"], "d": ["a", "A"], "e": ["a", "A", "d", "D"]}
    for word, before in expected.items():
        said = rows[rows.text == word].iloc[0]
        for turn in (int(said.seq), said.run):
            await memory.restore("s", before=turn)
            assert await heard(agent, model, "s") == before
    await memory.fork("s", into="t", before=3 + 1)
    assert await heard(agent, model, "t") == ["a", "A", "b", "B"]
    names = memory.session("s").branches.branch.tolist()
    assert names[:4] == ["main", "from 1", "before 1", f"before {rows.run[0]}"]


async def test_a_turn_that_a_fork_shares_can_be_gone_back_to_before(memory):
    agent, model = talker(memory)
    await say(agent, "s", "a", "b")
    shared = memory.session("s").messages.run.iloc[-1]
    await memory.fork("s", into="t")
    await say(agent, "s", "later")
    await say(agent, "t", "c")
    await memory.restore("t", before=shared)
    assert await heard(agent, model, "t") == ["a", "A"]
    for turn in (1, 9, memory.session("s").messages.run.iloc[-1]):
        with pytest.raises(errors.UnknownCheckpoint, match="has no turn"):
            await memory.restore("t", before=turn)


async def test_a_turn_stays_on_the_branch_on_which_it_began(memory):
    """It cannot have known of a restore that came while it was going on, in another process."""
    elsewhere, told = Memory(), asyncio.Event()

    async def look() -> str:
        """Look."""
        # A memory of another process does not wait for the turn that is going on in this one.
        fold = await read(store(), "s")
        event = Branched(seq=3, at=0.0, run="", span="", parent=None, branch="p", origin="s", to=1)
        await store().append("sessions/s", [event], len(fold.events))
        told.set()
        return "looked"

    agent, model = talker(memory)
    await say(agent, "s", "a", "b")
    use = quire.testing.ToolUse("look")
    looker = Agent(ScriptedModel([use, "done"]), "Look.", name="looker", memory=elsewhere, tools=[look])
    await looker.execute("c", session="s")
    assert told.is_set()
    assert texts(await memory.history("s", branch="main"))[-2:] != ["b", "B"]
    assert await heard(agent, model, "s") == ["a", "A"]


# While a turn is going on


def slow(memory):
    """Return an agent that takes its time over a tool, what says that it does, and what lets it end."""
    going, go = asyncio.Event(), asyncio.Event()

    async def wait() -> str:
        """Wait."""
        going.set()
        await go.wait()
        return "waited"

    model = ScriptedModel([quire.testing.ToolUse("wait"), "done"])
    return Agent(model, "Wait.", name="slow", memory=memory, tools=[wait]), going, go


async def test_who_restores_or_forks_during_a_turn_waits_for_its_end(memory):
    agent, model = talker(memory)
    await say(agent, "s", "a")
    waiter, going, go = slow(memory)
    turn = waiter.start("b", session="s")
    await going.wait()
    doing = [memory.fork("s", into="t"), memory.checkpoint("s", name="p"), memory.restore("s", 1)]
    others = [asyncio.create_task(do) for do in doing]
    await asyncio.sleep(0.01)
    after = agent.start("c", session="s")
    assert not any(other.done() for other in others)
    go.set()
    await asyncio.gather(turn, *others, after)
    assert texts(await memory.history("s", branch="main"))[2::3] == ["b", "done"]
    assert texts(await memory.history("s")) == ["a", "A", "c", "C"]
    assert texts(await memory.history("t"))[-1] == "done"
    await memory.restore("s", "p")
    assert (await heard(agent, model, "s"))[-1] == "done"


async def test_a_tool_restores_the_session_of_its_own_turn(memory):
    agent, model = talker(memory)
    await say(agent, "s", "a", "b")

    async def forget() -> str:
        """Forget."""
        await memory.restore("s", 1)
        return "forgotten"

    use = quire.testing.ToolUse("forget")
    forgetful = Agent(ScriptedModel([use, "done"]), "Forget.", name="forgetful", memory=memory, tools=[forget])
    async with asyncio.timeout(5):
        await forgetful.execute("c", session="s")
    assert texts(await memory.history("s", branch="main"))[-1] == "done"
    assert await heard(agent, model, "s") == ["a", "A"]


# Fork


async def test_a_fork_goes_its_own_way(memory):
    agent, model = talker(memory)
    await say(agent, "trip", "kyoto")
    await memory.fork("trip", into="other")
    await say(agent, "other", "osaka")
    await say(agent, "trip", "nara")
    assert await heard(agent, model, "trip") == ["kyoto", "KYOTO", "nara", "NARA"]
    assert await heard(agent, model, "other") == ["kyoto", "KYOTO", "osaka", "OSAKA"]
    [first, *_] = await store().read("sessions/other")
    assert (first.origin, first.to) == ("trip", 1)
    rows = memory.session("other").messages
    assert rows[["session", "turn", "text"]].values.tolist()[:3] == [
        ["trip", 1, "kyoto"], ["trip", 1, "KYOTO"], ["other", 2, "osaka"],
    ]  # fmt: skip


async def test_a_fork_of_a_fork_reads_through_both(memory):
    agent, model = talker(memory)
    await say(agent, "one", "a")
    await memory.checkpoint("one", name="p")
    await say(agent, "one", "b")
    await memory.fork("one", into="two")
    await say(agent, "two", "c")
    await memory.fork("two", into="three")
    await say(agent, "three", "d")
    again = Memory()  # which has none of it in mind
    agent.memory = again
    assert await heard(agent, model, "three") == ["a", "A", "b", "B", "c", "C", "d", "D"]
    await again.restore("three", name="p")
    assert await heard(agent, model, "three") == ["a", "A"]
    await again.fork("three", into="four", at="p")
    assert await heard(agent, model, "four") == ["a", "A"]
    with pytest.raises(errors.SessionError, match="'two' goes on from 'one'"):
        await again.delete("one")


async def test_a_fork_from_a_checkpoint_or_a_place(memory):
    agent, model = talker(memory)
    await say(agent, "s", "a")
    await memory.checkpoint("s", name="p")
    await say(agent, "s", "b", "c")
    await memory.fork("s", into="by name", at="p")
    await memory.fork("s", into="by number", at=3)
    await memory.fork("s", into="empty", at=0)
    assert await heard(agent, model, "by name") == ["a", "A"]
    assert await heard(agent, model, "by number") == ["a", "A", "b", "B"]
    assert await heard(agent, model, "empty") == []
    await memory.restore("by number", "p")
    assert await heard(agent, model, "by number") == ["a", "A"]


async def test_only_one_of_many_forks_gets_a_name(memory):
    agent, _ = talker(memory)
    await say(agent, "s", "a")
    forks = await asyncio.gather(*(memory.fork("s", into="t") for _ in range(5)), return_exceptions=True)
    assert [type(fork) for fork in forks].count(errors.SessionError) == 4


# Compaction


async def test_a_summary_hides_and_deletes_nothing(memory):
    agent, model = talker(memory)
    await say(agent, "s", *"abcd")
    seen = []
    summary = await memory.compact("s", lambda text: seen.append(text) or "They said a and b.", keep=2)
    assert summary == "They said a and b."
    assert seen == ["user: a\n\nassistant: A\n\nuser: b\n\nassistant: B"]
    told = await heard(agent, model, "s")
    assert told == ["What was said before, in short:\n\nThey said a and b.\n\nc", "C", "d", "D"]
    assert texts(await memory.history("s"))[:4] == ["a", "A", "b", "B"]
    rows = memory.session("s").messages
    assert rows[rows.hidden].text.tolist() == ["a", "A", "b", "B"]
    assert rows[rows.kind == "summary"][["sender", "text", "hidden"]].values.tolist() == [
        ["<lambda>", "They said a and b.", False]
    ]


async def test_a_summary_sums_up_the_one_before(memory):
    agent, model = talker(memory)
    await say(agent, "s", *"abc")
    await memory.compact("s", lambda text: "first", keep=1)
    await say(agent, "s", *"de")
    seen = []

    async def again(text):
        seen.append(text)
        return "second"

    await memory.compact("s", again, keep=1)
    assert seen == ["before: first\n\nuser: c\n\nassistant: C\n\nuser: d\n\nassistant: D"]
    assert await heard(agent, model, "s") == ["What was said before, in short:\n\nsecond\n\ne", "E"]


async def test_a_checkpoint_from_before_has_everything(memory):
    agent, model = talker(memory)
    await say(agent, "s", *"abc")
    await memory.checkpoint("s", name="p")
    await memory.compact("s", lambda text: "sum", keep=1)
    await memory.fork("s", into="t")
    await memory.restore("s", name="p")
    assert await heard(agent, model, "s") == ["a", "A", "b", "B", "c", "C"]
    assert (await heard(agent, model, "t"))[0].endswith("sum\n\nc")


async def test_a_model_sums_up_in_a_run_of_its_own(memory):
    agent, _ = talker(memory)
    await say(agent, "s", *"ab")
    model = ScriptedModel(["They talked.", "They talked more.", "Again."])
    assert await memory.compact("s", model, keep=1) == "They talked."
    assert "user: a\n\nassistant: A" in model.requests[0].messages[-1].text
    assert quire.runs().name[0] == "summary"
    await say(agent, "s", "c")
    assert await memory.compact("s", Agent(model, "Sum up."), keep=1) == "They talked more."
    await say(agent, "s", "d")
    assert len(await memory.compact("s", LLM("offline"), keep=1)) > 0


async def test_a_window_counts_what_is_not_summed_up(memory):
    agent, model = talker(memory)
    await say(agent, "s", *"abcd")
    await memory.compact("s", lambda text: "sum", keep=3)
    agent.memory = Memory(window=1)
    assert await heard(agent, model, "s") == ["What was said before, in short:\n\nsum\n\nd", "D"]


# Delete, and look


async def test_what_is_deleted_is_gone(memory):
    agent, model = talker(memory)
    await say(agent, "s", "a")
    await Memory().delete("s")
    await memory.delete("s")
    assert quire.sessions().empty
    # Also for a memory that had it in mind.
    assert await heard(agent, model, "s") == []


async def test_an_origin_can_be_deleted_after_its_forks(memory):
    agent, _ = talker(memory)
    await say(agent, "s", "a")
    await memory.fork("s", into="t")
    with pytest.raises(errors.SessionError, match="Delete 't' first"):
        await memory.delete("s")
    await memory.delete("t")
    await say(agent, "t", "a session of the same name that has nothing to do with it")
    await memory.delete("s")
    assert quire.sessions().session.tolist() == ["t"]


async def test_a_session_whose_origin_is_gone_says_so(memory):
    agent, _ = talker(memory)
    await say(agent, "s", "a")
    await memory.fork("s", into="t")
    await store().delete("sessions/s")
    with pytest.raises(errors.SessionError, match="goes on from 's', which is not there any more"):
        await Memory().history("t")
    assert len(quire.sessions()) == 0


async def test_all_sessions_in_a_table(memory):
    agent, _ = talker(memory)
    await say(agent, "old", "a")
    await say(agent, "new", "b", "c")
    await memory.checkpoint("new", name="p")
    await memory.restore("new", name="p")
    table = memory.sessions()
    assert table[["session", "agent", "turns", "messages", "branches", "checkpoints", "head_seq", "head"]].to_dict(
        "records"
    ) == [
        {
            "session": "new", "agent": "talker", "turns": 2, "messages": 4, "branches": 2, "checkpoints": 1,
            "head_seq": 4, "head": "p",
        },
        {
            "session": "old", "agent": "talker", "turns": 1, "messages": 2, "branches": 1, "checkpoints": 0,
            "head_seq": 1, "head": "main",
        },
    ]  # fmt: skip
    assert table.output_tokens.tolist() == [2, 1]
    assert quire.sessions().equals(table)
    for name in ("messages", "branches", "checkpoints"):
        made = getattr(memory.session("old"), name)
        columns = {"messages": "session_messages"}.get(name, name)
        assert list(made.columns) == tables.schema(columns).column.tolist()


def test_a_damaged_session_hides_no_other(quire_home):
    memory = Memory()
    agent, _ = talker(memory)
    for name in ("bad", "good"):
        agent.execute_sync("a", session=name)
    path = quire_home / "sessions" / "bad.jsonl"
    path.write_bytes(path.read_bytes() + b"no event\n")
    assert sorted(quire.sessions().session) == ["bad", "good"]


async def test_a_checkpoint_made_by_a_step_says_which_run_made_it(memory):
    agent, _ = talker(memory)
    await say(agent, "s", "a")

    @Step
    async def mark(name: str) -> str:
        await memory.checkpoint("s", name=name)
        return name

    run = mark.start("p")
    await run
    assert (await store().read("sessions/s"))[-1].run == run.id


# What makes no sense


@pytest.mark.parametrize(
    ("do", "kind", "words"),
    [
        (lambda m: m.checkpoint("tripp", name="p"), errors.UnknownSession, "Did you mean 'trip'"),
        (lambda m: m.restore("elsewhere", name="p"), errors.UnknownSession, "lists those there are"),
        (lambda m: m.history("x"), errors.UnknownSession, "There is no session 'x'"),
        (lambda m: m.fork("x", into="y"), errors.UnknownSession, "There is no session"),
        (lambda m: m.compact("x", by=str), errors.UnknownSession, "There is no session"),
        (lambda m: m.restore("trip", name="q"), errors.UnknownCheckpoint, "It has p"),
        (lambda m: m.restore("trip", 9), errors.UnknownCheckpoint, "numbers from 0 to 2"),
        (lambda m: m.restore("trip", before=2), errors.UnknownCheckpoint, "`seq` of a message that was said"),
        (lambda m: m.restore("trip"), errors.DefinitionError, "and none is named"),
        (lambda m: m.restore("trip", 1, before=1), errors.DefinitionError, "and two are named"),
        (lambda m: m.fork("trip", into="t", at="q"), errors.UnknownCheckpoint, "It has p"),
        (lambda m: m.fork("trip", into="trip"), errors.SessionError, "There is a session 'trip' already"),
        (lambda m: m.fork("trip", into=""), errors.DefinitionError, "is no name of a conversation"),
        (lambda m: m.checkpoint("trip", name=" "), errors.DefinitionError, "is no name for a checkpoint"),
        (lambda m: m.checkpoint("", name="p"), errors.DefinitionError, "is no name of a conversation"),
        (lambda m: m.fork("trip", into=None), errors.DefinitionError, "is no name of a conversation"),
        (lambda m: m.history(None), errors.DefinitionError, "is no name of a conversation"),
        (lambda m: m.delete(None), errors.DefinitionError, "is no name of a conversation"),
        (lambda m: m.restore("trip", "p", branch=3), errors.DefinitionError, "3 is no name for a branch"),
        (lambda m: m.restore("trip", "p", branch=""), errors.DefinitionError, "is no name for a branch"),
        (lambda m: m.history("trip", branch="b"), errors.SessionError, "There are main"),
        (lambda m: m.compact("trip", by=str), errors.SessionError, "no turns to sum up before its last 4"),
        (lambda m: m.compact("trip", by=str, keep=0), errors.DefinitionError, "makes no sense"),
        (lambda m: m.compact("trip", by=7), errors.DefinitionError, "nobody to sum up"),
    ],
)
async def test_what_cannot_be_done_says_why(memory, do, kind, words):
    agent, _ = talker(memory)
    await say(agent, "trip", "a")
    await memory.checkpoint("trip", name="p")
    with pytest.raises(kind, match=words):
        await do(memory)


async def test_a_summary_without_a_word_changes_nothing(memory):
    agent, model = talker(memory)
    await say(agent, "s", *"ab")
    with pytest.raises(errors.SessionError, match="with no word"):
        await memory.compact("s", lambda text: " ", keep=1)
    assert await heard(agent, model, "s") == ["a", "A", "b", "B"]


# Laws


@given(st.text(st.characters(exclude_categories=()), min_size=1, max_size=20))
def test_every_name_has_a_stream_of_its_own(name):
    segment = quoted(name)
    assert segment == segment.lower() or "." in segment
    assert not segment.endswith(".jsonl")
    fold = SessionFold(name)
    assert fold.session == name


turns = st.tuples(st.just("say"), st.integers(0, 9))
marks = st.tuples(st.sampled_from(["restore", "compact", "fork"]), st.integers(0, 9))


@st.composite
def stories(draw):
    return draw(st.lists(turns | turns | marks, min_size=1, max_size=14))


def told(story):
    """Return the folds of a story, by session, and what is expected of each: a list of words kept beside it."""
    folds = {"s0": SessionFold("s0")}
    expected = {("s0", 0): []}
    heads = {"s0": []}
    current = "s0"
    for number, (what, n) in enumerate(story):
        fold = folds[current]
        common = {"seq": len(fold.events) + 1, "at": float(number), "run": f"r{number}", "span": "1", "parent": None}
        line = list(heads[current])
        if what == "say":
            line.append(f"w{number}")
            turn = (Message.of("user", f"w{number}"),)
            fold.apply(Remembered(**common, branch=fold.head, agent="a", turn=turn))
        elif what == "restore":
            to = n % (len(fold.events) + 1)
            line = list(expected[current, to])
            fold.apply(Branched(**common, branch=f"b{number}", origin=current, to=to))
        elif what == "compact":
            fold.apply(Compacted(**common, branch=fold.head, hidden=len(line) // 2, summary="sum", by="f"))
        else:
            to = n % (len(fold.events) + 1)
            line = list(expected[current, to])
            new = SessionFold(f"f{number}", {**fold.origins, current: fold})
            new.apply(Branched(**(common | {"seq": 1}), branch="main", origin=current, to=to))
            folds[new.session], current = new, new.session
            expected[current, 0] = []
        heads[current] = line
        expected[current, len(folds[current].events)] = list(line)
    return folds, expected


@given(stories())
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_place_of_every_session_stays_what_it_was(story):
    """Whatever is said, restored, forked or summed up after it, and also when it is folded again from its events."""
    folds, expected = told(story)
    again = {}
    for name, fold in folds.items():
        again[name] = SessionFold(name, {origin: again[origin] for origin in fold.origins})
        for event in fold.events:
            again[name].apply(decode(encode(event)))
    for (name, seq), words in expected.items():
        for fold in (folds[name], again[name]):
            line = fold.line_at(Place(name, seq))
            assert texts(line.said()) == words
            assert line.hidden <= len(words)


@given(stories())
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_tables_have_every_turn_once(story):
    folds, _ = told(story)
    for fold in folds.values():
        rows = tables.session_messages(fold)
        own = rows[(rows.session == fold.session) & (rows.kind == "text")]
        assert sorted(own.seq) == [event.seq for event in fold.turns]
        head = fold.line()
        shown = {event.seq for name, event in head.turns[head.hidden :] if name == fold.session}
        assert not own[own.seq.isin(shown)].hidden.any()
        assert len(tables.branches(fold)) == len(fold.lines)
