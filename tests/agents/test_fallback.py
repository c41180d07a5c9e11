"""Who is asked when a server is in trouble, and when nobody else is."""

import socket

import pytest

from quire import LLM, Agent, errors
from quire.core.ports import Abilities
from quire.run.retry import Retry
from quire.testing import ScriptedModel, ToolUse
from tests.servers import ChatServer, Reply, calls, says, sends, streams

BUSY = sends(503, {"error": {"message": "The server is overloaded."}})


def at(server, model="first", **settings):
    return LLM(model, base_url=server.url, **settings)


@pytest.mark.parametrize(
    ("trouble", "error_type"),
    [
        (BUSY, "Overloaded"),
        (sends(429, {"error": {"message": "Slow down."}}), "RateLimited"),
        (sends(500, {"error": {"message": "Something broke."}}), "ProviderError"),
        (sends(502, "<html>Bad gateway</html>"), "ProviderError"),
        (says("too late", wait=1), "ProviderTimeout"),
        (Reply(stream=True, ending="cut"), "StreamInterrupted"),
    ],
)
def test_a_server_in_trouble_is_stood_in_for(trouble, error_type):
    with ChatServer(trouble) as server:
        other = ScriptedModel(["from the other"], model="second")
        agent = Agent(at(server, timeout=0.2, fallback=other), "Answer.", name="helper")
        run = agent.start("Why?")
        assert run.wait() == "from the other"
        assert len(server.requests) == 1
    assert run.calls["model"].tolist() == ["first", "second"]
    assert run.calls["error_type"].fillna("").tolist() == [error_type, ""]
    assert run.calls["attempt"].tolist() == [1, 1]
    assert run.nodes["reason"].tolist() == ["by second"]
    [rescued] = [event for event in run.past if event.kind == "rescued"]
    assert (rescued.by, rescued.error_type) == ("second", error_type)


def test_a_server_out_of_reach_is_stood_in_for():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        agent = Agent(LLM("first", base_url=url, fallback=ScriptedModel(["here"])), "Answer.")
        run = agent.start("Why?")
        assert run.wait() == "here"
    assert run.calls["error_type"].fillna("").tolist() == ["ProviderUnreachable", ""]


@pytest.mark.parametrize(
    ("refusal", "error"),
    [
        (sends(401, {"error": {"code": "invalid_api_key", "message": "Wrong key."}}), errors.AuthenticationError),
        (sends(429, {"error": {"code": "insufficient_quota", "message": "Pay first."}}), errors.QuotaExceeded),
        (sends(400, {"error": {"code": "context_length_exceeded", "message": "Long."}}), errors.ContextTooLong),
        (sends(400, {"error": {"message": "What?"}}), errors.InvalidRequest),
        (sends(404, {"error": {"code": "model_not_found", "message": "Who?"}}), errors.ModelNotFound),
        (says(None, refusal="No."), errors.ContentFiltered),
        (sends(200, "not JSON"), errors.ProviderError),
    ],
)
def test_what_another_server_would_say_as_well_is_not_passed_on(refusal, error):
    with ChatServer(refusal) as server:
        other = ScriptedModel(["never"])
        with pytest.raises(error) as raised:
            Agent(at(server, fallback=other), "Answer.").execute_sync("Why?")
    assert type(raised.value) is error
    assert other.requests == []


async def test_a_reply_of_which_something_was_shown_is_not_begun_again_by_another():
    other = ScriptedModel(["never"])
    with ChatServer(streams("Hel", "lo", ending="cut")) as server:
        agent = Agent(at(server, fallback=other), "Answer.", retry=Retry(max_attempts=3, backoff=0))
        seen = []
        run = agent.start("Why?")
        run.log.subscribe(lambda event: seen.append(event.kind))
        with pytest.raises(errors.StreamInterrupted) as raised:
            await run
        assert len(server.requests) == 1
    assert seen.count("delta") == 2
    assert raised.value.partial == "Hello"
    assert other.requests == []


async def test_it_is_not_tried_again_either_whatever_broke_it_off():
    class BreaksOff(ScriptedModel):
        async def ask(self, request):
            async for piece in super().ask(request):
                yield piece
                raise errors.Overloaded("Too busy now.")

    model = BreaksOff(["one two", "never"])
    agent = Agent(model, "Answer.", retry=Retry(max_attempts=3, backoff=0))
    with pytest.raises(errors.Overloaded):
        [event async for event in agent.stream("Why?")]
    assert len(model.requests) == 1


def test_the_agents_retries_come_first():
    with ChatServer(BUSY) as server, ChatServer(BUSY, says("at last")) as second:
        agent = Agent(at(server, fallback=at(second, "second")), "Answer.", retry=Retry(max_attempts=2, backoff=0))
        run = agent.start("Why?")
        assert run.wait() == "at last"
    assert run.calls["model"].tolist() == ["first", "first", "second", "second"]
    assert run.calls["attempt"].tolist() == [1, 2, 1, 2]


def test_a_fallback_may_have_its_own_and_the_last_error_shows_the_others():
    with ChatServer(BUSY) as server, ChatServer(sends(429, {"error": {"message": "Slow down."}})) as second:
        third = ScriptedModel([errors.AuthenticationError("No key."), "third"], model="third")
        agent = Agent(at(server, fallback=at(second, "second", fallback=third)), "Answer.")
        with pytest.raises(errors.AuthenticationError) as raised:
            agent.execute_sync("Why?")
        assert [type(error) for error in chain(raised.value)] == [
            errors.AuthenticationError,
            errors.RateLimited,
            errors.Overloaded,
        ]
        assert agent.execute_sync("Why?") == "third"


def chain(error):
    while error is not None:
        yield error
        error = error.__context__


def test_the_other_is_asked_with_its_own_settings_and_in_its_own_words():
    with ChatServer(BUSY) as server, ChatServer(says('{"value": 4}')) as second:
        other = LLM("groq:second", base_url=second.url, max_tokens=7, price={"input": 1, "output": 1})
        llm = at(server, temperature=0.5, max_tokens=99, fallback=other)
        run = Agent(llm, "Count.", output=int).start("How many?")
        assert run.wait() == 4
        [asked], [again] = server.requests, second.requests
    assert (asked.json["temperature"], asked.json["max_tokens"]) == (0.5, 99)
    assert (again.json["max_tokens"], "temperature" in again.json) == (7, False)
    assert "response_format" in asked.json
    assert "response_format" not in again.json
    assert again.json["messages"][0]["content"].startswith(
        "Count.\n\nGive your final reply by calling the tool `reply`"
    )
    assert run.calls["price_source"].tolist()[1] == "given"
    assert [e.sender for e in run.past if e.kind == "said"] == ["instructions", "input", "instructions"]


def test_the_conversation_goes_over_with_its_tool_calls():
    def find(key: str) -> str:
        """Find."""
        return f"{key} found"

    other = ScriptedModel([lambda request: request.messages[-1].parts[0].text], abilities=Abilities())
    with ChatServer(calls(("find", {"key": "k"})), BUSY, says("back again")) as server:
        agent = Agent(at(server, fallback=other), "Answer.", tools=[find])
        assert agent.execute_sync("Where?") == "k found"
        roles = [message.role for message in other.requests[0].messages]
        # The next question goes to the first again.
        assert agent.execute_sync("Where?") == "back again"
    assert roles == ["system", "user", "assistant", "tool"]


def test_a_tool_that_was_asked_for_by_the_other_is_used():
    def find(key: str) -> str:
        """Find."""
        return f"{key} found"

    other = ScriptedModel([ToolUse("find", {"key": "k"})])
    with ChatServer(BUSY, says("done")) as server:
        agent = Agent(at(server, fallback=other), "Answer.", tools=[find])
        assert agent.execute_sync("Where?") == "done"
        sent = server.requests[1].json["messages"]
    assert [message["role"] for message in sent] == ["system", "user", "assistant", "tool"]


def test_an_agent_shows_who_stands_in():
    llm = LLM("claude-haiku-4-5", fallback=LLM("gpt-4o-mini", fallback=ScriptedModel([], model="third")))
    agent = Agent(llm, "Answer.", name="helper")
    assert ("overload", "else gpt-4o-mini, third") in agent.card()["limits"]
    assert agent.facts()["limits"] == "else gpt-4o-mini, third"
    assert "limits" not in Agent(LLM("gpt-4o-mini"), "Answer.").facts()


@pytest.mark.parametrize("other", ["gpt-4o-mini", 5, object()])
def test_a_fallback_that_is_no_model_is_refused(other):
    with pytest.raises(errors.DefinitionError, match="no model to ask") as raised:
        LLM("gpt-4o", fallback=other)
    assert raised.value.remedy


def test_a_model_does_not_fall_back_on_itself():
    llm = LLM("gpt-4o", temperature=0.5)
    for other in (llm, LLM("claude-haiku-4-5", fallback=llm)):
        with pytest.raises(errors.DefinitionError, match="falls back on itself"):
            llm.with_(fallback=other)
    assert llm.with_(fallback=llm.with_(api_key="another")).stand_ins == ("gpt-4o",)
