"""Import: how long a cold interpreter takes to load the names people use, and what it loads for them."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import AsyncExitStack

from tests.benchmarks.peers import BURR, LANGGRAPH, PYDANTIC_AI, SDK
from tests.benchmarks.rounds import Contender, Once, interleave
from tests.benchmarks.table import AtMost, Table, compared

__all__ = ["measure"]

PYDANTIC = "pydantic.BaseModel"
QUIRE = "quire"
OURS = {
    QUIRE: "import quire",
    "quire, its everyday names": "from quire import LLM, Agent, Pipeline, Run, Step, Tool",
}
"""A name of Quire is loaded when it is first used: the second line is what a program pays that uses them all."""
OTHERS = {
    PYDANTIC: "from pydantic import BaseModel",
    BURR: "import burr.core",
    SDK: "import openai",
    PYDANTIC_AI: "from pydantic_ai import Agent",
    LANGGRAPH: "from langgraph.graph import StateGraph",
}
UNWANTED = ("pandas", "httpx", "IPython", "ipywidgets", "anywidget")
ROUNDS = 7


def measure() -> Table:
    """Start a new interpreter for every sample."""
    contenders = [_importer(name, line) for name, line in (OTHERS | OURS).items()]
    timings = asyncio.run(interleave(contenders, rounds=ROUNDS, warm_up=1))
    return Table(
        work="Import",
        how=f"cold processes, {ROUNDS} rounds, against {PYDANTIC}",
        lines=compared(timings, PYDANTIC, {QUIRE: AtMost(times=1.5)}),
        notes=[f"{name}: {_loaded(line)}" for name, line in OURS.items()],
    )


def _importer(name: str, line: str) -> Contender:
    code = f"from time import perf_counter as now; began = now(); {line}; print(now() - began)"

    async def once() -> float:
        return float(_run(code))

    async def prepare(_: AsyncExitStack) -> Once:
        _run(code)
        return once

    return Contender(name, prepare)


def _run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    if "ModuleNotFoundError" in done.stderr:
        raise ImportError(done.stderr.splitlines()[-1])
    done.check_returncode()
    return done.stdout


def _loaded(line: str) -> str:
    code = f"import sys; {line}; print(len(sys.modules), *({{*sys.modules}} & {{*{UNWANTED!r}}}))"
    count, *unwanted = _run(code).split()
    found = f"AMONG THEM {', '.join(unwanted)}" if unwanted else f"none of {', '.join(UNWANTED)}"
    return f"{count} modules, {found}"
