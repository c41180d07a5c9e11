"""The everyday programs, as users write them: each runs in a process of its own against a server on this machine."""

import json

import pytest

from tests.kit import output_of
from tests.servers import ChatServer, calls, says, sends

ONE_CALL = """
import asyncio
from quire import LLM, Agent

agent = Agent(
    llm=LLM(model="gpt-4o-mini"),
    instructions="Answer in one short paragraph.",
)

async def main():
    print(await agent.execute("Why are Rust runtimes a good fit for agents?"))

asyncio.run(main())
"""

TYPED = """
import asyncio
from pydantic import BaseModel
from quire import LLM, Agent

class Question(BaseModel):
    text: str

class Answer(BaseModel):
    reply: str
    confidence: float

agent = Agent(
    llm=LLM(model="gpt-4o-mini"),
    instructions="Reply briefly. Include a confidence score from 0 to 1.",
    input=Question, output=Answer,
)

async def main():
    out = await agent.execute(Question(text="Is the sky blue?"))
    print(out.reply, out.confidence)

asyncio.run(main())
"""

TOOLS = """
import asyncio
from pydantic import BaseModel
from quire import LLM, Agent, Tool

class WeatherArgs(BaseModel):
    city: str

@Tool
async def get_weather(args: WeatherArgs) -> dict:
    return {"city": args.city, "temp_c": 23, "condition": "sunny"}

agent = Agent(
    llm=LLM(model="gpt-4o-mini"),
    instructions="If asked about weather, call get_weather.",
    tools=[get_weather],
)

async def main():
    print(await agent.execute("What's the weather in Tokyo right now?"))

asyncio.run(main())
"""

REMEMBERS = """
import asyncio
from quire import LLM, Agent, Memory

agent = Agent(
    llm=LLM(model="gpt-4o-mini"),
    instructions="You are a helpful note-taker.",
    memory=Memory(),
)

async def main():
    await agent.execute("My favourite colour is teal.", session="user-42")
    print(await agent.execute("What is my favourite colour?", session="user-42"))

asyncio.run(main())
"""

GOES_BACK = """
import asyncio
from quire import LLM, Agent, Memory

mem = Memory()

agent = Agent(
    llm=LLM(model="gpt-4o-mini"),
    instructions="You are a trip-planning assistant.",
    memory=mem,
)

async def main():
    await agent.execute("Let's plan a 3-day trip to Kyoto.", session="trip")
    await mem.checkpoint("trip", name="after-outline")

    # Try a tangent on the same thread.
    await agent.execute("Actually, swap day 2 for a day-trip to Osaka.", session="trip")

    # Decide we preferred the original; rewind to the pinned point.
    await mem.restore("trip", name="after-outline")
    print(await agent.execute("OK keep Kyoto only. What's day 1?", session="trip"))

asyncio.run(main())
"""

PIPELINE = """
import asyncio
from pydantic import BaseModel
from quire import LLM, Agent, Pipeline

class Question(BaseModel):
    text: str

class Outline(BaseModel):
    points: list[str]

class Draft(BaseModel):
    body: str

class OnePager(BaseModel):
    summary: str

llm = LLM(model="gpt-4o-mini")

planner = Agent(llm=llm, instructions="List three bullet points to research.",
                input=Question, output=Outline)
writer = Agent(llm=llm, instructions="Write a short answer from these points.",
               input=Outline, output=Draft)
condenser = Agent(llm=llm, instructions="Compress the draft to about 80 words.",
                  input=Draft, output=OnePager)

async def main():
    out = await Pipeline(planner, writer, condenser).execute(
        Question(text="How does a Rust agent runtime differ from a Python library?")
    )
    print(out.summary)

asyncio.run(main())
"""

BRANCH = """
import asyncio
from pydantic import BaseModel
from quire import LLM, Agent, Process

class Ticket(BaseModel):
    text: str

llm = LLM(model="gpt-4o-mini")

triage = Agent(
    llm=llm,
    instructions="Classify severity. Reply with exactly one word: low or high.",
    input=Ticket, output=str,
)
short_reply = Agent(llm=llm, instructions="Write a one-line acknowledgement.")
long_reply = Agent(llm=llm, instructions="Write a detailed apology and remediation plan.")

p = Process.branch(
    triage,
    routes={"low": short_reply, "high": long_reply},
)

async def main():
    print(await p.execute(Ticket(text="My laptop is on fire.")))

asyncio.run(main())
"""


@pytest.fixture
def run(tmp_path):
    """Run a program against a server with these replies; return what it prints and what the server was asked."""

    def run(text, *replies, path=""):
        with ChatServer(*replies) as server:
            printed = output_of(text, tmp_path, OPENAI_BASE_URL=server.url + path, OPENAI_API_KEY="sk-test")
            return printed, server.requests

    return run


@pytest.mark.parametrize("path", ["", "/v1"])
def test_one_call(run, path):
    printed, [request] = run(ONE_CALL, says("They are quick."), path=path)
    assert printed == "They are quick."
    assert (request.path, request.headers["authorization"]) == ("/v1/chat/completions", "Bearer sk-test")
    assert request.json["model"] == "gpt-4o-mini"
    assert [message["content"] for message in request.json["messages"]] == [
        "Answer in one short paragraph.",
        "Why are Rust runtimes a good fit for agents?",
    ]


def test_typed_input_and_output(run):
    printed, [request] = run(TYPED, says('{"reply": "Yes.", "confidence": 0.9}'))
    assert printed == "Yes. 0.9"
    assert json.loads(request.json["messages"][-1]["content"]) == {"text": "Is the sky blue?"}
    assert request.json["response_format"]["type"] == "json_schema"


def test_junk_is_sent_back_once(run):
    printed, requests = run(TYPED, says('{"reply": "Yes."}'), says('{"reply": "Yes.", "confidence": 1}'))
    assert printed == "Yes. 1.0"
    assert "confidence: Field required" in requests[1].json["messages"][-1]["content"]


def test_the_tool_loop(run):
    printed, [first, second] = run(TOOLS, calls(("get_weather", {"city": "Tokyo"})), says("Sunny, 23 degrees."))
    assert printed == "Sunny, 23 degrees."
    [tool] = first.json["tools"]
    assert (tool["function"]["name"], tool["function"]["parameters"]["required"]) == ("get_weather", ["city"])
    told = second.json["messages"][-1]
    assert (told["role"], told["tool_call_id"]) == ("tool", "call_0")
    assert json.loads(told["content"]) == {"city": "Tokyo", "temp_c": 23, "condition": "sunny"}


def contents(request):
    return [message["content"] for message in request.json["messages"]]


def test_a_conversation_goes_on_also_in_the_next_process(run):
    printed, requests = run(REMEMBERS, says("Noted."), says("Teal."))
    assert printed == "Teal."
    said = ["My favourite colour is teal.", "Noted.", "What is my favourite colour?"]
    assert contents(requests[1]) == ["You are a helpful note-taker.", *said]
    _, requests = run(REMEMBERS, says("Again."), says("Still teal."))
    assert contents(requests[0]) == ["You are a helpful note-taker.", *said, "Teal.", said[0]]


def test_a_conversation_goes_back_to_a_checkpoint(run):
    printed, requests = run(GOES_BACK, says("Outline."), says("Osaka it is."), says("Temples."))
    assert printed == "Temples."
    instructions, outline = "You are a trip-planning assistant.", ["Let's plan a 3-day trip to Kyoto.", "Outline."]
    assert contents(requests[2]) == [instructions, *outline, "OK keep Kyoto only. What's day 1?"]
    # Run a second time, it goes on from where the first has ended.
    printed, requests = run(GOES_BACK, says("Again."), says("Osaka again."), says("Gardens."))
    assert len(contents(requests[0])) == 6
    assert contents(requests[2])[-3:] == ["Let's plan a 3-day trip to Kyoto.", "Again.", contents(requests[2])[-1]]


def test_a_pipeline_finds_its_order(run):
    replies = ({"points": ["one", "two"]}, {"body": "One and two."}, {"summary": "Both."})
    printed, requests = run(PIPELINE, *(says(json.dumps(reply)) for reply in replies))
    assert printed == "Both."
    asked = [json.loads(request.json["messages"][-1]["content"]) for request in requests]
    assert asked[1:] == list(replies[:2])


@pytest.mark.parametrize(("said", "chosen"), [("high", "apology"), (" Low.", "acknowledgement")])
def test_a_branch_runs_only_the_chosen_route(run, said, chosen):
    printed, [first, second] = run(BRANCH, says(said), says("Dear customer"))
    assert printed == "Dear customer"
    assert "Classify severity" in first.json["messages"][0]["content"]
    assert chosen in second.json["messages"][0]["content"]
    assert json.loads(second.json["messages"][-1]["content"]) == {"text": "My laptop is on fire."}


def test_a_branch_records_why_the_other_route_was_skipped(run):
    told = BRANCH.replace("asyncio.run(main())", "asyncio.run(main())\nimport quire\n").rstrip()
    told += "\nprint(*(e.reason for e in quire.load(quire.runs().run[0]).past if e.kind == 'skipped'))"
    printed, requests = run(told, says("high"), says("Dear customer"))
    assert printed.splitlines() == ["Dear customer", "triage said high"]
    assert len(requests) == 2


@pytest.mark.parametrize(
    ("line", "replies", "printed"),
    [
        (
            'await Process.for_each(triage).execute([Ticket(text="a"), Ticket(text="b")])',
            [says("low"), says("low")],
            "['low', 'low']",
        ),
        ('await Process.race(triage, long_reply).execute(Ticket(text="a"))', [says("low"), says("low")], "low"),
        (
            'await triage.with_retry(3).execute(Ticket(text="a"))',
            [sends(503, {"error": {"message": "busy"}}), says("low")],
            "low",
        ),
    ],
)
def test_all_one_line_each(run, line, replies, printed):
    program = BRANCH.replace('await p.execute(Ticket(text="My laptop is on fire."))', line)
    said, _ = run(program, *replies)
    assert said == printed


def test_a_refused_key_is_an_error_with_a_remedy(tmp_path):
    refusal = sends(401, {"error": {"message": "Incorrect API key provided", "code": "invalid_api_key"}})
    program = ONE_CALL.replace(
        "asyncio.run(main())", "try: asyncio.run(main())\nexcept Exception as e: print(type(e).__name__, e)"
    )
    with ChatServer(refusal) as server:
        printed = output_of(program, tmp_path, OPENAI_BASE_URL=server.url, OPENAI_API_KEY="sk-wrong")
    assert printed.startswith("AuthenticationError")
    assert "in agent › gpt-4o-mini" in printed
