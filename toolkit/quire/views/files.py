"""Files as a reader sees them: a small picture, or a name with what it is and how large.

A picture travels inside the view, because a view loads nothing from anywhere. So only small ones do: a view
is sent again to every page that opens it and is saved in the notebook, where one photograph outweighs a
thousand messages. The file itself is in the log.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from quire.views import words
from quire.views.shapes import FilePart

if TYPE_CHECKING:
    from quire.core.messages import File

__all__ = ["Album", "described", "entitled"]

_LARGEST = 200_000
"""Characters of one picture: a screenshot may pass, a photograph does not."""
_ROOM = 2_000_000
"""Characters of all pictures of a view: those that come later are named."""
_DRAWN = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp", "image/avif", "image/svg+xml"})
"""What every browser draws, and draws without running anything that may be in it."""


class Album:
    """The pictures of one view, as far as there is room for them."""

    def __init__(self) -> None:
        self._room = _ROOM

    def shown(self, file: File) -> FilePart:
        """Return a file as a part of a message, with its picture if there is room."""
        picture = _picture(file)
        if picture is not None and len(picture) > self._room:
            picture = None
        self._room -= len(picture or "")
        return FilePart(
            type="file", name=file.name, media_type=file.media_type, size=_size(file), url=file.url, picture=picture
        )


def _picture(file: File) -> str | None:
    if file.data is None or file.media_type not in _DRAWN or len(file.data) > _LARGEST:
        return None
    return f"data:{file.media_type};base64,{file.data}"


def _size(file: File) -> int | None:
    return None if file.data is None else len(file.data) // 4 * 3 - file.data[-2:].count("=")


def entitled(part: FilePart) -> str:
    """Write what a file is: `cat.png, image/png`."""
    return ", ".join(filter(None, (part["name"], part["media_type"])))


def described(part: FilePart) -> str:
    """Write what a file is and how large, or where: `cat.png, image/png, 34 kB`."""
    size = None if part["size"] is None else words.size(part["size"])
    return ", ".join(filter(None, (entitled(part), size, part["url"])))
