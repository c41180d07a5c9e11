"""A value is asked for in the best way a server takes; one that refuses is asked in the next best, and remembered."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from quire import LLM, Agent, errors
from quire.agents.modes import abilities_of, learn, lesser, way_for
from quire.core.messages import Message
from quire.core.ports import Abilities, ModelRequest, OutputForm, ToolForm
from quire.testing import ScriptedModel, ToolUse
from quire.views.details import details
from tests.kit import folded
from tests.servers import ChatServer, calls, says, sends


class Verdict(BaseModel):
    score: int


FORM = OutputForm(name="Verdict", schema={"type": "object", "properties": {"score": {"type": "integer"}}})
LOOK = ToolForm(name="look", description="Look.", parameters={"type": "object"})
ABILITIES = st.builds(Abilities, **dict.fromkeys(Abilities.__slots__, st.booleans()))


def asked(abilities, tools=(), form=FORM):
    way = way_for(form, tools, abilities)
    messages = (Message.of("system", way.words),)
    return ModelRequest(messages=messages, tools=way.tools, output=way.output, must_use_tool=way.must_use_tool)


def mode(request):
    if request.output is not None:
        return "schema"
    if any(tool.is_reply for tool in request.tools):
        return "forced tool" if request.must_use_tool else "tool"
    return "words"


def refusal(words, status=400):
    return errors.InvalidRequest("m answered 400: no.", status=status, body=words)


# The best way


@pytest.mark.parametrize(
    ("abilities", "tools", "best"),
    [
        ({}, (), "schema"),
        ({}, (LOOK,), "schema"),
        ({"output_schema_with_tools": False}, (), "schema"),
        ({"output_schema_with_tools": False}, (LOOK,), "forced tool"),
        ({"output_schema": False}, (), "forced tool"),
        ({"output_schema": False, "must_use_tool": False}, (LOOK,), "tool"),
        ({"output_schema": False, "tools": False}, (), "words"),
    ],
)
def test_the_best_way_that_the_abilities_allow_is_taken(abilities, tools, best):
    request = asked(Abilities(**abilities), tools)
    assert mode(request) == best
    assert request.tools[: len(tools)] == tools
    assert ("JSON schema" in request.messages[0].text) == (best == "words")


def test_text_is_asked_for_plainly():
    assert asked(Abilities(), (LOOK,), form=None) == ModelRequest(messages=(Message.of("system", ""),), tools=(LOOK,))


# Refusals


@pytest.mark.parametrize(
    ("words", "tools", "ways"),
    [
        # OpenAI and servers that speak like it
        ("Invalid parameter: 'response_format' of type 'json_schema' is not supported with this model.", (), "sf"),
        ('{"detail":[{"type":"extra_forbidden","loc":["body","response_format"],"msg":"Extra inputs"}]}', (), "sf"),
        ("This response_format type is unavailable now", (LOOK,), "sf"),
        ("json mode cannot be combined with tool/function calling", (LOOK,), "sf"),
        ("Invalid schema for response_format 'Verdict': In context=('properties',), 'x' is missing", (), "sf"),
        ("text.format: structured outputs are not available", (), "sf"),
        # Anthropic, Gemini
        ("output_config.format: Extra inputs are not permitted", (), "sf"),
        ("Function calling with a response mime type: 'application/json' is unsupported", (LOOK,), "sf"),
        ('Invalid JSON payload received. Unknown name "responseJsonSchema"', (), "sf"),
        # A tool must be used
        ("Thinking may not be enabled when tool_choice forces tool use.", (), "ft"),
        ("deepseek-reasoner does not support this tool_choice", (LOOK,), "ft"),
        ("Forced function calling (mode = ANY) is not supported for this model", (), "ft"),
        ("gemma:2b does not support tools", (), "fw"),
        ("gemma:2b does not support tools", (), "tw"),
        ('"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set', (), "tw"),
        ("tools.0.input_schema: too many recursive definitions", (), "fw"),
        # Something else
        ("max_tokens is too large: 100000", (), "s"),
        ("max_tokens is too large: 100000", (LOOK,), "f"),
        ("messages: at least one message is required", (), "t"),
        ("Failed to call a function. Please adjust your prompt. code: tool_use_failed", (), "f"),
        ("Invalid schema for function 'look': schema must be an object", (LOOK,), "s"),
        ("gemma:2b does not support tools", (LOOK,), "w"),
        ("response_format is not supported", (), "w"),
    ],
)
def test_what_a_refusal_leads_to(words, tools, ways):
    """`ways` are the first letters of the way that was refused, and of the next; alone, the error stays."""
    start = {
        "s": Abilities(),
        "f": Abilities(output_schema=False),
        "t": Abilities(output_schema=False, must_use_tool=False),
        "w": Abilities(output_schema=False, tools=False),
    }[ways[0]]
    request = asked(start, tools)
    assert mode(request)[0] == ways[0]
    less = lesser(request, start, refusal(words))
    assert (less is None) == (len(ways) == 1)
    if less is not None:
        assert mode(asked(less, tools))[0] == ways[1]


@given(ABILITIES, st.booleans(), st.lists(st.sampled_from(["response_format", "tool_choice", "tools", "weather"])))
def test_each_refusal_takes_one_ability_away_and_there_is_an_end(abilities, with_tools, complaints):
    tools = (LOOK,) if with_tools else ()
    order = ["schema", "forced tool", "tool", "words"]
    for words in complaints:
        request = asked(abilities, tools)
        less = lesser(request, abilities, refusal(f"{words} is not supported"))
        if less is None:
            continue
        taken = [name for name in Abilities.__slots__ if getattr(abilities, name) != getattr(less, name)]
        assert len(taken) == 1
        assert getattr(less, taken[0]) is False
        assert order.index(mode(asked(less, tools))) > order.index(mode(request))
        abilities = less


def test_what_was_learned_of_one_shape_is_not_said_of_others():
    model, other = ScriptedModel([]), OutputForm(name="Other", schema={"type": "object"})
    less = Abilities(output_schema=False)
    learn(model, FORM, less, [refusal("Invalid schema for response_format 'Verdict'")])
    assert (abilities_of(model, FORM), abilities_of(model, other)) == (less, model.abilities)
    learn(model, FORM, less, [refusal("response_format is not supported")])
    assert abilities_of(model, other) == less
    assert abilities_of(ScriptedModel([]), FORM) == Abilities()


# Against servers


def refusing(*fields, words="{} is not supported", **reply):
    """Refuse requests that have one of these fields, and answer the others as they ask."""

    def answer(request):
        for field in fields:
            if field in request.json:
                return sends(400, {"error": {"message": words.format(field), "type": "invalid_request_error"}})
        if "tools" in request.json:
            return calls(("reply", {"score": 3}))
        return says('{"score": 4}', **reply)

    return answer


def judge(server, **options):
    llm = LLM("m", base_url=server.url)
    return Agent(llm, "Judge.", name="judge", output=Verdict, **options)


def test_a_server_that_knows_no_response_format_is_given_a_tool_and_only_the_first_turn_pays():
    with ChatServer(refusing("response_format")) as server:
        run = judge(server).start("it")
        assert run.wait() == Verdict(score=3)
        first, second = (request.json for request in server.requests)
        assert "response_format" in first
        assert second["tool_choice"] == "required"
        assert [tool["function"]["name"] for tool in second["tools"]] == ["reply"]
        assert second["tools"][0]["function"]["parameters"]["properties"].keys() == {"score"}
        assert run.calls["error_type"].tolist()[0] == "InvalidRequest"
        assert run.calls["finish_reason"].tolist()[1] == "tool_calls"
        assert run.status == "succeeded"
        assert judge(server).execute_sync("again") == Verdict(score=3)
        assert len(server.requests) == 3


def test_a_server_that_refuses_everything_is_asked_in_words():
    with ChatServer(refusing("response_format", "tool_choice", "tools")) as server:
        assert judge(server).execute_sync("it") == Verdict(score=4)
        assert [sorted({"response_format", "tool_choice", "tools"} & r.json.keys()) for r in server.requests] == [
            ["response_format"],
            ["tool_choice", "tools"],
            ["tools"],
            [],
        ]
        assert "JSON schema" in server.requests[-1].json["messages"][0]["content"]
        assert judge(server).execute_sync("again") == Verdict(score=4)
        assert len(server.requests) == 5


def test_a_server_that_refuses_tool_choice_is_only_offered_the_tool():
    with ChatServer(refusing("response_format", "tool_choice")) as server:
        assert judge(server).execute_sync("it") == Verdict(score=3)
        assert "tools" in server.requests[-1].json
        assert len(server.requests) == 3


def test_a_gateway_that_finds_nobody_who_can_use_tools_is_asked_in_words():
    nobody = sends(404, {"error": {"message": "No endpoints found that support tool use.", "code": 404}})
    with ChatServer(nobody, says('{"score": 4}')) as server:
        llm = LLM("m", provider="openrouter", base_url=server.url)
        assert Agent(llm, "Judge.", output=Verdict).execute_sync("it") == Verdict(score=4)
        assert ["tools" in request.json for request in server.requests] == [True, False]


def test_another_complaint_is_raised_at_once_and_nothing_is_learned():
    with ChatServer(sends(400, {"error": {"message": "temperature is out of range"}}), refusing()) as server:
        agent = judge(server)
        with pytest.raises(errors.InvalidRequest, match="temperature is out of range"):
            agent.execute_sync("it")
        assert agent.execute_sync("it") == Verdict(score=4)
        assert ["response_format" in request.json for request in server.requests] == [True, True]


def test_what_did_not_help_is_not_remembered():
    broken = sends(400, {"error": {"message": "the tools of this server are broken"}})
    with ChatServer(refusing("response_format"), broken, broken, refusing()) as server:
        agent = judge(server)
        with pytest.raises(errors.InvalidRequest):
            agent.execute_sync("it")
        assert agent.execute_sync("it") == Verdict(score=4)
        assert "response_format" in server.requests[-1].json


def test_the_tools_of_the_user_work_next_to_the_reply():
    def look(at: str) -> str:
        """Look."""
        return f"{at} is fine"

    def answer(request):
        if "response_format" in request.json:
            return sends(400, {"error": {"message": "response_format: unsupported together with tools"}})
        if request.json["messages"][-1]["role"] == "user":
            return calls(("look", {"at": "it"}), ("reply", {"score": 1}))
        return calls(("reply", {"score": 2}))

    with ChatServer(answer) as server:
        run = judge(server, tools=[look]).start("it")
        assert run.wait() == Verdict(score=2)
        told = {message["tool_call_id"]: message["content"] for message in server.requests[-1].json["messages"][-2:]}
        assert told["call_0"] == "it is fine"
        assert told["call_1"].startswith("Not taken")
        assert run.tools["tool"].tolist() == ["look"]
        # Without tools, that server may well know schemas.
        assert abilities_of(LLM("m", base_url=server.url).open(), FORM).output_schema


# How it looks


def replied_by_tool(*lines, **options):
    model = ScriptedModel(lines, abilities=Abilities(output_schema=False))
    run = Agent(model, "Judge.", name="judge", output=Verdict, **options).start("it")
    assert run.wait() == Verdict(score=2)
    return run, model


def test_a_reply_by_tool_looks_like_a_reply_and_not_like_a_tool():
    run, model = replied_by_tool(Verdict(score=2))
    assert model.requests[0].must_use_tool
    requested = next(event for event in run.past if event.kind == "requested")
    assert (requested.reply_tool, requested.tools) == ("reply", ())
    _, said = folded(run.past)["messages"]
    assert said["parts"] == [{"type": "data", "text": '{\n  "score": 2\n}'}]
    assert run.messages[["kind", "tool"]].values.tolist()[-1][0] == "text"
    assert json.loads(run.messages["text"].iloc[-1]) == {"score": 2}
    assert len(run.tools) == 0
    assert json.loads(details(run.past, "judge")["reply"]) == {"score": 2}


def test_what_was_wrong_with_a_reply_is_on_the_record():
    run, model = replied_by_tool(ToolUse("reply", {"score": "many"}), Verdict(score=2))
    said = [event for event in run.past if event.kind == "said"]
    assert [(event.sender, event.role) for event in said] == [
        ("instructions", "system"),
        ("input", "user"),
        ("validation", "tool"),
    ]
    assert said[-1].text == model.requests[-1].messages[-1].parts[0].text
    prompt = details(run.past, "judge")["prompt"]
    assert [message["role"] for message in prompt] == ["system", "user", "assistant", "tool"]
    assert prompt[2]["text"] == '{"score": "many"}'


def test_the_prompt_in_a_nodes_details_is_the_one_that_was_answered():
    model = ScriptedModel([refusal("response_format is not supported"), Verdict(score=2)])
    run = Agent(model, "Judge.", name="judge", output=Verdict).start("it")
    assert run.wait() == Verdict(score=2)
    prompt = details(run.past, "judge")["prompt"]
    assert [message["role"] for message in prompt] == ["system", "user"]
    assert prompt[0]["text"] == model.requests[-1].messages[0].text
    _, said = folded(run.past)["messages"]
    assert (said["error"], said["writing"]) == (None, False)
