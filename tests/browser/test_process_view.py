"""A process below a cell, live: routes taken and not taken, a race, a loop, a fan-out with its items."""

from __future__ import annotations

import re

from playwright.sync_api import expect

PROCESS = """
import asyncio
from pydantic import BaseModel
from quire import Process, Step, Retry

gate = asyncio.Event()

class Ticket(BaseModel):
    text: str
    files: list[str]

@Step
async def read(name: str) -> str:
    if name == "c.txt":
        await gate.wait()
    return name.upper()

@Step
async def triage(ticket: Ticket) -> str:
    return "refund" if "refund" in ticket.text else "complaint"

@Step
async def refund(ticket: Ticket) -> str:
    return "refunded"

@Step
async def complaint(ticket: Ticket) -> str:
    return "we are sorry"

@Step
async def fast(text: str) -> str:
    return text + "!"

@Step
async def slow(text: str) -> str:
    await asyncio.sleep(30)
    return text + "..."

@Step
async def longer(text: str) -> str:
    return text + "+"

@Step
def files_of(ticket: Ticket) -> list[str]:
    return ticket.files

desk = Process(input=Ticket, name="desk")
files = desk.add(Process.for_each(read, name="read_all"), inputs=desk.add(files_of))
answer = desk.add(Process.branch(triage, {"refund": refund, "complaint": complaint}, name="route"))
said = desk.add(Process.race(slow, fast, name="quick"), inputs=answer)
polished = desk.add(Process.loop(longer, until=lambda text: text.endswith("+++"), name="polish"), inputs=said)
desk.returns(polished)
ticket = Ticket(text="a refund please", files=["a.txt", "b.txt", "c.txt", "d.txt"])
"""


def test_a_process_draws_its_routes_its_race_and_its_loop(notebook):
    page = notebook(PROCESS + "desk")
    page.run_all()
    card = page.output(0).get_by_role("region", name="Process desk")
    expect(card.get_by_role("button", name="triage: pending")).to_be_visible()
    expect(card).to_contain_text("race: first success wins")
    expect(card).to_contain_text("loop: at most 5 times")
    expect(card).to_contain_text("complaint")


def test_a_running_process_shows_why_each_thing_happens(notebook):
    page = notebook(PROCESS, "run = desk.start(ticket)\nrun", "gate.set(); await run")
    page.run_cell(0)
    page.run_cell(1)
    view = page.output(1).get_by_role("region", name="Run desk")
    expect(view.get_by_role("button", name="complaint: skipped")).to_be_visible()
    expect(view.get_by_role("button", name="refund: succeeded")).to_be_visible()
    expect(view.get_by_role("button", name="slow: cancelled")).to_contain_text("lost")
    expect(view.get_by_role("button", name="fast: succeeded")).to_contain_text("won")
    expect(view).to_contain_text("loop: iteration 3 of 5")
    many = view.get_by_role("button", name="read_all: running")
    expect(many).to_contain_text("3 of 4")
    page.run_cell(2)
    expect(view.get_by_role("status")).to_have_text("succeeded")
    done = view.get_by_role("button", name="read_all: succeeded")
    done.click()
    view.get_by_role("tab", name="Items").click()
    items = view.get_by_role("region", name="Inspector")
    expect(items).to_contain_text("C.TXT")
    view.get_by_role("button", name="complaint: skipped").click()
    expect(view).to_contain_text("triage said refund")


LARGE = """
import asyncio
from quire import Process, Step

gate = asyncio.Event()

async def one(number: int) -> int:
    if number == 3:
        await gate.wait()
    return number + 1

large, refs = Process(input=int, name="large", output=int), []
for at in range(240):
    refs.append(large.add(Step(one), name=f"node_{at}", inputs=refs[at - 20] if at >= 20 else large.given))
large.returns(refs[-1])
"""


PLACE = r'translate\(([\d. ]+)\)"><rect class="box".*?>(node_\d+)<'


def test_a_large_graph_lies_as_in_its_saved_picture_and_is_found_in(notebook):
    page = notebook(LARGE + "large")
    page.run_all()
    card = page.output(0).get_by_role("region", name="Process large")
    expect(card.locator(".node")).to_have_count(240)
    svg = page.save().cells[0].outputs[0].data["image/svg+xml"]
    drawn = {name: place for place, name in re.findall(PLACE, svg)}
    shown = "nodes => nodes.map(node => [node.dataset.node, node.getAttribute('transform')])"
    assert len(drawn) == 240
    assert dict(card.locator(".node").evaluate_all(shown)) == {name: f"translate({at})" for name, at in drawn.items()}
    last = card.get_by_role("button", name="node_239: pending")
    expect(last).not_to_contain_text("step")  # out of sight: its frame and its name
    card.get_by_role("button", name="Find a node").click()
    page.page.keyboard.type("node_239")
    expect(card).to_contain_text("1 match")
    page.page.keyboard.press("Enter")
    expect(last).to_be_focused()
    expect(last).to_be_in_viewport()
    expect(last).to_contain_text("step")
    page.page.keyboard.press("ArrowLeft")
    expect(card.get_by_role("button", name="node_219: pending")).to_be_focused()
    page.page.keyboard.press("Enter")
    expect(card.get_by_role("region", name="Inspector")).to_contain_text("node_219")


def test_a_large_graph_of_a_run_is_kept_up_to_date(notebook):
    page = notebook(LARGE, "run = large.start(1)\nrun", "gate.set(); await run")
    page.run_cell(0)
    page.run_cell(1)
    view = page.output(1).get_by_role("region", name="Run large")
    expect(view.get_by_role("button", name="node_45: running")).to_be_visible()
    assert flows(view) == {"done", "now", "later"}
    page.run_cell(2)
    expect(view.get_by_role("status")).to_have_text("succeeded")
    expect(view.locator('.node[data-status="succeeded"]')).to_have_count(240)
    assert flows(view) == {"done"}


def flows(view):
    return set(view.locator(".edge[data-flow]").evaluate_all("edges => edges.map(edge => edge.dataset.flow)"))
