"""MCP servers as programs and over HTTP: reaching them, losing them, and leaving none behind."""

import asyncio
import gc
import os
import signal
import sys
from pathlib import Path

import pytest

from quire import Agent, errors
from quire.core.messages import ToolResult
from quire.testing import ScriptedModel, ToolUse
from quire.tools import MCP
from tests.kit import output_of, program
from tests.tools.mcp_servers import PLAIN, OverHTTP, holds, numbers

PROGRAM = (sys.executable, "-S", PLAIN)
SECRET = "sesame-open-4711"


def is_alive(pid):
    """Tell whether a process runs: one that has ended, but that nobody has asked about yet, does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def tools_of(mcp):
    return {tool.name: tool for tool in await mcp.tools()}


async def pid_of(tools):
    return int(await tools["pid"].execute({}))


async def says(tool, words, within=5.0):
    """Ask again and again, and tell whether that is what it says in the end."""
    until = asyncio.get_running_loop().time() + within
    while (said := await tool({})) != words and asyncio.get_running_loop().time() < until:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    return said == words


async def noticed(mcp):
    """Tell whether it is noticed that the server is gone."""
    return await holds(lambda: not any(one.usable for one in mcp._connections.values()))


def agent_with(tools, *replies):
    model = ScriptedModel(replies)
    return Agent(model, "Use tools.", name="agent_a", tools=list(tools.values())), model


def told(model):
    return [part for part in model.requests[-1].messages[-1].parts if isinstance(part, ToolResult)]


# Programs


async def test_a_program_is_started_once_and_ended():
    mcp = MCP(*PROGRAM)
    tools = await tools_of(mcp)
    agent, model = agent_with(tools, [ToolUse("add", {"a": 1, "b": 2}), ToolUse("pid")], ToolUse("pid"), "done")
    assert await agent.execute("go") == "done"
    pid = await pid_of(tools)
    assert await asyncio.to_thread(tools["pid"].execute_sync, {}) == str(pid)
    assert await asyncio.to_thread(lambda: asyncio.run(tools["pid"].execute({}))) == str(pid)
    assert told(model)[0].text == str(pid)
    assert is_alive(pid)
    await mcp.close()
    assert not is_alive(pid)


async def test_it_has_the_environment_and_the_folder_it_is_given_and_no_more(monkeypatch, tmp_path):
    monkeypatch.setenv("OPENAI_API_KEY", "not for everybody")
    async with MCP(*PROGRAM, env={"TOKEN": SECRET}, cwd=tmp_path) as mcp:
        tools = await tools_of(mcp)
        assert await tools["environment"].execute({"name": "TOKEN"}) == SECRET
        assert await tools["environment"].execute({"name": "OPENAI_API_KEY"}) == "not there"
        assert await tools["folder"].execute({}) == str(tmp_path)


async def test_cancelling_reaches_a_program():
    async with MCP(*PROGRAM) as mcp:
        tools = await tools_of(mcp)
        agent, _ = agent_with(tools, ToolUse("never"))
        run = agent.start("go")
        assert await says(tools["given_up"], "0 of 1")
        await run.cancel("enough")
        assert await says(tools["given_up"], "1 of 1")


async def test_a_program_that_dies_in_a_call_fails_it_and_is_started_again():
    async with MCP(*PROGRAM, env={"TOKEN": SECRET}) as mcp:
        tools = await tools_of(mcp)
        before = await pid_of(tools)
        uses = [ToolUse("never"), ToolUse("die", {"words": f"out of memory {SECRET}"})]
        agent, model = agent_with(tools, uses, ToolUse("pid"), "done")
        run = agent.start("go")
        assert await run == "done"
        assert told(model)[0].text not in {str(before), ""}
        assert is_alive(int(told(model)[0].text))
        assert not is_alive(before)
    broken = [part for part in model.requests[1].messages[-1].parts if isinstance(part, ToolResult)]
    assert [part.failed for part in broken] == [True, True]
    assert "ToolsUnreachable: The MCP server" in broken[0].text
    assert "went away: it ended." in broken[1].text
    assert "out of memory ***" in broken[1].text
    assert "while `die` was used" in broken[1].text
    assert SECRET not in str([event for event in run.past if event.kind == "returned"])


async def test_a_program_that_died_in_between_is_started_again_unnoticed():
    async with MCP(*PROGRAM) as mcp:
        tools = await tools_of(mcp)
        before = await pid_of(tools)
        os.kill(before, signal.SIGKILL)
        assert await noticed(mcp)
        assert await pid_of(tools) != before


async def test_a_program_that_cannot_be_used_says_why():
    with pytest.raises(errors.ToolsUnreachable) as raised:
        await MCP(*PROGRAM, "broken", env={"TOKEN": SECRET}).tools()
    assert "could not be opened: it ended." in raised.value.what
    assert raised.value.remedy == "It wrote:\nno licence for ***"
    with pytest.raises(errors.ToolsUnreachable, match="No such file") as raised:
        await MCP("/not/there", "-x", SECRET).tools()
    assert raised.value.remedy == "Is `/not/there` installed, and on the PATH?"
    with pytest.raises(errors.ToolsUnreachable, match=r"not ready after 0\.2 s") as raised:
        await MCP(*PROGRAM, "mute", timeout=0.2).tools()
    assert "MCP(timeout=...)" in raised.value.remedy


async def test_many_who_want_it_at_once_start_one_program():
    async with MCP(*PROGRAM) as mcp:
        tools = await tools_of(mcp)
        os.kill(await pid_of(tools), signal.SIGKILL)
        assert await noticed(mcp)
        assert len(set(await asyncio.gather(*(tools["pid"].execute({}) for _ in range(5))))) == 1


async def test_one_who_does_not_want_it_any_more_leaves_it_to_the_others():
    mcp = MCP(*PROGRAM)
    one, other = (asyncio.create_task(mcp.tools()) for _ in range(2))
    await asyncio.sleep(0.005)
    one.cancel()
    assert await other
    with pytest.raises(asyncio.CancelledError):
        await one
    await mcp.close()


async def test_closing_while_it_starts_leaves_nothing():
    mcp = MCP(*PROGRAM, "mute")
    opening = asyncio.create_task(mcp.tools())
    await asyncio.sleep(0.1)
    await mcp.close()
    with pytest.raises(errors.ToolsUnreachable, match="was closed"):
        await opening
    assert children() == set()


def children():
    """Return the servers that are still running below this process."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            parent = path.with_name("stat").read_text().rpartition(")")[2].split()[1]
            if PLAIN in path.read_text() and int(parent) == os.getpid():
                found.add(int(path.parent.name))
        except OSError:
            continue
    return found


async def test_a_program_nobody_can_use_any_more_is_ended():
    mcp = MCP(*PROGRAM)
    tools = await tools_of(mcp)
    pid = await pid_of(tools)
    agent, _ = agent_with(tools)
    del mcp, tools
    gc.collect()
    assert is_alive(pid)
    del agent
    gc.collect()
    assert await holds(lambda: not is_alive(pid))


async def test_a_program_of_the_sdk():
    text = """
from mcp.server.mcpserver import MCPServer
server = MCPServer("program", log_level="CRITICAL")
@server.tool(structured_output=False)
def greet(name: str) -> str:
    return f"Hello {name}"
server.run("stdio")
"""
    async with MCP(sys.executable, "-c", text) as mcp:
        tools = await tools_of(mcp)
        assert await tools["greet"].execute({"name": "Ada"}) == "Hello Ada"


BEGIN = f"""
import asyncio, os, signal, sys, threading
from quire.tools import MCP
class Importing:
    def find_spec(self, name, path=None, target=None):
        if name == "mcp.client":
            loading.append(threading.current_thread().name)
loading = []
sys.meta_path.insert(0, Importing())
async def begin():
    mcp = MCP({sys.executable!r}, "-S", {PLAIN!r})
    tools = {{tool.name: tool for tool in await mcp.tools()}}
    print(await tools["pid"].execute({{}}), flush=True)
    return tools
tools = asyncio.run(begin())
print(*set(loading))
"""


async def test_neither_the_end_nor_the_death_of_the_interpreter_leaves_one_behind(tmp_path):
    with program(BEGIN + "os.kill(os.getpid(), signal.SIGKILL)", tmp_path / "killed") as killed:
        # Two programs load the SDK at once, which takes its time on a busy machine.
        out = await asyncio.to_thread(output_of, BEGIN, tmp_path / "ended", within=60)
        words, _ = await asyncio.to_thread(killed.communicate)
    pid, loading = out.split()
    assert not is_alive(pid)
    assert loading not in {"MainThread", "quire-loop"}  # no loop stood still meanwhile
    assert killed.returncode == -signal.SIGKILL
    assert await holds(lambda: not is_alive(words.split()[0]))


def test_a_secret_is_in_no_picture_of_it():
    there = f"https://me:{SECRET}@example.org/mcp?key={SECRET}"
    for mcp in (MCP(there, headers={"Authorization": f"Bearer {SECRET}"}), MCP("npx", "-y", "x", env={"KEY": SECRET})):
        assert SECRET not in repr(mcp) + repr(vars(mcp))
    assert repr(MCP(there)) == "MCP('https://example.org/mcp')"
    assert repr(MCP("/usr/bin/npx", "-y", "some-server", "--key", SECRET)) == "MCP('npx some-server')"


# Over HTTP


async def test_over_http_with_a_token():
    with OverHTTP(numbers(), token=SECRET) as server:
        with pytest.raises(errors.ToolsUnreachable, match="HTTP 401 Unauthorized") as raised:
            await MCP(server.url, headers={"Authorization": "Bearer something-else"}).tools()
        assert "headers=" in raised.value.remedy
        async with MCP(server.url, headers={"Authorization": f"Bearer {SECRET}"}) as mcp:
            tools = await tools_of(mcp)
            uses = [ToolUse("add", {"a": 1}), ToolUse("add", {"a": 2}), ToolUse("refuse", {"why": "no"})]
            agent, model = agent_with(tools, uses, "done")
            assert await agent.execute("go") == "done"
            assert await asyncio.to_thread(tools["add"].execute_sync, {"a": 3}) == 4
    assert [part.text for part in told(model)][:2] == ["2", "3"]
    assert "no" in told(model)[2].text


@pytest.mark.parametrize("old", [False, True])
async def test_cancelling_reaches_a_server_over_http(old):
    server = numbers()
    with OverHTTP(server, old=old) as there:
        async with MCP(there.url) as mcp:
            agent, _ = agent_with(await tools_of(mcp), ToolUse("wait"))
            run = agent.start("go")
            assert await holds(lambda: server.met == ["in"])
            await run.cancel("enough")
            assert await holds(lambda: server.met == ["in", "out"])


@pytest.mark.parametrize("old", [False, True])
async def test_a_server_that_breaks_off_and_comes_back(old):
    server = numbers()
    with OverHTTP(server, old=old) as there:
        mcp = MCP(there.url)
        tools = await tools_of(mcp)
        waiting = asyncio.create_task(tools["wait"].execute({}))
        assert await holds(lambda: server.met == ["in"])
        await asyncio.to_thread(there.hang_up)
    with pytest.raises(errors.ToolFailed) as raised:
        await waiting
    assert "MCP server `http://127.0.0.1" in raised.value.what
    with pytest.raises(errors.ToolsUnreachable, match="connection attempts failed"):
        await tools["add"].execute({"a": 1})
    with OverHTTP(numbers(), old=old, port=there.port):
        assert await tools["add"].execute({"a": 1}) == 2
        await mcp.close()


async def test_a_server_that_has_forgotten_the_session_is_greeted_again():
    with OverHTTP(numbers(), old=True) as there:
        mcp = MCP(there.url)
        tools = await tools_of(mcp)
        await asyncio.to_thread(there.end)
    with OverHTTP(numbers(), old=True, port=there.port):
        assert await tools["add"].execute({"a": 1}) == 2
        await mcp.close()


async def test_nobody_there():
    with pytest.raises(errors.ToolsUnreachable, match="could not be opened: All connection attempts failed") as raised:
        await MCP("http://127.0.0.1:9/mcp").tools()
    assert raised.value.remedy == "Is it running, and is this its address?"
