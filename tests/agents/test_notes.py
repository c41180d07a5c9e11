"""Notes that outlive a conversation: written, found and forgotten by an agent's own tools."""

import asyncio

import pytest

from quire import Agent, Memory, errors
from quire.run.runtime import store
from quire.testing import ScriptedModel, ToolUse, in_memory
from tests.kit import output_of


@pytest.fixture
def notes():
    with in_memory():
        yield Memory().notes("ada")


async def found(search, words):
    return [(note["note"], note["text"]) for note in await search.execute({"words": words})]


def test_an_agent_writes_and_finds(notes):
    model = ScriptedModel(
        [ToolUse("write_note", {"text": "Ada takes the early train."}), "Noted.",
         ToolUse("search_notes", {"words": "train"}), "Early."]
    )  # fmt: skip
    agent = Agent(model, "Help.", tools=notes)
    agent.execute_sync("I take the early train.", session="monday")
    assert agent.execute_sync("Which train do I take?", session="friday") == "Early."
    assert "Ada takes the early train." in model.requests[-1].messages[-1].parts[0].text
    assert [tool.name for tool in model.requests[0].tools] == ["write_note", "search_notes", "forget_note"]


async def test_words_are_found_whatever_their_case_and_rare_ones_count_more(notes):
    write, search, _ = notes
    for text in ("Tea at four.", "No sugar in the TEA, ever.", "Straße nach Rom", "Four trains to Rome"):
        await write.execute({"text": text})
    assert await found(search, "sugar tea") == [("2", "No sugar in the TEA, ever."), ("1", "Tea at four.")]
    assert await found(search, "strasse") == [("3", "Straße nach Rom")]
    assert await found(search, "te") == []
    assert await found(search, "") == []


async def test_of_two_that_fit_alike_the_newer_comes_first(notes):
    write, search, _ = notes
    for n in range(8):
        await write.execute({"text": f"tea {n}"})
    assert [note for note, _ in await found(search, "tea")] == ["8", "7", "6", "5", "4"]


@pytest.mark.parametrize("name", ["1", "note 1", " 1 "])
async def test_what_is_forgotten_is_not_found(notes, name):
    write, search, forget = notes
    await write.execute({"text": "tea"})
    await write.execute({"text": "more tea"})
    assert await forget.execute({"note": name}) == "note 1 is forgotten"
    assert await found(search, "tea") == [("2", "more tea")]
    with pytest.raises(ValueError, match="There is no note 1"):
        await forget.execute({"note": "1"})
    assert [event.kind for event in await store().read("notes/ada")] == ["noted", "noted", "forgotten"]


async def test_namespaces_know_nothing_of_each_other(notes):
    write, _, _ = notes
    await write.execute({"text": "tea"})
    _, search, _ = Memory().notes("Ada")
    assert await found(search, "tea") == []
    _, search, _ = Memory().notes("ada")
    assert await found(search, "tea") == [("1", "tea")]


async def test_notes_that_are_written_at_once_are_all_kept(notes):
    write, *_ = notes
    await asyncio.gather(*(write.execute({"text": f"note of {n}"}) for n in range(10)))
    events = await store().read("notes/ada")
    assert sorted(event.text for event in events) == sorted(f"note of {n}" for n in range(10))
    assert [event.note for event in events] == [str(n) for n in range(1, 11)]


def test_notes_outlive_the_process(quire_home):
    output_of(
        """
        from quire import Memory
        write, _, _ = Memory().notes("ada")
        write.execute_sync({"text": "tea"})
        """,
        quire_home,
    )
    _, search, _ = Memory().notes("ada")
    [note] = search.execute_sync({"words": "tea"})
    assert (note["note"], note["text"]) == ("1", "tea")


def test_what_makes_no_sense_is_refused(notes):
    with pytest.raises(errors.DefinitionError, match="An empty name"):
        Memory().notes("")
    with pytest.raises(ValueError, match="nothing in this note"):
        notes[0].execute_sync({"text": " "})
