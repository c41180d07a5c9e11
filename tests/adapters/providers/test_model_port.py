"""What every model adapter does alike; a new one is added to `DIALECTS`, or to `DOORS`."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import entry_points

import pytest

from quire.adapters.providers.offline import Offline
from quire.adapters.providers.openai import OpenAI
from quire.adapters.providers.openai_responses import OpenAIResponses
from quire.core.messages import Message
from quire.core.ports import Answer, Endpoint, Model, ModelRequest, OutputForm, Piece
from tests.adapters.providers.dialects import DIALECTS
from tests.servers import ChatServer, Reply, Request

DOORS = {
    "offline": Offline,
    "openai": OpenAI,
    "azure-responses": OpenAIResponses,
    **{dialect.provider: dialect.adapter for dialect in DIALECTS.values()},
}


@pytest.fixture(params=["offline", *DIALECTS])
def model(request: pytest.FixtureRequest) -> Iterator[Model]:
    if request.param == "offline":
        yield Offline(Endpoint(provider="offline", model="m"))
        return
    dialect = DIALECTS[request.param]

    def reply(asked: Request) -> Reply:
        if asked.json.get("stream") or "alt=sse" in asked.path:
            return dialect.streams("My ", "answer")
        return dialect.says("{}" if b"schema" in asked.body.lower() else "My answer")

    with ChatServer(reply) as server:
        yield dialect.opened(server.url)


async def test_the_answer_comes_once_and_last(model: Model):
    found = [one async for one in model.ask(ModelRequest(messages=(Message.of("user", "Say something."),)))]
    assert [type(one) for one in found] == [Answer]


async def test_pieces_add_up_to_the_answer(model: Model):
    request = ModelRequest(messages=(Message.of("user", "Say something."),), stream=True)
    *pieces, answer = [one async for one in model.ask(request)]
    assert isinstance(answer, Answer)
    assert (
        "".join(piece.text for piece in pieces if isinstance(piece, Piece) and not piece.thinking)
        == answer.message.text
    )
    assert answer.message.role == "assistant"
    assert answer.usage is not None


async def test_a_shape_is_answered(model: Model):
    form = OutputForm(name="Empty", schema={"type": "object", "properties": {}})
    request = ModelRequest(messages=(Message.of("user", "Nothing."),), output=form)
    *_, answer = [one async for one in model.ask(request)]
    assert isinstance(answer, Answer)
    assert answer.message.text == "{}"


async def test_it_says_who_it_is(model: Model):
    assert (model.provider in DOORS, bool(model.model)) == (True, True)
    assert model.abilities.tools
    assert isinstance(model.simulated, bool)


async def test_an_answer_nobody_waits_for_is_no_error(model: Model):
    asked = model.ask(ModelRequest(messages=(Message.of("user", "Say something."),), stream=True))
    assert await anext(asked)
    await asked.aclose()  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", DOORS)
def test_it_is_found_by_its_entry_point(name: str):
    found = entry_points(group="quire.providers", name=name)
    if not found:
        pytest.skip("quire is not installed here")
    assert next(iter(found)).load() is DOORS[name]
