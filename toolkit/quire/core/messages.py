"""What is said between people, models and tools: a message is a role and its parts, in order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = ["Message", "Part", "Role", "Text", "Thought", "ToolCall", "ToolResult"]

Role: TypeAlias = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """Words meant for the other side."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Thought:
    """Words a model wrote to itself."""

    text: str
    signature: str | None = None
    """The provider's seal on them, which it wants back exactly as it came."""
    redacted: bool = False
    """Whether there is only the seal, and no words to read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """A model asks for a tool."""

    id: str
    """Ties the result to the call."""
    tool: str
    """The tool's name."""
    arguments: str
    """JSON text exactly as the model wrote it, which may be broken."""
    signature: str | None = None
    """The provider's seal on the reasoning behind it, which it wants back exactly as it came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolResult:
    """What a tool gave back to the model."""

    id: str
    """The `id` of the call."""
    tool: str
    """The tool's name."""
    text: str
    """The result, or the error as the model should read it."""
    failed: bool = False
    """Whether the tool raised."""


Part: TypeAlias = Text | Thought | ToolCall | ToolResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One contribution to a conversation.

    Example:
        >>> Message.of("user", "Hello").text
        'Hello'
    """

    role: Role
    parts: tuple[Part, ...]

    @classmethod
    def of(cls, role: Role, text: str) -> Message:
        """Make a message of plain words."""
        return cls(role=role, parts=(Text(text=text),))

    @property
    def text(self) -> str:
        """Its words, without thoughts, calls and results."""
        return "".join(part.text for part in self.parts if isinstance(part, Text))

    @property
    def calls(self) -> tuple[ToolCall, ...]:
        """The tools it asks for, in order."""
        return tuple(part for part in self.parts if isinstance(part, ToolCall))
