"""Runs that are killed with SIGKILL at a chosen moment, and gone on with in another process.

Each life of a run is a process of its own, forked from one that has imported everything and done nothing: so it is
cheap, and as dead as any when it is killed. Whoever forks uses no store itself, because stores have threads and
connections, which no child should find; so logs are read in processes of their own, too. What tools and steps do to
the world is lines in files.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import resource
import signal
import threading
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

# The stores are imported here, and pandas, so that no child has to.
import pandas as pd  # noqa: F401
from pydantic import BaseModel

import quire.adapters.stores.file
import quire.adapters.stores.objects
import quire.adapters.stores.postgres
import quire.adapters.stores.redis
import quire.adapters.stores.sqlite  # noqa: F401
from quire import Agent, Memory, Process, Run, Step, Tool, current_context, load
from quire.core.codec import decode, encode
from quire.core.messages import ToolCall
from quire.core.ports import Store
from quire.errors import AnswerRefused, UnresolvedEffect
from quire.events import Asked, Event, Remembered, Started, Succeeded
from quire.run.questions.answers import Question
from quire.run.runnable import Runnable
from quire.run.runtime import keep_in, open_store, store
from quire.testing import ScriptedModel, ToolUse
from quire.views import tables
from tests.adapters.stores import servers

ITEMS = 8
ANSWERED = 0.004
"""Seconds in which a server has usually done what it was asked for."""
FRAME = 4120
"""Bytes by which the file beside a database grows at the least."""
LOOKED_AT = {
    "nodes": ["node", "kind", "status", "input", "output", "item", "error_type"],
    "tools": ["node", "tool", "arguments", "result", "error_type"],
    "calls": ["node", "agent", "model", "finish_reason", "input_tokens", "output_tokens"],
    "messages": ["turn", "sender", "role", "kind", "text", "tool"],
}
"""The columns that have to be as if nothing had happened."""


class Order(BaseModel):
    number: int
    done: list[str] = []


# The world


class World:
    """A folder with what was done, and the moment at which the process dies."""

    def __init__(self, folder: Path, moment: Moment | None = None) -> None:
        self.folder = folder
        self.moment = moment
        self.counts: Counter[str] = Counter()

    def passes(self, what: str) -> None:
        """Die, if this is the moment; or have the server restarted that keeps the log."""
        if self._is_due(what):
            if what == "restart":
                self._await_restart()
            else:
                os.kill(os.getpid(), signal.SIGKILL)

    def enters(self, grows: Grows | None, stream: str, size: int) -> None:
        """Make sure to die in the middle of an append, if this is the moment."""
        if not self._is_due("inside") or self.moment is None:
            return
        if grows is None:
            threading.Thread(target=_die_in, args=(ANSWERED * self.moment.share,), daemon=True).start()
        else:
            name, more = grows(stream, size)
            path = self.folder / name
            _die_at((path.stat().st_size if path.exists() else 0) + int(more * self.moment.share))

    def _is_due(self, what: str) -> bool:
        self.counts[what] += 1
        return self.moment is not None and (what, self.counts[what]) == (self.moment.what, self.moment.number)

    def _await_restart(self) -> None:
        asked = self.folder / "restart"
        self.write("restarts", "now")
        asked.touch()
        until = time.monotonic() + servers.PATIENCE
        while asked.exists() and time.monotonic() < until:  # the server is not down yet
            time.sleep(0.001)

    def write(self, file: str, line: str) -> None:
        """Add a line at once, or not at all."""
        with (self.folder / file).open("a") as out:
            out.write(f"{line}\n")

    def lines(self, file: str) -> list[str]:
        """Return what was written."""
        with suppress(FileNotFoundError):
            return (self.folder / file).read_text().splitlines()
        return []


@dataclass(frozen=True)
class Moment:
    """When a process dies: at the n-th event; before, in or after the n-th append; before or after the n-th effect."""

    what: str
    number: int
    share: float = 0.5
    """How far it gets in an append."""


WHATS = ("event", "append", "inside", "appended", "before", "after")


def _die_in(seconds: float) -> None:
    time.sleep(seconds)
    os.kill(os.getpid(), signal.SIGKILL)


def _die_at(size: int) -> None:
    """Let the system end this process when it has written a file up to this size, and wants to write on."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


world: World


def effect(name: str) -> None:
    """Do something that must not be done twice."""
    world.passes("before")
    world.write("effects", name)
    world.passes("after")


Grows: TypeAlias = Callable[[str, int], tuple[str, int]]
"""Says of an append, by its stream and size, which file it makes longer, and by how much."""


class FatalStore:
    """A store, and a process that may die before, in or after any of its writes."""

    def __init__(self, kept: Store, grows: Grows | None) -> None:
        self.read, self.streams, self.delete = kept.read, kept.streams, kept.delete
        self._append = kept.append
        self._grows = grows

    async def append(self, stream: str, events: Sequence[Event], expected: int) -> None:
        world.passes("append")
        world.passes("restart")
        world.enters(self._grows, stream, sum(len(encode(event)) for event in events))
        await self._append(stream, events, expected)
        world.passes("appended")


@dataclass(frozen=True)
class Kept:
    """Where runs can be kept."""

    address: Callable[[Path], str]
    """That of a new place, for whoever has a folder for everything else."""
    grows: Grows | None = None
    """With this, a process dies in the middle of its own writing; else some moment after it asked a server."""
    server: Callable[[], servers.Server] | None = None
    """What has to be there first."""
    restart: Callable[[servers.Server, Callable[[], object]], None] | None = None
    """Makes the server go away and come back; does something while it is away."""


STORES = {
    "file": Kept(lambda folder: f"file:{folder}/home", grows=lambda stream, size: (f"home/{stream}.jsonl", size)),
    "sqlite": Kept(lambda folder: f"sqlite:///{folder}/home.db", grows=lambda *_: ("home.db-wal", 3 * FRAME)),
    "postgres": Kept(lambda _: servers.database(), server=servers.postgres, restart=servers.restart_postgres),
    "redis": Kept(lambda _: servers.number(), server=servers.redis, restart=servers.restart_redis),
    "s3": Kept(lambda _: servers.bucket(), server=servers.s3, restart=servers.restart_s3),
}


def opened(folder: Path) -> Store:
    """Return the store of the runs of a folder."""
    return open_store((folder / "address").read_text())


# What is run


@Tool(idempotency_key=lambda number: f"charge-{number}")
def charge(number: int) -> str:
    """Charge for an order; the bank knows the key and does nothing twice."""
    key = current_context().key
    world.passes("before")
    if f"charge {key}" not in world.lines("effects"):
        world.write("effects", f"charge {key}")
    world.passes("after")
    return f"charged {number}"


def sent_already(number: int) -> str | None:
    return f"sent {number}" if f"send {number}" in world.lines("effects") else None


@Tool(verify=sent_already)
async def send(number: int) -> str:
    """Send an order."""
    effect(f"send {number}")
    await asyncio.sleep(0)
    return f"sent {number}"


@Tool
def ring(number: int) -> str:
    """Ring a bell, of which nobody can tell afterwards."""
    effect(f"ring {number}")
    return f"rang {number}"


def step(name: str, wait: float = 0.0) -> Step[Order]:
    async def work(order: Order) -> Order:
        world.write("work", f"{name} {order.number}")
        await asyncio.sleep(wait)
        return Order(number=order.number + 1, done=[*order.done, name])

    return Step(work, name=name)


@Step
def number_of(order: Order) -> int:
    world.write("work", f"number_of {order.number}")
    return order.number


def chain() -> Runnable[Any, Any]:
    flow = Process(input=Order, output=str, name="chain")
    first = flow.add(step("one"))
    second = flow.add(step("two", 0.002), inputs=first)
    charged = flow.add(charge, inputs={"number": second.number})
    sent = flow.add(send, inputs={"number": second.number}, when=lambda results: "charge" in results)
    third = flow.add(step("three"), inputs=second, when=lambda results: results["charge"] == "charged 2")
    flow.add(step("never"), inputs=third, when="three.number == 0")
    flow.returns(flow.add(joined, inputs={"one": charged, "two": sent}))
    return flow


@Step
def joined(one: str, two: str) -> str:
    world.write("work", "joined")
    return f"{one}, {two}"


def fan_out() -> Runnable[Any, Any]:
    handled = number_of >> charge_step >> send_step
    return (orders >> Process.for_each(handled, max_parallel=3)) >> summed


@Step
async def orders(n: int) -> list[Order]:
    return [Order(number=number) for number in range(n)]


@Step
async def summed(sent: list[str]) -> str:
    return ", ".join(sent)


@Step
async def charge_step(number: int) -> int:
    await charge.execute({"number": number})
    return number


@Step
async def send_step(number: int) -> str:
    return await send.execute({"number": number})


def race() -> Runnable[Any, Any]:
    flow = Process(input=Order, output=str, name="race")
    fastest = flow.add(Process.race(step("fast", 0.002), step("slow", 3.0)))
    flow.add(send, inputs={"number": fastest.number})
    return flow


def loop() -> Runnable[Any, Any]:
    body = step("again", 0.001)
    flow = Process(input=Order, output=str, name="loop")
    last = flow.add(Process.loop(body, until=lambda order: order.number >= 4, max_iterations=9))
    flow.add(charge, inputs={"number": last.number})
    return flow


def branch() -> Runnable[Any, Any]:
    return Process.branch(way_of, {"left": left >> send_step, "right": right}, name="branch")


@Step
def way_of(order: Order) -> str:
    world.write("work", f"way_of {order.number}")
    return "left"


@Step
def left(order: Order) -> int:
    return order.number


@Step
def right(order: Order) -> str:
    return "right"


def nested() -> Runnable[Any, Any]:
    inner = Process(input=Order, output=Order, name="inner")
    first = inner.add(step("in_one"))
    inner.add(send, inputs={"number": first.number})
    inner.returns(inner.add(step("in_two", 0.001), inputs=first))
    flow = Process(input=Order, output=str, name="nested")
    both = flow.add(inner)
    flow.add(charge, inputs={"number": both.number})
    return flow


def clerk(*tools: Any) -> Agent:
    """Make an agent that uses its tools one after the other, and the last two at once."""

    def reply(request: Any) -> Any:
        said = sum(len(m.parts) for m in request.messages if m.role == "tool")
        if said == 0:
            return ToolUse("charge", {"number": 1})
        if said == 1:
            return [ToolUse(tool.name, {"number": number}) for number, tool in enumerate(tools, 2)]
        return "All is done as you asked."

    offered = list(dict.fromkeys([charge, *tools]))
    return Agent(ScriptedModel([reply] * 50), "Do it.", name="clerk", tools=offered)


def agent() -> Runnable[Any, Any]:
    return asked >> clerk(send, charge)


@Step
def asked(order: Order) -> str:
    world.write("work", f"asked {order.number}")
    return f"Please handle order {order.number}."


def memory() -> Runnable[Any, Any]:
    """Make a conversation of two agents, of which the first turn is summed up after the second."""

    def short(request: Any) -> str:
        return f"In {len(request.messages[-1].text)} letters."

    kept = Memory(window=1, summary=ScriptedModel([short] * 50, model="short"))
    thanks = ScriptedModel([lambda request: f"Thanks for {len(request.messages)} messages."] * 50)
    first = clerk(send, charge)
    first.memory = kept
    return asked >> first >> Agent(thanks, "Thank them.", name="guest", memory=kept)


def opaque() -> Runnable[Any, Any]:
    return asked >> clerk(ring)


@Step
async def approved(order: Order) -> Order:
    sure = await current_context().ask(f"Go on with order {order.number}?", bool)
    return Order(number=order.number + 1, done=[f"{sure}"])


@Tool
def pay(number: int) -> str:
    """Pay, if somebody says how; of which nobody can tell afterwards."""
    way = current_context().ask(f"How is {number} paid?", Literal["cash", "card"]).wait()
    effect(f"pay {number}")
    return f"paid by {way}"


def approval() -> Runnable[Any, Any]:
    """Make a flow whose steps and tools ask, also two at once, and of whose effects only a person can tell."""
    flow = Process(input=Order, output=str, name="approval")
    first = flow.add(step("one"))
    sure = flow.add(approved, inputs=first)
    paid = flow.add(pay, inputs={"number": first.number})
    asks = flow.add(asked, inputs=sure)
    flow.returns(flow.add(joined, inputs={"one": paid, "two": flow.add(clerk(pay, ring), inputs=asks)}))
    return flow


@dataclass(frozen=True)
class Shape:
    """Something to run, with its input."""

    make: Callable[[], Runnable[Any, Any]]
    input: Any = field(default_factory=lambda: Order(number=0))
    opaque: bool = False
    """Whether nobody can tell of some effect if it has happened."""
    streams: bool = False
    forks: dict[str, Any] | None = None
    """What is edited in the fork of a run that nobody kills: then it is the fork that is killed."""
    remembers: bool = False
    asks: bool = False
    """Whether a person has to answer."""


SHAPES = {
    "chain": Shape(chain),
    "fan-out": Shape(fan_out, ITEMS),
    "race": Shape(race),
    "loop": Shape(loop),
    "branch": Shape(branch),
    "nested": Shape(nested),
    "agent": Shape(agent),
    "streaming": Shape(agent, streams=True),
    "fork": Shape(nested, forks={"inner/in_one": Order(number=40)}),
    "memory": Shape(memory, remembers=True),
    "version": Shape(memory, remembers=True, forks={"clerk/charge[0]": "charged 40"}),
    "opaque": Shape(opaque, opaque=True),
    "approval": Shape(approval, asks=True),
}


# Lives


def live(shape: Shape, folder: Path, moment: Moment | None, kept: str) -> Any:
    """Do the run of a folder, from the beginning or from where it had broken off; it may be the end of the process."""
    global world  # noqa: PLW0603 - a process has one, like a kernel has
    world = World(folder, moment)
    return asyncio.run(_live(shape, folder, kept))


async def _live(shape: Shape, folder: Path, kept: str) -> Any:
    with keep_in(FatalStore(opened(folder), STORES[kept].grows)):
        begun = [name for name in await store().streams("runs/") if name != _source(folder)]
        runnable = shape.make()
        if begun:
            run = runnable.resume(begun[0].removeprefix("runs/"), attended=shape.asks)
        elif _source(folder):
            run = runnable.fork(_source(folder).removeprefix("runs/"), edit=shape.forks)
        else:
            run = runnable.start(shape.input, session="talk", attended=shape.asks)
        if shape.forks and not _source(folder):
            (folder / "source").write_text(run.log.stream)
        run.log.subscribe(lambda event: event.ephemeral or world.passes("event"))
        if shape.streams:
            async for _ in run.follow():
                pass
        if shape.asks:
            await asyncio.gather(run, _answer_all(run))
        return await run


async def _answer_all(run: Run[Any]) -> None:
    """Answer what a run asks, as soon as the question is kept."""
    while not run.finished:
        asked = run.questions
        await run.log.flush()
        for question in asked:
            with suppress(AnswerRefused):  # it has ended
                run.answer(question, _answer_to(question))
        await asyncio.sleep(0.001)


def _answer_to(question: Question) -> Any:
    """Return what somebody answers who knows what was done."""
    if question.tool is None:
        return question.choices[-1]
    number = question.arguments["number"]
    done = f"{question.tool} {number}" in world.lines("effects")
    gave = {"pay": "paid by card", "ring": f"rang {number}"}
    return gave[question.tool] if done else "no, do it now"


def answer_ahead(folder: Path) -> None:
    """Answer, in a process of its own, what a run asked before it was killed."""

    def answer() -> int:
        global world  # noqa: PLW0603 - as in a life
        world = World(folder)
        with keep_in(opened(folder)):
            begun = asyncio.run(store().streams("runs/"))
            run = load(begun[0].removeprefix("runs/")) if begun else None
            for question in run.questions if run else ():
                run.answer(question, _answer_to(question))
        return 0

    if ended(fork(folder, answer)):
        raise RuntimeError((folder / "error").read_text())


def _source(folder: Path) -> str:
    """Return the stream of the run that is forked; nothing while there is none."""
    with suppress(FileNotFoundError):
        return (folder / "source").read_text()
    return ""


def prepared(shape: Shape, folder: Path, kept: str) -> Path:
    """Return a new folder in which a shape may run: one that is forked has run there."""
    folder.mkdir()
    (folder / "address").write_text(STORES[kept].address(folder))
    if shape.forks:
        life(shape, folder, kept=kept)
        (folder / "effects").unlink()
        (folder / "work").unlink()
    return folder


def life(shape: Shape, folder: Path, moment: Moment | None = None, kept: str = "file") -> str:
    """Let a process of its own do the run; return how it ended: done, killed, or the name of an error."""
    child = fork(folder, lambda: _whole_life(shape, folder, moment, kept))
    if moment is not None and moment.what == "restart":
        _restart(child, folder / "restart", kept)
    status = ended(child)
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        return "killed" if number in (signal.SIGKILL, signal.SIGXFSZ) else f"signal {number}"
    return ("done", "failed", "unresolved")[os.WEXITSTATUS(status)]


def _whole_life(shape: Shape, folder: Path, moment: Moment | None, kept: str) -> int:
    try:
        (folder / "result").write_text(json.dumps(live(shape, folder, moment, kept)))
    except UnresolvedEffect:
        return 2
    return 0


def fork(folder: Path, do: Callable[[], int]) -> int:
    """Do something in a process of its own, which ends with what that returns; return the number of the process."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of threads, which are those of a library that is done
        child = os.fork()
    if child == 0:
        ending = 1
        try:
            ending = do()
        except BaseException:  # noqa: BLE001 - whatever it is, the parent is told
            (folder / "error").write_text(traceback.format_exc())
        finally:
            os._exit(ending)
    return child


def ended(child: int) -> int:
    """Wait for a process; return what the system says of its end."""
    return os.waitpid(child, 0)[1]


def _restart(child: int, asked: Path, kept: str) -> None:
    """Restart the server when the child asks for it; come back also when that has ended without."""
    while not asked.exists():
        if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            return
        time.sleep(0.002)
    restarted(kept, asked.unlink)


def restarted(kept: str, meanwhile: Callable[[], object] = bool) -> None:
    """Restart the server of a store; only the process that started it can."""
    place = STORES[kept]
    if place.server is not None and place.restart is not None:
        place.restart(place.server(), meanwhile)


def log_of(folder: Path, prefix: str = "runs/") -> list[Event]:
    """Return the log of a folder's run, or of its session, as another process reads it."""
    seen = folder / "seen"

    async def read() -> bytes:
        home, source = opened(folder), _source(folder)
        begun = [name for name in await home.streams(prefix) if name != source]
        logs = [await home.read(name) for name in begun]
        return b"".join(encode(event) for log in logs for event in log)

    def look() -> int:
        seen.write_bytes(asyncio.run(read()))
        return 0

    if ended(fork(folder, look)):
        raise RuntimeError((folder / "error").read_text())
    return [decode(line) for line in seen.read_bytes().splitlines()]


def told(events: Sequence[Event]) -> dict[str, list[Any]]:
    """Return what a run's tables say, without what may differ from run to run, in an order of its own."""
    found: dict[str, list[Any]] = {}
    for table, columns in LOOKED_AT.items():
        frame = getattr(tables, table)(events)[columns]
        found[table] = sorted(map(str, json.loads(frame.to_json(orient="values"))))
    return found


def turns(events: Sequence[Event]) -> list[Any]:
    """Return what a session holds and what each turn took, without what may differ from run to run."""
    branches = dict.fromkeys(getattr(event, "branch", "") for event in events)
    numbers = {branch: number for number, branch in enumerate(branches)}  # a fork's has the id of its run
    return [
        (numbers[event.branch], event.agent, _words(event), event.usage, event.cost_usd)
        if isinstance(event, Remembered)
        else (event.kind, numbers[getattr(event, "branch", "")], getattr(event, "summary", None))
        for event in events
    ]


def _words(turn: Remembered) -> list[tuple[str, str]]:
    """Return what was said: without the ids of calls, which each life of a scripted model begins to count anew."""
    return [
        (message.role, part.arguments if isinstance(part, ToolCall) else getattr(part, "text", ""))
        for message in turn.turn
        for part in message.parts
    ]


@dataclass
class Outcome:
    """What became of a run that was killed."""

    kills: list[str] = field(default_factory=list[str])
    """When it was: a moment that never comes kills nobody."""
    restarts: int = 0
    """How often the server was restarted that keeps it."""
    problems: list[str] = field(default_factory=list[str])
    """What is not as in a run that nobody killed."""


class Reference:
    """How a shape's run goes that nobody kills."""

    def __init__(self, shape: Shape, folder: Path) -> None:
        ending = life(shape, prepared(shape, folder, "file"))
        if ending != "done":
            raise RuntimeError((folder / "error").read_text())
        self.result = (folder / "result").read_text()
        self.told = told(log_of(folder))
        self.turns = turns(log_of(folder, "sessions/"))
        self.effects = Counter(World(folder).lines("effects"))
        events = len(log_of(folder))
        effects = sum(self.effects.values())
        asked = sum(isinstance(event, Asked) for event in log_of(folder))
        appends = 3 + effects + 2 * asked + 6 * shape.remembers
        self.most = dict(zip(WHATS, (events, appends, appends, appends, effects, effects), strict=True))


def killed(shape: Shape, reference: Reference, folder: Path, moments: tuple[Moment, ...], kept: str) -> Outcome:
    """Kill a run at these moments, one after the other, and let it end."""
    prepared(shape, folder, kept)
    outcome, world = Outcome(), World(folder)
    seen: list[Event] = []
    finished: set[tuple[str, str]] = set()
    for moment in moments:
        if moment.what == "between":
            world.write("restarts", "now")
            restarted(kept)
            continue
        ending = life(shape, folder, moment, kept)
        if ending == "killed":
            outcome.kills.append(moment.what)
        if ending == "failed":
            outcome.problems.append(f"failed: {(folder / 'error').read_text()}")
            break
        before, seen = seen, log_of(folder)
        if seen[: len(before)] != before:
            outcome.problems.append(f"lost some of {len(before)} events after {moment}")
        finished |= _finished(seen)
        if shape.asks and moment.number % 2:
            answer_ahead(folder)
            seen = log_of(folder)
    worked = Counter(world.lines("work"))
    ending = life(shape, folder, kept=kept)
    outcome.restarts = len(world.lines("restarts"))
    if ending == "unresolved" and shape.opaque:
        if any(count > 1 for count in Counter(world.lines("effects")).values()):
            outcome.problems.append(f"did {world.lines('effects')}")
    elif ending != "done":
        outcome.problems.append(f"ended as {ending}: {(folder / 'error').read_text()}")
    else:
        again = Counter(world.lines("work")) - worked
        outcome.problems += [f"ran {work} again, which had finished" for work in lines_of(finished) if again[work]]
        outcome.problems += differences(reference, folder)
    return outcome


def differences(reference: Reference, folder: Path) -> Iterator[str]:
    """Yield what is otherwise than in the run that nobody killed."""
    result, effects = (folder / "result").read_text(), Counter(World(folder).lines("effects"))
    if result != reference.result:
        yield f"gave {result}, not {reference.result}"
    if effects != reference.effects:
        yield f"did {effects}, not {reference.effects}"
    for name, rows in told(log_of(folder)).items():
        if rows != reference.told[name]:
            yield f"{name} are {rows}, not {reference.told[name]}"
    kept = turns(log_of(folder, "sessions/"))
    if kept != reference.turns:
        yield f"remembers {kept}, not {reference.turns}"


def _finished(events: list[Event]) -> set[tuple[str, str]]:
    began = {event.span: event for event in events if isinstance(event, Started)}
    ended = [began[event.span] for event in events if isinstance(event, Succeeded) and event.span in began]
    return {(node.name, json.dumps(node.input)) for node in ended}


def lines_of(finished: set[tuple[str, str]]) -> Iterator[str]:
    """Yield the lines of the file of work that stand for what has finished."""
    for name, given in finished:
        value = json.loads(given)
        yield f"{name} {value['number']}" if isinstance(value, dict) and "number" in value else name


def moments_of(reference: Reference, dice: random.Random) -> tuple[Moment, ...]:
    """Choose when to kill a run: usually once, sometimes again after it went on."""
    times = dice.choice((1, 1, 1, 2, 3))
    return tuple(_moment(reference, dice, dice.choice(WHATS)) for _ in range(times))


def restarts_of(reference: Reference, dice: random.Random) -> tuple[Moment, ...]:
    """Kill a run, restart the server, and restart it again while the run goes on."""
    return _moment(reference, dice, "event"), Moment("between", 1), Moment("restart", dice.randint(1, 2))


def _moment(reference: Reference, dice: random.Random, what: str) -> Moment:
    return Moment(what, dice.randint(1, max(reference.most[what], 1)), round(dice.random(), 3))
