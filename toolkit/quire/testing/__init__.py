"""For trying agents out without a model: scripted replies, and runs that leave nothing on disk."""

from quire.testing.scripted import ScriptedModel, ToolUse
from quire.testing.store import in_memory

__all__ = ["ScriptedModel", "ToolUse", "in_memory"]
