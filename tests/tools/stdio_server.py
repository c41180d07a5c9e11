"""An MCP server over stdio in plain Python: there at once, of the older protocol, and able to misbehave.

`broken` as its argument lets it end before it can be used, `mute` lets it answer nothing.
"""

import json
import os
import sys
from pathlib import Path

WORD = {"type": "string"}
NUMBER = {"type": "integer"}


def tool(name, /, **properties):
    schema = {"properties": properties, "required": list(properties)} if properties else {}
    return {"name": name, "description": f"Do {name}.", "inputSchema": {"type": "object", **schema}}


TOOLS = [
    tool("add", a=NUMBER, b=NUMBER),
    tool("pid"),
    tool("environment", name=WORD),
    tool("folder"),
    tool("never"),
    tool("given_up"),
    tool("die", words=WORD),
    tool("refuse", words=WORD),
]
waiting = set()
given_up = set()


def use(name, given):
    match name:
        case "add":
            return str(given["a"] + given["b"])
        case "pid":
            return str(os.getpid())
        case "environment":
            return os.environ.get(given["name"], "not there")
        case "folder":
            return str(Path.cwd())
        case "given_up":
            return f"{len(given_up & waiting)} of {len(waiting)}"
        case "die":
            print(given["words"], file=sys.stderr, flush=True)
            os._exit(3)


def called(params):
    name, given = params["name"], params.get("arguments", {})
    failed = name == "refuse"
    text = given["words"] if failed else use(name, given)
    return {"content": [{"type": "text", "text": text}], "isError": failed}


def answer(message):
    match message["method"]:
        case "initialize":
            server = {"name": "plain", "version": "1"}
            return {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": server}
        case "tools/list":
            return {"tools": TOOLS}
        case "tools/call":
            return called(message["params"])


def reply(message):
    if message["method"] == "notifications/cancelled":
        given_up.add(message["params"]["requestId"])
    if message.get("params", {}).get("name") == "never":
        waiting.add(message["id"])
    if "id" not in message or message["id"] in waiting or "mute" in sys.argv:
        return
    result = answer(message)
    unknown = {"error": {"code": -32601, "message": "Method not found"}}
    found = unknown if result is None else {"result": result}
    print(json.dumps({"jsonrpc": "2.0", "id": message["id"], **found}), flush=True)


if "broken" in sys.argv:
    sys.exit(f"no licence for {os.environ.get('TOKEN')}")
for line in sys.stdin:
    reply(json.loads(line))
