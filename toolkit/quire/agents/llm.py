"""Which model to ask, and how."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, cast

from quire.core.doors import doors, open_door, who_serves
from quire.core.errors import DefinitionError
from quire.core.ports import Endpoint, Model
from quire.core.price import Price
from quire.run.cassettes.leaks import without_keys
from quire.run.keys import NO_KEYS, Keys

__all__ = ["LLM"]


@dataclass(frozen=True, slots=True)
class LLM:
    """A model to ask: its name, where it is served, and how it should answer.

    The provider follows from the name (`gpt-4o-mini`, `o3` are OpenAI's); `provider:model` says it
    outright; with a `base_url` alone, any server that speaks chat completions will do. Keys come from
    the environment (`OPENAI_API_KEY`, ...) or `quire.toml`. `LLM("offline")` needs neither key nor
    network: its words are simulated, and every view says so.

    `fallback` is another `LLM`, with settings and a fallback of its own, or any model. It is asked when
    the server of this one is in trouble: overloaded, limiting the rate, silent, out of reach, cut off
    before the first word, or failing with a status of 500 or above. An agent's `retry` is used up first.
    What another server would say as well is never passed on: a wrong key, a used-up quota, a prompt that
    is too long, a request that is refused. Each attempt is a call of its own in `run.calls`.

    With `cache=True`, exactly the same request (model, address, conversation, files, tools, output,
    settings) is asked once, and its reply given again from then on: in this process and, as it is kept in
    `QUIRE_HOME` beside the runs, in later ones. Callers that come at the same time wait for the first.
    What was cut off, filtered or failed is not kept, and what one key was used for is given to nobody with
    another. A reply given again consumed nothing: in `run.calls` it is `cached`, with 0 tokens at a cost
    of 0 and the price source "cache", so that sums say what was spent; the call that got it first has what it took.
    While a cassette is in use nothing is given again: it keeps replies itself.

    Raises:
        DefinitionError: no such model can be meant, or a setting makes no sense.

    Example:
        >>> LLM("offline").with_(temperature=0.2).temperature
        0.2
        >>> LLM("claude-haiku-4-5", fallback=LLM("gpt-4o-mini")).stand_ins
        ('gpt-4o-mini',)
    """

    model: str
    provider: str | None = field(default=None, kw_only=True)
    api_key: str | None = field(default=None, kw_only=True, repr=False)
    base_url: str | None = field(default=None, kw_only=True)
    temperature: float | None = field(default=None, kw_only=True)
    max_tokens: int | None = field(default=None, kw_only=True)
    """The most tokens a reply may have."""
    timeout: float = field(default=60.0, kw_only=True)
    """Seconds to wait for the server's next bytes."""
    reasoning: str | None = field(default=None, kw_only=True)
    """How hard to think, in the provider's own word: `"low"`, `"high"`."""
    stop: tuple[str, ...] = field(default=(), kw_only=True)
    price: Mapping[str, float] | None = field(default=None, kw_only=True, hash=False)
    """US dollars per million tokens: `{"input": 0.15, "output": 0.60}`, optionally `cached_input` and `cache_write`."""
    fallback: LLM | Model | None = field(default=None, kw_only=True)
    """Who is asked when the server of this one is in trouble."""
    cache: bool = field(default=False, kw_only=True)
    """Whether exactly the same request is answered with the reply it had before."""

    def __post_init__(self) -> None:
        for name in ("provider", "api_key", "base_url", "reasoning"):
            _check_text(name, getattr(self, name))
        self._check_model()
        self._check_fallback()
        for name, least, most in (("temperature", 0, 2), ("max_tokens", 1, None), ("timeout", 0, None)):
            _check_number(name, getattr(self, name), least, most)
        if isinstance(self.max_tokens, float):
            message = f"LLM(max_tokens={self.max_tokens!r}) makes no sense."
            raise DefinitionError(message, remedy="Tokens are counted: max_tokens is a whole number.")
        if not isinstance(self.cache, bool):  # pyright: ignore[reportUnnecessaryIsInstance]
            message = f"LLM(cache={self.cache!r}) makes no sense."
            raise DefinitionError(message, remedy="cache=True gives replies to exactly the same request again.")
        if not self.timeout:
            message = f"LLM(timeout={self.timeout!r}) leaves no time to answer."
            raise DefinitionError(message, remedy="Give seconds above 0.")
        if self.price is not None:
            Price.read(self.price, f"LLM(price={self.price!r})")
        object.__setattr__(self, "stop", _words(self.stop))

    def _check_model(self) -> None:
        if not isinstance(self.model, str) or not self.model.strip():  # pyright: ignore[reportUnnecessaryIsInstance]
            message = f"LLM(model={self.model!r}) names no model."
            raise DefinitionError(message, remedy='LLM("gpt-4o-mini"), or LLM("offline") without any key.')
        provider, model = self._resolved()
        if provider is None:
            message = f"Nobody is known to serve a model called {self.model!r}."
            remedy = f'Say who does, LLM("{model}", provider="..."), or where, LLM("{model}", base_url="http://...").'
            raise DefinitionError(message, remedy=remedy)
        if provider not in doors("quire.providers"):
            message = f"LLM(provider={provider!r}) is nobody that an adapter is installed for."
            raise DefinitionError(message, remedy=f"There are {', '.join(sorted(doors('quire.providers')))}.")

    def _check_fallback(self) -> None:
        other = self.fallback
        if other is None:
            return
        if not isinstance(other, LLM) and not hasattr(other, "ask"):
            message = f"LLM(fallback={other!r}) has no model to ask."
            raise DefinitionError(message, remedy='LLM("claude-haiku-4-5", fallback=LLM("gpt-4o-mini"))')
        alone = self.with_(fallback=None)
        while isinstance(other, LLM):
            if other.with_(fallback=None) == alone:
                message = f"LLM({self.model!r}) falls back on itself."
                raise DefinitionError(message, remedy="To ask the same model again, give the agent retry=3.")
            other = other.fallback

    def __repr__(self) -> str:
        """Show what was said of it; of a key nothing, and of an address not who asks there."""
        shown = {"base_url": without_keys(self.base_url)} if self.base_url else {}
        given = ((f.name, getattr(self, f.name), f.default) for f in dataclasses.fields(self)[1:] if f.repr)
        said = [f"{name}={shown.get(name, value)!r}" for name, value, default in given if value != default]
        return f"LLM({', '.join([repr(self.model), *said])})"

    @property
    def stand_ins(self) -> tuple[str, ...]:
        """The models that are asked in its place, in order."""
        if self.fallback is None:
            return ()
        return self.fallback.model, *(self.fallback.stand_ins if isinstance(self.fallback, LLM) else ())

    def _resolved(self) -> tuple[str | None, str]:
        """Return who serves it and its name there."""
        if self.provider:
            return self.provider, self.model
        provider, model = who_serves(self.model)
        return provider or ("openai_compat" if self.base_url else None), model

    def with_(self, **changes: Any) -> LLM:
        """Return a copy with some settings changed."""
        return dataclasses.replace(self, **changes)

    def open(self, keys: Keys = NO_KEYS) -> Model:
        """Return the model behind the settings, ready to be asked; a run's own `keys` go before `api_key`.

        Raises:
            DefinitionError: no adapter for the provider is installed.
        """
        provider, model = self._resolved()
        endpoint = Endpoint(
            provider=provider or "",
            model=model,
            api_key=keys.of(provider or "") or self.api_key,
            base_url=self.base_url,
            timeout=self.timeout,
        )
        return _opened(endpoint)

    def settings(self) -> dict[str, Any]:
        """Return how it should answer, as fields of a `ModelRequest`."""
        return {
            "temperature": self.temperature,
            "max_tokens": self.max_tokens,
            "stop": self.stop,
            "reasoning": self.reasoning,
        }


@lru_cache(maxsize=256)
def _opened(endpoint: Endpoint) -> Model:
    return open_door("quire.providers", endpoint.provider)(endpoint)


def _check_text(name: str, value: Any) -> None:
    if value is not None and not isinstance(value, str):
        # What it is instead is not repeated: it may hold a key.
        message = f"LLM({name}=...) is no text but of type {type(value).__name__}."
        raise DefinitionError(message, remedy=f'Give it in quotes, {name}="...", or leave it out.')


def _words(stop: Any) -> tuple[str, ...]:
    """Return the words at which a reply ends."""
    given = [stop] if isinstance(stop, str) else [] if stop is None else stop
    if isinstance(given, (list, tuple)):
        words = tuple(cast("Sequence[Any]", given))
        if all(isinstance(word, str) and word for word in words):
            return words
    message = f"LLM(stop={stop!r}) makes no sense."
    raise DefinitionError(message, remedy='Give the words at which a reply ends: stop="END", or stop=["END", "STOP"].')


def _check_number(name: str, value: Any, least: float, most: float | None) -> None:
    if value is None:
        return
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not value >= least or (most is not None and value > most):
        bounds = f"from {least} to {most}" if most is not None else f"{least} or more"
        message = f"LLM({name}={value!r}) makes no sense."
        raise DefinitionError(message, remedy=f"{name} is a number, {bounds}.")
