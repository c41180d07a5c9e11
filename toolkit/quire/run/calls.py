"""The two seams of a run: around a call to a model, and around a call to a tool.

Every prompt, reply, argument and result passes here and is recorded here.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Any, cast

from quire.core.contents import named
from quire.core.errors import CassetteError, DefinitionError, ProviderError, Stop, Unanswered
from quire.core.events import Called, Cancelled, Delta, Requested, Responded, Returned, Thinking
from quire.core.messages import Text, Thought, ToolCall, ToolResult
from quire.core.ports import Answer, FinishReason, Model, ModelRequest, Piece
from quire.core.price import Quote
from quire.core.schema import plain, render
from quire.core.tape import Effect, EffectTake, in_force
from quire.core.usage import Usage
from quire.run.again import Once, doubt, go_on
from quire.run.bracket import record_failure
from quire.run.cache import ReplyCache
from quire.run.context import CURRENT, Context, enter, why
from quire.run.prices import billed, own_quote

__all__ = ["ask_model", "use_tool"]


async def ask_model(
    model: Model,
    request: ModelRequest,
    context: Context,
    price: Mapping[str, float] | None = None,
    cache: ReplyCache | None = None,
) -> Answer:
    """Ask a model and return its answer; pieces are recorded as they arrive.

    `price` is in US dollars per million tokens, by `input`, `output`, and optionally `cached_input`
    and `cache_write`; without one, `quire.toml` and the price lists are asked. With a `cache`, what was
    answered before is given again: nothing is consumed then, so its tokens and its cost are 0.
    """
    # Before anything is sent, so that nothing can go wrong with what is paid for.
    own = None if model.simulated else own_quote(model.provider, model.model, price)
    log = context.log
    kept = None if log.recall is None else log.recall.reply(context.span)
    if kept is not None:  # given before the run broke off: nobody is asked, or paid, twice
        return _said_before(kept)
    if log.recall is not None and context.span in log.recall.given:
        message = f"What `{context.name}` was given to say is not what it gives."
        raise DefinitionError(message, where=context.where, remedy="Fork again with an output of its type.")
    call = context.child(model.model, mark=("asked", len(request.messages)))
    if log.recall is not None and log.recall.began(call.span):
        await go_on(call)
    else:
        _requested(model, request, call, context.name)
    try:
        answer, told = await _answered(model, request, call, own, cache)
    except asyncio.CancelledError as cancelled:
        log.emit(Cancelled, call.span, call.parent, reason=why(cancelled, call))
        raise
    except BaseException as error:
        record_failure(error, call, **await _consumed(error, model, own))
        raise
    log.emit(Responded, call.span, call.parent, **told)
    return answer


async def _consumed(error: BaseException, model: Model, own: Quote | None) -> dict[str, Any]:
    """Return what a call took that failed all the same: a refusal is paid for like any reply."""
    answer = error.answered if isinstance(error, ProviderError) else None
    if answer is None or answer.usage is None:
        return {}
    cost, source = await billed(answer, model, own, time.time())
    return {"usage": answer.usage, "cost_usd": cost, "price_source": source}


def _said_before(kept: Responded) -> Answer:
    return Answer(
        message=kept.message,
        finish_reason=cast("FinishReason", kept.finish_reason),
        usage=kept.usage,
        model=kept.model,
        replayed=kept.replayed,
    )


def _requested(model: Model, request: ModelRequest, call: Context, agent: str) -> None:
    call.log.emit(
        Requested,
        call.span,
        call.parent,
        agent=agent,
        provider=model.provider,
        model=model.model,
        messages=len(request.messages),
        tools=tuple(tool.name for tool in request.tools if not tool.is_reply),
        output=request.output.name if request.output else None,
        reply_tool=next((tool.name for tool in request.tools if tool.is_reply), None),
        settings=_settings(request),
        simulated=model.simulated,
    )


async def _answered(
    model: Model, request: ModelRequest, call: Context, own: Quote | None, cache: ReplyCache | None
) -> tuple[Answer, dict[str, Any]]:
    """Return an answer, and what the log tells of it."""
    if cache is None or in_force() is not None:  # a tape has its own memory, and must hear every question
        return await _asked(model, request, call, own)
    stream = cache.stream(model, request)
    async with cache.turn(stream):
        kept = await cache.recall(stream)
        if kept is not None:
            return _given_again(kept, model, request, call)
        answer, told = await _asked(model, request, call, own)
        await cache.keep(stream, Responded(seq=1, at=time.time(), run=call.run, span=call.span, parent=None, **told))
        return answer, told


async def _asked(
    model: Model, request: ModelRequest, call: Context, own: Quote | None
) -> tuple[Answer, dict[str, Any]]:
    answer, first = await _hear(model, request, call)
    cost, source = await billed(answer, model, own, time.time())
    return answer, {
        "message": answer.message,
        "finish_reason": answer.finish_reason,
        "usage": answer.usage,
        "model": answer.model or model.model,
        "first_token_s": first,
        "cost_usd": cost,
        "price_source": source,
        "simulated": model.simulated,
        "replayed": answer.replayed,
    }


def _given_again(kept: Responded, model: Model, request: ModelRequest, call: Context) -> tuple[Answer, dict[str, Any]]:
    for part in kept.message.parts if request.stream else ():
        if isinstance(part, Text | Thought) and part.text:
            kind = Thinking if isinstance(part, Thought) else Delta
            call.log.emit(kind, call.span, call.parent, text=part.text)
    told: dict[str, Any] = {
        "message": kept.message,
        "finish_reason": kept.finish_reason,
        "usage": Usage(input_tokens=0, output_tokens=0),
        "model": kept.model,
    }
    answer = Answer(**told)
    return answer, {**told, "cost_usd": 0.0, "price_source": "cache", "simulated": model.simulated, "cached": True}


async def _hear(model: Model, request: ModelRequest, call: Context) -> tuple[Answer, float | None]:
    began = call.loop.time()
    first: float | None = None
    answer: Answer | None = None
    try:
        # Leaving the block closes the connection, whether the reply came, failed or was cancelled.
        async with aclosing(cast("AsyncGenerator[Piece | Answer]", model.ask(request))) as pieces:
            async for piece in pieces:
                if isinstance(piece, Piece):
                    first = call.loop.time() - began if first is None else first
                    call.log.emit(Thinking if piece.thinking else Delta, call.span, call.parent, text=piece.text)
                else:
                    answer = piece
    except ProviderError as error:
        error.begun = first is not None
        raise
    if answer is None:
        message = f"{model.provider} ended its reply without an answer."
        raise ProviderError(message, remedy="This is a defect of the model's adapter: it must end with an Answer.")
    return answer, first


def _settings(request: ModelRequest) -> dict[str, Any]:
    settings = {
        "temperature": request.temperature,
        "max_tokens": request.max_tokens,
        "stop": list(request.stop) or None,
        "reasoning": request.reasoning,
    }
    return {name: value for name, value in settings.items() if value is not None}


async def use_tool(
    call: ToolCall,
    arguments: Any,
    work: Callable[[Context], Awaitable[Any]],
    context: Context,
    *,
    kind: str = "tool",
    once: Once | None = None,
    given: Any = None,
) -> ToolResult:
    """Do what a model asked of a tool; what the tool raises is told to the model, except `Stop`.

    `kind` is what the tool is: a tape in force plays what it gave, if it was recorded. `once` is what a tool
    says of its effect on what it is `given`; without it, the tool knows itself what it has done already.
    """
    place = context.child(call.tool, mark=call.id)
    if place.state is not None:
        enter(place)
    place.key = once.key(given) if once is not None and once.key is not None else None
    recall = place.log.recall
    kept = recall and recall.returned(place.span)
    if recall and kept:  # done before the run broke off
        if place.state is not None:
            place.state.adopt(recall.writes.under(place.span))
        return _told(call, kept)
    effort = _Effort(call, arguments, place)
    token = CURRENT.set(place)
    try:
        effect = await effort.done_before(once, given)
        taped = None
        if effect is None:
            # The intention is kept before the effect happens, so that a crash in between can be told.
            await place.log.flush()
            tape = in_force()
            taped = None if tape is None else tape.tool(call.tool, kind, arguments)
            effort.begun = True
            effect = taped if isinstance(taped, Effect) else await _effect(work, place, taped)
        return _given(call, effect, place, replayed=effect is taped)
    except asyncio.CancelledError as cancelled:
        place.log.emit(Cancelled, place.span, place.parent, reason=why(cancelled, place), begun=effort.begun)
        raise
    except BaseException as error:
        record_failure(error, place)
        raise
    finally:
        CURRENT.reset(token)
        if place.state is not None:
            place.state.over = True


class _Effort:
    """A call of a tool on its way to its effect."""

    def __init__(self, call: ToolCall, arguments: Any, place: Context) -> None:
        self.place = place
        recall = place.log.recall
        self.known = recall is not None and recall.began(place.span)
        self.begun = recall is not None and self.known and recall.unsettled(place.span)
        """Whether the effect may have happened."""
        if not self.known:
            place.log.emit(
                Called,
                place.span,
                place.parent,
                tool=call.tool,
                call=call.id,
                arguments=plain(arguments),
                key=place.key,
            )

    async def done_before(self, once: Once | None, given: Any) -> Effect | None:
        """Return the effect of a call that was made before the run broke off, if it is there already."""
        recall = self.place.log.recall
        if recall is None or not self.known:
            return None
        await go_on(self.place)
        if once is not None and recall.unsettled(self.place.span):
            done, result = await doubt(once, self.place.name, given, self.place)
            if done:
                data, files = named(result)
                return Effect(result=data, files=files)
        return None


async def _effect(work: Callable[[Context], Awaitable[Any]], place: Context, take: EffectTake | None) -> Effect:
    try:
        data, files = named(await work(place))
        effect = Effect(result=data, files=files)
    except Stop as stop:
        if take is not None and not isinstance(stop, Unanswered):  # another time somebody may be there
            take.keep(Effect(error_type=type(stop).__name__, error=stop.what, stops=True))
        raise
    except CassetteError:
        raise
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the model is told; sys.exit() must not end the kernel
        place.keys.hide_in(error)
        effect = Effect(error_type=type(error).__name__, error=str(error))
    finally:
        place.desk.leave(place.span)
    if take is not None:
        take.keep(effect)
    return effect


def _given(call: ToolCall, effect: Effect, place: Context, *, replayed: bool) -> ToolResult:
    if effect.stops:
        raise Stop(effect.error or "")
    if place.state is not None and effect.error_type is None:
        place.state.keep(place.log, place.parent)
    place.log.emit(
        Returned,
        place.span,
        place.parent,
        tool=call.tool,
        call=call.id,
        result=effect.result,
        error_type=effect.error_type,
        error=effect.error,
        files=effect.files,
        replayed=replayed,
    )
    return _told(call, effect)


def _told(call: ToolCall, effect: Effect | Returned) -> ToolResult:
    """Return what the model is told of what a tool did."""
    if effect.error_type is not None:
        text = f"{effect.error_type}: {effect.error}"
        return ToolResult(id=call.id, tool=call.tool, text=text, failed=True)
    return ToolResult(id=call.id, tool=call.tool, text=render(effect.result), files=effect.files)
