"""Recorded replies of real providers, cut in any way; only where PROVIDER_TRAFFIC names a folder of them."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

import pytest

from quire.core import errors
from quire.core.messages import Message, Thought
from quire.core.ports import Answer, Endpoint, ModelRequest
from tests.adapters.providers.dialects import DIALECTS
from tests.servers import ChatServer, Reply

FOLDER = os.environ.get("PROVIDER_TRAFFIC")
RECORDED = [json.loads(path.read_text("utf-8")) for path in sorted(Path(FOLDER).glob("*.json"))] if FOLDER else []
ADAPTERS = {dialect.api: dialect.adapter for dialect in DIALECTS.values()}
KINDS = {
    "error_auth": errors.AuthenticationError,
    "error_context_length": errors.ContextTooLong,
    "error_invalid_request": errors.InvalidRequest,
    "error_invalid_request_stream": errors.InvalidRequest,
    "error_not_found": errors.ModelNotFound,
    "error_overloaded": errors.Overloaded,
    "error_prompt_content_filter": errors.ContentFiltered,
    "error_quota_not_retryable": errors.QuotaExceeded,
    "error_rate_limit": errors.RateLimited,
    "error_rate_limit_upstream": errors.RateLimited,
    "error_tool_use_failed": errors.InvalidRequest,
}


def ways_to_send(recorded: dict[str, Any]) -> list[Reply]:
    response = recorded["response"]
    sse = response.get("sse")
    raw = json.dumps(response["body"]).encode() if sse is None else sse.encode()
    rng = random.Random(recorded["id"])
    places = sorted(rng.randrange(len(raw)) for _ in range(40))
    cuts = [[raw], [raw[a:b] for a, b in zip([0, *places], [*places, len(raw)], strict=True)]]
    if len(raw) < 6000:
        cuts.append([raw[n : n + 1] for n in range(len(raw))])
    if sse is not None:
        crlf = raw.replace(b"\n", b"\r\n")
        cuts.append([crlf[n : n + 7] for n in range(0, len(crlf), 7)])
    return [
        Reply(
            status=response["status"], headers=response["headers"], chunks=chunks, stream=len(chunks) > 1 or bool(sse)
        )
        for chunks in cuts
    ]


@pytest.mark.skipif(not RECORDED, reason="no recorded traffic")
@pytest.mark.parametrize("recorded", [pytest.param(one, id=one["id"]) for one in RECORDED])
async def test_recorded(recorded: dict[str, Any]):
    ways = ways_to_send(recorded)
    with ChatServer(*ways) as server:
        endpoint = Endpoint(provider=recorded["provider"], model="m", base_url=server.url, api_key="some-key")
        model = ADAPTERS[recorded["api"]](endpoint)
        request = ModelRequest(messages=(Message.of("user", "Hello"),), stream="sse" in recorded["response"])
        for _ in ways:
            if recorded["expected"]["error"]:
                with pytest.raises(KINDS[recorded["kind"]]):
                    [_ async for _ in model.ask(request)]
            else:
                *_, answer = [found async for found in model.ask(request)]
                assert isinstance(answer, Answer)
                compare(answer, recorded["expected"])


def compare(answer: Answer, expected: dict[str, Any]) -> None:
    thoughts = [part.text for part in answer.message.parts if isinstance(part, Thought)]
    assert (answer.message.text, "".join(thoughts)) == (expected["text"], expected["reasoning"])
    called = [{"name": one.tool, "args": json.loads(one.arguments)} for one in answer.message.calls]
    assert called == [{"name": one["name"], "args": one["args"]} for one in expected["tool_calls"]]
    # Google gives none; ours are made.
    ids = [(ours.id, one["id"]) for ours, one in zip(answer.message.calls, expected["tool_calls"], strict=True)]
    assert all(one is None or ours == one for ours, one in ids)
    assert answer.finish_reason == expected["finish_reason"]
    assert (answer.usage is None) == (expected["usage"] is None)
    if answer.usage is not None:
        usage, counted = answer.usage, expected["usage"]
        assert (usage.input_tokens, usage.output_tokens) == (counted["input"], counted["output"])
        # The recordings write 0 where a provider says nothing; we say nothing.
        assert (usage.cached_input_tokens or 0) == counted["cached"]
        assert (usage.reasoning_tokens or 0) == counted["reasoning"]
        assert (usage.cache_write_tokens or 0) == counted.get("cache_write", usage.cache_write_tokens or 0)
