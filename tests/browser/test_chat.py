"""A chat below a cell: write, watch, stop, say it otherwise, and go on with what was said before."""

from __future__ import annotations

import re
import shutil

import pytest
from playwright.sync_api import expect

from tests.browser.contrasts import CONTRASTS

GUIDE = """
import asyncio
import quire
from quire import Agent, Memory, Tool, current_context, errors
from quire.testing import ScriptedModel, ToolUse

pace = 0.0
home = asyncio.get_running_loop()

def reply(request):
    said = [m.text for m in request.messages if m.role == "user"]
    results = [m for m in request.messages if m.role == "tool"]
    if said[-1] == "break":
        return errors.ProviderError("The server is on fire.", remedy="Wait a minute.")
    if said[-1].startswith("look") and request.messages[-1].role != "tool":
        return ToolUse("look_up", {"city": "Nara"})
    if said[-1].startswith("book") and request.messages[-1].role != "tool":
        return ToolUse("book", {"city": "Nara"})
    return "I heard: " + " | ".join(said)

class Slow:
    provider, model, simulated = "scripted", "scripted", True
    def __init__(self):
        self.script = ScriptedModel([reply] * 500)
        self.abilities = self.script.abilities
    async def ask(self, request):
        assert asyncio.get_running_loop() is home
        async for piece in self.script.ask(request):
            yield piece
            await asyncio.sleep(pace)

@Tool
def look_up(city: str) -> str:
    "Look a city up."
    return f"{city} has many deer"

@Tool
async def book(city: str) -> str:
    "Book a hotel."
    return "booked" if await current_context().ask(f"Book a hotel in {city}?", bool) else "left"

memory = Memory()
guide = Agent(Slow(), "You plan trips.", name="guide", tools=[look_up, book], memory=memory)
"""


def chat_of(page, cell):
    return page.output(cell).get_by_role("region", name="Chat with guide")


def say(view, *words):
    for text in words:
        view.get_by_role("textbox", name="Message").fill(text)
        view.get_by_role("textbox", name="Message").press("Enter")
        expect(view.get_by_role("article").last).to_contain_text("I heard:")
        expect(view.get_by_role("button", name="Stop")).to_be_hidden()


def sentences(view):
    return [article.inner_text().split("\n")[-1] for article in view.get_by_role("article").all()]


def begun(notebook, *cells):
    page = notebook(GUIDE, *(cells or ("guide.chat('trip')",)))
    page.run_cell(0)
    page.run_cell(1)
    return page, chat_of(page, 1)


def test_what_is_written_is_answered_token_by_token_and_kept(notebook):
    page, view = begun(notebook, "guide.chat('trip')", "pace = 0.25", "memory.session('trip').messages.text")
    expect(view).to_contain_text("Nothing has been said yet.")
    page.run_cell(2)
    box = view.get_by_role("textbox", name="Message")
    expect(view.get_by_role("button", name="Send")).to_be_disabled()
    box.fill("one <b>two</b>")
    box.press("Shift+Enter")
    box.press("a")
    expect(box).to_have_value("one <b>two</b>\na")
    view.get_by_role("button", name="Send").click()
    expect(box).to_have_value("")
    log = view.get_by_role("log", name="Conversation of guide")
    answer = log.get_by_role("article", name="guide")
    expect(answer).to_contain_text("I heard:")
    expect(answer).to_contain_text("writing")
    expect(view.get_by_role("status").first).to_have_text("running")
    box.fill("what comes next")  # can be written meanwhile
    box.press("Enter")
    expect(view.get_by_role("button", name="Send")).to_be_disabled()
    expect(answer).to_contain_text("<b>two</b> a")
    expect(view.get_by_role("button", name="Stop")).to_be_hidden()
    expect(box).to_have_value("what comes next")
    box.press("Enter")
    expect(log.get_by_role("article")).to_have_count(4)
    expect(log.get_by_role("article").last).to_contain_text("| what comes next")
    expect(view.get_by_role("button", name="Stop")).to_be_hidden()
    page.run_cell(3)
    expect(page.output(3)).to_contain_text("what comes next")
    box.fill("while the page is reloaded")
    box.press("Enter")
    expect(log.get_by_role("article").last).to_contain_text("writing")
    page.save()
    page.reload()  # the turn goes on
    view = chat_of(page, 1)
    expect(view.get_by_role("article")).to_have_count(6)
    expect(view.get_by_role("article").last).to_contain_text("| while the page is reloaded")
    expect(view.get_by_role("button", name="Stop")).to_be_hidden()


def test_a_message_said_otherwise_goes_on_on_a_branch_and_a_reload_shows_the_same(notebook):
    page, view = begun(notebook)
    say(view, "kyoto", "osaka", "tokyo")
    own = view.get_by_role("article", name="you")
    own.nth(1).get_by_role("button", name="Edit").click()
    other = view.get_by_role("textbox", name="In other words")
    expect(other).to_have_value("osaka")
    other.fill("nara")
    other.press("Enter")
    expect(view.get_by_role("article")).to_have_count(4)
    expect(view.get_by_role("article").last).to_contain_text("I heard: kyoto | nara")
    tabs = view.get_by_role("tablist", name="Branches").get_by_role("tab")
    expect(tabs).to_have_text(["main", "edit 1"])
    expect(tabs.nth(1)).to_have_attribute("aria-selected", "true")
    expect(view.get_by_role("button", name="Stop")).to_be_hidden()
    tabs.nth(0).click()
    expect(view.get_by_role("article")).to_have_count(6)
    say(view, "kobe")
    expect(view.get_by_role("article").last).to_contain_text("I heard: kyoto | osaka | tokyo | kobe")
    tabs.nth(1).click()
    expect(view.get_by_role("article")).to_have_count(4)
    page.save()
    page.reload()
    view = chat_of(page, 1)
    expect(view.get_by_role("article")).to_have_count(4)
    expect(view.get_by_role("tab", name="edit 1")).to_have_attribute("aria-selected", "true")
    say(view, "uji")
    expect(view.get_by_role("article").last).to_contain_text("I heard: kyoto | nara | uji")


def test_a_turn_is_stopped_or_fails_and_is_tried_again(notebook):
    page, view = begun(notebook, "guide.chat('trip')", "pace = 0.5", "pace = 0")
    page.run_cell(2)
    box = view.get_by_role("textbox", name="Message")
    box.fill("far away")
    box.press("Enter")
    expect(view.get_by_role("article", name="guide")).to_contain_text("I")
    view.get_by_role("button", name="Stop").click()
    expect(view.get_by_role("alert")).to_contain_text("cancelled · stopped by you")
    expect(view.get_by_role("article", name="you")).to_contain_text("far away")
    page.run_cell(3)
    view.get_by_role("button", name="Try again").click()
    expect(view.get_by_role("article", name="guide")).to_contain_text("I heard: far away")
    expect(view.get_by_role("button", name="Try again")).to_have_count(0)
    box.fill("break")
    box.press("Enter")
    expect(view.get_by_role("alert")).to_contain_text("ProviderError The server is on fire.")
    expect(view.get_by_role("alert")).to_contain_text("Wait a minute.")
    view.get_by_role("article", name="you").last.get_by_role("button", name="Edit").click()
    view.get_by_role("textbox", name="In other words").fill("mend")
    view.get_by_role("button", name="Ask anew").click()
    expect(view.get_by_role("article").last).to_contain_text("I heard: far away | mend")
    expect(view.get_by_role("tab")).to_have_count(0)  # nothing was said instead of it


def test_tools_questions_and_checkpoints(notebook):
    page, view = begun(notebook, "guide.chat('trip')", "await guide.execute('from a cell', session='trip')")
    page.run_cell(2)
    expect(view.get_by_role("article")).to_have_count(2)  # what others say is heard
    say(view, "look")
    expect(view.get_by_role("article").last.get_by_role("group").first).to_contain_text("look_up(city=")
    view.get_by_role("button", name="Checkpoint").click()
    view.get_by_role("textbox", name="Name of this place").fill("before booking")
    page.page.keyboard.press("Enter")
    expect(view.get_by_role("log")).to_contain_text("checkpoint before booking")
    box = view.get_by_role("textbox", name="Message")
    box.fill("book")
    box.press("Enter")
    view.get_by_role("group", name="Question: book").get_by_role("button", name="yes").click()
    expect(view.get_by_role("article").last).to_contain_text("I heard: from a cell | look | book")
    expect(view.get_by_role("article")).to_have_count(6)
    expect(page.page.get_by_role("region", name=re.compile("^Run "))).to_have_count(0)
    expect(view.get_by_role("button", name="Stop")).to_be_hidden()
    view.get_by_role("button", name="Restore before booking").click()
    expect(view.get_by_role("article")).to_have_count(4)
    expect(view.get_by_role("tab")).to_have_text(["main", "before booking"])


def test_no_key_leaves_the_chat_and_what_is_saved_is_the_conversation(notebook, notebook_from, tmp_path):
    page, view = begun(notebook)
    cells = page.page.locator(".jp-Notebook .jp-Cell")
    before = cells.count()
    say(view, "<img src=x onerror=alert(1)>")
    view.get_by_role("button", name="Edit").focus()
    for key in ("b", "d", "d", "a"):
        page.page.keyboard.press(key)
    assert cells.count() == before
    page.page.wait_for_timeout(1500)
    saved = page.save()
    data = saved.cells[1].outputs[0].data
    assert set(data) == {"text/html", "text/plain"}
    assert "I heard: <img src=x onerror=alert(1)>" in data["text/plain"]
    assert "<textarea" not in data["text/html"]
    assert "widgets" not in saved.metadata
    again = notebook_from(shutil.copy(page.path, tmp_path / "saved.ipynb"))
    expect(again.output(1)).to_contain_text("I heard: <img src=x onerror=alert(1)>")
    expect(again.output(1).get_by_role("textbox")).to_have_count(0)


def test_the_conversation_stays_when_the_kernel_is_gone(notebook):
    page, view = begun(notebook)
    say(view, "kyoto")
    page.restart_kernel()
    expect(view).to_contain_text("The kernel is gone.")
    expect(view.get_by_role("article")).to_have_count(2)
    expect(view.get_by_role("textbox", name="Message")).to_be_hidden()


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_every_text_of_a_chat_stands_out_from_its_ground(notebook, theme):
    page = notebook(GUIDE, "guide.chat('trip')")
    page.switch_theme(theme)
    page.run_all()
    view = chat_of(page, 1)
    say(view, "look", "kyoto")
    view.get_by_role("button", name="Checkpoint").click()
    view.get_by_role("textbox", name="Name of this place").fill("here")
    page.page.keyboard.press("Enter")
    view.get_by_role("button", name="Edit").nth(1).click()
    view.get_by_role("button", name="Ask anew").click()
    expect(view.get_by_role("tab")).to_have_count(2)
    view.get_by_role("textbox", name="Message").fill("break")
    view.get_by_role("button", name="Send").click()
    expect(view.get_by_role("alert")).to_contain_text("on fire")
    view.get_by_role("button", name="Edit").first.click()
    faint = view.evaluate(CONTRASTS)
    assert not [text for text, ratio in faint if ratio < 4.5]  # WCAG 2.2, AA


def test_a_chat_is_opened_below_the_browser_of_sessions(notebook):
    page = notebook(GUIDE, "await guide.execute('kyoto', session='trip')", "memory")
    page.run_all()
    sessions = page.output(2).get_by_role("region", name="Sessions")
    sessions.get_by_role("button", name="Open chat").click()
    view = chat_of(page, 2)
    expect(view.get_by_role("article")).to_have_count(2)
    say(view, "osaka")
    expect(view.get_by_role("article").last).to_contain_text("I heard: kyoto | osaka")
    expect(sessions.get_by_role("button", name="main, message 4", exact=True)).to_be_visible()
    sessions.get_by_role("button", name="Open chat").click()
    expect(chat_of(page, 2)).to_have_count(1)
