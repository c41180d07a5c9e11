"""What a value is to a model, and to whoever reads a log: words, and the files in it.

A file never stands among the words as its bytes. It is named there by its place and its name, and comes
along beside them. A log keeps values as plain JSON, so a file is known there by its shape.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any, TypeAlias, cast

from quire.core.messages import File, Text
from quire.core.schema import plain, render

__all__ = ["Contents", "contents", "file_in", "headed", "named", "says_files", "spoken"]

Contents: TypeAlias = tuple[Text | File, ...]
"""Words and files, in the order in which a model is shown them."""

_LISTS = (list, tuple, Sequence)
_UNIONS = (typing.Union, types.UnionType)
_SHAPE = frozenset({"media_type", "data", "url", "name"})


def contents(value: Any) -> Contents:
    """Return a value as a model is shown it.

    Text, a file and a list of words and files are shown as they are. Anything else is JSON, in which
    files stand by their places and names, followed by the files.

    Example:
        >>> cat = File.at("https://example.org/cat.png")
        >>> contents({"who": "the cat", "picture": cat})[0]
        Text(text='{"who":"the cat","picture":"[file 1: cat.png, image/png]"}')
    """
    in_order = spoken(value)
    if in_order is not None:
        return in_order
    data, files = named(value)
    return (Text(text=render(data)), *files)


def spoken(value: Any, *, words_alone: bool = False) -> Contents | None:
    """Return a text, a file or a list of words and files in the order given; `None` for any other value.

    Words that follow each other are paragraphs. A list of words without a file is data like any other
    list, unless `words_alone` says that it is meant to be read.

    Example:
        >>> words = spoken(["Look:", "What is this?", File.at("https://example.org/cat.png")])[0].text
        >>> words.splitlines()
        ['Look:', '', 'What is this?']
    """
    if isinstance(value, str):
        return (Text(text=value),)
    items: Sequence[Any] = cast("Sequence[Any]", value) if isinstance(value, (list, tuple)) else (value,)
    found = [item if isinstance(item, str) else file_in(item) for item in items]
    if not found or None in found or not (words_alone or any(isinstance(item, File) for item in found)):
        return None
    return _in_order(cast("list[str | File]", found))


def _in_order(items: Sequence[str | File]) -> Contents:
    parts: list[Text | File] = []
    for is_text, run in groupby(items, lambda item: isinstance(item, str)):
        if is_text:
            parts.append(Text(text="\n\n".join(cast("Iterator[str]", run))))
        else:
            parts.extend(cast("Iterator[File]", run))
    return tuple(parts)


def headed(values: Iterable[tuple[str, Any]]) -> Contents:
    """Return several values one after the other, each below its heading.

    Example:
        >>> print(headed([("Draft", {"body": "x"}), ("str", "Shorter.")])[0].text)
        Draft:
        {"body":"x"}
        <BLANKLINE>
        str:
        Shorter.
    """
    items: list[str | File] = []
    for heading, value in values:
        first, *rest = (part.text if isinstance(part, Text) else part for part in contents(value))
        items += [f"{heading}:\n{first}"] if isinstance(first, str) else [f"{heading}:", first]
        items += rest
    return _in_order(items)


def says_files(kind: Any) -> bool:
    """Whether values of a type are files, or words and files.

    Example:
        >>> says_files(list[str | File]), says_files(list[str])
        (True, False)
    """
    items = typing.get_args(kind) if typing.get_origin(kind) in _LISTS else (kind,)
    members = [typing.get_args(item) if typing.get_origin(item) in _UNIONS else (item,) for item in items]
    said = {member for several in members for member in several if member is not ...}
    return File in said and said <= {str, File}


def named(value: Any) -> tuple[Any, tuple[File, ...]]:
    """Return a value as plain JSON in which files are named, and the files by their places.

    Example:
        >>> named([File.at("https://example.org/cat.png"), 5])
        (['[file 1: cat.png, image/png]', 5], (File('cat.png', image/png, https://example.org/cat.png),))
    """
    places: dict[File, int] = {}
    data = _named(plain(value), places)
    return data, tuple(places)


def _named(data: Any, places: dict[File, int]) -> Any:
    if isinstance(data, list):
        return [_named(part, places) for part in cast("list[Any]", data)]
    if not isinstance(data, dict):
        return data
    file = file_in(data)  # pyright: ignore[reportUnknownArgumentType]
    if file is None:
        return {name: _named(part, places) for name, part in cast("dict[str, Any]", data).items()}
    return f"[file {places.setdefault(file, len(places) + 1)}: {file}]"


def file_in(value: Any) -> File | None:
    """Return the file that a value is, also if it is one as a log keeps it; `None` if it is none."""
    if isinstance(value, File):
        return value
    if not isinstance(value, dict) or cast("dict[Any, Any]", value).keys() != _SHAPE:
        return None
    fields = cast("dict[str, Any]", value)
    try:
        return File(**fields) if all(isinstance(field, str | None) for field in fields.values()) else None
    except (ValueError, TypeError):
        return None
