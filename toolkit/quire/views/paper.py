"""What saved pictures are drawn with: the colors, written out for light and for dark, and the widths of words.

There is no theme and no browser to ask where a picture is made.
"""

from __future__ import annotations

import re
from base64 import b64encode
from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING
from unicodedata import combining, east_asian_width

from quire.views.prose import safe

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["MONO", "SANS", "fit", "image", "number", "scope_of", "style", "text_width"]

_LIGHT = {
    "paper": "#fff", "sunk": "#f5f5f5", "fill": "#e8e8e8", "ink": "#000", "text": "#212121", "soft": "#616161",
    "stroke": "#808080", "line": "#e0e0e0", "accent": "#1565b5", "good": "#2d7230", "warn": "#9d4f00", "bad": "#ad2727",
    "warn_wash": "#fef3e8", "bad_wash": "#fbeeee",
}  # fmt: skip
_DARK = {
    "paper": "#111", "sunk": "#1b1b1b", "fill": "#262626", "ink": "#fff", "text": "#e0e0e0", "soft": "#a5a5a5",
    "stroke": "#888", "line": "#424242", "accent": "#40a5f5", "good": "#70bf73", "warn": "#ffbd5c", "bad": "#f6655a",
    "warn_wash": "#261d0f", "bad_wash": "#231514",
}  # fmt: skip
SANS = "system-ui,-apple-system,'Segoe UI',helvetica,arial,sans-serif"
MONO = "menlo,consolas,'DejaVu Sans Mono',monospace"
_EMS = (
    (0.30, "'ijlI ,.·|/:;\\f"),
    (0.36, "-[]Jt!()r"),
    (0.44, '"`*'),
    (0.54, "s_zc?{}kLvxy"),
    (0.62, "FoaehnuTbdgpq0123456789$PYESK"),
    (0.70, "ZAVXBRC^U"),
    (0.78, "NH&#D+<=>~GOQw"),
    (0.90, "Mm%W@…"),
)
"""Widths in ems, in classes: 0.7 of DejaVu Sans and 0.3 of Liberation Sans (Arial's widths), measured in Chromium.

Nearer the wider of the two: too much room looks calm, too little does not.
"""
_EM = {character: em for em, characters in _EMS for character in characters}
_FALLBACK_EM, _WIDE_EM, _MONO_EM, _BOLD = 0.62, 1.1, 0.6, 1.1


def image(svg: str, told: str) -> str:
    """Write a picture as an element that sanitizers keep."""
    data = b64encode(svg.encode()).decode()
    return f'<img alt="{safe(told)}" src="data:image/svg+xml;base64,{data}" style="max-width:100%">'


def scope_of(content: str) -> str:
    """Return a class of its own for a picture: several stand in one page, and each brings its style."""
    return f"quire-{sha256(content.encode(errors='replace')).hexdigest()[:10]}"


def style(scope: str, form: Iterable[tuple[str, str]], colors: Iterable[tuple[str, str]]) -> str:
    """Write the rules of a picture, by selector; those for colors name them, as in `fill:{soft}`."""
    shapes = "".join(_rule(scope, selector, rule) for selector, rule in form)
    tinted = tuple(colors)
    light, dark = (
        "".join(_rule(scope, selector, rule.format_map(palette)) for selector, rule in tinted)
        for palette in (_LIGHT, _DARK)
    )
    return f"{shapes}{light}@media (prefers-color-scheme:dark){{{dark}}}"


def _rule(scope: str, selector: str, rule: str) -> str:
    """Keep a rule inside its own drawing: several stand in one page."""
    inside = re.split(r",(?![^(]*\))", selector)
    return f"{','.join(f'{scope} {part}' for part in inside)}{{{rule}}}"


def number(value: float) -> str:
    """Write a length, to a tenth of a pixel."""
    return f"{value:.1f}".removesuffix(".0")


def text_width(text: str, *, title: bool = False, mono: bool = False) -> float:
    """Estimate the width of a text in pixels: there is no browser here to ask."""
    ems = sum(_em(character, mono) for character in text)
    return ems * (13 * _BOLD if title else 11)


@cache
def _em(character: str, mono: bool) -> float:  # noqa: FBT001 - a key of the cache
    if combining(character):
        return 0.0
    if east_asian_width(character) in "WF":
        return _WIDE_EM
    return _MONO_EM if mono else _EM.get(character, _FALLBACK_EM)


def fit(text: str, room: float, *, title: bool = False, mono: bool = False) -> str:
    """Cut a text so that it fits, with a sign that it was cut."""
    if text_width(text, title=title, mono=mono) <= room + 0.5:
        return text
    while text and text_width(f"{text}…", title=title, mono=mono) > room:
        text = text[:-1]
    return f"{text.rstrip()}…"
