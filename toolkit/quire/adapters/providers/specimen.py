"""Text that matches a regular expression: enough of their language for what people write into schemas."""

from __future__ import annotations

import re

__all__ = ["specimen"]

_CLASSES = {"d": "7", "w": "a", "s": " ", "D": "a", "W": "-", "S": "a"}
_LONGEST = 64


def specimen(pattern: str, shortest: int = 0, longest: int | None = None) -> str | None:
    r"""Return a text that matches and has an allowed length; `None` if none was found.

    Example:
        >>> specimen(r"^[A-Z]{3}-\d{2,}$", shortest=8)
        'AAA-7777'
    """
    for more in range(_LONGEST):
        try:
            made, _ = _alternatives(pattern, 0, more)
            fits = re.search(pattern, made) and shortest <= len(made) <= (len(made) if longest is None else longest)
        except (re.error, IndexError, ValueError):
            return None
        if fits:
            return made
    return None


def _alternatives(pattern: str, at: int, more: int) -> tuple[str, int]:
    """Return text for the first alternative from a place on, and where its group ends."""
    made, first = "", True
    while at < len(pattern) and pattern[at] != ")":
        if pattern[at] == "|":
            first, at = False, at + 1
            continue
        piece, at = _atom(pattern, at, more)
        least, most, at = _times(pattern, at)
        if first:
            made += piece * min(most, least + more)
    return made, at


def _atom(pattern: str, at: int, more: int) -> tuple[str, int]:
    match pattern[at]:
        case "^" | "$":
            return "", at + 1
        case "(":
            made, end = _alternatives(pattern, _inside(pattern, at), more)
            ahead_or_not = pattern.startswith(("(?=", "(?!", "(?<=", "(?<!"), at)
            return ("" if ahead_or_not else made), end + 1
        case "[":
            return _one_of(pattern, at)
        case "\\":
            letter = pattern[at + 1]
            return ("" if letter in "bBAzZ" else _CLASSES.get(letter, letter)), at + 2
        case ".":
            return "a", at + 1
        case letter:
            return letter, at + 1


def _inside(pattern: str, at: int) -> int:
    opening = re.compile(r"\((\?(:|=|!|<=|<!|P?<\w+>))?").match(pattern, at)
    return opening.end() if opening else at + 1


def _one_of(pattern: str, at: int) -> tuple[str, int]:
    end = at + 2 if pattern[at + 1] != "^" else at + 3
    while pattern[end] != "]":
        end += 2 if pattern[end] == "\\" else 1
    inside = re.compile(pattern[at : end + 1])
    letters = "aA7bB1 -_.@/:#xyzXYZ0234568,;!?'\"+*=()[]{}<>|&%$^~`\\" + pattern[at:end]
    return next((letter for letter in letters if inside.fullmatch(letter)), ""), end + 1


def _times(pattern: str, at: int) -> tuple[int, int, int]:
    found = re.compile(r"(?:([*+?])|\{(\d*)(,?)(\d*)\})[?+]?").match(pattern, at)
    if not found:
        return 1, 1, at
    sign, least, comma, most = found.groups()
    if sign:
        return *{"*": (0, _LONGEST), "+": (1, _LONGEST), "?": (0, 1)}[sign], found.end()
    low = int(least or 0)
    return low, int(most) if most else (_LONGEST + low if comma else low), found.end()
