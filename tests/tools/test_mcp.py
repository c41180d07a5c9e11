"""The tools of MCP servers in an agent's hands: what the model is told, what comes back, what may go wrong."""

import asyncio
from contextlib import asynccontextmanager

import mcp_types
import pytest
from mcp.server.mcpserver import Image, MCPServer
from pydantic import BaseModel

from quire import Agent, Pipeline, Process, Step, current_context, errors
from quire.core.messages import File, ToolResult
from quire.run.context import CURRENT
from quire.testing import ScriptedModel, ToolUse
from quire.tools import MCP
from tests.kit import Question, ends, kinds, output_of, tasks_left
from tests.tools.mcp_servers import answering, given, holds, listing, numbers, words

PIXEL = b"\x89PNG\r\n\x1a\n"


class Place(BaseModel):
    name: str


def agent_with(tools, *replies):
    model = ScriptedModel(replies)
    return Agent(model, "Use tools.", name="agent_a", tools=tools), model


def told(model):
    """Return what the model was told of the last round of tools."""
    return [part for part in model.requests[-1].messages[-1].parts if isinstance(part, ToolResult)]


async def value_of(result, schema=None):
    """Return what a tool gives when its server gives this."""
    async with MCP(answering(result, schema=schema)) as mcp:
        [tool] = await mcp.tools()
        return await tool.execute({})


# What a model is told about the tools


async def test_a_model_reads_what_the_server_wrote():
    server = MCPServer("travel", log_level="CRITICAL")

    @server.tool()
    def book(stops: list[Place], nights: int = 1) -> str:
        """Book a journey."""
        return f"{[stop.name for stop in stops]} {nights}"

    async with MCP(server) as mcp:
        agent, model = agent_with(await mcp.tools(), ToolUse("book", {"stops": [{"name": "Kyoto"}]}), "done")
        assert await agent.execute("go") == "done"
    [form] = model.requests[0].tools
    assert (form.name, form.description) == ("book", "Book a journey.")
    assert form.parameters["properties"]["stops"]["items"] == {"$ref": "#/$defs/Place"}
    assert form.parameters["$defs"]["Place"]["required"] == ["name"]
    assert told(model)[0].text == "['Kyoto'] 1"
    assert agent.card()["tools"][0]["takes"] == "stops, nights"
    assert agent.graph()["nodes"][1]["note"] == "mcp"


async def test_every_page_is_read_and_names_are_made_fit_and_unique():
    long = "a" * 70
    pages = {
        None: (["look up", long], "2"),
        "2": (["look.up", long + "b", "ünïcode"], "3"),
        "3": ([], "4"),
        "4": (["last", ""], None),
    }
    async with MCP(listing(pages)) as mcp:
        tools = await mcp.tools()
        names = ["look_up", long[:64], "look_up_2", f"{long[:62]}_2", "_n_code", "last", "tool"]
        assert [tool.name for tool in tools] == names
        assert await tools[2].execute({}) == "this was look.up"
        assert tools[0].description == "look up"


@pytest.mark.parametrize("end", ["", "2"])
async def test_a_listing_that_goes_around_in_a_circle_ends(end):
    async with MCP(listing({None: (["one"], "2"), "2": (["two"], end)})) as mcp:
        assert [tool.name for tool in await mcp.tools()] == ["one", "two"]


async def test_a_prefix_tells_two_servers_apart():
    async with MCP(numbers("a")) as one, MCP(numbers("b"), prefix="b") as other, MCP(numbers("c")) as third:
        tools = [*await one.tools(), *await other.tools()]
        agent, model = agent_with(tools, [ToolUse("add", {"a": 1}), ToolUse("b_add", {"a": 2})], "done")
        await agent.execute("go")
        assert [part.text for part in told(model)] == ["2", "3"]
        with pytest.raises(errors.DefinitionError, match="Two tools are called `add`") as raised:
            agent_with([*tools, *await third.tools()])
        assert "MCP(prefix=" in raised.value.remedy


async def test_tools_are_what_they_are_when_asked_for():
    server = numbers()
    async with MCP(server) as mcp:
        before = await mcp.tools()
        server.remove_tool("refuse")
        assert len(await mcp.tools()) == len(before) - 1


# Calls


async def test_calls_run_side_by_side_and_their_errors_are_told():
    server, met = MCPServer("meeting", log_level="CRITICAL"), asyncio.Barrier(2)

    @server.tool()
    async def meet(name: str) -> str:
        """Meet."""
        await met.wait()
        return f"{name} met"

    async with MCP(server) as mcp:
        uses = [
            ToolUse("meet", {"name": "a"}),
            ToolUse("meet", {"nam": "b"}),
            ToolUse("meet", "[]"),
            ToolUse("meet", {"name": "c"}),
        ]
        agent, model = agent_with(await mcp.tools(), uses, "done")
        run = agent.start("go", timeout=5)
        assert await run == "done"
    replies = told(model)
    assert [part.failed for part in replies] == [False, True, True, False]
    assert (replies[0].text, replies[3].text) == ("a met", "c met")
    assert replies[1].text.startswith("ToolFailed: ")
    assert "name" in replies[1].text
    assert replies[2].text.startswith("ValueError: value: Input should be an object")
    assert run.tools["error_type"].dropna().tolist() == ["ToolFailed", "ValueError"]


async def test_a_tool_that_fails_says_why_in_the_servers_words():
    async with MCP(numbers()) as mcp:
        _, _, refuse = await mcp.tools()
        with pytest.raises(errors.ToolFailed, match="not today"):
            await refuse.execute({"why": "not today"})
    with pytest.raises(errors.ToolFailed, match="It did not say why"):
        await value_of(given(is_error=True))


async def test_cancelling_the_run_cancels_the_call():
    server = numbers()
    async with MCP(server) as mcp:
        agent, _ = agent_with(await mcp.tools(), [ToolUse("wait"), ToolUse("wait")])
        run = agent.start("go")
        assert await holds(lambda: server.met == ["in", "in"])
        await run.cancel("enough")
        assert server.met == ["in", "in", "out", "out"]
        assert kinds(run, "wait") == ["called", "called", "cancelled", "cancelled"]


async def test_a_server_has_so_much_time_for_an_answer():
    server = numbers()
    async with MCP(server, timeout=0.3) as mcp:
        agent, model = agent_with(await mcp.tools(), ToolUse("wait"), "done")
        assert await agent.execute("go") == "done"
    assert server.met == ["in", "out"]
    assert told(model)[0].text.startswith("DeadlineExceeded: `wait` was not finished after 0.3 s.")
    assert agent.card()["tools"][1]["timeout_s"] == 0.3


async def test_a_server_here_is_a_part_of_the_run():
    server = MCPServer("here", log_level="CRITICAL")
    helper = Agent(ScriptedModel(["helped"]), "Help.")

    @server.tool()
    async def ask(question: str) -> str:
        """Ask for help."""
        return f"{current_context().where}: {await helper.execute(question)}"

    async with MCP(server) as mcp:
        agent, model = agent_with(await mcp.tools(), ToolUse("ask", {"question": "why?"}), "done")
        run = agent.start("go")
        assert await run == "done"
    assert told(model)[0].text == "agent_a › ask: helped"
    assert ends(run)["helper"].kind == "succeeded"


async def test_a_connection_outlives_the_run_that_needed_it_first_and_the_time_to_open_it():
    contexts = []

    @asynccontextmanager
    async def begin(_server):
        contexts.append(CURRENT.get())
        yield

    mcp = MCP(MCPServer("here", lifespan=begin, log_level="CRITICAL"), timeout=0.3)

    @Step
    async def look(question: Question) -> int:
        return len(await mcp.tools())

    assert await look.execute(Question(text="what is there?")) == 0
    await asyncio.sleep(0.35)
    assert await mcp.tools() == []
    assert contexts == [None]
    await mcp.close()


# What comes back


async def test_words_and_data():
    assert await value_of(given(words("one"), words("two"))) == "one\n\ntwo"
    assert await value_of(given()) == ""
    assert await value_of(given(words('{"n": 1}'), structured_content={"n": 1})) == {"n": 1}
    assert await value_of(given(structured_content={"result": 1})) == {"result": 1}
    wrapped = {"type": "object", "properties": {"result": {"type": "array"}}, "required": ["result"]}
    assert await value_of(given(structured_content={"result": [1, 2]}), wrapped) == [1, 2]


async def test_files():
    picture = mcp_types.ImageContent(data=File.of(PIXEL, "image/png").data, mime_type="image/png")
    sound = mcp_types.AudioContent(data=File.of(b"la", "audio/wav").data, mime_type="audio/wav")
    assert await value_of(given(picture)) == File.of(PIXEL, "image/png")
    assert await value_of(given(words("Look:"), picture, sound, words("Nice."))) == [
        "Look:",
        File.of(PIXEL, "image/png"),
        File.of(b"la", "audio/wav"),
        "Nice.",
    ]
    with_data = given(words("one"), picture, structured_content={"n": 1})
    assert await value_of(with_data) == ['{"n":1}', File.of(PIXEL, "image/png")]


def embedded(uri, kind=None, *, text=None, blob=None):
    if text is not None:
        inner = mcp_types.TextResourceContents(uri=uri, mime_type=kind, text=text)
    else:
        inner = mcp_types.BlobResourceContents(uri=uri, mime_type=kind, blob=blob)
    return given(mcp_types.EmbeddedResource(resource=inner))


def link(uri, kind=None, **more):
    return given(mcp_types.ResourceLink(uri=uri, name="plan.png", mime_type=kind, **more))


async def test_resources():
    data = File.of(PIXEL, "image/png").data
    assert await value_of(embedded("file:///notes/a.md", "text/markdown", text="# A")) == "# A"
    assert await value_of(embedded("file:///my%20notes/a.png", blob=data)) == File.of(PIXEL, "image/png", name="a.png")
    assert await value_of(embedded("db://rows", "rows", blob=data)) == File.of(PIXEL, "application/octet-stream")
    web = "https://example.org/plan.png"
    assert await value_of(link(web, "image/png")) == File(media_type="image/png", url=web, name="plan.png")
    seen = await value_of(link("file:///plan.png", "image/png", description="The plan."))
    assert seen == "plan.png: file:///plan.png (image/png) The plan."
    assert await value_of(link(web, title="Plan")) == f"Plan: {web}"


async def test_a_picture_reaches_the_model():
    server = MCPServer("camera", log_level="CRITICAL")

    @server.tool()
    def shoot() -> Image:
        """Take a picture."""
        return Image(data=PIXEL, format="png")

    async with MCP(server) as mcp:
        agent, model = agent_with(await mcp.tools(), ToolUse("shoot"), "nice")
        assert await agent.execute("go") == "nice"
    assert told(model)[0].files == (File.of(PIXEL, "image/png"),)


async def test_an_answer_against_its_own_schema_is_told_as_such():
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    with pytest.raises(errors.ToolFailed, match=r"makes no sense: .*'many' is not of type 'integer'"):
        await value_of(given(structured_content={"n": "many"}), schema)


# Apart from agents


async def test_a_tool_is_a_step():
    async with MCP(numbers()) as mcp:
        add, *_ = await mcp.tools()

        @Step
        async def amounts(question: Question) -> dict[str, int]:
            return {"a": len(question.text), "b": 10}

        process = Process(input=Question)
        total = process.add(add, inputs={"a": 5, "b": process.add(amounts).b})
        process.returns(total)
        assert await process.execute(Question(text="four")) == 15
        assert await Pipeline(add).execute({"a": 1}) == 2
        assert await add({"a": 2, "b": 2}) == 4


def test_without_await():
    mcp = MCP(numbers())
    agent, model = agent_with(mcp.tools_sync(), ToolUse("add", {"a": 1}), "done")
    assert agent.execute_sync("go") == "done"
    assert told(model)[0].text == "2"


async def test_one_server_here_serves_every_loop():
    mcp = MCP(numbers())
    add, *_ = await mcp.tools()
    assert await asyncio.to_thread(add.execute_sync, {"a": 1}) == 2
    assert await asyncio.to_thread(lambda: asyncio.run(add.execute({"a": 2}))) == 3
    assert await add.execute({"a": 3}) == 4
    await mcp.close()
    assert tasks_left() == []


def test_beside_a_running_loop(tmp_path):
    out = output_of(
        """
        import asyncio
        from mcp.server.mcpserver import MCPServer
        from quire.tools import MCP
        server = MCPServer("here")
        @server.tool(structured_output=False)
        async def add(a: int) -> str:
            return str(a + 1)
        async def main():
            mcp = MCP(server)
            [add] = mcp.tools_sync()
            print(add.execute_sync({"a": 1}), await add.execute({"a": 2}))
            print((await mcp.tools())[0].execute_sync({"a": 3}))
            await mcp.close()
        asyncio.run(main())
        """,
        tmp_path,
    )
    assert out.split() == ["2", "3", "4"]


async def test_what_was_closed_is_closed_until_it_is_entered_again():
    mcp = MCP(numbers())
    async with mcp:
        add, *_ = await mcp.tools()
    with pytest.raises(errors.ToolsUnreachable, match="`numbers` was closed"):
        await add.execute({"a": 1})
    async with mcp:
        assert await add.execute({"a": 1}) == 2


# What was written down


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((), {}, "names no server"),
        ((5,), {}, "5 is no MCP server"),
        (("npx -y server",), {}, r"is one word"),
        (("npx", 5), {}, "5.* is no word of a command"),
        (("npx",), {"headers": {"a": "b"}}, "headers=.* means nothing to a server that is started"),
        (("npx",), {"cwd": "/not/there"}, "is no folder"),
        (("http://127.0.0.1/mcp",), {"env": {"a": "b"}}, "env=.* means nothing to a server at an address"),
        (("http://127.0.0.1/mcp", "-y"), {}, "words=.* means nothing"),
        ((numbers(),), {"headers": {"a": "b"}}, "headers=.* means nothing to a server in this process"),
        (("npx",), {"timeout": 0}, "leaves no time"),
        (("npx",), {"timeout": "long"}, "leaves no time"),
        (("",), {}, "names no server"),
        (("npx",), {"prefix": 5}, "prefix=5"),
        (("npx",), {"env": "TOKEN=secret"}, r"env=\.\.\.\) is not texts by name"),
        (("npx",), {"env": {"PORT": 80}}, r"env=\.\.\.\) is not texts"),
        (("http://127.0.0.1/mcp",), {"headers": {"key": None}}, r"headers=\.\.\.\) is not texts"),
    ],
)
def test_what_makes_no_sense_is_refused_where_it_is_written(arguments, options, message):
    with pytest.raises(errors.DefinitionError, match=message) as raised:
        MCP(*arguments, **options)
    assert raised.value.remedy


def test_an_agent_says_that_it_wants_the_tools():
    with pytest.raises(errors.DefinitionError, match=r"MCP\('numbers'\) is not a tool") as raised:
        agent_with([MCP(numbers())])
    assert "await its tools()" in raised.value.remedy


def test_without_the_sdk_the_error_names_the_extra(tmp_path):
    out = output_of(
        """
        import sys
        import quire.tools
        print("mcp" in sys.modules)
        sys.modules["mcp"] = None
        try:
            quire.tools.MCP("npx", "some-server")
        except quire.errors.QuireError as error:
            print(error.remedy)
        """,
        tmp_path,
    )
    assert out.splitlines() == ["False", 'pip install "quire[mcp]"']


async def test_a_server_that_cannot_begin_says_why():
    @asynccontextmanager
    async def broken(_server):
        raise LookupError("no database")
        yield

    with pytest.raises(errors.ToolsUnreachable, match="`here` could not be opened: no database"):
        await MCP(MCPServer("here", lifespan=broken)).tools()
