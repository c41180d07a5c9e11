"""The keys a run brings along: whose account pays for its model calls.

They are handed on to everything inside the run, and used for every call of an `LLM` to that provider.
Nothing here shows them: not an event, not an error, not a `repr`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, cast

from quire.core.doors import doors
from quire.core.errors import DefinitionError

__all__ = ["NO_KEYS", "Keys"]

_ACCOUNTS = {
    "azure-responses": "azure",
    "gemini": "google",
    "openai-chat": "openai",
    "openai-responses": "openai",
}
"""Providers that are another's under a second name, and take the same key."""

_HIDDEN = "[key]"


class Keys:
    """Keys by provider, which are used and never shown.

    Raises:
        DefinitionError: no provider has that name, or a key is none; the error repeats neither.

    Example:
        >>> keys = Keys({"openai": "sk-secret"})
        >>> keys
        Keys(openai)
        >>> keys.of("openai-chat")
        'sk-secret'
    """

    __slots__ = ("_by_account",)

    def __init__(self, keys: Mapping[str, str]) -> None:
        self._by_account = {_account(provider): _checked(provider, key) for provider, key in _pairs(keys)}

    def of(self, provider: str) -> str | None:
        """Return the key for a provider, if there is one."""
        return self._by_account.get(_account(provider))

    def with_(self, keys: Mapping[str, str] | None) -> Keys:
        """Return these and others, which go before these."""
        if keys is None:
            return self
        both = Keys(keys)
        both._by_account = {**self._by_account, **both._by_account}
        return both

    def hide_in(self, error: BaseException) -> None:
        """Take the keys out of what an error says, and out of what led to it."""
        if not self._by_account:
            return
        for one in _chain(error):
            one.args = tuple(map(self._hidden, one.args))
            for name, value in list(vars(one).items()):
                if isinstance(value, str):
                    vars(one)[name] = self._hidden(value)

    def _hidden(self, value: Any) -> Any:
        if isinstance(value, str):
            for key in self._by_account.values():
                value = value.replace(key, _HIDDEN)
        return value

    def __repr__(self) -> str:
        return f"Keys({', '.join(sorted(self._by_account))})"

    def __reduce__(self) -> Any:
        message = "Keys stay in the process they were given to."
        raise TypeError(message)


def _account(provider: str) -> str:
    return _ACCOUNTS.get(provider, provider)


def _pairs(keys: Any) -> Iterable[tuple[Any, Any]]:
    if isinstance(keys, Mapping):
        return cast("Mapping[Any, Any]", keys).items()
    message = f"keys= takes keys by provider, not {type(keys).__name__}."
    raise DefinitionError(message, remedy='keys={"openai": key}')


def _checked(provider: Any, key: Any) -> str:
    known = doors("quire.providers")
    if not isinstance(provider, str) or provider not in known:
        # The name is not repeated: who mixes the two up has put the key in its place.
        near = get_close_matches(str(provider), known, n=1)
        meant = f"Did you mean {near[0]!r}? " if near else ""
        message = "keys= names a provider that nobody has installed."
        raise DefinitionError(message, remedy=f"{meant}Known names: {', '.join(sorted(known))}.")
    if not isinstance(key, str) or not key.strip():
        message = f"keys= has no key for {provider}."
        raise DefinitionError(message, remedy=f"Give the key as text, or leave {provider} out: the operator's is used.")
    return key.strip()


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            waiting += (one.__cause__, one.__context__)
            yield one


NO_KEYS = Keys({})
"""What a run has that brings none: each `LLM` uses its own, or the environment's."""
