"""What tokens cost: as people write it down, and as a quote for one model."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from quire.core.errors import DefinitionError
from quire.core.usage import Usage

__all__ = ["Price", "Quote"]

_MILLION = 1_000_000
_NEEDED = ("input", "output")
_PARTS = (*_NEEDED, "cached_input", "cache_write")
_EXAMPLE = 'price={"input": 0.15, "output": 0.60}, dollars per million tokens'


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """US dollars per million tokens.

    Example:
        >>> price = Price(input=3.0, output=15.0, cached_input=0.3)
        >>> price.of(Usage(input_tokens=1_000_000, output_tokens=0, cached_input_tokens=1_000_000))
        0.3
    """

    input: float
    output: float
    cached_input: float | None = None
    """Of what is read from the provider's cache; `None`: as any other input."""
    cache_write: float | None = None
    """Of what is written to it; `None`: as any other input."""

    @classmethod
    def read(cls, given: Any, name: str, *, where: str | None = None) -> Price:
        """Return a price that somebody wrote down as a mapping, under a name that an error will repeat.

        Raises:
            DefinitionError: a part is missing, is none of a price's, or is no number of dollars.

        Example:
            >>> Price.read({"input": 1, "output": 2}, "LLM(price=...)").output
            2.0
        """
        if not isinstance(given, Mapping):
            raise DefinitionError(f"{name} is {given!r}, not a price.", where=where, remedy=_EXAMPLE)
        parts = cast("Mapping[Any, Any]", given)
        for part, value in parts.items():
            _check(part, value, name, where)
        if not parts.keys() >= set(_NEEDED):
            raise DefinitionError(f"{name} does not say what input and output cost.", where=where, remedy=_EXAMPLE)
        return cls(**{part: float(value) for part, value in parts.items()})

    def of(self, usage: Usage) -> float:
        """Return what usage costs, in US dollars."""
        cached = min(usage.cached_input_tokens or 0, usage.input_tokens)
        written = min(usage.cache_write_tokens or 0, usage.input_tokens - cached)
        per_million = (
            (usage.input_tokens - cached - written) * self.input
            + cached * (self.input if self.cached_input is None else self.cached_input)
            + written * (self.input if self.cache_write is None else self.cache_write)
            + usage.output_tokens * self.output
        )
        return per_million / _MILLION


def _check(part: Any, value: Any, name: str, where: str | None) -> None:
    if part not in _PARTS:
        remedy = "A price has input and output, and may have cached_input and cache_write."
        raise DefinitionError(f"{name} has {part!r}, which is no part of a price.", where=where, remedy=remedy)
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or value < 0:
        remedy = f"Give dollars per million tokens, 0 or more: {_EXAMPLE}"
        raise DefinitionError(f"{name} has {part}={value!r}, which is no price.", where=where, remedy=remedy)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """What a model charges, and who says so.

    Example:
        >>> price = Price(input=1.0, output=2.0)
        >>> quote = Quote(model="small", provider=None, source="given", charge=lambda usage, at: price.of(usage))
        >>> quote.charge(Usage(input_tokens=1_000_000, output_tokens=0), 0.0)
        1.0
    """

    model: str
    provider: str | None
    """`None` for a price that is nobody's in particular."""
    source: str
    """given, settings or genai-prices."""
    charge: Callable[[Usage, float], float | None]
    """US dollars for the usage of a call at a moment in seconds since 1970; `None` when they are not known."""
