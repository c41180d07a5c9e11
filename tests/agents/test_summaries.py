"""Memories that sum up what is long ago by themselves: when, by whom, and what of it can go wrong."""

import pytest

import quire
from quire import LLM, Agent, Memory, errors
from quire.core.events import Compacted
from quire.run.runtime import store
from quire.testing import ScriptedModel, in_memory


@pytest.fixture(autouse=True)
def nowhere():
    with in_memory():
        yield


def talker(memory):
    model = ScriptedModel([lambda request: request.messages[-1].text.upper()] * 99)
    return Agent(model, "Talk.", name="talker", memory=memory), model


async def say(agent, words):
    for word in words:
        run = agent.start(word, session="s")
        await run
    return run


async def heard(agent, model):
    """What the model is told of the session now, the next question left out."""
    await agent.execute("now?", session="s")
    return [message.text for message in model.requests[-1].messages[1:-1]]


async def summaries():
    return [event for event in await store().read("sessions/s") if isinstance(event, Compacted)]


class Summarizer:
    """A function that tells what it was given, and how often."""

    def __init__(self, *, failing=0):
        self.texts, self._failing = [], failing

    def __call__(self, text):
        self.texts.append(text)
        if len(self.texts) <= self._failing:
            raise OSError("no line")
        said = [line.removeprefix("user: ") for line in text.split("\n\n") if line.startswith("user: ")]
        before = [line.removeprefix("before: ") for line in text.split("\n\n") if line.startswith("before: ")]
        return "".join([*before, *said])


async def test_what_is_more_than_the_window_is_summed_up_down_to_half_of_it():
    agent, model = talker(Memory(window=4, summary=Summarizer()))
    await say(agent, "abcd")
    assert await summaries() == []
    await say(agent, "e")
    assert [(event.hidden, event.summary) for event in await summaries()] == [(3, "abc")]
    assert await heard(agent, model) == ["What was said before, in short:\n\nabc\n\nd", "D", "e", "E"]
    history = [message.text for message in await agent.memory.history("s")]
    assert history[:6] == ["a", "A", "b", "B", "c", "C"]


async def test_it_is_done_once_in_many_turns_and_each_turn_is_summed_up_once():
    by = Summarizer()
    agent, model = talker(Memory(window=6, summary=by))
    words = [f"w{number} " for number in range(30)]
    most = 0
    for word in words:
        await say(agent, [word])
        most = max(most, len(model.requests[-1].messages))
    assert [event.hidden for event in await summaries()] == [4, 8, 12, 16, 20, 24]
    assert (await summaries())[-1].summary == "".join(words[:24])
    assert most == 1 + 2 * 6 + 1
    assert max(text.count("user: ") for text in by.texts) == 4


@pytest.mark.parametrize("window", [1, 2, 3])
async def test_the_smallest_windows(window):
    agent, model = talker(Memory(window=window, summary=Summarizer()))
    await say(agent, "abcdef")
    summary = (await summaries())[-1].summary
    told = await heard(agent, model)
    assert told[0].startswith("What was said before")
    assert len(told) <= 2 * window
    assert "".join([summary, told[0][-1:], *told[2::2]]) == "abcdef"


async def test_a_model_that_sums_up_is_a_part_of_the_run():
    agent, _ = talker(Memory(window=2, summary=ScriptedModel(["They said a and b."], model="short")))
    run = await say(agent, "abc")
    assert run.result == "C"
    assert run.calls[["node", "agent", "model"]].values.tolist() == [
        ["talker", "talker", "scripted"],
        ["summary", "summary", "short"],
    ]
    assert run.nodes["node"].tolist() == ["talker", "summary"]
    assert run.cost["output_tokens"].sum() == run.calls["output_tokens"].sum() > 1
    assert quire.runs().name.tolist() == ["talker"] * 3
    [kept] = await summaries()
    assert (kept.by, kept.run, kept.hidden) == ("short", run.id, 2)
    # The turn tells of its own calls; those of the summary are in the run's.
    assert quire.sessions().output_tokens.tolist() == [3]
    assert quire.costs(by="agent").calls.tolist() == [1, 3]


async def test_who_hears_the_reply_piece_by_piece_hears_nothing_of_the_summary():
    agent, _ = talker(Memory(window=1, summary=ScriptedModel(["They said a."])))
    await say(agent, "a")
    events = [event async for event in agent.stream("two words", session="s")]
    assert "".join(event.text for event in events if event.kind == "delta") == "TWO WORDS"
    assert (await summaries())[0].summary == "They said a."


@pytest.mark.parametrize(
    ("by", "name"),
    [(Agent(ScriptedModel(["short"]), "Sum up.", name="secretary"), "secretary"), (LLM("offline"), "offline")],
)
async def test_an_agent_and_the_embedded_model_sum_up(by, name):
    agent, _ = talker(Memory(window=2, summary=by))
    run = await say(agent, "abc")
    assert (await summaries())[-1].by == name
    assert len(run.nodes) == 2


async def test_a_summary_that_fails_fails_no_turn_and_is_tried_again():
    agent, model = talker(Memory(window=2, summary=Summarizer(failing=1)))
    run = await say(agent, "abc")
    assert (run.status, run.result) == ("succeeded", "C")
    assert run.nodes.set_index("node").loc["function", "error"] == "no line"
    assert await summaries() == []
    # The window holds all the same.
    await say(agent, "d")
    assert [message.text for message in model.requests[-1].messages[1:]] == ["b", "B", "c", "C", "d"]
    assert [event.summary for event in await summaries()] == ["ab"]
    assert len(await heard(agent, model)) == 4


@pytest.mark.parametrize("reply", [errors.Overloaded("busy"), errors.Stop("no"), " "])
async def test_whatever_goes_wrong_with_a_summary_the_turn_is_kept(reply):
    agent, _ = talker(Memory(window=1, summary=ScriptedModel([reply])))
    run = await say(agent, "ab")
    assert (run.result, len(await agent.memory.history("s"))) == ("B", 4)
    assert await summaries() == []
    status = run.nodes.set_index("node").loc["summary", "status"]
    assert status == ("succeeded" if reply == " " else "failed")


async def test_a_conversation_that_was_long_before_is_caught_up_with_in_several_turns():
    agent, model = talker(Memory())
    await say(agent, "abcdefghijkl")
    by = Summarizer()
    agent.memory = Memory(window=4, summary=by)
    await say(agent, "mno")
    assert [event.summary for event in await summaries()] == ["abcd", "abcdefgh", "abcdefghijkl"]
    assert max(text.count("user: ") for text in by.texts) == 4
    assert await heard(agent, model) == [
        "What was said before, in short:\n\nabcdefghijkl\n\nm", "M", "n", "N", "o", "O",
    ]  # fmt: skip


async def test_from_a_place_before_a_summary_all_is_there():
    agent, model = talker(Memory(window=4, summary=Summarizer()))
    await say(agent, "abcde")
    await agent.memory.restore("s", 4)
    assert await heard(agent, model) == ["a", "A", "b", "B", "c", "C", "d", "D"]


async def test_a_fork_of_a_turn_that_was_summed_up_after_is_summed_up_by_itself():
    by = Summarizer()
    agent, model = talker(Memory(window=2, summary=by))
    run = await say(agent, "abc")
    await run.fork(edit={"input": "x"})
    assert [message.text for message in model.requests[-1].messages[1:]] == ["a", "A", "b", "B", "x"]
    assert by.texts == ["user: a\n\nassistant: A\n\nuser: b\n\nassistant: B"] * 2
    assert await heard(agent, model) == ["What was said before, in short:\n\nab\n\nx", "X"]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Memory(summary=str), "does not say when to sum up"),
        (lambda: Memory(window=4, summary=7), r"Memory\(summary=7\) has nobody to sum up"),
    ],
)
def test_what_makes_no_sense_is_refused(make, words):
    with pytest.raises(errors.DefinitionError, match=words):
        make()


def test_the_card_of_an_agent_says_how_much_it_remembers():
    def memory_of(memory):
        return dict(Agent(LLM("offline"), "Talk.", memory=memory).card()["limits"])["memory"]

    assert memory_of(Memory()) == "the conversation so far"
    assert memory_of(Memory(window=1)) == "the last turn"
    assert memory_of(Memory(window=20, summary=str)) == "the last 20 turns, what is older summed up by str"
