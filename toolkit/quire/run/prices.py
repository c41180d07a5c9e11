"""What a call costs, and who says so: the first of these that knows.

The provider itself (`provider`), the price given with the model (`given`), `quire.toml` (`settings`), and last
genai-prices, whose lists are data and travel with that package. A simulated reply costs nothing (`simulated`).
An unknown model has no price, which is not the same as costing nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib import import_module
from typing import Any

from quire.core.doors import doors
from quire.core.ports import Answer, Model
from quire.core.price import Price, Quote
from quire.core.settings import settings
from quire.core.usage import Usage
from quire.run.threads import in_thread

__all__ = ["Listed", "billed", "listed", "own_quote", "quote", "quote_by_name", "vendor_of"]

_VENDORS: dict[str, str | None] = {
    "azure-responses": "azure",
    "gemini": "google",
    "moonshot": "moonshotai",
    "openai-chat": "openai",
    "openai-responses": "openai",
    "openai_compat": None,
    "xai": "x-ai",
}
"""Who genai-prices has for our word for a provider, where its word is another. A server of one's own (`openai_compat`,
`ollama`, `vllm`) may serve a model by a known name, at a price nobody knows."""


@cache
def _lists() -> Any:
    # A fifth of a second, the first time: never while a loop waits for it.
    return import_module("genai_prices")


def _snapshot() -> Any:
    """Return the lists as they are now: those of the package, unless the user has put others in their place."""
    return import_module("genai_prices.data_snapshot").get_snapshot()


def vendor_of(provider: str) -> Any:
    """Return the provider's entry in genai-prices, or `None`.

    Example:
        >>> vendor_of("moonshot").name, vendor_of("my-openai")
        ('MoonshotAi', None)
    """
    # By its whole name: genai-prices itself takes whatever has "openai" in its name for OpenAI.
    name = _VENDORS.get(provider, provider)
    return next((vendor for vendor in _snapshot().providers if vendor.id == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A model on a price list."""

    provider: str
    """In our word for it."""
    model: str
    context_tokens: int | None
    """How much it can read at once."""
    price: Price
    """Now, of a short prompt."""


def listed() -> Iterator[Listed]:
    """Yield the models of installed providers that have a price for what they read and for what they write.

    Example:
        >>> next(model.context_tokens for model in listed() if model.model == "claude-haiku-4-5")
        200000
    """
    now = datetime.now(UTC)
    for provider, vendor in _vendors().items():
        for model in vendor.models:
            price = _short(model.get_prices(now))
            if price is not None:
                yield Listed(provider=provider, model=model.id, context_tokens=model.context_window, price=price)


def _short(prices: Any) -> Price | None:
    """Return the price of a short prompt, where long ones cost more; `None` without one for words in and out."""
    parts = {
        "input": prices.input_mtok,
        "output": prices.output_mtok,
        "cached_input": prices.cache_read_mtok,
        "cache_write": prices.cache_write_mtok,
    }
    found = {name: float(getattr(price, "base", price)) for name, price in parts.items() if price is not None}
    return Price(**found) if {"input", "output"} <= found.keys() else None


def _vendors() -> dict[str, Any]:
    """Return the entries of the installed providers by our word for each, once where there are several."""
    installed = doors("quire.providers")
    # A name of ours that is an alias stands behind the one that the lists have too.
    names = sorted(installed, key=lambda name: (name in _VENDORS, name))
    entries = {name: vendor_of(name) for name in names}
    first = {vendor.id: name for name, vendor in reversed(entries.items()) if vendor is not None}
    return {name: entries[name] for name in sorted(first.values())}


def quote(provider: str, model: str, price: Mapping[str, float] | None = None) -> Quote | None:
    """Return what a model charges; `None` if nobody says.

    `price` is one given with the model: `{"input": 0.15, "output": 0.60}`, in US dollars per million tokens.

    Example:
        >>> quote("openai", "gpt-4o-mini").charge(Usage(input_tokens=1_000_000, output_tokens=0), 1.79e9)
        0.15
        >>> quote("openai", "my-own-model") is None
        True
    """
    return own_quote(provider, model, price) or _list_quote(provider, model)


def quote_by_name(model: str, price: Mapping[str, float] | None = None) -> Quote | None:
    """Return what a model charges of which only the name is known; the lists say whose it is, if anybody's.

    Example:
        >>> quote_by_name("deepseek-chat").provider
        'deepseek'
    """
    own = own_quote(None, model, price)
    if own is not None:
        return own
    try:
        vendor, _ = _snapshot().find_provider_model(model, None, None, None)
    except LookupError:
        return None
    ours = (name for name in doors("quire.providers") if _VENDORS.get(name, name) == vendor.id)
    return _list_quote(next(ours, vendor.id), model)


def own_quote(provider: str | None, model: str, price: Mapping[str, float] | None = None) -> Quote | None:
    """Return what the user says that a model charges: the price given with it, or that in `quire.toml`.

    Raises:
        DefinitionError: `quire.toml` makes no sense.
    """
    own = settings().price(provider, model) if price is None else Price.read(price, "The price")
    if own is None:
        return None
    source = "settings" if price is None else "given"
    return Quote(model=model, provider=provider, source=source, charge=lambda usage, _: own.of(usage))


def _list_quote(provider: str, *models: str) -> Quote | None:
    """Return what the price lists say, by the first of a model's names that they have."""
    vendor = vendor_of(provider)
    model = next((name for name in models if vendor and _is_listed(vendor.id, name, _snapshot().timestamp)), None)
    if model is None:
        return None
    return Quote(
        model=model,
        provider=provider,
        source="genai-prices",
        charge=lambda usage, at: _calculated(vendor.id, model, usage, at),
    )


@cache
def _is_listed(vendor: str, model: str, _lists_of: datetime) -> bool:
    # What is not found is not kept by genai-prices, which looks through all models of the provider for it.
    try:
        _snapshot().find_provider_model(model, None, vendor, None)
    except LookupError:
        return False
    return True


def _calculated(vendor: str, model: str, usage: Usage, at: float) -> float | None:
    # Some servers report more cached tokens than there were.
    cached = min(usage.cached_input_tokens or 0, usage.input_tokens)
    consumed = _lists().Usage(
        input_tokens=usage.input_tokens,
        cache_read_tokens=cached,
        cache_write_tokens=min(usage.cache_write_tokens or 0, usage.input_tokens - cached),
        output_tokens=usage.output_tokens,
        output_reasoning_tokens=min(usage.reasoning_tokens or 0, usage.output_tokens),
    )
    moment = datetime.fromtimestamp(at, UTC)
    bill = _lists().calc_price(consumed, model_ref=model, provider_id=vendor, genai_request_timestamp=moment)
    # A model that is paid for by the minute, or by the picture, has no price for tokens: they are not free.
    asked = ((usage.input_tokens, bill.model_price.input_mtok), (usage.output_tokens, bill.model_price.output_mtok))
    return None if any(tokens and price is None for tokens, price in asked) else float(bill.total_price)


async def billed(answer: Answer, model: Model, own: Quote | None, at: float) -> tuple[float | None, str | None]:
    """Return what an answer cost and who says so, without keeping the loop waiting while lists are read.

    `own` is the `own_quote` of the model, from before it was asked.
    """
    if model.simulated:
        return 0.0, "simulated"
    if answer.cost_usd is not None:
        return answer.cost_usd, "provider"
    if answer.usage is None:
        return None, None
    if own is None and _lists.cache_info().currsize == 0:
        await in_thread(_lists)
    # Of two versions of a model, the one that answered is paid for; the lists may know only the name it was asked by.
    found = own or _list_quote(model.provider, answer.model or model.model, model.model)
    cost = found.charge(answer.usage, at) if found else None
    return cost, found.source if found and cost is not None else None
