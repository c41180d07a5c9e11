"""One JupyterLab and one browser for all tests here; a fresh notebook, page and kernel for each.

    def test_it(notebook):
        page = notebook("import quire", "quire.__doc__")
        page.run_all()
        expect(page.output(1)).to_contain_text("notebook")

`notebook_from(path)` opens a copy of a file instead. Tests here are plain functions: the browser's driver keeps the
event loop of this thread.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, sync_playwright

from tests.browser.lab import Lab, Notebook, jupyterlab, written

NAMES = ("chromium", "chromium-browser", "google-chrome")

FLAGS = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # whatever a page wants, only this machine is there
    "--no-first-run",
    "--no-sandbox",  # root, in a container
)

failed = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember that a test failed, so that its notebooks can be photographed."""
    report = yield
    item.stash[failed] = item.stash.get(failed, False) or report.failed
    return report


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with jupyterlab(tmp_path_factory.mktemp("lab")) as server:
        yield server


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    chromium = found() or installed()
    with sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=chromium, args=FLAGS)
        yield running
        running.close()


@pytest.fixture(scope="session")
def window(browser: Browser) -> BrowserContext:
    """One window for all tests, so that JupyterLab itself is fetched once."""
    return browser.new_context(viewport={"width": 1400, "height": 1000})


@pytest.fixture
def open_copy(
    lab: Lab, window: BrowserContext, request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[Callable[[Path], Notebook]]:
    """Open notebooks that lie in the server's folder, and close them after the test."""
    with ExitStack() as after:

        def open_path(path: Path) -> Notebook:
            notebook = Notebook(lab, window.new_page(), path)
            after.callback(leave, notebook, request.node, tmp_path / f"{path.stem}.png")
            notebook.open()
            return notebook

        yield open_path


@pytest.fixture
def notebook(open_copy: Callable[[Path], Notebook], folder: Path) -> Callable[..., Notebook]:
    """Open a new notebook of the given code cells."""
    numbers = count(1)
    return lambda *cells: open_copy(written(folder / f"notebook_{next(numbers)}.ipynb", cells))


@pytest.fixture
def notebook_from(open_copy: Callable[[Path], Notebook], folder: Path) -> Callable[[Path], Notebook]:
    """Open a copy of a notebook's file."""
    return lambda path: open_copy(Path(shutil.copy(path, folder)))


@pytest.fixture
def folder(lab: Lab, tmp_path: Path) -> Path:
    """Where the test's notebooks lie, and what their runs leave beside them."""
    place = lab.folder / tmp_path.name
    place.mkdir()
    return place


def leave(notebook: Notebook, item: pytest.Item, picture: Path) -> None:
    """Close a notebook; if its test failed, leave a picture of it."""
    try:
        if item.stash.get(failed, False):
            print(f"Picture of the page: {notebook.screenshot(picture)}\nIts errors: {notebook.errors}")
    finally:
        notebook.close()
    assert not notebook.strangers, "The page asked for something outside this machine."


def found() -> str | None:
    """Find the browser that is named or installed."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


def installed() -> str:
    """Install Debian's browser, or say why these tests cannot run."""
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        give_up("no Chromium here: install one, or set CHROMIUM to its path")
    for step in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", "chromium"]):
        done = subprocess.run(
            ["apt-get", *step],
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            give_up(f"Chromium could not be installed:\n{done.stdout}")
    return found() or give_up("Chromium was installed but is not found; set CHROMIUM to its path")


def give_up(reason: str) -> str:
    """Fail where nobody would notice a skip."""
    return pytest.fail(reason, pytrace=False) if os.environ.get("CI") else pytest.skip(reason)
