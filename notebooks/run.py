"""Run a notebook from top to bottom without a browser, and print what its last cell shows.

    python notebooks/run.py notebooks/01_first_pipeline.ipynb [--save]

The notebook file is left as it is, unless `--save` puts the fresh outputs into it; what its runs record goes to a
folder that is deleted afterward.
Exits with 1 and the cell's own error if a cell fails.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

SECONDS_A_CELL = 300
"""How long one cell may take, on a slow machine, before it counts as hanging."""


def main() -> int:
    """Run the notebook named on the command line."""
    path = Path(next((word for word in sys.argv[1:] if word != "--save"), ""))
    if path.suffix != ".ipynb" or not path.is_file():
        print(f"{path} is no notebook. Usage: python notebooks/run.py NOTEBOOK.ipynb [--save]", file=sys.stderr)
        return 2
    began = time.monotonic()
    try:
        notebook = execute(path)
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        print(f"{path} stopped:\n\n{plain(str(error))}", file=sys.stderr)
        return 1
    if "--save" in sys.argv:
        nbformat.write(cleaned(notebook), path)
    print(last_output(notebook))
    print(f"\n{path} ran in {time.monotonic() - began:.1f} s, from top to bottom.")
    print("Open it with `make lab` to watch it live; the other notebooks stand beside it.")
    return 0


def execute(path: Path) -> nbformat.NotebookNode:
    """Execute every cell in a kernel of this very Python, in the notebook's own folder."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        kernel_name="python3",
        timeout=SECONDS_A_CELL,
        store_widget_state=False,
        coalesce_streams=True,  # how often a cell's prints were sent tells only how busy the machine was
        extra_arguments=["--log-level=ERROR"],  # the kernel's advice about its own transport is not for this reader
    )
    with tempfile.TemporaryDirectory(prefix="quire-") as home:
        environment = {**os.environ, "QUIRE_HOME": home}
        client.execute(cwd=str(path.parent), env=environment)
    return notebook


def cleaned(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Drop what differs from one run to the next without meaning anything."""
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
    notebook.metadata.pop("widgets", None)
    return notebook


def last_output(notebook: nbformat.NotebookNode) -> str:
    """Take the text of the last cell that shows something."""
    for cell in reversed(notebook.cells):
        texts = [plain(text) for output in cell.get("outputs", []) if (text := text_of(output))]
        if texts:
            return "\n".join(texts)
    return "The notebook shows nothing."


def text_of(output: nbformat.NotebookNode) -> str:
    """Take what a terminal can show of one output."""
    return output.get("text") or output.get("data", {}).get("text/plain", "")


def plain(text: str) -> str:
    """Drop the colors that a kernel puts into text."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text).rstrip()


if __name__ == "__main__":
    sys.exit(main())
