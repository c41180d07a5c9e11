"""What a person sees and does below a cell, in a real JupyterLab."""

from __future__ import annotations

import re
import shutil
import time

import pytest
from playwright.sync_api import expect

from tests.browser.contrasts import CONTRASTS
from tests.servers import ChatServer, streams

PIPELINE = """
import asyncio
from pydantic import BaseModel
import quire
from quire import LLM, Agent, Pipeline, Step, Tool
from quire.testing import ScriptedModel, ToolUse

class Question(BaseModel):
    text: str
class Outline(BaseModel):
    points: list[str]
class Draft(BaseModel):
    body: str

gate = asyncio.Event()

@Step
async def plan(question: Question) -> Outline:
    await gate.wait()
    return Outline(points=["one", "two"])

write = Agent(ScriptedModel([Draft(body="A fine draft")]), "Write.", input=Outline, output=Draft)
pager = Pipeline(write, plan)
"""

DESK = """
from quire import Agent, Tool
from quire.testing import ScriptedModel, ToolUse

@Tool
def lookup(order_id: int) -> dict:
    "Look up an order."
    return {"order": order_id, "state": "late"}

hostile = "It is late. <script>window.hacked = 1</script><img src=x onerror='hacked=1'>"
script = [ToolUse("lookup", {"order_id": 8841}), hostile]
desk = Agent(ScriptedModel(script), "Help the customer.", tools=[lookup])
"""


def test_a_pipeline_draws_itself_and_shows_what_a_node_takes_and_gives(notebook):
    page = notebook(PIPELINE + "pager")
    page.run_all()
    card = page.output(0).get_by_role("region", name="Pipeline pager")
    figure = card.get_by_role("figure", name="Graph of pager")
    expect(figure.get_by_role("button", name="plan: pending")).to_contain_text("plan")
    expect(figure).to_contain_text("Outline")
    expect(card).to_contain_text("checks passed")
    figure.get_by_role("button", name="write: pending").click()
    expect(card).to_contain_text("points")
    expect(card).to_contain_text("list[str]")


def test_an_agent_draws_its_card(notebook):
    page = notebook(DESK + "desk")
    page.run_all()
    card = page.output(0).get_by_role("region", name="Agent desk")
    expect(card).to_contain_text("Help the customer.")
    expect(card.get_by_role("row", name=re.compile("lookup"))).to_contain_text("order_id: int")
    expect(card).to_contain_text("simulated")


def test_a_run_is_live_below_its_cell_while_the_next_cells_run(notebook):
    page = notebook(PIPELINE, "run = pager.start(Question(text='How?'))\nrun", "1 + 1", "gate.set(); await run")
    page.run_cell(0)
    page.run_cell(1)
    view = page.output(1).get_by_role("region", name="Run pager")
    expect(view.get_by_role("status")).to_have_text("running")
    expect(view.get_by_role("button", name="plan: running")).to_be_visible()
    expect(view.get_by_role("button", name="write: pending")).to_be_visible()
    page.run_cell(2)
    expect(page.output(2)).to_contain_text("2")
    page.run_cell(3)
    expect(view.get_by_role("status")).to_have_text("succeeded")
    expect(view.get_by_role("button", name="write: succeeded")).to_be_visible()
    expect(view).to_contain_text("simulated")
    expect(view).to_contain_text("2 of 2 nodes done")
    view.get_by_role("button", name="write: succeeded").click()
    expect(view).to_contain_text("A fine draft")
    expect(view.get_by_role("button", name="Stop run")).to_have_count(0)


def test_a_conversation_shows_who_said_what_and_markup_stays_text(notebook):
    page = notebook(DESK, "run = desk.start('Where is order 8841?')\nrun", "await run")
    page.run_all()
    view = page.output(1).get_by_role("region", name="Run desk")
    view.get_by_role("tab", name="Conversation").click()
    log = view.get_by_role("log", name="Conversation of desk")
    expect(log.get_by_role("article", name="you")).to_contain_text("Where is order 8841?")
    reply = log.get_by_role("article", name="desk")
    expect(reply).to_contain_text("agent")
    expect(reply).to_contain_text("<script>window.hacked = 1</script>")
    expect(reply).to_contain_text("lookup")
    assert page.page.evaluate("window.hacked") is None
    reply.locator("details summary").first.click()
    expect(reply).to_contain_text('"state": "late"')


def test_tokens_arrive_one_by_one_and_stop_ends_the_request(notebook):
    with ChatServer(streams(*(f"word{n} " for n in range(500)), pause=0.02)) as server:
        page = notebook(
            f"import quire\nfrom quire import LLM, Agent\nagent = Agent(LLM('m', base_url='{server.url}'), 'Go on.')",
            "run = agent.start('Count.')\nrun",
            "print(run.status, run.calls.error_type.isna().all(), run.nodes.status[0])",
        )
        page.run_cell(0)
        page.run_cell(1)
        view = page.output(1).get_by_role("region", name="Run agent")
        view.get_by_role("tab", name="Conversation").click()
        expect(view.get_by_role("article", name="agent")).to_contain_text("word3 ")
        expect(view.get_by_role("status")).to_have_text("running")
        began = time.monotonic()
        view.get_by_role("button", name="Stop run").click()
        expect(view.get_by_role("status")).to_have_text("cancelled")
        assert time.monotonic() - began < 1
        wait_until(lambda: server.disconnects)
        assert server.disconnects[0] - began < 1
        page.run_cell(2)
        expect(page.output(2)).to_contain_text("cancelled True cancelled")


def test_the_kernels_own_interrupt_cancels_what_the_cell_awaits(notebook):
    with ChatServer(streams("Thinking", ending="hang")) as server:
        page = notebook(
            f"import quire\nfrom quire import LLM, Agent\nagent = Agent(LLM('m', base_url='{server.url}'), 'Go on.')",
            "print('asking', flush=True)\nawait agent.execute('Anything?')",
            "print(quire.runs().status[0], quire.runs().error_type.isna()[0])",
        )
        page.run_cell(0)
        page.run_cell(1, wait=False)
        expect(page.output(1)).to_contain_text("asking")
        wait_until(lambda: server.requests)
        began = time.monotonic()
        page.press_stop()
        page.wait_idle()
        assert time.monotonic() - began < 1.5  # the click's way to the kernel and back included
        wait_until(lambda: server.disconnects)
        assert server.disconnects[0] - began < 1
        page.run_cell(2)
        expect(page.output(2)).to_contain_text("cancelled True")


def test_a_failure_shows_the_persons_own_line_and_the_way(notebook):
    page = notebook(
        "from quire import Pipeline, Step\n@Step\ndef parse(text: str) -> float:\n    return float(text)\n"
        "@Step\ndef double(number: float) -> int:\n    return int(number * 2)\nprices = Pipeline(parse, double)",
        "run = prices.start('1.299,00')\nrun",
        "1",
    )
    page.run_all()
    view = page.output(1).get_by_role("region", name="Run prices")
    expect(view.get_by_role("status")).to_have_text("failed")
    expect(view).to_contain_text("ValueError")
    expect(view).to_contain_text("prices › parse")
    expect(view).to_contain_text("return float(text)")
    expect(view.get_by_role("button", name="double: skipped")).to_contain_text("skipped")


def test_a_reloaded_page_and_a_second_view_show_the_same(notebook):
    page = notebook(PIPELINE, "run = pager.start(Question(text='How?'))\nrun", "run", "gate.set(); await run")
    page.run_cell(0)
    page.run_cell(1)
    page.run_cell(2)
    for cell in (1, 2):
        expect(page.output(cell).get_by_role("button", name="plan: running")).to_be_visible()
    page.save()
    page.reload()
    for cell in (1, 2):
        expect(page.output(cell).get_by_role("button", name="plan: running")).to_be_visible()
    page.run_cell(3)
    for cell in (1, 2):
        expect(page.output(cell).get_by_role("status")).to_have_text("succeeded")


def test_a_saved_notebook_without_its_kernel_still_shows_everything(notebook, notebook_from, tmp_path):
    page = notebook(PIPELINE + "pager", "gate.set()\nrun = pager.start(Question(text='How?'))\nrun", "await run")
    page.run_all()
    expect(page.output(1).get_by_role("status")).to_have_text("succeeded")
    saved = page.save()
    kinds = [set(output.data) for cell in saved.cells for output in cell.outputs if "data" in output]
    assert kinds[:2] == [{"text/html", "image/svg+xml", "text/plain"}] * 2
    assert "widgets" not in saved.metadata
    assert "succeeded" in saved.cells[1].outputs[0].data["image/svg+xml"]
    assert "A fine draft" in saved.cells[1].outputs[0].data["text/plain"]
    again = notebook_from(shutil.copy(page.path, tmp_path / "saved.ipynb"))
    picture = again.output(1).locator("img")
    expect(picture).to_be_visible()
    assert picture.evaluate("image => image.naturalWidth") > 100
    expect(again.output(1)).to_contain_text("succeeded")
    expect(again.output(1)).not_to_contain_text("Error displaying widget")


def test_after_a_restart_yesterdays_run_is_listed_and_opens(notebook):
    page = notebook(
        PIPELINE + "gate.set()\nawait pager.execute(Question(text='How?'))",
        "import quire\nquire.runs()[['name', 'status']]",
        "quire.load(quire.runs().run[0])",
    )
    page.run_cell(0)
    page.restart_kernel()
    page.run_cell(1)
    expect(page.output(1)).to_contain_text("pager")
    page.run_cell(2)
    view = page.output(2).get_by_role("region", name="Run pager")
    expect(view.get_by_role("button", name="write: succeeded")).to_be_visible()


def test_no_key_press_inside_a_view_reaches_the_notebook(notebook):
    page = notebook(PIPELINE + "pager")
    page.run_all()
    cells = page.page.locator(".jp-Notebook .jp-Cell")
    before = cells.count()
    node = page.output(0).get_by_role("button", name="plan: pending")
    node.focus()
    for key in ("b", "a", "d", "d", "x"):
        page.page.keyboard.press(key)
    page.page.keyboard.press("ArrowRight")
    expect(page.output(0).get_by_role("button", name="write: pending")).to_be_focused()
    page.page.keyboard.press("Enter")
    expect(page.output(0).get_by_role("button", name="write: pending")).to_have_attribute("aria-pressed", "true")
    assert cells.count() == before


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_every_text_of_a_view_stands_out_from_its_ground(notebook, theme):
    page = notebook(DESK, "run = desk.start('Where is order 8841?')\nrun", "await run")
    page.switch_theme(theme)
    page.run_all()
    view = page.output(1).get_by_role("region", name="Run desk")
    expect(view.get_by_role("status")).to_have_text("succeeded")
    for tab in ("Graph", "Conversation"):
        view.get_by_role("tab", name=tab).click()
        faint = view.evaluate(CONTRASTS)
        assert not [text for text, ratio in faint if ratio < 4.5]  # WCAG 2.2, AA


def wait_until(holds, seconds=10.0):
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)
