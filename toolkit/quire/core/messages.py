"""What is said between people, models and tools: a message is a role and its parts, in order."""

from __future__ import annotations

import base64
import mimetypes
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Literal, TypeAlias
from urllib.parse import urlsplit

from quire.core.errors import DefinitionError

__all__ = ["File", "Message", "Part", "Role", "Text", "Thought", "ToolCall", "ToolResult"]

Role: TypeAlias = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """Words meant for the other side."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """An image, a document, a sound: something a model is shown, from the disk, from memory or by its address.

    Raises:
        DefinitionError: there is nothing in it, or nobody can tell what it is.

    Example:
        >>> File.of(b"%PDF-1.7", "application/pdf", name="report.pdf")
        File('report.pdf', application/pdf, 8 bytes)
        >>> File.at("https://example.org/cat.png").media_type
        'image/png'
    """

    media_type: str
    """What it is: `image/png`, `application/pdf`, `text/csv`."""
    data: str | None = field(default=None, repr=False)
    """Its bytes in base64; `None` if it is somewhere else."""
    url: str | None = None
    """Where it is, for the provider to fetch."""
    name: str | None = None

    def __post_init__(self) -> None:
        if (self.data is None) == (self.url is None):
            message = "A File has either data or a url."
            remedy = 'File.read("cat.png"), File.of(data, "image/png") or File.at("https://...").'
            raise DefinitionError(message, remedy=remedy)
        if "/" not in self.media_type:
            message = f"File(media_type={self.media_type!r}) does not say what the file is."
            raise DefinitionError(message, remedy="Give a media type such as image/png or application/pdf.")

    @classmethod
    def read(cls, path: str | PathLike[str], media_type: str | None = None) -> File:
        """Read a file from the disk; what it is follows from its name, unless it is said.

        Raises:
            OSError: it cannot be read.
        """
        where = Path(path)
        return cls.of(where.read_bytes(), media_type or _type_of(where.name), name=where.name)

    @classmethod
    def of(cls, data: bytes, media_type: str, *, name: str | None = None) -> File:
        """Make a file of bytes."""
        return cls(media_type=media_type, data=base64.b64encode(data).decode(), name=name)

    @classmethod
    def at(cls, url: str, media_type: str | None = None) -> File:
        """Name a file that the provider fetches itself; what it is follows from its name, unless it is said."""
        name = urlsplit(url).path.rpartition("/")[2]
        return cls(media_type=media_type or _type_of(name), url=url, name=name or None)

    @property
    def content(self) -> bytes:
        """Its bytes; none if it is somewhere else."""
        return base64.b64decode(self.data or "")

    @property
    def is_image(self) -> bool:
        """Whether it is a picture."""
        return self.media_type.startswith("image/")

    @property
    def is_text(self) -> bool:
        """Whether it can be read as words."""
        return self.media_type.startswith("text/") or self.media_type in _TEXTS

    def __str__(self) -> str:
        return f"{self.name}, {self.media_type}" if self.name else self.media_type

    def __repr__(self) -> str:
        where = f"{len(self.content)} bytes" if self.data is not None else self.url
        return f"File({self.name or 'unnamed'!r}, {self.media_type}, {where})"


_TEXTS = frozenset({"application/json", "application/xml", "application/yaml", "application/toml"})


def _type_of(name: str) -> str:
    found, _ = mimetypes.guess_type(name)
    if found is None:
        message = f"Nobody can tell from its name what {name!r} is."
        raise DefinitionError(message, remedy='Say it: media_type="image/png".')
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Thought:
    """Words a model wrote to itself."""

    text: str
    signature: str | None = None
    """The provider's seal on them, which it wants back exactly as it came."""
    redacted: bool = False
    """Whether there is only the seal, and no words to read."""
    sealed_by: str | None = None
    """Whose seal it is, in the adapter's own word: nobody else is shown it."""


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
    sealed_by: str | None = None
    """Whose seal it is, in the adapter's own word: nobody else is shown it."""


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
    files: tuple[File, ...] = ()
    """What it gave besides words."""


Part: TypeAlias = Text | File | Thought | ToolCall | ToolResult


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
        """Its words, without files, thoughts, calls and results."""
        return "".join(part.text for part in self.parts if isinstance(part, Text))

    @property
    def calls(self) -> tuple[ToolCall, ...]:
        """The tools it asks for, in order."""
        return tuple(part for part in self.parts if isinstance(part, ToolCall))
