"""Files as providers take them: images, sounds and documents each in their own way, texts as words."""

from __future__ import annotations

import mimetypes
from typing import Literal

from quire.core.errors import InvalidRequest
from quire.core.messages import File

__all__ = ["data_url", "kind_of", "named", "refused", "told"]


def kind_of(file: File) -> Literal["image", "audio", "text", "document"]:
    """Return what a file is to a provider; a text that is somewhere else is a document.

    Example:
        >>> kind_of(File.of(b"a,b", "text/csv")), kind_of(File.at("https://example.org/report.pdf"))
        ('text', 'document')
    """
    if file.is_image:
        return "image"
    if file.media_type.startswith("audio/"):
        return "audio"
    return "text" if file.is_text and file.data is not None else "document"


def data_url(file: File) -> str:
    """Return its address, or an address that is the file itself."""
    return file.url or f"data:{file.media_type};base64,{file.data}"


def told(file: File) -> str:
    """Return a text as words, with its name around it so that a model can tell several apart."""
    name = file.name or "file"
    return f"<file name={name!r}>\n{file.content.decode('utf-8', 'replace')}\n</file>"


def named(file: File) -> str:
    """Return its name, or one that says what it is.

    Example:
        >>> named(File.of(b"%PDF", "application/pdf"))
        'file.pdf'
    """
    return file.name or f"file{mimetypes.guess_extension(file.media_type) or ''}"


def refused(file: File, who: str) -> InvalidRequest:
    """Return the error that a file cannot be shown to somebody's models."""
    remedy = "Give it as text, as an image or as a PDF, or ask another provider's model."
    return InvalidRequest(f"{who} cannot be shown {file!r}.", remedy=remedy)
