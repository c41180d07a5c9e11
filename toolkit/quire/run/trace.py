"""The user's own part of a traceback."""

from __future__ import annotations

import asyncio
import concurrent.futures
import re
import traceback
from pathlib import Path

from quire.core.errors import QuireError

__all__ = ["users_traceback"]

_OURS = str(Path(__file__).parent.parent)
_MACHINERY = (_OURS, str(Path(asyncio.__file__).parent), str(Path(concurrent.futures.__file__).parent), "<frozen ")
_KEYS = re.compile(r"""(?<=keys=)\{.*?(\}|$)|(?<=api_key=)(".*?("|$)|'.*?('|$))""")
"""A key that somebody wrote into the code: what is recorded has none."""


def users_traceback(error: BaseException) -> str | None:
    """Return the frames of the user's code that led to the error, innermost last; `None` if there are none.

    Quire's and asyncio's own frames are left out, and a notebook's temporary file is called `cell`.
    """
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith(_MACHINERY)]
    if not frames or (isinstance(error, QuireError) and _OURS in _last_file(error)):
        return None
    lines: list[str] = []
    for frame in frames:
        lines.append(f"  {_place(frame.filename)}, line {frame.lineno}, in {frame.name}")
        if frame.line:
            lines.append(f"    {_KEYS.sub('...', frame.line)}")
    text = str(error).splitlines() or [""]
    return "\n".join([*lines, f"{type(error).__name__}: {text[0]}" if text[0] else type(error).__name__, *text[1:]])


def _place(filename: str) -> str:
    if "ipykernel_" in filename or filename.startswith("<ipython-input"):
        return "cell"
    return filename


def _last_file(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return frames[-1].filename if frames else ""
