"""What several rooms' tests need: programs of their own, a page's side of a live view, typed things to pass around."""

from __future__ import annotations

import asyncio
import copy
import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from quire.core.codec import decode, encode
from quire.events import Event
from quire.run.record import Record
from quire.views import tables
from quire.views.live import RunFold

ROOT = Path(__file__).parents[1]
ENDS = {"succeeded", "failed", "skipped", "cancelled"}


class Question(BaseModel):
    text: str


class Outline(BaseModel):
    points: list[str]


class Draft(BaseModel):
    body: str


class OnePager(BaseModel):
    summary: str


def program(text: str, home: Path, **env: str) -> subprocess.Popen[str]:
    """Begin a Python program in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(text)],
        env={**os.environ, "QUIRE_HOME": str(home), "PYTHONPATH": str(ROOT), **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def output_of(text: str, home: Path, *, within: float = 20, **env: str) -> str:
    """Return what a program prints; fail if it ends badly or not in time."""
    running = program(text, home, **env)
    try:
        out, err = running.communicate(timeout=within)
    except subprocess.TimeoutExpired:
        running.kill()
        raise AssertionError(f"not over after {within} s:\n{running.communicate()}") from None
    assert running.returncode == 0, err
    return out.strip()


def folded(events: Iterable[Event]) -> Any:
    """Return what a view shows of these events, as the JSON that goes to the page."""
    fold = RunFold()
    for event in events:
        fold.apply(event)
    return plain(fold.snapshot())


def plain(value: Any) -> Any:
    return json.loads(json.dumps(value))


def patched(snapshot: Any, patch: Any) -> Any:
    """Do what a page does with a patch: heads and nodes are replaced, messages replaced by id or appended to."""
    shown = copy.deepcopy(snapshot)
    shown["head"] = patch.get("head", shown["head"])
    shown["nodes"].update({node["id"]: node for node in patch.get("nodes", ())})
    messages = {message["id"]: message for message in shown["messages"]}
    for change in patch.get("messages", ()):
        if "append" in change:
            part, text = change["append"]
            messages[change["id"]]["parts"][part]["text"] += text
        else:
            messages[change["id"]] = change
    shown["messages"] = list(messages.values())
    return shown


def tables_of(events: list[Event]) -> dict[str, Any]:
    """Return every table of a run, as comparable text."""
    made = [tables.nodes, tables.calls, tables.tools, tables.messages, tables.events, tables.cost]
    return {table.__name__: table(events).to_json(orient="split", date_format="iso") for table in made}


def reread(events: Iterable[Event]) -> list[Event]:
    """Return the events as a store gives them back."""
    return [decode(encode(event)) for event in events if not event.ephemeral]


def kinds(record: Record, name: str | None = None) -> list[str]:
    """Return the kinds of a run's events in order: all, or those of the span that began under a name."""
    spans = {e.span for e in record.past if getattr(e, "name", None) == name or getattr(e, "tool", None) == name}
    return [event.kind for event in record.past if name is None or event.span in spans]


def ends(record: Record) -> dict[str, Any]:
    """Return the last event of everything that started or was skipped in a run, by name."""
    names = {e.span: e.name for e in record.past if e.kind in {"started", "skipped"}}
    return {names[e.span]: e for e in record.past if e.span in names and e.kind in ENDS}


def tasks_left() -> list[asyncio.Task[Any]]:
    """Return the tasks of this loop other than the one that asks."""
    return [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
