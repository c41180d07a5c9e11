"""The browser of sessions below a cell: find one, look at a place in it, and go on from there."""

from __future__ import annotations

import shutil

import pytest
from playwright.sync_api import expect

from tests.browser.contrasts import CONTRASTS

TALK = """
import quire
from quire import Agent, Memory
from quire.testing import ScriptedModel

memory = Memory()
model = ScriptedModel([lambda request: " | ".join(m.text for m in request.messages if m.role == "user")] * 2000)
guide = Agent(model, "You plan trips.", name="guide", memory=memory)

async def say(session, *words):
    for word in words:
        await guide.execute(word, session=session)

await say("notes", "the <b>museum</b> opens at nine")
await say("trip", "kyoto")
await memory.checkpoint("trip", name="outline")
await say("trip", "osaka", "tokyo")
"""


def browser_of(page, cell):
    return page.output(cell).get_by_role("region", name="Sessions")


def spot(view, name):
    return view.get_by_role("figure").get_by_role("button", name=name, exact=True)


def test_a_memory_draws_its_sessions_and_finds_one_by_what_was_said(notebook):
    page = notebook(TALK, "memory")
    page.run_all()
    view = browser_of(page, 1)
    listed = view.get_by_role("navigation").get_by_role("button")
    expect(listed).to_have_count(2)
    expect(listed.nth(0)).to_contain_text("guide, 3 turns, 1 branch")
    expect(view.get_by_role("figure", name="Branches of trip")).to_be_visible()
    expect(view.get_by_role("heading", name="main, message 6")).to_be_visible()
    view.get_by_role("searchbox", name="Find a session").fill("Museum")
    expect(listed).to_have_count(1)
    listed.first.click()
    expect(view.get_by_role("figure", name="Branches of notes")).to_be_visible()
    spot(view, "main, message 1").click()
    expect(view).to_contain_text("the <b>museum</b> opens at nine")  # text is text


def test_a_fork_goes_on_from_the_place_and_errors_stay_where_they_are(notebook):
    page = notebook(
        TALK, "memory", "await guide.execute('by train', session='rail')", "await guide.execute('x', session='trip')"
    )
    page.run_cell(0)
    page.run_cell(1)
    view = browser_of(page, 1)
    spot(view, "main, message 2").click()
    expect(view).to_contain_text("checkpoint outline")
    view.get_by_role("button", name="Fork from here").click()
    name = view.get_by_role("textbox", name="New session")
    name.fill("notes")
    page.page.keyboard.press("Enter")
    expect(view.get_by_role("alert")).to_contain_text("There is a session 'notes' already.")
    name.fill("rail")
    view.get_by_role("button", name="Fork", exact=True).click()
    expect(view.get_by_role("figure", name="Branches of rail")).to_be_visible()
    expect(view.get_by_role("row", name="main trip, 2")).to_be_visible()
    page.run_cell(2)
    expect(page.output(2)).to_contain_text("kyoto | by train")
    expect(spot(view, "main, message 4")).to_have_attribute("aria-pressed", "true")  # the newest is followed
    page.run_cell(3)
    expect(page.output(3)).to_contain_text("kyoto | osaka | tokyo | x")


def test_a_restore_lets_the_next_turn_go_on_there(notebook):
    page = notebook(TALK, "quire.views.sessions()", "await guide.execute('nara', session='trip')")
    page.run_cell(0)
    page.run_cell(1)
    view = browser_of(page, 1)
    spot(view, "main, message 4").click()
    expect(view.get_by_role("heading", name="main, message 4")).to_be_visible()
    view.get_by_role("button", name="Restore").click()
    expect(view).to_contain_text("goes on from here")
    expect(view.get_by_role("row", name="from message 4")).to_be_visible()
    page.run_cell(2)
    expect(page.output(2)).to_contain_text("kyoto | osaka | nara")
    expect(spot(view, "from message 4, message 6")).to_be_visible()
    expect(spot(view, "main, message 6")).to_be_visible()  # nothing is lost


def test_a_place_gets_a_name_and_one_session_can_be_looked_at_alone(notebook):
    page = notebook(TALK, "memory.session('trip')", "await memory.restore('trip', 'the end')")
    page.run_cell(0)
    page.run_cell(1)
    view = page.output(1).get_by_role("region", name="Session trip")
    expect(view.get_by_role("searchbox")).to_have_count(0)
    view.get_by_role("button", name="Checkpoint").click()
    view.get_by_role("textbox", name="Name of this place").fill("the end")
    page.page.keyboard.press("Enter")
    expect(view.get_by_role("figure")).to_contain_text("the end")
    page.run_cell(2)
    expect(view.get_by_role("row", name="the end main, 6")).to_be_visible()


def test_places_are_reached_with_the_arrow_keys_and_no_key_leaves_the_view(notebook):
    page = notebook(TALK, "memory")
    page.run_all()
    view = browser_of(page, 1)
    cells = page.page.locator(".jp-Notebook .jp-Cell")
    before = cells.count()
    spot(view, "main, message 6").focus()
    for key in ("b", "d", "d", "ArrowLeft", "ArrowLeft"):
        page.page.keyboard.press(key)
    expect(spot(view, "main, message 4")).to_be_focused()
    page.page.keyboard.press("Enter")
    expect(spot(view, "main, message 4")).to_have_attribute("aria-pressed", "true")
    expect(view.get_by_role("heading", name="main, message 4")).to_be_visible()
    view.get_by_role("searchbox", name="Find a session").press("ArrowDown")
    page.page.keyboard.press("ArrowDown")
    page.page.keyboard.press("Enter")
    expect(view.get_by_role("figure", name="Branches of notes")).to_be_visible()
    assert cells.count() == before


def test_a_saved_notebook_without_its_kernel_still_shows_the_branches(notebook, notebook_from, tmp_path):
    page = notebook("from quire import Memory\nMemory()", TALK, "memory", "await memory.restore('trip', 'outline')")
    page.run_all()
    expect(page.output(0)).to_contain_text("No session is kept here yet.")
    expect(page.output(0)).to_contain_text('session="trip"')
    expect(browser_of(page, 2).get_by_role("row", name="outline main, 2")).to_be_visible()
    page.page.wait_for_timeout(1500)  # the still picture is renewed when it has been quiet for a second
    saved = page.save()
    data = saved.cells[2].outputs[0].data
    assert set(data) == {"text/html", "image/svg+xml", "text/plain"}
    assert "* outline, forked at main, 2" in data["text/plain"]
    assert "widgets" not in saved.metadata
    again = notebook_from(shutil.copy(page.path, tmp_path / "saved.ipynb"))
    picture = again.output(2).locator("img")
    expect(picture).to_be_visible()
    assert picture.evaluate("image => image.naturalWidth") > 300
    expect(again.output(2)).to_contain_text("trip")


def test_of_a_long_session_only_the_dots_in_sight_are_made(notebook):
    page = notebook(
        TALK
        + "await say('long', *map(str, range(300)))\nfor n in range(300):\n    await memory.fork('notes', f'n {n}')",
        "memory",
    )
    page.run_all()
    view = browser_of(page, 1)
    listed = view.get_by_role("navigation").get_by_role("button")
    expect(listed).to_have_count(303)
    view.get_by_role("searchbox", name="Find a session").fill("299")
    expect(listed).to_have_count(2)
    listed.filter(has_text="long").click()
    expect(view.get_by_role("heading", name="main, message 600")).to_be_visible()
    spot(view, "main, message 600").focus()
    page.page.keyboard.press("Home")
    expect(spot(view, "main, message 1")).to_be_focused()
    expect(spot(view, "main, message 1")).to_be_in_viewport()
    figure = view.get_by_role("figure")
    assert figure.get_by_role("button").count() < 120
    assert figure.bounding_box()["width"] > 10_000  # it is scrolled, not made small


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_every_text_of_the_browser_stands_out_from_its_ground(notebook, theme):
    page = notebook(TALK, "await memory.compact('trip', by=lambda text: 'short', keep=1)", "memory")
    page.switch_theme(theme)
    page.run_all()
    view = browser_of(page, 2)
    spot(view, "main, message 2").click()
    expect(view).to_contain_text("hidden from models")
    view.get_by_role("button", name="Fork from here").click()
    faint = view.evaluate(CONTRASTS)
    assert not [text for text, ratio in faint if ratio < 4.5]  # WCAG 2.2, AA
