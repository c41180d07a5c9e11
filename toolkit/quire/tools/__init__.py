"""Tools that somebody else made: so far, those of MCP servers."""

from quire.tools.mcp import MCP

__all__ = ["MCP"]
