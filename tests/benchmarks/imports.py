"""Import: how long a cold interpreter takes to load the names people use, and what it loads for them."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import AsyncExitStack

from tests.benchmarks.peers import named
from tests.benchmarks.rounds import Contender, Once, interleave
from tests.benchmarks.table import AtMost, Table, compared

__all__ = ["measure"]

PYDANTIC = "pydantic.BaseModel"
EVERYDAY = "from quire import LLM, Agent, Pipeline, Run, Step, Tool"
OURS = {"quire": "import quire", "quire, its everyday names": EVERYDAY}
OTHERS = {
    PYDANTIC: "from pydantic import BaseModel",
    named("burr", "burr"): "import burr.core",
    named("openai SDK", "openai"): "import openai",
    named("pydantic-ai", "pydantic-ai-slim"): "from pydantic_ai import Agent",
    named("langgraph", "langgraph"): "from langgraph.graph import StateGraph",
}
UNWANTED = ("pandas", "httpx", "IPython", "ipywidgets", "anywidget")
ROUNDS = 7


def measure() -> Table:
    """Start a new interpreter for every sample."""
    contenders = [_importer(name, line) for name, line in (OTHERS | OURS).items()]
    timings = asyncio.run(interleave(contenders, rounds=ROUNDS, warm_up=1))
    goals = dict.fromkeys(OURS, AtMost(times=1.5))
    how = f"cold processes, {ROUNDS} rounds, against {PYDANTIC}"
    notes = [f"{name} loads {_loaded(line)}" for name, line in OURS.items()]
    return Table(work="Import", how=how, lines=compared(timings, PYDANTIC, goals), notes=notes)


def _importer(name: str, line: str) -> Contender:
    code = f"from time import perf_counter as now; began = now(); {line}; print(now() - began)"

    async def prepare(_: AsyncExitStack) -> Once:
        _run(code)
        return once

    async def once() -> float:
        return float(_run(code))

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
    return f"{count} modules, and {', '.join(unwanted)}" if unwanted else f"{count} modules, none of {', '.join(UNWANTED)}"
