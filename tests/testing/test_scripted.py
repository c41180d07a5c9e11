"""The scripted model stands in for any model, and says what it was told to say."""

import asyncio

import pytest

from quire import Agent, Tool, errors
from quire.core.messages import Message
from quire.core.ports import Answer, ModelRequest, Piece, ToolForm
from quire.testing import ScriptedModel, ToolUse
from tests.kit import Draft


def asked(model, *, stream=False):
    async def ask():
        request = ModelRequest(messages=(Message.of("user", "three little words"),), stream=stream)
        return [piece async for piece in model.ask(request)]

    return asyncio.run(ask())


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("words", "words"),
        (Draft(body="x"), '{"body":"x"}'),
        ([1, 2], "[1,2]"),
        ([], "[]"),
        (lambda request: request.messages[0].text, "three little words"),
        (lambda _: lambda _: "twice", "twice"),
        (Answer(message=Message.of("assistant", "whole"), finish_reason="length", usage=None), "whole"),
    ],
)
def test_any_line_becomes_a_reply(line, text):
    [answer] = asked(ScriptedModel([line]))
    assert answer.message.text == text


def test_tools_are_asked_for_one_or_several_at_once():
    one, several = ScriptedModel([ToolUse("a", {"n": 1})]), ScriptedModel([[ToolUse("a"), ToolUse("b", "{broken")]])
    [answer] = asked(one)
    assert [(call.tool, call.arguments) for call in answer.message.calls] == [("a", '{"n": 1}')]
    assert answer.finish_reason == "tool_calls"
    [answer] = asked(several)
    assert [(call.tool, call.arguments) for call in answer.message.calls] == [("a", ""), ("b", "{broken")]
    assert len({call.id for call in answer.message.calls}) == 2


def test_words_come_piece_by_piece_and_add_up():
    *pieces, answer = asked(ScriptedModel(["a  b c "]), stream=True)
    assert all(isinstance(piece, Piece) for piece in pieces)
    assert "".join(piece.text for piece in pieces) == answer.message.text == "a  b c "
    assert asked(ScriptedModel([ToolUse("a")]), stream=True)[:-1] == []


def test_tokens_are_words():
    [answer] = asked(ScriptedModel(["one two"]))
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (3, 2)


def test_an_error_is_raised_and_a_script_that_is_over_says_so():
    model = ScriptedModel([errors.Overloaded("busy"), "fine"])
    with pytest.raises(errors.Overloaded):
        asked(model)
    asked(model)
    with pytest.raises(errors.DefinitionError, match="has 2 replies, and this is request 3"):
        asked(model)
    assert len(model.requests) == 3


def test_it_plays_a_whole_conversation():
    @Tool
    def lookup(id: int) -> str:
        """Look up."""
        return f"order {id}"

    last = ScriptedModel([ToolUse("lookup", {"id": 4}), lambda request: request.messages[-1].parts[0].text])
    assert Agent(last, "x", tools=[lookup]).execute_sync("go") == "order 4"


@pytest.mark.parametrize(
    ("line", "sent"),
    [
        (Draft(body="x"), [("reply", '{"body":"x"}')]),
        ([1, 2], [("reply", '{"value":[1,2]}')]),
        ("words", []),
        (ToolUse("other"), [("other", "")]),
    ],
)
def test_a_value_is_sent_by_the_tool_that_takes_the_reply(line, sent):
    tool = ToolForm(name="reply", description="Reply.", parameters={"type": "object"}, is_reply=True)
    request = ModelRequest(messages=(Message.of("user", "go"),), tools=(tool,))

    async def ask():
        return [piece async for piece in ScriptedModel([line]).ask(request)]

    [answer] = asyncio.run(ask())
    assert [(call.tool, call.arguments) for call in answer.message.calls] == sent
