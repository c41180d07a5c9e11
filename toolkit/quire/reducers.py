"""How two writes to a channel of a `State` become one; see `quire.flow.state`."""

from quire.flow.state import add, append, latest, merge

__all__ = ["add", "append", "latest", "merge"]
