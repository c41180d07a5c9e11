"""Which span a name means, when somebody gives it another output: that of a node, or of a call of a tool.

A node is named by its path, as in `run.nodes`; one of many by its item: `"revise[2]"`. A tool is named below the
agent that used it, which is left out if it is the run itself: `"search"`, `"writer/search"`. Its calls are counted
in the order of `run.tools`: the third is `"search[2]"`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from quire.core.errors import DefinitionError
from quire.core.events import Called, Event, Failed, Resumed, Returned, Started, Succeeded
from quire.views.rows import Reading

__all__ = ["Outputs"]

_ITEM = re.compile(r"(?P<what>.+)\[(?P<number>\d+)\]")


class Outputs:
    """What in a run has given something, by name.

    Example:
        >>> came = {"seq": 1, "at": 0.0, "run": "r", "span": "1", "parent": None}
        >>> events = [Started(**came, name="greet", of="step"), Succeeded(**{**came, "seq": 2}, output="Hi")]
        >>> Outputs(events, Reading(events)).span("greet")
        '1'
    """

    def __init__(self, past: Sequence[Event], log: Reading) -> None:
        self._log = log
        self.done = _done(past)
        """Nodes that succeeded last."""
        self._calls: dict[str, list[Called]] = {}
        """By name, in order."""
        for call in log.of(Called):
            self._calls.setdefault(self._path(call), []).append(call)
        self._returned = {event.span for event in log.of(Returned)}
        self._work = {(log.nodes[span].parent, log.names[span]): span for span in log.nodes if span in self.done}
        """Nodes by what they are a part of, and their name."""

    def span(self, name: str) -> str:
        """Return the span that a name means.

        Raises:
            DefinitionError: nothing of that name gave anything, or several things did.
        """
        told = _ITEM.fullmatch(name)
        what, number = (told["what"], int(told["number"])) if told else (name, None)
        found = self._nodes(what, number) or self._given(what, number)
        if not found:
            message = f"There is no output of `{name}` to edit: nothing of that name had succeeded there."
            known = ", ".join(self._known()) or "none"
            raise DefinitionError(message, remedy=f"These had: {known}; `input` is the input of the run.")
        if len(found) > 1 and not self._goes_round(found[0]):
            message = f"`{name}` ran {len(found)} times."
            raise DefinitionError(message, remedy=f'Say which: edit={{"{name}[0]": ...}}')
        return found[-1]

    def item(self, span: str) -> int | None:
        """Return which of many a node is."""
        node = self._log.nodes.get(span)
        return node.item if isinstance(node, Started) else None

    def _nodes(self, path: str, item: int | None) -> list[str]:
        found = [
            span
            for span, known in self._log.names.items()
            if known == path and span in self.done and (item is None or self.item(span) == item)
        ]
        if len(found) > 1 and self._log.root.span in found:  # a fan-out is called like its items
            found.remove(self._log.root.span)
        return found

    def _given(self, path: str, number: int | None) -> list[str]:
        """Return the calls of a tool that gave something; where a node did their work, that node."""
        calls = self._calls.get(path, [])
        some = calls if number is None else calls[number : number + 1]
        return [self._work.get((call.span, path), call.span) for call in some if call.span in self._returned]

    def _goes_round(self, span: str) -> bool:
        node = self._log.nodes.get(span)
        above = None if node is None else self._log.nodes.get(node.parent or "")
        return above is not None and above.of == "loop"

    def _path(self, call: Called) -> str:
        node = self._log.home(call.parent)
        return call.tool if node is None or node == self._log.root.span else f"{self._log.names[node]}/{call.tool}"

    def _known(self) -> Iterable[str]:
        nodes = [self._log.names[span] for span in self._log.nodes if span in self.done]
        calls = [path for path, calls in self._calls.items() if any(call.span in self._returned for call in calls)]
        return dict.fromkeys([*nodes, *calls])


def _done(past: Sequence[Event]) -> set[str]:
    """Return what succeeded, and was not begun again."""
    done: set[str] = set()
    for event in past:
        if isinstance(event, Succeeded):
            done.add(event.span)
        elif isinstance(event, Started | Resumed | Failed):
            done.discard(event.span)
    return done
