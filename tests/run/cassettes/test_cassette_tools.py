"""What tools give can be recorded too: by name, arguments and turn, at the very place where a model calls them."""

from __future__ import annotations

from pathlib import Path

import pytest

import quire
from quire import Agent, File, Tool
from quire.core import errors
from tests.kit import kinds
from tests.run.cassettes.kept import lines, llm, put, text_of
from tests.servers import ChatServer, Request, calls, says


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "demo.jsonl"


class Shop:
    """A tool, and what became of it."""

    def __init__(self, *gives):
        self.used = []
        self.gives = list(gives)

        @Tool
        async def look_up(order: int) -> dict:
            "Look an order up."
            self.used.append(order)
            found = self.gives[min(len(self.used), len(self.gives)) - 1]
            if isinstance(found, BaseException):
                raise found
            return found

        self.tool = look_up


def told(request: Request) -> str:
    """Make the model say what its tools gave."""
    results = [message["content"] for message in request.json["messages"] if message["role"] == "tool"]
    return says(" | ".join(map(str, results))) if results else calls(("look_up", {"order": 17}))


def seller(server: ChatServer, shop: Shop) -> Agent:
    return Agent(llm(server), "Sell.", name="seller", tools=[shop.tool])


async def both_ways(path: Path, shop: Shop, answer=told):
    runs = []
    with ChatServer(answer) as server:
        for mode in ("record", "replay"):
            with quire.cassette(path, mode=mode, tools=True):
                runs.append(seller(server, shop).start("Where is order 17?"))
                with_error = await _outcome(runs[-1])
                runs[-1].told = with_error
    return runs


async def _outcome(run):
    try:
        return await run
    except errors.QuireError as error:
        return error


async def test_a_tool_is_not_used_again(path: Path):
    shop = Shop({"state": "shipped", "days": [1, 2]})
    recorded, played = await both_ways(path, shop)
    assert shop.used == [17]
    assert recorded.told == played.told == '{"state":"shipped","days":[1,2]}'
    assert kinds(recorded) == kinds(played)
    [live] = [event for event in recorded.past if event.kind == "returned"]
    [again] = [event for event in played.past if event.kind == "returned"]
    assert (live.result, live.replayed, again.result, again.replayed) == (again.result, False, live.result, True)
    assert lines(path)[2] == {
        "arguments": {"order": 17},
        "at": lines(path)[2]["at"],
        "nth": 1,
        "result": {"state": "shipped", "days": [1, 2]},
        "tool": "look_up",
    }


async def test_what_a_tool_raised_is_told_again(path: Path):
    recorded, played = await both_ways(path, Shop(KeyError("order 17")))
    assert recorded.told == played.told == "KeyError: 'order 17'"
    ends = [next(event for event in run.past if event.kind == "returned") for run in (recorded, played)]
    assert [(end.error_type, end.error) for end in ends] == [("KeyError", "'order 17'")] * 2


async def test_a_tool_that_ended_the_run_ends_it_again(path: Path):
    shop = Shop(errors.Stop("The shop is closed."))
    recorded, played = await both_ways(path, shop)
    for run in (recorded, played):
        assert isinstance(run.told, errors.Stop)
        assert run.told.what == "The shop is closed."
    assert shop.used == [17]


async def test_files_are_given_again(path: Path):
    label = File.of(b"label", "text/plain", name="label.txt")

    @Tool
    def look_up(order: int) -> list:
        return ["the label", label]

    shop = Shop()
    shop.tool = look_up
    recorded, played = await both_ways(path, shop)
    given = [next(event for event in run.past if event.kind == "returned") for run in (recorded, played)]
    assert given[0].files == given[1].files == (label,)
    assert given[0].result == given[1].result
    assert recorded.told == played.told


async def test_the_nth_use_gets_the_nth_recording(path: Path):
    def answer(request: Request):
        results = [message["content"] for message in request.json["messages"] if message["role"] == "tool"]
        return says(" | ".join(results)) if len(results) == 3 else calls(("look_up", {"order": 17}))

    shop = Shop({"n": 1}, {"n": 2}, {"n": 3})
    recorded, played = await both_ways(path, shop, answer)
    assert recorded.told == played.told == '{"n":1} | {"n":2} | {"n":3}'
    assert len(shop.used) == 3


async def test_unless_asked_for_tools_are_used_as_ever(path: Path):
    shop = Shop({"n": 1}, {"n": 2})
    with ChatServer(told) as server:
        with quire.cassette(path):
            assert await seller(server, shop).execute("Hi") == '{"n":1}'
        with quire.cassette(path, mode="auto"):
            assert await seller(server, shop).execute("Hi") == '{"n":2}'
        assert len(server.requests) == 3  # another result is another question
    assert not any("tool" in line for line in lines(path))


@pytest.mark.parametrize("chosen", [["look_up"], "the tool itself", ["another"]])
async def test_some_tools_can_be_chosen(path: Path, chosen):
    shop = Shop({"n": 1}, {"n": 1})
    tools = [shop.tool] if chosen == "the tool itself" else chosen
    with ChatServer(told) as server:
        for _ in range(2):
            with quire.cassette(path, tools=tools):
                await seller(server, shop).execute("Hi")
    assert len(shop.used) == (2 if chosen == ["another"] else 1)


async def test_an_agent_that_is_a_tool_is_run_again_and_what_it_asks_is_played(path: Path):
    def answer(request: Request):
        words = request.json["messages"][0]["content"]
        if words == "Look it up.":
            return says("shipped")
        results = [message["content"] for message in request.json["messages"] if message["role"] == "tool"]
        return says(results[0]) if results else calls(("clerk", {"input": "order 17"}))

    runs = []
    with ChatServer(answer) as server:
        for mode in ("record", "replay"):
            with quire.cassette(path, mode=mode, tools=True):
                clerk = Agent(llm(server), "Look it up.", name="clerk")
                runs.append(Agent(llm(server), "Sell.", name="seller", tools=[clerk]).start("Hi"))
                assert await runs[-1] == "shipped"
        assert len(server.requests) == 3
    assert kinds(runs[0]) == kinds(runs[1])
    assert sum(event.kind == "responded" for event in runs[1].past) == 3


async def test_a_tool_that_was_not_recorded_is_a_miss_and_not_used(path: Path):
    shop = Shop({"n": 1})
    with ChatServer(told) as server:
        with quire.cassette(path, tools=True):
            await seller(server, shop).execute("Hi")
        text = text_of(path)
        put(path, text.replace('"arguments":{"order":17}', '"arguments":{"order":18}'))
        with quire.cassette(path, mode="replay", tools=True), pytest.raises(errors.CassetteMiss) as caught:
            await seller(server, shop).execute("Hi")
    assert shop.used == [17]
    said = str(caught.value)
    assert "what look_up gave for these arguments" in said
    assert "line 3" in said
    assert [line[2:] for line in said.splitlines()[2:5]] == ["order", "  - 18", "  + 17"]
