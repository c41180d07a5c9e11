"""What a run asks a person, on top of its view: while a cell waits for the run, and while none does."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.contrasts import CONTRASTS

DESK = """
from typing import Literal
from pydantic import BaseModel
import quire
from quire import Pipeline, Step, current_context

class Ticket(BaseModel):
    text: str
class Decision(BaseModel):
    way: str

@Step
async def triage(ticket: Ticket) -> Decision:
    way = await current_context().ask("Refund or credit?", Literal["refund", "credit"], why="The lid is cracked.")
    return Decision(way=way)

@Step
async def promise(decision: Decision) -> str:
    days = await current_context().ask("In how many days?", int)
    return f"{decision.way} in {days} days"

desk = Pipeline(triage, promise, name="desk")
"""

AWAITED = "await desk.execute(Ticket(text='A cracked lid.'))"
STARTED = "run = desk.start(Ticket(text='A cracked lid.'))\nrun"


def test_a_question_is_answered_while_a_cell_waits(notebook):
    page = notebook(DESK, AWAITED)
    page.run_cell(0)
    page.run_cell(1, wait=False)
    view = page.output(1).get_by_role("region", name="Run desk")
    expect(view.get_by_role("status")).to_have_text("waiting")
    card = view.get_by_role("group", name="Question: triage")
    expect(card).to_contain_text("Refund or credit?")
    expect(card).to_contain_text("The lid is cracked.")
    expect(view.get_by_role("button", name="triage: waiting")).to_contain_text("for you")
    card.get_by_role("button", name="credit").dblclick()
    expect(card).to_contain_text("answered")
    for label in ("refund", "credit"):
        expect(card.get_by_role("button", name=label)).to_be_disabled()
    second = view.get_by_role("group", name="Question: promise")
    second.get_by_role("textbox", name="Answer").fill("soon")
    second.get_by_role("button", name="Answer").click()
    expect(second.get_by_role("alert")).to_contain_text("'soon' is no answer")
    second.get_by_role("textbox", name="Answer").fill("3")
    page.page.keyboard.press("Enter")
    page.wait_idle()
    expect(page.output(1)).to_contain_text("'credit in 3 days'")
    expect(view.get_by_role("status")).to_have_text("succeeded")
    expect(page.output(1).get_by_role("region", name="Run desk")).to_have_count(1)


def test_a_question_is_answered_while_no_cell_runs_and_every_view_knows(notebook):
    page = notebook(DESK, STARTED, "run.conversation", "run.result")
    page.run_cell(0)
    page.run_cell(1)
    page.run_cell(2)
    views = [page.output(cell).get_by_role("region", name="Run desk") for cell in (1, 2)]
    cards = [view.get_by_role("group", name="Question: triage") for view in views]
    for card in cards:
        expect(card.get_by_role("button", name="refund")).to_be_enabled()
    page.save()
    page.reload()
    cards[1].get_by_role("button", name="refund").click()
    for card in cards:
        expect(card).to_contain_text("answered")
        expect(card.get_by_role("button", name="refund")).to_be_disabled()
    box = views[0].get_by_role("textbox", name="Answer")
    box.fill("5")
    box.press("Enter")
    for view in views:
        expect(view.get_by_role("status")).to_have_text("succeeded")
    page.run_cell(3)
    expect(page.output(3)).to_contain_text("'refund in 5 days'")


def test_a_run_that_nobody_looks_at_shows_itself_when_it_asks(notebook):
    page = notebook(DESK, "run = desk.start(Ticket(text='A cracked lid.'))", "1 + 1")
    page.run_cell(0)
    page.run_cell(1)
    page.run_cell(2)
    view = page.output(1).get_by_role("region", name="Run desk")
    view.get_by_role("button", name="credit").click()
    expect(view.get_by_role("group", name="Question: promise")).to_be_visible()
    expect(page.page.get_by_role("region", name="Run desk")).to_have_count(1)


def test_the_keyboard_is_enough(notebook):
    page = notebook(DESK, AWAITED)
    page.run_cell(0)
    page.run_cell(1, wait=False)
    view = page.output(1).get_by_role("region", name="Run desk")
    cells = page.page.locator(".jp-Notebook .jp-Cell").count()
    view.get_by_role("button", name="refund").focus()
    page.page.keyboard.press("Tab")
    expect(view.get_by_role("button", name="credit")).to_be_focused()
    page.page.keyboard.press("Enter")
    expect(view.get_by_role("group", name="Question: triage")).to_be_focused()
    expect(view.get_by_role("textbox", name="Answer")).to_be_visible()
    page.page.keyboard.press("Tab")
    expect(view.get_by_role("textbox", name="Answer")).to_be_focused()
    page.page.keyboard.type("bad2")
    for _ in range(4):
        page.page.keyboard.press("Backspace")
    page.page.keyboard.type("7")
    page.page.keyboard.press("Enter")
    page.wait_idle()
    expect(page.output(1)).to_contain_text("'credit in 7 days'")
    assert page.page.locator(".jp-Notebook .jp-Cell").count() == cells


def test_a_past_question_cannot_be_answered(notebook):
    page = notebook(DESK, STARTED)
    page.run_cell(0)
    page.run_cell(1)
    view = page.output(1).get_by_role("region", name="Run desk")
    card = view.get_by_role("group", name="Question: triage")
    card.get_by_role("button", name="refund").click()
    expect(view.get_by_role("textbox", name="Answer")).to_be_visible()
    moment = view.get_by_role("slider", name="Moment")
    moment.focus()
    while not card.get_by_text("waiting").count():
        page.page.keyboard.press("ArrowLeft")
        page.page.wait_for_timeout(200)
    expect(view.get_by_role("status")).to_have_text("waiting")
    expect(card.get_by_role("button", name="refund")).to_be_disabled()
    page.page.keyboard.press("End")
    expect(view.get_by_role("textbox", name="Answer")).to_be_enabled()


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_every_text_of_a_question_stands_out_from_its_ground(notebook, theme):
    page = notebook(DESK, STARTED)
    page.switch_theme(theme)
    page.run_cell(0)
    page.run_cell(1)
    view = page.output(1).get_by_role("region", name="Run desk")
    view.get_by_role("button", name="refund").click()
    expect(view.get_by_role("group", name="Question: promise")).to_be_visible()
    assert not [text for text, ratio in view.evaluate(CONTRASTS) if ratio < 4.5]  # WCAG 2.2, AA
