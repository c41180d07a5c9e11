"""A run's own keys: used for every call inside it, and never to be found anywhere."""

import asyncio
import json
import pickle
import traceback

import pytest

import quire
from quire import LLM, Agent, Process, Step, current_context, errors
from quire.run.keys import Keys
from quire.run.retry import Retry
from quire.testing import ScriptedModel, ToolUse
from quire.views import tables
from tests.kit import tables_of
from tests.servers import ChatServer, says, sends, streams

KEY = "sk-tenant-0123456789abcdef"
OTHER = "sk-another-fedcba9876543210"


def key_of(request):
    return request.headers.get("authorization", "").removeprefix("Bearer ")


def written(home):
    return "".join(path.read_text() for path in home.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("model", "header"),
    [
        ("openai:gpt-test", "authorization"),
        ("anthropic:claude-test", "x-api-key"),
        ("google:gemini-test", "x-goog-api-key"),
    ],
)
def test_a_key_reaches_the_server_and_nothing_else(model, header, quire_home):
    provider = model.partition(":")[0]
    refusal = {"error": {"type": "authentication_error", "code": "invalid_api_key", "message": f"Wrong key {KEY}."}}
    with ChatServer(sends(401, refusal)) as server:
        agent = Agent(LLM(model, base_url=server.url), "Answer.", name="helper", retry=Retry(max_attempts=2, backoff=0))
        run = agent.start("Why?", keys={provider: KEY}, tags={"tenant": "4"})
        with pytest.raises(errors.AuthenticationError) as raised:
            run.wait()
        assert KEY in server.requests[0].headers[header]
    error = raised.value
    seen = [
        str(error),
        repr(error),
        repr(vars(error)),
        "".join(traceback.format_exception(error)),
        repr(run),
        str(run),
        repr(list(run.past)),
        json.dumps(tables_of(list(run.past))),
        quire.runs().to_string(),
        json.dumps(run.fold().snapshot(), default=str),
        written(quire_home),
    ]
    assert not [text for text in seen if KEY in text]
    assert "Wrong key" in written(quire_home)  # what is looked for would be there


def test_a_key_is_hidden_in_the_errors_of_a_strangers_adapter_too():
    class Careless(ScriptedModel):
        async def ask(self, request):
            error = errors.Overloaded(f"{KEY} is busy", remedy=f"not {KEY}", body=KEY)
            raise error from ValueError(f"bad header: Bearer {KEY}")
            yield

    agent = Agent(Careless([]), "Answer.", retry=Retry(max_attempts=2, backoff=0))
    run = agent.start("Why?", keys={"openai": KEY})
    with pytest.raises(errors.Overloaded) as raised:
        run.wait()
    assert "[key] is busy" in str(raised.value)
    assert KEY not in "".join(traceback.format_exception(raised.value)) + repr(vars(raised.value))
    assert KEY not in tables.events(run.past).to_string() + repr(list(run.past))
    assert [event.error for event in run.past if event.kind == "retried"] == ["[key] is busy"]


def test_a_key_is_hidden_in_what_a_tool_complains_of():
    def look(page: str) -> str:
        """Look."""
        raise ValueError(f"{current_context().keys.of('openai')} may not see {page}")

    model = ScriptedModel([ToolUse("look", {"page": "a"}), "done"])
    run = Agent(model, "Answer.", tools=[look]).start("Why?", keys={"openai": KEY})
    assert run.wait() == "done"
    assert model.requests[1].messages[-1].parts[0].text == "ValueError: [key] may not see a"
    assert KEY not in repr(list(run.past))


def test_a_key_written_into_the_code_that_fails_is_not_recorded():
    @Step
    async def careless(text: str) -> str:
        return await broken.execute(text, keys={"openai": "sk-written-down"}) + LLM("gpt-4", api_key="sk-too").modle  # type: ignore[attr-defined]

    @Step
    async def broken(text: str) -> str:
        return text

    run = careless.start("x")
    with pytest.raises(AttributeError):
        run.wait()
    [told] = [event.traceback for event in run.past if event.kind == "failed"]
    assert "keys=..." in told
    assert "api_key=..." in told
    assert "sk-" not in told


async def test_everything_inside_a_run_uses_its_keys():
    with ChatServer(lambda request: says(key_of(request))) as server:
        agent = Agent(LLM("openai:gpt-test", base_url=server.url, api_key="sk-operator"), "Answer.", name="helper")

        @Step
        async def awaits(text: str) -> str:
            return await agent.execute(text)

        @Step
        def waits_in_a_thread(text: str) -> str:
            return agent.execute_sync(text)

        flow = Process.parallel(agent, awaits, waits_in_a_thread)
        assert await flow.execute("x", keys={"openai": KEY}) == (KEY, KEY, KEY)
        assert await flow.execute("x") == ("sk-operator",) * 3


async def test_a_part_may_bring_keys_of_its_own():
    with ChatServer(lambda request: says(key_of(request))) as server:
        agent = Agent(LLM("openai:gpt-test", base_url=server.url), "Answer.", name="helper")

        @Step
        async def outer(text: str) -> list[str]:
            own = await agent.execute(text, keys={"openai": OTHER})
            started = agent.start(text, keys={"openai": OTHER, "groq": "gsk"})
            elsewhere = await agent.execute(text, keys={"groq": "gsk"})
            return [own, await started, elsewhere, await agent.execute(text), repr(current_context().keys)]

        assert await outer.execute("x", keys={"openai": KEY}) == [OTHER, OTHER, KEY, KEY, "Keys(openai)"]


async def test_runs_side_by_side_do_not_mix_their_keys():
    with ChatServer(lambda request: says(key_of(request), wait=0.01)) as server:
        agent = Agent(LLM("openai:gpt-test", base_url=server.url), "Answer.")
        keys = [f"sk-tenant-{n}" for n in range(20)]
        assert await asyncio.gather(*(agent.execute("x", keys={"openai": key}) for key in keys)) == keys


def test_one_key_serves_a_provider_under_each_of_its_names_and_no_other():
    keys = Keys({"gemini": " g ", "openai-chat": "o"})
    assert [keys.of(name) for name in ("google", "gemini", "openai", "openai-chat")] == ["g", "g", "o", "o"]
    # A server of one's own that speaks OpenAI's dialect is not OpenAI.
    assert [keys.of(name) for name in ("openai_compat", "anthropic", "groq")] == [None] * 3


async def test_streams_bring_keys_too():
    with ChatServer(streams("Hel", "lo")) as server:
        agent = Agent(LLM("openai:gpt-test", base_url=server.url), "Answer.")
        events = [event.kind async for event in agent.stream("x", keys={"openai": KEY})]
        assert events.count("delta") == 2
        assert key_of(server.requests[0]) == KEY


@pytest.mark.parametrize(
    ("keys", "message", "remedy"),
    [
        ({"opnai": KEY}, "names a provider that nobody has installed", "Did you mean 'openai'?"),
        ({KEY: "openai"}, "names a provider that nobody has installed", "Known names: "),
        ({None: KEY}, "names a provider that nobody has installed", "Known names: "),
        ({"openai": ""}, "has no key for openai", "Give the key as text"),
        ({"openai": "  "}, "has no key for openai", "Give the key as text"),
        ({"openai": None}, "has no key for openai", "Give the key as text"),
        ({"openai": [KEY]}, "has no key for openai", "Give the key as text"),
        (KEY, "takes keys by provider, not str", 'keys={"openai": key}'),
    ],
)
@pytest.mark.parametrize("verb", ["start", "execute_sync"])
def test_keys_that_are_none_are_refused_before_anything_runs(keys, message, remedy, verb):
    agent = Agent(LLM("offline"), "Answer.")
    with pytest.raises(errors.DefinitionError, match=message) as raised:
        getattr(agent, verb)("Why?", keys=keys)
    assert remedy in raised.value.remedy
    assert KEY not in str(raised.value)
    assert quire.runs().empty


def test_keys_stay_in_the_process():
    with pytest.raises(TypeError, match="stay in the process"):
        pickle.dumps(Keys({"openai": KEY}))
