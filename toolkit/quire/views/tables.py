"""A run as DataFrames: each table is a fold of the log onto columns declared in `quire.views.columns`.

The functions are pure: the same events give the same tables, with or without the ephemeral ones, and a log that
has not ended gives the tables so far. Who wants several tables of one long log hands each the same `Reading` of
it: then it is looked through once. pandas is imported when the first table is made, and nowhere else in Quire.

What a reply costs is known or NA, never guessed: a total that contains a reply without a known price is NA, and
`unpriced_calls` says how many there are. A call without a reply (it failed, or still runs) has nothing to add.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from quire.core.errors import DefinitionError
from quire.views import rows
from quire.views import session as folds
from quire.views.columns import GROUPINGS, TABLES, Column, Dtype, Table
from quire.views.rows import Columns, Reading

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pandas as pd

    from quire.core.events import Event
    from quire.core.price import Quote
    from quire.views.session import SessionFold

__all__ = [
    "Column",
    "Reading",
    "branches",
    "calls",
    "checkpoints",
    "cost",
    "costs",
    "events",
    "messages",
    "models",
    "nodes",
    "reprice",
    "runs",
    "schema",
    "session_messages",
    "sessions",
    "states",
    "tools",
]


def nodes(log: Iterable[Event] | Reading) -> pd.DataFrame:
    """Return one row a node of a run: what it took, gave and cost, and how it ended.

    Tokens and cost are those of a node's own model calls, so that the rows add up to the run.

    Example:
        >>> from quire.core.events import Started, Succeeded
        >>> log = [
        ...     Started(seq=1, at=0.0, run="r", span="1", parent=None, name="greet", of="step"),
        ...     Succeeded(seq=2, at=1.5, run="r", span="1", parent=None, output="hello"),
        ... ]
        >>> nodes(log)[["node", "status", "duration_s", "output"]]
            node     status  duration_s   output
        0  greet  succeeded         1.5  "hello"
    """
    return _frame(TABLES["nodes"], rows.nodes(_read(log)))


def calls(log: Iterable[Event] | Reading) -> pd.DataFrame:
    """Return one row a model call of a run."""
    return _frame(TABLES["calls"], _read(log).calls)


def tools(log: Iterable[Event] | Reading) -> pd.DataFrame:
    """Return one row a tool call of a run."""
    return _frame(TABLES["tools"], rows.tools(_read(log)))


def messages(log: Iterable[Event] | Reading) -> pd.DataFrame:
    """Return one row a message of a run; a reply has one for each of its parts."""
    return _frame(TABLES["messages"], rows.messages(_read(log)))


def events(log: Iterable[Event] | Reading) -> pd.DataFrame:
    """Return one row an event of a run, of kinds this version does not know too."""
    return _frame(TABLES["events"], rows.events(_read(log)))


def states(log: Iterable[Event] | Reading) -> pd.DataFrame:
    """Return one row a write to a run's state."""
    return _frame(TABLES["states"], rows.states(_read(log)))


def cost(log: Iterable[Event] | Reading) -> pd.DataFrame:
    """Return a run's model calls by agent and model."""
    return _frame(TABLES["cost"], rows.costs([_read(log)], ("agent", "model", "provider")))


def runs(logs: Iterable[Iterable[Event]]) -> pd.DataFrame:
    """Return one row a run that has begun, newest first; each log is one run's events."""
    return _frame(TABLES["runs"], rows.runs(map(Reading, logs)))


def costs(logs: Iterable[Iterable[Event]], by: str | Sequence[str] = "agent") -> pd.DataFrame:
    """Return the model calls of any number of runs in groups; each log is one run's events.

    `by` is one or more of run, agent, node, model, provider, session, tenant and day (of UTC).

    Raises:
        DefinitionError: if `by` names anything else, or nothing.

    Example:
        >>> list(costs([], by=["day", "model"]).columns)[:3]
        ['day', 'model', 'calls']
    """
    names = tuple(dict.fromkeys(map(str, [by] if isinstance(by, str) or not hasattr(by, "__iter__") else by)))
    if not names or not GROUPINGS.keys() >= set(names):
        raise DefinitionError(f"Costs have no groups by={by!r}.", remedy=f"Take some of {', '.join(GROUPINGS)}.")
    sums = tuple(column for column in TABLES["costs"] if column.name not in GROUPINGS)
    return _frame((*(GROUPINGS[name] for name in names), *sums), rows.costs(map(Reading, logs), names))


def sessions(known: Iterable[SessionFold]) -> pd.DataFrame:
    """Return one row a session, the one that was used last first."""
    return _frame(TABLES["sessions"], folds.sessions(known))


def session_messages(session: SessionFold) -> pd.DataFrame:
    """Return one row a message of a session, on whatever branch; one of several parts has a row for each."""
    return _frame(TABLES["session_messages"], folds.messages(session))


def branches(session: SessionFold) -> pd.DataFrame:
    """Return one row a branch of a session."""
    return _frame(TABLES["branches"], folds.branches(session))


def checkpoints(session: SessionFold) -> pd.DataFrame:
    """Return one row a checkpoint of a session."""
    return _frame(TABLES["checkpoints"], folds.checkpoints(session))


def reprice(log: Iterable[Event] | Reading, quotes: Sequence[Quote]) -> pd.DataFrame:
    """Return what a run's model calls cost by agent and model, and what they would have cost by each of the quotes."""
    return _frame(TABLES["reprice"], rows.repriced(_read(log), quotes))


def models(known: Columns) -> pd.DataFrame:
    """Return one row a model; what is known of them comes column by column."""
    return _frame(TABLES["models"], known)


def schema(table: str) -> pd.DataFrame:
    """Return what a table's columns are: dtype, unit and meaning.

    Raises:
        DefinitionError: if there is no such table.

    Example:
        >>> schema("events").head(3)[["column", "dtype"]]
          column                dtype
        0    run               string
        1    seq                Int64
        2     at  datetime64[us, UTC]
    """
    if table not in TABLES:
        raise DefinitionError(f"There is no table {table!r}.", remedy=f"There are {', '.join(TABLES)}.")
    declared = TABLES[table]
    described: Columns = {
        "column": [column.name for column in declared],
        "dtype": [column.dtype for column in declared],
        "unit": [column.unit for column in declared],
        "meaning": [column.meaning for column in declared],
    }
    return _frame(tuple(Column(name, "string", "", "") for name in described), described)


def _read(log: Iterable[Event] | Reading) -> Reading:
    return log if isinstance(log, Reading) else Reading(log)


def _frame(table: Table, columns: Columns) -> pd.DataFrame:
    import pandas as pd

    unknown: list[Any] = [None] * len(next(iter(columns.values()), ()))
    return pd.DataFrame(
        {column.name: _array(columns.get(column.name, unknown), column.dtype) for column in table}, copy=False
    )


def _array(values: list[Any], dtype: Dtype) -> Any:
    import numpy as np
    import pandas as pd

    if len(values) > 1 and values == values[:1] * len(values):
        # All the same, such as the run, or not known. It need not be looked at value by value.
        return pd.Series(_array(values[:1], dtype)).repeat(len(values)).array
    match dtype:
        case "category":
            return _array(values, "string").astype("category")
        case "string":
            # As objects: pandas would try first what else a list may hold.
            return pd.array(np.array(values, dtype=object), dtype="string", copy=False)
        case "datetime64[us, UTC]":
            # Rounded to whole microseconds first: pandas would cut what a float cannot say exactly.
            moments: Any = pd.array(values, dtype="Float64")
            return pd.to_datetime(pd.Series((moments * 1e6).round().astype("Int64")), unit="us", utc=True)
        case _:
            return pd.array(values, dtype=dtype)
