"""The URL of a store: what it leads to, and what of it may be shown.

An address holds passwords, and whoever mistypes one should not find half of it in a notebook's error. So an address
is taken apart here before a driver sees it, and no part of it is repeated unless it is known to be no secret.
"""

from __future__ import annotations

import re
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from quire.core.errors import DefinitionError

__all__ = ["opaque", "options_of", "path_of", "shown"]

_HOSTS = re.compile(r"(\[[\da-fA-F:.]+\]|[\w.%-]*)(:\d+)?(,(\[[\da-fA-F:.]+\]|[\w.%-]*)(:\d+)?)*")


def shown(url: str) -> str:
    """Return the address without user, password and options; raise `DefinitionError` if it cannot be read.

    Example:
        >>> shown("postgresql://quire:secret@db.example.org:5432/logs?sslmode=require")
        'postgresql://db.example.org:5432/logs'
    """
    parts = _parts(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def path_of(url: str, form: str) -> str:
    """Return the path in an address on this machine; `form` says how such an address is written.

    Example:
        >>> path_of("file:///var/my%20runs", "file:///folder/runs")
        '/var/my runs'
    """
    parts = _parts(url)
    if not parts.path.strip("/") or parts.netloc or parts.query or parts.fragment:
        raise DefinitionError(f"No path can be read in this {parts.scheme} address.", remedy=f"It is written {form}.")
    return unquote(parts.path)


def options_of(url: str) -> dict[str, str]:
    """Return what stands behind the question mark.

    Example:
        >>> options_of("s3://bucket/runs?region=eu-central-1")
        {'region': 'eu-central-1'}
    """
    return dict(parse_qsl(_parts(url).query))


def opaque() -> DefinitionError:
    """Return the error for an address that cannot be read, which does not repeat it."""
    return DefinitionError(
        "The address of a store cannot be read; it is not repeated here, because it may hold a password.",
        remedy="It is written scheme://user:password@host:port/name. In a password, signs such as /, @, : and # are\n"
        'written %2F, %40, %3A and %23; urllib.parse.quote(password, safe="") does it.',
    )


def _parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
    except ValueError:
        raise opaque() from None
    rest = f"{parts.path}?{parts.query}#{parts.fragment}"
    # A password with a sign in it that ends the host's part stands, in pieces, where it would be shown.
    cut = "@" not in parts.netloc and "@" in rest
    if cut or not parts.scheme or not _HOSTS.fullmatch(parts.netloc.rpartition("@")[2]):
        raise opaque()
    return parts
