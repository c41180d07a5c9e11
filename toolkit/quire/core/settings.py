"""What `quire.toml` says: keys and addresses of providers, prices of one's own, and where runs are kept.

The nearest one counts: in the working directory, or else above it, up to the home directory (or the root, for who
works elsewhere). It is read again when it changes. Environment variables go before it.

    [providers.openai]
    api_key = "sk-..."

    [providers.vllm]
    base_url = "http://gpu-box:8000"

    [prices."vllm:my-model"]      # or "my-model", whoever serves it; US dollars per million tokens
    input = 0.10
    output = 0.40
    cached_input = 0.01           # optional, like cache_write

    [storage]
    url = "sqlite:///runs.db"     # beside this file
"""

from __future__ import annotations

import os
import re
import stat
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote, unquote

from quire.core.doors import doors
from quire.core.errors import DefinitionError
from quire.core.price import Price

__all__ = ["ProviderSettings", "Settings", "settings"]

FILE = "quire.toml"

_RELATIVE = re.compile(r"(sqlite:///|file:)([^/~].*)")
"""An address on this machine that does not begin at its root: meant from where the file lies that says it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderSettings:
    """How to reach one provider; `None` for what is not said."""

    api_key: str | None = field(default=None, repr=False)
    base_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the file says; nothing, where there is none."""

    providers: Mapping[str, ProviderSettings] = field(default_factory=dict[str, ProviderSettings])
    """By the provider's name."""
    prices: Mapping[str, Price] = field(default_factory=dict[str, Price])
    """By `model` or `provider:model`."""
    storage: str | None = field(default=None, repr=False)
    """The address of the store that runs are kept in."""

    def price(self, provider: str | None, model: str) -> Price | None:
        """Return the price of a model, if there is one; that of the very provider goes before the model's."""
        return self.prices.get(f"{provider}:{model}") or self.prices.get(model)


_NOTHING = Settings()


def settings() -> Settings:
    """Return what the nearest `quire.toml` says now.

    Raises:
        DefinitionError: it cannot be read, or says something that makes no sense; the error says what and where.

    Example:
        >>> settings().price("openai", "nobodys-model") is None
        True
    """
    for path in _places(_here(), os.path.expanduser("~")):  # noqa: PTH111 - a string, for the cache
        try:
            found = os.stat(path)  # noqa: PTH116 - asked at every model call, and pathlib takes twice as long
        except OSError:
            continue
        if stat.S_ISREG(found.st_mode):
            return _read(path, found.st_mtime_ns, found.st_size)
    return _NOTHING


def _here() -> str:
    try:
        return os.getcwd()  # noqa: PTH109 - a string, for the cache
    except OSError:
        return os.sep  # somebody removed the working directory


@lru_cache(maxsize=16)
def _places(here: str, home: str) -> tuple[str, ...]:
    """Return where the file may be, the nearest place first."""
    return tuple(str(folder / FILE) for folder in _folders(Path(here), Path(home).resolve()))


def _folders(here: Path, home: Path) -> Iterator[Path]:
    for folder in (here, *here.parents):
        # What anybody can write to, such as /tmp, must not decide where somebody's key is sent.
        if folder == here or not _is_open_to_all(folder):
            yield folder
        if folder == home:
            return


def _is_open_to_all(folder: Path) -> bool:
    try:
        return bool(folder.stat().st_mode & stat.S_IWOTH)
    except OSError:
        return False


@lru_cache(maxsize=4)
def _read(path: str, _mtime_ns: int, _size: int) -> Settings:
    # What is cached is what was read at that moment: the next change has another moment.
    try:
        document = tomllib.loads(Path(path).read_text(encoding="utf-8-sig"))
    except OSError as error:
        message = f"The settings cannot be read: {error.strerror}."
        raise DefinitionError(message, where=path, remedy="Make it readable, or take it away.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        message = f"The settings are not TOML: {error}."
        raise DefinitionError(message, where=path, remedy="https://toml.io shows how it is written.") from None
    names = ("providers", "prices", "storage")
    _known(document, names, "", path)
    providers, prices, storage = (_table(document.get(name, {}), name, path) for name in names)
    _known(providers, tuple(sorted(doors("quire.providers"))), "providers", path)
    return Settings(
        providers={name: _provider(value, f"providers.{name}", path) for name, value in providers.items()},
        prices={name: _price(name, value, path) for name, value in prices.items()},
        storage=_storage(storage, path),
    )


def _provider(value: Any, place: str, path: str) -> ProviderSettings:
    written = _table(value, place, path)
    _known(written, ("api_key", "base_url"), place, path)
    _texts(written, place, path)
    address = written.get("base_url")
    if address is not None and not address.strip().startswith(("http://", "https://")):
        message = f"base_url in [{place}] is {address!r}, which is not the address of a server."
        raise DefinitionError(message, where=path, remedy="It begins with http:// or https://.")
    return ProviderSettings(**{name: text.strip() for name, text in written.items()})


def _storage(written: dict[str, Any], path: str) -> str | None:
    _known(written, ("url",), "storage", path)
    _texts(written, "storage", path)
    address = written.get("url", "").strip() or None
    relative = address and _RELATIVE.fullmatch(address)
    return f"{relative[1]}{quote(str(Path(path).parent / unquote(relative[2])))}" if relative else address


def _price(model: str, value: Any, path: str) -> Price:
    name = f'prices."{model}"'
    if any(isinstance(part, dict) for part in _table(value, name, path).values()):
        remedy = 'A name with a dot is written in quotes: [prices."gpt-4.1"]'
        raise DefinitionError(f"[{name}] holds a table, not a price.", where=path, remedy=remedy)
    return Price.read(value, f"[{name}]", where=path)


def _table(value: Any, place: str, path: str) -> dict[str, Any]:
    if isinstance(value, dict):
        return cast("dict[str, Any]", value)
    message = f"{place} is no table."
    raise DefinitionError(message, where=path, remedy=f"Begin it with a line [{place}].")


def _texts(table: Mapping[str, Any], place: str, path: str) -> None:
    for name, text in table.items():
        if not isinstance(text, str) or not text.strip():
            # What it is instead is not repeated: it may be half of a key.
            raise DefinitionError(
                f"{name} in [{place}] is no text.", where=path, remedy=f'Put it in quotes: {name} = "..."'
            )


def _known(table: Mapping[str, Any], names: tuple[str, ...], place: str, path: str) -> None:
    for name in table:
        if name not in names:
            near = get_close_matches(name, names, n=1)
            meant = f"Did you mean {near[0]}? " if near else ""
            message = f"{name!r} in {f'[{place}]' if place else 'the settings'} means nothing here."
            raise DefinitionError(message, where=path, remedy=f"{meant}There can be {', '.join(names)}.")
