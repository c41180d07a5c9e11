"""Run benchmarks: all of them, or those that are named.

    python -m tests.benchmarks
    python -m tests.benchmarks call chain
    python -m tests.benchmarks --strict      exit with 1 when a goal is missed

A peer that is not installed is left out; `pip install -e '.[bench]'` installs them.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import warnings
from collections.abc import Callable, Sequence
from importlib import import_module
from time import perf_counter

from quire import __version__
from tests.benchmarks.table import Table, summary

PROGRAMS = {
    "import": "imports",
    "call": "call",
    "run": "agent_run",
    "pipeline": "pipeline",
    "chain": "chain",
    "fanout": "fanout",
    "graph": "graph",
    "construct": "construct",
    "stream": "stream",
    "crowd": "crowd",
    "cancel": "cancel",
    "session": "session",
    "tables": "frames",
    "stores": "stores",
    "browser": "browser",
}
"""What can be measured, and the module that does."""


def main(arguments: Sequence[str]) -> int:
    """Print a table for each program, then how the goals fared."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description="Measure Quire beside its peers.")
    parser.add_argument("names", nargs="*", metavar="name", help=f"what to measure: {', '.join(PROGRAMS)}; all if none")
    parser.add_argument("--strict", action="store_true", help="exit with 1 when a goal is missed")
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.names if name not in PROGRAMS]:
        parser.error(f"there is no benchmark {unknown[0]!r}; there are {', '.join(PROGRAMS)}")
    print(f"{os.cpu_count()} cores, load average {_load()}; Python {platform.python_version()}, Quire {__version__}\n")
    tables = [_measured(name) for name in options.names or PROGRAMS]
    print(summary(tables))
    missed = any(line.goal and not line.goal.met for table in tables for line in table.lines)
    return int(options.strict and missed)


def _measured(name: str) -> Table:
    measure: Callable[[], Table] = import_module(f"tests.benchmarks.{PROGRAMS[name]}").measure
    began = perf_counter()
    table = measure()
    table.notes.append(f"measured in {perf_counter() - began:.0f} s, load average then {_load()}")
    print(f"{table}\n", flush=True)
    return table


def _load() -> str:
    return " ".join(f"{load:.1f}" for load in os.getloadavg())


if __name__ == "__main__":
    # What is measured leaves no runs beside the person's notebooks, and the peers' deprecations are not our news.
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory(prefix="quire-benchmarks-") as home:
        os.environ["QUIRE_HOME"] = home
        sys.exit(main(sys.argv[1:]))
