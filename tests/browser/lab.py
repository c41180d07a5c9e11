"""A real JupyterLab, and a notebook in it, for tests that look at a page as a person does.

`jupyterlab()` runs a server on a free port that shares nothing with the person's own. `Notebook` is one notebook
open in one browser tab: its verbs do what the menus do and wait until it is done; everything on the page is reached
through Playwright's locators. Cells are counted from 0.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import nbformat
from playwright.sync_api import Locator, Page, Request

PATIENCE = 60.0
"""Seconds to wait for what a notebook does, on a small machine with other work."""

SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "@jupyterlab/notebook-extension/tracker": {"windowingMode": "none"},  # else cells off screen are not in the page
    "@jupyterlab/apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "@jupyterlab/docmanager-extension/plugin": {"autosave": False},
    "@jupyterlab/completer-extension/manager": {"autoCompletion": False},
}
"""What a test's JupyterLab does differently from a person's."""

Theme = Literal["JupyterLab Light", "JupyterLab Dark"]

# --- the server -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Lab:
    """A running server."""

    url: str
    token: str
    folder: Path
    """Where its notebooks are."""

    def ask(self, path: str, method: str = "GET") -> Any:
        """Call the server's own interface."""
        request = urllib.request.Request(f"{self.url}api/{path}", method=method)
        request.add_header("Authorization", f"token {self.token}")
        with urllib.request.urlopen(request, timeout=PATIENCE) as reply:
            return json.loads(reply.read() or "null")

    def end_kernels(self) -> None:
        """Shut down every kernel."""
        for kernel in self.ask("kernels"):
            self.ask(f"kernels/{kernel['id']}", "DELETE")


@contextmanager
def jupyterlab(home: Path) -> Iterator[Lab]:
    """Run a server that keeps everything it writes below `home`."""
    folder = home / "notebooks"
    folder.mkdir(parents=True)
    write_settings(home / "settings")
    with (home / "lab.log").open("wb") as log:
        process = subprocess.Popen(
            command(folder), env=environment(home), stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            yield when_up(process, home)
        finally:
            stop(process)


def command(folder: Path) -> list[str]:
    options = {
        "ServerApp.ip": "127.0.0.1",
        "ServerApp.port": "0",  # the system picks one that is free, and the server writes down which
        "ServerApp.root_dir": str(folder),
        "LabApp.expose_app_in_browser": "True",
        "LabApp.check_for_updates_class": "jupyterlab.NeverCheckForUpdate",
    }
    flags = ["--no-browser", "--allow-root"]
    return [sys.executable, "-m", "jupyterlab", *flags, *(f"--{name}={value}" for name, value in options.items())]


def environment(home: Path) -> dict[str, str]:
    """Describe a person without settings, without data and without a QUIRE_HOME: runs stay beside the notebook."""
    own = {
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        "IPYTHONDIR": "ipython",
    }
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "QUIRE_"))}
    return kept | {name: str(home / folder) for name, folder in own.items()}


def write_settings(folder: Path) -> None:
    for plugin, values in SETTINGS.items():
        file = folder / f"{plugin}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values))


def when_up(process: subprocess.Popen[bytes], home: Path) -> Lab:
    """Wait for the file in which the server says where it listens, which it writes once it does."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and process.poll() is None:
        for file in (home / "runtime").glob("jpserver-*.json"):
            if text := file.read_text():
                told = json.loads(text)
                return Lab(told["url"], told["token"], home / "notebooks")
        time.sleep(0.1)
    raise RuntimeError(f"JupyterLab did not start:\n{(home / 'lab.log').read_text()}")


def stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


# --- the notebook -----------------------------------------------------------------------------------------------------


class Notebook:
    """A notebook open in a tab of the browser."""

    def __init__(self, lab: Lab, page: Page, path: Path) -> None:
        self.lab = lab
        self.page = page
        self.path = path
        """The file, below `lab.folder`."""
        self.errors: list[str] = []
        """Exceptions that no script of the page caught."""
        self.strangers: list[str] = []
        """Addresses outside the server that the page asked for."""
        page.set_default_timeout(PATIENCE * 1000)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", self._note)

    def open(self) -> None:
        """Go to the notebook, and wait for its kernel."""
        place = self.path.relative_to(self.lab.folder).as_posix()
        self.page.goto(f"{self.lab.url}lab/tree/{place}?token={self.lab.token}&reset")
        self._wait_for_kernel()

    def reload(self) -> None:
        """Reload the page; the kernel goes on."""
        self.page.reload()
        self._wait_for_kernel()

    def run_all(self, *, wait: bool = True) -> None:
        """Run every cell; without `wait`, come back while they run."""
        self._begin("notebook:run-all-cells")
        if wait:
            self.wait_idle()

    def run_cell(self, index: int, *, wait: bool = True) -> None:
        """Run one cell."""
        self._in_lab("index => { panel.content.deselectAll(); panel.content.activeCellIndex = index; }", index)
        self._begin("notebook:run-cell")
        if wait:
            self.wait_idle()

    def wait_idle(self, seconds: float = PATIENCE) -> None:
        """Wait until what was begun is done, the kernel is idle and no cell shows a star."""
        self.page.wait_for_function(
            f"""() => {{ {PANEL} return !(window.begun ?? 0)
                && panel.sessionContext.session?.kernel?.status === 'idle'
                && panel.content.widgets.every(cell => !cell.promptNode?.textContent.includes('*')); }}""",
            timeout=seconds * 1000,
        )

    def press_stop(self) -> None:
        """Interrupt the kernel, as the square in the toolbar does; a cell that is only queued does not notice."""
        self._in_lab("() => app.commands.execute('notebook:interrupt-kernel').then(() => null)")

    def restart_kernel(self) -> None:
        """Restart the kernel and wait until it is ready again."""
        self._in_lab("() => panel.sessionContext.restartKernel()")
        self._wait_for_kernel()

    def end_kernel(self) -> None:
        """Shut the kernel down; the page stays."""
        self._in_lab("() => panel.sessionContext.shutdown()")

    def switch_theme(self, theme: Theme) -> None:
        """Show JupyterLab in another theme; the next test gets the light one back."""
        self._in_lab("theme => app.commands.execute('apputils:change-theme', { theme }).then(() => null)", theme)
        self.page.wait_for_selector(f'body[data-jp-theme-name="{theme}"]', state="attached")

    def save(self) -> nbformat.NotebookNode:
        """Save the notebook, and read what the file now says."""
        self._in_lab("() => panel.context.save()")
        return nbformat.read(self.path, as_version=4)

    def cell(self, index: int) -> Locator:
        """Point at a cell."""
        return self.page.locator(f"{VISIBLE_PANEL} .jp-Notebook .jp-Cell").nth(index)

    def output(self, index: int) -> Locator:
        """Point at everything a cell shows."""
        return self.cell(index).locator(".jp-Cell-outputArea")

    def text(self, index: int) -> str:
        """Read what a cell shows."""
        return "\n".join(self.output(index).locator(".jp-OutputArea-output").all_inner_texts()).strip()

    def screenshot(self, path: Path) -> Path:
        """Take a picture of the page."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=path, animations="disabled")
        return path

    def close(self) -> None:
        """Close the tab and end its kernel."""
        if self.page.locator('body[data-jp-theme-name="JupyterLab Dark"]').count():
            self.switch_theme("JupyterLab Light")  # the server remembers it for the next page
        self.page.close()
        self.lab.end_kernels()

    def _begin(self, command: str) -> None:
        """Start a command whose promise is kept only when the cells are done, and count it until then."""
        self._in_lab(
            """command => { window.begun = (window.begun ?? 0) + 1;
               app.commands.execute(command).catch(() => null).finally(() => { window.begun -= 1; }); }""",
            command,
        )

    def _wait_for_kernel(self) -> None:
        self.page.wait_for_selector(f"{VISIBLE_PANEL} .jp-Notebook")
        self.page.wait_for_function(
            f"""() => {{ {PANEL} const kernel = panel?.sessionContext?.session?.kernel;
                return kernel?.status === 'idle' && kernel.connectionStatus === 'connected'; }}"""
        )

    def _in_lab(self, function: str, argument: object = None) -> Any:
        """Call a JavaScript function that sees `app`, the application, and `panel`, the notebook."""
        return self.page.evaluate(f"argument => {{ {PANEL} return ({function})(argument); }}", argument)

    def _note(self, request: Request) -> None:
        if re.match(r"(https?|wss?):", request.url) and not request.url.startswith(self.lab.url):
            self.strangers.append(request.url)


PANEL = "const app = window.jupyterapp; const panel = app?.shell.currentWidget;"
VISIBLE_PANEL = ".jp-NotebookPanel:not(.lm-mod-hidden)"


def written(path: Path, cells: tuple[str, ...]) -> Path:
    """Write a notebook of code cells."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, path)
    return path
