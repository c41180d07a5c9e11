"""What a tool of an MCP server gave, as a value: words, data, files."""

from __future__ import annotations

import mimetypes
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote, urlsplit

from quire.core.errors import ToolFailed
from quire.core.messages import File
from quire.core.schema import render

if TYPE_CHECKING:
    from mcp_types import BlobResourceContents, CallToolResult, ContentBlock, ResourceLink, TextResourceContents

__all__ = ["value_of"]

_ANYTHING = "application/octet-stream"


def value_of(result: CallToolResult, output_schema: dict[str, Any] | None) -> Any:
    """Return the value that a server answered with.

    Structured content is data and stands for the words beside it, which repeat it. Without any, words
    are text. Files come in a list with the words, in order; a single one comes by itself.

    Raises:
        ToolFailed: the server says that the tool failed.
    """
    parts = [part for block in result.content for part in _parts(block)]
    words = "\n\n".join(part for part in parts if isinstance(part, str))
    if result.is_error:
        raise ToolFailed(words or "It did not say why.")
    files = [part for part in parts if isinstance(part, File)]
    if result.structured_content is not None:
        data = _unwrapped(result.structured_content, output_schema)
        return [render(data), *files] if files else data
    if not files:
        return words
    return parts if len(parts) > 1 else files[0]


def _unwrapped(data: Any, output_schema: dict[str, Any] | None) -> Any:
    """Take off the `{"result": ...}` that servers put around what is no object, which is all they may send."""
    schema: Any = output_schema or {}
    is_wrapped = _names(schema.get("properties")) == _names(data) == ["result"]
    return data["result"] if is_wrapped else data


def _names(data: Any) -> list[str]:
    return list(cast("dict[str, Any]", data)) if isinstance(data, dict) else []


def _parts(block: ContentBlock) -> Iterator[str | File]:
    match block.type:
        case "text":
            yield block.text
        case "image" | "audio":
            yield _file(block.data, block.mime_type, None)
        case "resource":
            yield _resource(block.resource)
        case "resource_link":
            yield _linked(block)


def _resource(resource: TextResourceContents | BlobResourceContents) -> str | File:
    blob: str | None = getattr(resource, "blob", None)
    if blob is None:
        return getattr(resource, "text", "")
    return _file(blob, resource.mime_type, resource.uri)


def _linked(link: ResourceLink) -> str | File:
    """Return a picture on the web as a file the provider fetches, any other place in words: nobody reads it here."""
    kind = link.mime_type or ""
    if kind.startswith("image/") and link.uri.startswith(("http://", "https://")):
        return File(media_type=kind, url=link.uri, name=link.name)
    return " ".join(filter(None, (f"{link.title or link.name}: {link.uri}", kind and f"({kind})", link.description)))


def _file(data: str, kind: str | None, uri: str | None) -> File:
    name = unquote(urlsplit(uri).path).rpartition("/")[2] if uri else ""
    guessed = kind or mimetypes.guess_type(name)[0]
    return File(media_type=guessed if guessed and "/" in guessed else _ANYTHING, data=data, name=name or None)
