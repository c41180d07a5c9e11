"""What another model would have charged: whom somebody means, and what that one's price is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, cast

from quire.core.doors import who_serves
from quire.core.errors import DefinitionError
from quire.core.price import Price, Quote
from quire.core.settings import settings
from quire.run.prices import listed, quote, quote_by_name

__all__ = ["quotes"]

_EXAMPLE = 'run.reprice("claude-haiku-4-5"), or a price: run.reprice({"input": 0.15, "output": 0.60})'


def quotes(others: tuple[Any, ...]) -> list[Quote]:
    """Return what each of these charges: a model by its name, an `LLM`, or a price.

    Raises:
        DefinitionError: nobody says what one of them costs, or there is none.

    Example:
        >>> [quote.provider for quote in quotes(("claude-haiku-4-5", "azure:gpt-4o"))]
        ['anthropic', 'azure']
    """
    if not others:
        raise DefinitionError("There is no model to compare with.", remedy=_EXAMPLE)
    return [_quote(other) for other in others]


def _quote(other: Any) -> Quote:
    if isinstance(other, Mapping):
        return _of_price(Price.read(cast("Any", other), f"reprice({other!r})"))
    # An LLM says all that is needed, and so does the model behind it.
    name, provider, price = (getattr(other, word, None) for word in ("model", "provider", "price"))
    name = other if isinstance(other, str) else name
    if not isinstance(name, str) or not name.strip():
        raise DefinitionError(f"reprice({other!r}) names no model.", remedy=_EXAMPLE)
    served, model = (provider, name) if provider else who_serves(name)
    found = quote(served, model, price) if served else quote_by_name(model, price)
    if found is None:
        raise DefinitionError(f"Nobody says what {name!r} costs.", remedy=_remedy(name))
    return found


def _of_price(price: Price) -> Quote:
    words = f"{price.input:g} in, {price.output:g} out"
    return Quote(model=words, provider=None, source="given", charge=lambda usage, _: price.of(usage))


def _remedy(name: str) -> str:
    near = get_close_matches(name, dict.fromkeys(_names()), n=3)
    meant = f"Did you mean {' or '.join(map(repr, near))}?\n" if near else ""
    return f'{meant}Give its price instead, {{"input": ..., "output": ...}}, or write it into quire.toml.'


def _names() -> Iterator[str]:
    """Yield every model that has a price, by its name alone and with its provider's."""
    yield from settings().prices
    for known in listed():
        yield from (known.model, f"{known.provider}:{known.model}")
