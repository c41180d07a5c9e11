"""Which models there are: what they can do, what they cost, and which can be asked now."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from quire.core.doors import doors, open_door, who_serves
from quire.core.ports import Abilities, Endpoint, Facts, Model
from quire.core.price import Price
from quire.core.settings import settings
from quire.run.prices import listed
from quire.views import tables
from quire.views.columns import TABLES

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["models"]

_OTHER_WORK = re.compile(
    r"embed|image|audio|speech|voice|tts|transcri|whisper|realtime|\blive\b|ocr|moderation|guard|rerank|turbo-instruct"
    r"|^(text-)?(ada|babbage|curie|davinci)|:batch$|-$"
)
"""Names of models that do not talk in words, or not by themselves, and names that are only the beginning of one."""


def models() -> pd.DataFrame:
    """Return one row a model that is known, those that can be asked now first.

    Known are the offline model, those on the price lists that come with genai-prices, under the names they have
    there, and those with a price in `quire.toml`. A provider may serve others: they can be asked all the same. Nobody
    is asked to find out: `usable` says that the key is in the environment or in `quire.toml`, or that none is needed.

    Raises:
        DefinitionError: `quire.toml` makes no sense.

    Example:
        >>> import quire
        >>> table = quire.models()
        >>> "offline" in table[table.usable].model.tolist()
        True
        >>> cheap = table.query("tools and context_tokens >= 200_000 and input_usd <= 1")
        >>> "claude-haiku-4-5" in cheap.model.tolist()
        True
    """
    rows = sorted(_rows(), key=lambda row: (not row["usable"], row["provider"] or "", row["model"]))
    return tables.models({column.name: [row[column.name] for row in rows] for column in TABLES["models"]})


def _rows() -> Iterator[dict[str, Any]]:
    offline = Price(input=0.0, output=0.0)
    for provider, model, context, price, source in (("offline", "offline", None, offline, "simulated"), *_priced()):
        can = _abilities(provider, model)
        if can is not None:
            yield {
                "provider": provider,
                "model": model,
                "context_tokens": context,
                "input_usd": price.input,
                "output_usd": price.output,
                "cached_input_usd": price.cached_input,
                "price_source": source,
                **can,
            }


def _priced() -> Iterator[tuple[str | None, str, int | None, Price, str]]:
    """Yield who serves each model with a price, its name, what it can read at once, the price, and who says it."""
    own = settings()
    named: set[tuple[str | None, str]] = set()
    for known in listed():
        if not _OTHER_WORK.search(known.model):
            price = own.price(known.provider, known.model)
            named |= {(known.provider, known.model), (None, known.model)}
            yield (
                known.provider,
                known.model,
                known.context_tokens,
                price or known.price,
                "settings" if price else "genai-prices",
            )
    for name, price in own.prices.items():
        if who_serves(name) not in named:
            yield *who_serves(name), None, price, "settings"


def _abilities(provider: str | None, model: str) -> dict[str, Any] | None:
    """Return what is known of a model besides its price; `None` if its provider does not serve it."""
    opened = _opened(provider, model)
    facts: Facts | None = getattr(opened, "facts", Facts)()
    if facts is None:
        return None
    can = opened.abilities if opened else Abilities()
    return {
        "tools": facts.tools if can.tools else False,
        "output_schema": can.output_schema if opened else None,
        "images": facts.images,
        "reasoning": facts.reasoning,
        "usable": facts.usable,
        "key": facts.key,
    }


def _opened(provider: str | None, model: str) -> Model | None:
    if provider not in doors("quire.providers"):
        return None
    try:
        return open_door("quire.providers", provider)(Endpoint(provider=provider, model=model))
    except Exception:  # noqa: BLE001 - a stranger's adapter that cannot be opened must not hide all the others
        return None
