"""Files go into agents and come out of tools: shown to the model in order, named in words, kept in the log."""

import dataclasses

import pytest
from pydantic import BaseModel

from quire import LLM, Agent, File, Pipeline, Process, Step, Tool, errors
from quire.core.messages import Text, ToolResult
from quire.testing import ScriptedModel, ToolUse
from quire.views.details import details
from tests.kit import reread

CAT = File.of(b"\x89PNG cat", "image/png", name="cat.png")
NOTE = File.of(b"Meow.", "text/plain", name="note.txt")
FAR = File.at("https://example.org/report.pdf")


class Page(BaseModel):
    title: str
    pictures: list[File]


@dataclasses.dataclass
class Letter:
    page: Page
    stamp: File | None = None


def shown(value, **options):
    """Return what a model is shown as the user's message, as text and files."""
    model = ScriptedModel(["seen"])
    assert Agent(model, "Look.", **options).execute_sync(value) == "seen"
    return [part.text if isinstance(part, Text) else part for part in model.requests[0].messages[-1].parts]


# In


@pytest.mark.parametrize(
    ("options", "value", "parts"),
    [
        ({"input": File}, CAT, [CAT]),
        ({}, CAT, [CAT]),
        ({"input": list[str | File]}, ["What?", CAT, "And?", FAR], ["What?", CAT, "And?", FAR]),
        ({}, ["What?", CAT], ["What?", CAT]),
        ({}, (CAT, "What?"), [CAT, "What?"]),
        ({"input": list[str | File]}, ["Only", "words"], ["Only\n\nwords"]),
        ({}, ["Only", "words"], ["Only\n\nwords"]),
        ({"input": list[str]}, ["Only", "words"], ['["Only","words"]']),
        ({"input": list[File]}, [CAT, NOTE], [CAT, NOTE]),
        ({"input": tuple[str, File]}, ("What?", CAT), ["What?", CAT]),
        (
            {"input": Page},
            Page(title="Cats", pictures=[CAT]),
            ['{"title":"Cats","pictures":["[file 1: cat.png, image/png]"]}', CAT],
        ),
        (
            {},
            Letter(Page(title="x", pictures=[CAT]), stamp=NOTE),
            [
                (
                    '{"page":{"title":"x","pictures":["[file 1: cat.png, image/png]"]},'
                    '"stamp":"[file 2: note.txt, text/plain]"}'
                ),
                CAT,
                NOTE,
            ],
        ),
        (
            {"input": tuple[Page, File]},
            (Page(title="x", pictures=[NOTE]), CAT),
            ['Page:\n{"title":"x","pictures":["[file 1: note.txt, text/plain]"]}', NOTE, "File:", CAT],
        ),
        ({"input": dict[str, File]}, {"left": CAT}, ['{"left":"[file 1: cat.png, image/png]"}', CAT]),
    ],
)
def test_what_a_model_is_shown(options, value, parts):
    assert shown(value, **options) == parts


def test_what_is_no_file_is_refused():
    with pytest.raises(errors.SubmitError, match="takes File"):
        shown("cat.png", input=File)
    with pytest.raises(errors.SubmitError):
        shown(["What?", 5])
    with pytest.raises(errors.SubmitError):
        shown([])


def test_the_log_says_what_was_said_and_shown_and_can_be_read_back():
    run = Agent(ScriptedModel(["seen"]), "Look.", name="look").start(["What?", CAT, "Hm?", FAR])
    assert run.wait() == "seen"
    said = [event for event in reread(run.past) if event.kind == "said"]
    assert [(event.sender, event.text, event.files) for event in said] == [
        ("instructions", "Look.", ()),
        ("input", "What?\n\nHm?", (CAT, FAR)),
    ]
    assert run.messages["kind"].tolist() == ["text", "text", "file", "file", "text"]


def test_the_prompt_in_a_nodes_details_names_the_files():
    run = Agent(ScriptedModel(["seen"]), "Look.", name="look").start([CAT, "What?"])
    run.wait()
    found = details(run.past, "look")
    assert found["prompt"][1] == {"role": "user", "text": "What?\n[cat.png, image/png]"}
    assert CAT.data not in str(found)


def test_a_step_that_gives_a_file_feeds_an_agent():
    @Step
    async def load(path: str) -> File:
        return File.of(b"\x89PNG", "image/png", name=path)

    @Step
    async def ask(path: str) -> list[str | File]:
        return ["What is it?", File.of(b"\x89PNG", "image/png", name=path)]

    def parts(flow, model):
        flow.execute_sync("cat.png")
        return model.requests[-1].messages[-1].parts

    image = File.of(b"\x89PNG", "image/png", name="cat.png")
    takes_text, takes_files = ScriptedModel(["a"] * 3), ScriptedModel(["b"] * 3)
    text = Agent(takes_text, "Look.", name="text")
    files = Agent(takes_files, "Look.", input=File, name="files")
    assert parts(load >> text, takes_text) == (image,)
    assert parts(ask >> text, takes_text) == (Text(text="What is it?"), image)
    assert parts(Pipeline(load, files), takes_files) == (image,)
    flow = Process(input=str, output=str)
    flow.add(text, inputs=flow.add(load))
    assert parts(flow, takes_text) == (image,)

    @Step
    async def words(path: str) -> list[str]:
        return [path]

    with pytest.raises(errors.DefinitionError):
        words >> text


# Out of tools


@Tool
def plot(points: int) -> File:
    """Plot some points."""
    return File.of(b"\x89PNG" + bytes([points]), "image/png", name="plot.png")


@Tool
async def gather() -> list[str | File]:
    """Gather everything."""
    return ["Here you are:", CAT, NOTE]


@Tool
def report() -> Page:
    """Report."""
    return Page(title="Cats", pictures=[CAT])


def test_a_model_is_told_of_a_tools_files_and_shown_them():
    model = ScriptedModel([[ToolUse("plot", {"points": 3}), ToolUse("gather"), ToolUse("report")], "done"])
    run = Agent(model, "x", tools=[plot, gather, report]).start("go")
    assert run.wait() == "done"
    results = [part for part in model.requests[-1].messages[-1].parts if isinstance(part, ToolResult)]
    image = plot(3)
    assert [(part.text, part.files) for part in results] == [
        ("[file 1: plot.png, image/png]", (image,)),
        ('["Here you are:","[file 1: cat.png, image/png]","[file 2: note.txt, text/plain]"]', (CAT, NOTE)),
        ('{"title":"Cats","pictures":["[file 1: cat.png, image/png]"]}', (CAT,)),
    ]
    returned = {event.tool: event for event in reread(run.past) if event.kind == "returned"}
    assert returned["plot"].files == (image,)
    assert returned["plot"].result == "[file 1: plot.png, image/png]"
    assert returned["report"].result == {"title": "Cats", "pictures": ["[file 1: cat.png, image/png]"]}
    assert all(CAT.data not in str(event.result) for event in returned.values())


def test_the_offline_model_says_what_it_was_given():
    look = Agent(LLM("offline"), "Describe what you see.")
    assert "cat.png" in look.execute_sync(CAT)
    said = look.execute_sync(["What animal is this?", CAT, NOTE])
    assert "animal" in said
    assert "cat.png" in said
    assert "note.txt" in said
    shows = Agent(LLM("offline"), "Use the tools.", tools=[plot])
    assert "plot.png" in shows.execute_sync("plot 3 points")
