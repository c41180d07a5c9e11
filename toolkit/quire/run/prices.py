"""What tokens cost: the prices of genai-prices, which are data and travel with that package.

An unknown model has no price, which is not the same as costing nothing.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

from quire.core.usage import Usage
from quire.run.threads import in_thread

__all__ = ["known_cost", "list_price"]

_PROVIDERS = {"openai-chat": "openai", "openai_compat": None, "moonshot": "moonshotai"}
"""Our word for who serves a model, where genai-prices has another."""


@cache
def _tables() -> Any:
    # A fifth of a second, the first time: never while a loop waits for it.
    return import_module("genai_prices")


@cache
def _is_known(provider: str | None, model: str) -> bool:
    try:
        _calculated(provider, model, Usage(input_tokens=1, output_tokens=1))
    except LookupError:
        return False
    return True


def _calculated(provider: str | None, model: str, usage: Usage) -> float:
    consumed = _tables().Usage(
        input_tokens=usage.input_tokens,
        # Some servers report more cached tokens than there were.
        cache_read_tokens=min(usage.cached_input_tokens or 0, usage.input_tokens),
        cache_write_tokens=usage.cache_write_tokens or 0,
        output_tokens=usage.output_tokens,
    )
    return float(_tables().calc_price(consumed, model_ref=model, provider_id=provider).total_price)


def list_price(provider: str, model: str, usage: Usage) -> float | None:
    """Return what a provider's price list says in US dollars; `None` for a model that is on none.

    Example:
        >>> list_price("openai", "gpt-4o-mini", Usage(input_tokens=1_000_000, output_tokens=0))
        0.15
        >>> list_price("openai", "my-own-model", Usage(input_tokens=1, output_tokens=1)) is None
        True
    """
    vendor = _PROVIDERS.get(provider, provider)
    # A server of one's own may serve a model by a known name, at a price nobody knows.
    return _calculated(vendor, model, usage) if vendor and _is_known(vendor, model) else None


async def known_cost(provider: str, model: str, usage: Usage) -> float | None:
    """Return `list_price`, without keeping the loop waiting while the tables are read for the first time."""
    if _tables.cache_info().currsize == 0:
        await in_thread(_tables)
    return list_price(provider, model, usage)
