"""Asking the model an agent has at the moment, and those who stand in for it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from quire.agents import turn as turns
from quire.agents.llm import LLM
from quire.agents.modes import abilities_of, learn, lesser
from quire.core.errors import (
    InvalidRequest,
    ModelNotFound,
    Overloaded,
    ProviderError,
    ProviderTimeout,
    ProviderUnreachable,
    RateLimited,
    StreamInterrupted,
)
from quire.core.events import Rescued, Said
from quire.core.messages import File, Message, Text, ToolResult
from quire.core.ports import Answer, Model, ModelRequest
from quire.core.usage import Usage
from quire.run.cache import ReplyCache
from quire.run.calls import ask_model
from quire.run.context import Context
from quire.run.keys import NO_KEYS, Keys
from quire.run.prices import quote
from quire.run.retry import Retry, retrying

__all__ = ["Minutes", "Speaker", "ask", "speaker"]

_REFUSALS = (InvalidRequest, ModelNotFound)
"""What a server says that cannot do something; one that passes requests on says it has nobody who can."""
_TROUBLE = (Overloaded, RateLimited, ProviderTimeout, ProviderUnreachable, StreamInterrupted)
"""A server's own trouble, which another server may not have."""

_SERVERS_FAULT = 500
"""The HTTP status from which on it is the server's fault, and not the request's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Speaker:
    """A model that is ready to be asked, with all that its `LLM` says of it."""

    model: Model
    settings: Mapping[str, Any]
    """Fields of the `ModelRequest`."""
    price: Mapping[str, float] | None = None
    cache: ReplyCache | None = None
    """Where its replies are kept to be given again, if they are."""
    fallback: LLM | Model | None = None
    """Who is asked when its server is in trouble."""

    def cost(self, usage: Usage) -> float | None:
        """Return what usage is expected to cost in US dollars; `None` if nobody knows."""
        if self.model.simulated:
            return 0.0
        found = quote(self.model.provider, self.model.model, self.price)
        return found.charge(usage, time.time()) if found else None


def speaker(llm: LLM | Model, keys: Keys = NO_KEYS) -> Speaker:
    """Return whom an agent's `llm` stands for, in a run that brings these keys."""
    if not isinstance(llm, LLM):
        return Speaker(model=llm, settings={})
    model = llm.open(keys)
    cache = ReplyCache(keys.of(model.provider) or llm.api_key) if llm.cache else None
    return Speaker(model=model, settings=llm.settings(), price=llm.price, cache=cache, fallback=llm.fallback)


class Minutes:
    """Keeps the record of what is said to an agent's models, each thing once and before they are asked."""

    def __init__(self, context: Context, turn: turns.Turn) -> None:
        self._context = context
        self._reply = turn.rules.reply
        self._instructions = ""
        # What was said in earlier turns is on the record of those.
        self._question = self._known = 1 + turn.before

    def take(self, messages: Sequence[Message]) -> None:
        """Record what is new since the last question: words to a model, which no event of its own tells of."""
        instructions = messages[0]
        # Each model is told in its own way what to reply with.
        if instructions.text != self._instructions:
            self._say("instructions", instructions)
            self._instructions = instructions.text
        for number, message in enumerate(messages[self._known :], self._known):
            if message.role == "user":
                self._say("input" if number == self._question else "validation", message)
            elif message.role == "tool":
                self._answer(message)
        self._known = len(messages)

    def _answer(self, message: Message) -> None:
        """Record what was wrong with a reply by call: no tool has run that would tell."""
        for part in message.parts:
            if isinstance(part, ToolResult) and part.tool == self._reply:
                self._say("validation", Message.of("tool", part.text))

    def _say(self, sender: str, message: Message) -> None:
        log = self._context.log
        words = "\n\n".join(part.text for part in message.parts if isinstance(part, Text))
        files = tuple(part for part in message.parts if isinstance(part, File))
        if log.recall is not None and log.recall.said(self._context.span, sender, message.role, words):
            return  # before the run broke off
        log.emit(Said, log.new_span(), self._context.span, sender=sender, role=message.role, text=words, files=files)


async def ask(llm: LLM | Model, turn: turns.Turn, retry: Retry | None, minutes: Minutes, context: Context) -> Answer:
    """Return the model's answer, or that of its fallback if the model's server is in trouble.

    The fallback is asked when `retry` is used up, and only if nothing of a reply has been shown. It gets the
    conversation as it is, in its own wording and with its own settings. Every attempt is a call of its own.
    """
    who = speaker(llm, context.keys)
    try:
        return await _ask(who, turn, retry, minutes, context)
    except ProviderError as error:
        if who.fallback is None or error.begun or not _is_trouble(error):
            raise
        context.log.emit(
            Rescued,
            context.span,
            context.parent,
            by=who.fallback.model,
            error_type=type(error).__name__,
            error=error.what,
        )
        # Here, not further down: should the other fail too, its error shows this one as its context.
        return await ask(who.fallback, turn, retry, minutes, context)


async def _ask(who: Speaker, turn: turns.Turn, retry: Retry | None, minutes: Minutes, context: Context) -> Answer:
    """Ask in the best way that the server accepts: after a refusal, in the next best."""
    form, refusals = turn.rules.form, list[ProviderError]()
    abilities = abilities_of(who.model, form)
    while True:
        request = turns.request(turn, abilities, who.settings)
        minutes.take(request.messages)
        try:
            answer = await _attempt(who, request, retry, context)
        except _REFUSALS as error:
            less = None if error.begun else lesser(request, abilities, error)
            if less is None:
                raise
            abilities = less
            refusals.append(error)
        else:
            if refusals:
                learn(who.model, form, abilities, refusals)
            return answer


async def _attempt(who: Speaker, request: ModelRequest, retry: Retry | None, context: Context) -> Answer:
    if context.watched:
        request = replace(request, stream=True)
    attempt = partial(ask_model, who.model, request, context, who.price, who.cache)
    return await (attempt() if retry is None else retrying(retry, attempt, context))


def _is_trouble(error: ProviderError) -> bool:
    return isinstance(error, _TROUBLE) or (type(error) is ProviderError and (error.status or 0) >= _SERVERS_FAULT)
