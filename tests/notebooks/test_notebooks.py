"""Every notebook runs from top to bottom with no key, and what is saved in it looks right without a kernel."""

from __future__ import annotations

import importlib.util
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))

spec = importlib.util.spec_from_file_location("run_notebook", ROOT / "notebooks" / "run.py")
runner = importlib.util.module_from_spec(spec)
spec.loader.exec_module(runner)

every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


@every_notebook
def test_it_runs_from_top_to_bottom_and_ends_with_what_it_promised(path):
    fresh = runner.execute(path)
    saved = nbformat.read(path, as_version=4)
    assert columns(runner.last_output(fresh)) == columns(runner.last_output(saved))
    assert [kinds(cell) for cell in fresh.cells] == [kinds(cell) for cell in saved.cells]


def test_a_run_that_ends_between_two_cells_is_saved_as_it_ended(tmp_path):
    start = "from quire import Step\n\n@Step\nasync def quick(n: int) -> int:\n    return n\n\nquick.start(1)"
    cells = [nbformat.v4.new_code_cell(source) for source in (start, "1 + 1", "1 + 1")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "quick.ipynb")
    (shown,) = runner.execute(tmp_path / "quick.ipynb").cells[0].outputs
    assert "succeeded" in shown.data["text/plain"]
    assert "succeeded" in shown.data["image/svg+xml"]


def test_what_was_recorded_is_replayed_where_nothing_may_be_asked(monkeypatch):
    path = ROOT / "notebooks" / "03_replay.ipynb"
    recorded = path.with_suffix(".jsonl").read_bytes()
    monkeypatch.setenv("QUIRE_CASSETTE_MODE", "replay")  # as on Binder
    runner.execute(path)
    assert path.with_suffix(".jsonl").read_bytes() == recorded


@every_notebook
def test_its_saved_outputs_need_no_kernel(path):
    saved = nbformat.read(path, as_version=4)
    assert "widgets" not in saved.metadata
    outputs = [output for cell in saved.cells for output in cell.get("outputs", [])]
    assert outputs, "save it with its outputs: python notebooks/run.py NOTEBOOK --save"
    for output in outputs:
        # What was started has ended by now, and says how.
        assert not re.search(r"^[^\n]*: (pending|running)", output.get("data", {}).get("text/plain", ""))
        assert output.output_type != "error"
        assert "application/vnd.jupyter.widget-view+json" not in output.get("data", {})
    pictures = [output.data["image/svg+xml"] for output in outputs if "image/svg+xml" in output.get("data", {})]
    assert pictures
    for picture in pictures:
        ET.fromstring(picture)
    assert any("succeeded" in picture for picture in pictures)


@every_notebook
def test_it_says_that_the_models_words_are_simulated_and_nothing_of_this_machine(path):
    text = path.read_text()
    assert "simulated" in text
    assert not re.search(r'"(/home/|/root|/work|/tmp|/Users)', text)


def columns(table):
    return table.splitlines()[0].split()


def kinds(cell):
    return [sorted(output.get("data", {output.get("name", ""): ""})) for output in cell.get("outputs", [])]
