"""Below a run, its bar: any past moment in every view, and another run from there on."""

from __future__ import annotations

import re
import shutil

import pytest
from playwright.sync_api import expect

from tests.browser.contrasts import CONTRASTS

WATCH = """view => {
    window.seen = new Set();
    const look = () => view.querySelectorAll('[role=button]').forEach((node) => window.seen.add(node.ariaLabel));
    new MutationObserver(look).observe(view, { subtree: true, attributes: true });
}"""
"""Takes down what all nodes are seen to be, however shortly."""

FLOW = """
import asyncio
from pydantic import BaseModel
import quire
from quire import Agent, Pipeline, Step
from quire.testing import ScriptedModel

class Question(BaseModel):
    text: str
class Outline(BaseModel):
    points: list[str]
class Draft(BaseModel):
    body: str

gate = asyncio.Event()
planned = []

@Step
async def plan(question: Question) -> Outline:
    planned.append(question)
    await asyncio.sleep(0.3)
    return Outline(points=["one", "two"])

write = Agent(ScriptedModel([Draft(body="A fine draft"), Draft(body="A second draft")]), "Write.",
              input=Outline, output=Draft, name="write")

@Step
async def check(draft: Draft) -> str:
    await gate.wait()
    return draft.body.upper()

pager = Pipeline(plan, write, check, name="pager")
"""

STARTED = "run = pager.start(Question(text='How?'))\nrun"


def begun(page):
    page.run_cell(0)
    page.run_cell(1)
    view = page.output(1).get_by_role("region", name="Run pager").first
    expect(view.get_by_role("button", name="check: running")).to_be_visible()
    return view


def test_the_bar_moves_every_view_while_the_run_goes_on(notebook):
    page = notebook(FLOW, STARTED, "gate.set(); await run")
    view = begun(page)
    moment = view.get_by_role("slider", name="Moment")
    expect(moment).to_have_attribute("aria-valuetext", re.compile(r"s, live$"))
    moment.focus()
    page.page.keyboard.press("Home")
    expect(view.get_by_role("button", name="plan: pending")).to_be_visible()
    expect(view).to_contain_text("at 0.0 s")
    expect(view).to_contain_text("0 of 3 nodes done")
    page.page.keyboard.press("ArrowRight")
    expect(view.get_by_role("button", name="plan: running")).to_be_visible()
    view.get_by_role("tab", name="Conversation").click()
    expect(view.get_by_role("article", name="you")).to_be_visible()
    expect(view.get_by_role("article", name="write")).to_have_count(0)
    elapsed = view.locator(".stat dd").first.inner_text()
    page.run_cell(2)
    expect(view.get_by_role("button", name="Stop run")).to_have_count(0)  # that one is about now
    assert view.locator(".stat dd").first.inner_text() == elapsed
    expect(view.get_by_role("status")).to_have_text("running")
    moment.focus()
    page.page.keyboard.press("Escape")
    expect(view.get_by_role("status")).to_have_text("succeeded")
    expect(view.get_by_role("article", name="write")).to_contain_text("A fine draft")


def test_the_inspector_shows_a_node_as_it_was(notebook):
    page = notebook(FLOW, STARTED, "gate.set(); await run")
    view = begun(page)
    page.run_cell(2)
    view.get_by_role("button", name="write: succeeded").click()
    inspector = view.get_by_role("region", name="Inspector")
    expect(inspector).to_contain_text("A fine draft")
    view.get_by_role("slider", name="Moment").click(position={"x": 3, "y": 14})
    expect(view.get_by_role("button", name=re.compile("^write: pending"))).to_be_visible()
    expect(inspector).to_contain_text("pending")
    expect(inspector).not_to_contain_text("A fine draft")
    view.get_by_role("button", name="Back to the end").click()
    expect(inspector).to_contain_text("A fine draft")


def test_a_replay_ends_where_the_run_did(notebook):
    page = notebook(FLOW, STARTED, "await asyncio.sleep(1.5); gate.set(); await run")
    page.run_all()
    view = page.output(1).get_by_role("region", name="Run pager")
    expect(view.get_by_role("button", name="check: succeeded")).to_be_visible()
    view.evaluate(WATCH)
    view.get_by_role("button", name="Replay from the start").click()
    page.page.wait_for_function("() => window.seen.has('check: running')")
    expect(view.get_by_role("button", name="check: succeeded")).to_be_visible()
    expect(view.get_by_role("slider", name="Moment")).to_have_attribute("aria-valuetext", re.compile("the end"))


def test_a_fork_from_a_node_stands_below_its_run_and_stays_in_the_saved_notebook(notebook, notebook_from, tmp_path):
    page = notebook(FLOW, STARTED, "gate.set(); await run", "print(len(planned), quire.runs().status.tolist())")
    begun(page)
    page.run_cell(2)
    views = page.output(1).get_by_role("region", name="Run pager")
    views.first.get_by_role("button", name="write: succeeded").click()
    views.first.get_by_role("button", name="Fork from here").click()
    fork = views.nth(1)
    expect(fork).to_contain_text("forked from")
    expect(fork.get_by_role("status")).to_have_text("succeeded")
    fork.get_by_role("tab", name="Conversation").click()
    expect(fork.get_by_role("article", name="write")).to_contain_text("A second draft")
    page.run_cell(3)
    expect(page.output(3)).to_contain_text("1 ['succeeded', 'succeeded']")
    saved = page.save()
    page.reload()
    expect(views).to_have_count(2)
    expect(views.nth(1)).to_contain_text("forked from")
    told = saved.cells[1].outputs[0].data
    assert told["text/html"].count("quire-slot") == 2
    assert "A fine draft" in told["text/plain"]
    assert "A second draft" in told["text/plain"]
    assert "forked from" in told["text/plain"]
    again = notebook_from(shutil.copy(page.path, tmp_path / "saved.ipynb"))
    expect(again.output(1).locator("img")).to_have_count(2)


def test_a_fork_with_another_output_of_a_node_runs_what_depends_on_it(notebook):
    page = notebook(FLOW, "gate.set()\n" + STARTED, "await run")
    page.run_all()
    views = page.output(1).get_by_role("region", name="Run pager")
    inspector = views.first.get_by_role("region", name="Inspector")
    views.first.get_by_role("button", name="write: succeeded").click()
    box = inspector.get_by_role("textbox", name="Output of write")
    expect(inspector.get_by_role("button", name="Edit output")).to_be_visible()
    expect(box).to_be_hidden()
    inspector.get_by_role("button", name="Edit output").click()
    given = box.input_value()
    box.fill("a fine")
    inspector.get_by_role("button", name="Fork with this output").click()
    expect(inspector.get_by_role("alert")).to_contain_text("not JSON")
    box.fill(given.replace("A fine", "My own"))
    inspector.get_by_role("button", name="Fork with this output").click()
    fork = views.nth(1)
    expect(fork.get_by_role("status")).to_have_text("succeeded")
    fork.get_by_role("button", name="check: succeeded").click()
    expect(fork.get_by_role("region", name="Inspector")).to_contain_text("MY OWN DRAFT")


def test_a_fork_from_a_past_moment_of_a_run_that_goes_on(notebook):
    page = notebook(FLOW, STARTED, "gate.set(); await run")
    view = begun(page)
    view.get_by_role("slider", name="Moment").focus()
    page.page.keyboard.press("Home")
    view.get_by_role("button", name="Fork from here").click()
    views = page.output(1).get_by_role("region", name="Run pager")
    expect(views).to_have_count(2)
    expect(views.nth(1).get_by_role("button", name="check: running")).to_be_visible()
    expect(view).to_contain_text("at 0.0 s")  # the reader's moment outlives the renewed output
    page.run_cell(2)
    expect(views.nth(1).get_by_role("status")).to_have_text("succeeded")


def test_a_run_that_was_loaded_says_how_to_fork_it(notebook):
    page = notebook(FLOW, "gate.set(); await pager.execute(Question(text='How?'))", "quire.load(quire.runs().run[0])")
    page.run_all()
    page.restart_kernel()
    page.run_cell(0)
    page.run_cell(2)
    view = page.output(2).get_by_role("region", name="Run pager")
    view.get_by_role("button", name="write: succeeded").click()
    expect(view.get_by_role("region", name="Inspector")).to_contain_text("pager.fork(")
    expect(view.get_by_role("button", name="Fork from here")).to_have_count(0)
    page.end_kernel()
    expect(view).to_contain_text("The kernel is gone.")
    expect(view.get_by_role("slider", name="Moment")).to_have_attribute("aria-disabled", "true")


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_every_text_of_a_past_moment_stands_out_from_its_ground(notebook, theme):
    page = notebook(FLOW, STARTED)
    page.switch_theme(theme)
    view = begun(page)
    view.get_by_role("button", name="plan: succeeded").click()
    view.get_by_role("slider", name="Moment").focus()
    page.page.keyboard.press("ArrowLeft")
    expect(view.get_by_role("button", name="Back to live")).to_be_visible()
    assert not [text for text, ratio in view.evaluate(CONTRASTS) if ratio < 4.5]  # WCAG 2.2, AA
