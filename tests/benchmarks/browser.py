"""In a real JupyterLab: the first paint of a large graph, and a reply that arrives faster than anyone reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import quire_widgets
from tests.benchmarks.table import Goal, Line, Table, in_words

if TYPE_CHECKING:
    from tests.browser.lab import Notebook

__all__ = ["measure"]

NODES = 1_000
OPENED, AGAIN = 3, 6
RATE, SECONDS = 1_000, 5
PIECES = RATE * SECONDS
MODULUS = 36**5
"""Milliseconds are said modulo this many: five digits in base 36."""

GRAPH = f"""
from dataclasses import make_dataclass
from quire import Pipeline, Step

def step(name, takes):
    gives = make_dataclass(f"Of_{{name}}", [("n", int)])
    source = f"async def work({{', '.join(f'v{{i}}' for i in range(len(takes)))}}): return gives(0)"
    space = {{"gives": gives}}
    exec(source, space)
    space["work"].__annotations__ = {{f"v{{i}}": kind for i, kind in enumerate(takes)}} | {{"return": gives}}
    return Step(space["work"], name=name)

def layered(layers, width):
    "A graph in layers: every node reads the one above it, every second one a further one beside that."
    above, steps = [str] * width, []
    for layer in range(layers):
        made = [
            step(f"node_{{layer}}_{{i}}", [above[i], above[(i + 7) % width]] if layer and i % 2 else [above[i]])
            for i in range(width)
        ]
        steps += made
        above = [one.output for one in made]
    return Pipeline(*steps, step("end", above), name="layered")

flow = layered(37, 27)
assert len(flow.graph()["nodes"]) == {NODES}
"""

METRONOME = f"""
import asyncio, time
from quire import Agent
from quire.core.messages import Message
from quire.core.ports import Abilities, Answer, Piece

def in_base_36(n):
    digits = ""
    for _ in range(5):
        n, digit = divmod(n, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + digits
    return digits

class Metronome:
    "A model that streams if it is asked to, as providers do."

    provider, model, simulated, abilities = "benchmark", "metronome", True, Abilities()

    async def ask(self, request):
        await asyncio.sleep(1)  # the page finds its view meanwhile
        clock = asyncio.get_running_loop().time
        begun, said = clock(), []
        for number in range({PIECES}):
            wait = begun + number / {RATE} - clock()
            if wait > 0:
                await asyncio.sleep(wait)
            said.append(in_base_36(int(time.time() * 1000) % {MODULUS}) + " ")
            if request.stream:
                yield Piece(text=said[-1])
        yield Answer(message=Message.of("assistant", "".join(said)), finish_reason="stop", usage=None)

agent = Agent(Metronome(), "Tick.", name="agent")
"""

SUM = """
import hashlib
from quire.events import Responded
[reply] = [event for event in run.log.events if isinstance(event, Responded)]
print(hashlib.sha256(reply.message.text.encode()).hexdigest(), end="")
"""

GRAPH_CELLS = (GRAPH, "flow", "run = flow.start('Go')\nawait run", "run.graph")
LIVE_CELLS = (METRONOME, "run = agent.start('Go')\nrun.conversation", SUM)


def measure() -> Table:
    """Open notebooks in a browser, and look at them as their reader does."""
    try:
        with _browser() as opened:
            lines = [*_first_paint(opened), *_live(opened("live", LIVE_CELLS))]
    except ImportError as missing:
        lines = [Line(name=str(missing), figure="not installed")]
    return Table(work="In a real JupyterLab", how="from the kernel to what is painted", lines=lines)


@contextmanager
def _browser() -> Iterator[Callable[[str, tuple[str, ...]], Notebook]]:
    """Run JupyterLab and a browser, and yield what opens a notebook of a name and cells in a page of its own."""
    from playwright.sync_api import sync_playwright

    from tests.browser.conftest import FLAGS, found
    from tests.browser.lab import Notebook, jupyterlab, written

    chromium = found()
    if missing := [name for name, there in _needed(chromium).items() if not there]:
        raise ImportError(missing[0])
    with (
        TemporaryDirectory(prefix="quire-benchmark-") as home,
        jupyterlab(Path(home)) as lab,
        sync_playwright() as driver,
    ):
        browser = driver.chromium.launch(executable_path=chromium, args=FLAGS)

        def opened(name: str, cells: tuple[str, ...]) -> Notebook:
            page = browser.new_page(viewport={"width": 1400, "height": 1000})
            page.add_init_script(path=Path(__file__).with_name("watch.js"))
            notebook = Notebook(lab, page, written(lab.folder / f"{name}.ipynb", cells))
            notebook.open()
            return notebook

        yield opened
        browser.close()


def _needed(chromium: str | None) -> dict[str, bool]:
    bundle = Path(quire_widgets.__file__).parent / "static" / "screen.js"
    return {
        "JupyterLab": find_spec("jupyterlab") is not None,
        "Chromium": chromium is not None,
        str(bundle): bundle.exists(),
    }


def _first_paint(opened: Callable[[str, tuple[str, ...]], Notebook]) -> list[Line]:
    firsts: list[_Paint] = []
    for number in range(OPENED):
        page = opened(f"graph_{number}", GRAPH_CELLS)
        page.run_cell(0)
        firsts.append(_painted(page, 1))
        if number < OPENED - 1:
            page.close()
    again = [_painted(page, 1) for _ in range(AGAIN)]
    page.run_cell(2)
    runs = [_painted(page, 3) for _ in range(AGAIN)]
    page.close()
    return [
        _in_half_a_second(f"first paint of {NODES:,} nodes, a flow's card, page just opened", firsts),
        _in_half_a_second("the same, in a page that has painted before", again),
        _in_half_a_second("the same, a run's graph", runs),
        _line("from running the cell on, a flow's card", [paint.whole for paint in again]),
        _line("from running the cell on, a run's graph", [paint.whole for paint in runs]),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Paint:
    """How long a reader waits for a picture, in seconds."""

    seconds: float
    """From its data to the picture."""
    whole: float
    """From running the cell to the picture."""


def _in_half_a_second(name: str, paints: list[_Paint]) -> Line:
    seconds = [paint.seconds for paint in paints]
    return _line(name, seconds, Goal("<= 500 ms", median(seconds) <= 0.5))


def _line(name: str, seconds: list[float], goal: Goal | None = None) -> Line:
    return Line(name=name, figure=in_words(median(seconds)), best=in_words(min(seconds)), goal=goal)


def _painted(page: Notebook, cell: int) -> _Paint:
    """Show a graph once more."""
    page.page.evaluate("watch.arrived.length = watch.painted.length = 0; watch.began = performance.now();")
    page.run_cell(cell)
    page.page.wait_for_function("nodes => watch.painted.some(picture => picture.nodes === nodes)", arg=NODES)
    seen = page.page.evaluate("({ ...watch, follow: null })")
    at = seen["painted"][0]["at"]
    return _Paint(seconds=(at - seen["arrived"][0]) / 1000, whole=(at - seen["began"]) / 1000)


def _live(page: Notebook) -> list[Line]:
    page.run_cell(0)
    page.page.evaluate("modulus => watch.follow(modulus)", MODULUS)
    page.run_cell(1)
    page.page.wait_for_selector('section.quire [data-status="succeeded"]', timeout=1000 * 6 * SECONDS)
    page.page.wait_for_timeout(500)  # the last frames
    seen: dict[str, Any] = page.page.evaluate("() => { watch.following = false; return { ...watch, follow: null }; }")
    page.run_cell(2)
    lost = PIECES - len(seen["latencies"]) if sha256(seen["pieces"].encode()).hexdigest() == page.text(2) else PIECES
    page.close()
    return _verdict(seen, lost)


def _verdict(seen: dict[str, Any], lost: int) -> list[Line]:
    if not seen["latencies"]:
        return [Line(name=f"events that were lost, of {PIECES:,}", figure=f"{PIECES:,}", goal=Goal("none", met=False))]
    latencies = [piece["ms"] / 1000 for piece in seen["latencies"]]
    last = seen["frames"][seen["latencies"][-1]["frame"] - 1]
    frames = [later - earlier for earlier, later in pairwise(seen["frames"]) if last - 1000 * SECONDS <= earlier < last]
    rate, p95 = 1000 * len(frames) / sum(frames), quantiles(latencies, n=20)[-1]
    return [
        Line(name=f"{RATE:,} events a second: frames a second", figure=f"{rate:.1f}", goal=Goal(">= 55", rate >= 55)),
        Line(name="the longest frame", figure=in_words(max(frames) / 1000)),
        _line("from an event to its picture, median", latencies),
        Line(name="from an event to its picture, p95", figure=in_words(p95), goal=Goal("<= 100 ms", p95 <= 0.1)),
        Line(name=f"events that were lost, of {PIECES:,}", figure=f"{lost:,}", goal=Goal("none", lost == 0)),
    ]
