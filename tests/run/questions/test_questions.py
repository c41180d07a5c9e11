"""Runs that ask a person: they wait for an answer, and go on with it, whatever happened in between."""

import asyncio
import enum
import threading
import time
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field, field_validator

import quire
from quire import Agent, Pipeline, Process, Step, Tool, current_context, errors
from quire.events import Answered, Cancelled
from quire.testing import ScriptedModel, ToolUse, in_memory
from tests import crashes
from tests.kit import kinds
from tests.run.questions.asked import until_asked


class Level(enum.Enum):
    LOW = "low"
    HIGH = "high"


class Grade(enum.Enum):
    FIRST = 1
    SECOND = 2


class Draft(BaseModel):
    title: str
    pages: int = Field(default=1, gt=0)


class Title(BaseModel):
    """What its schema does not tell: it begins with a capital letter."""

    words: str

    @field_validator("words")
    @classmethod
    def capital(cls, words: str) -> str:
        if not words[:1].isupper():
            raise ValueError("Titles begin with a capital letter.")
        return words


class Handle:
    """Something that JSON does not hold."""


def asking(output: Any = bool, **how: Any) -> Step:
    """Return a step that asks, and gives the answer as text."""

    @Step
    async def ask(n: int) -> str:
        return repr(await current_context().ask(f"Publish {n}?", output, **how))

    return ask


async def unanswered(runnable, value):
    """Return a run that has failed because nobody was there."""
    run = runnable.start(value)
    with pytest.raises(errors.Unanswered):
        await run
    return run


# What can be answered


@pytest.mark.parametrize(
    ("output", "value", "given"),
    [
        (bool, "Yes ", True),
        (bool, False, False),
        (Literal["a", "A", 3], "A", "A"),
        (Literal["a", "A", 3], 3, 3),
        (Literal["a", "A", 3], "3", 3),
        (Level, "HIGH", Level.HIGH),
        (Level, Level.LOW, Level.LOW),
        (Grade, "second", Grade.SECOND),
        (Grade, 1, Grade.FIRST),
        (str, "anything", "anything"),
        (str, "4", "4"),
        (int, "4", 4),
        (float, 2.5, 2.5),
        (Draft, Draft(title="Bees"), Draft(title="Bees")),
        (Draft, {"title": "Bees"}, Draft(title="Bees")),
        (Draft, '{"title": "Bees", "pages": 2}', Draft(title="Bees", pages=2)),
        (list[int], "[1, 2]", [1, 2]),
        (int | None, None, None),
    ],
)
async def test_the_type_of_the_answer_decides_what_fits(output, value, given):
    run = asking(output).start(1, attended=True)
    await until_asked(run)
    run.answer(value)
    assert await run == repr(given)


@pytest.mark.parametrize(
    ("output", "value", "remedy"),
    [
        (bool, "perhaps", "Answer with yes or no."),
        (Literal["a", "b", "c"], "d", "Answer with a, b or c."),
        (Level, "middle", "Answer with low or high."),
        (int, "many", "Answer with int."),
        (Draft, {"pages": 2}, "title: Field required"),
        (Draft, {"title": "Bees", "pages": 0}, "pages: Input should be greater than 0"),
        (str, 4, "Answer with str."),
    ],
)
async def test_what_does_not_fit_is_refused_and_the_question_stays_open(output, value, remedy):
    run = asking(output).start(1, attended=True)
    [question] = await until_asked(run)
    with pytest.raises(errors.AnswerRefused, match="no answer to: Publish 1") as refused:
        run.answer(question, value)
    assert remedy in str(refused.value)
    assert run.questions == [question]
    await run.cancel()


async def test_a_question_tells_all_that_a_person_has_to_know():
    run = asking(why="It is final.", timeout=60).start(1, attended=True)
    [question] = await until_asked(run)
    assert (question.text, question.choices, question.type) == ("Publish 1?", ("yes", "no"), None)
    assert (question.why, question.where, question.tool) == ("It is final.", "ask", None)
    assert question.until == pytest.approx(time.time() + 60, abs=5)
    assert (run.status, run.fold().snapshot()["nodes"]["ask"]["reason"]) == ("waiting", "for you")
    run.answer(question, "no", by="Ana")
    assert await run == "False"
    [answered] = [event for event in run.past if isinstance(event, Answered)]
    assert (answered.value, answered.by, answered.ahead) == (False, "Ana", False)
    [shown] = run.fold().head()["questions"]
    assert (shown["answer"], shown["by"]) == ("no", "Ana")


@pytest.mark.parametrize("question", ["", "  ", None, 4])
async def test_a_question_has_words(question):
    @Step
    async def ask(n: int) -> str:
        return await current_context().ask(question)

    with pytest.raises(errors.DefinitionError, match="asks nothing"):
        await ask.execute(1)


@pytest.mark.parametrize("how", [{"output": Handle}, {"output": ["a", "b"]}, {"timeout": 0}, {"timeout": "soon"}])
async def test_what_nobody_could_answer_is_not_asked(how):
    with pytest.raises(errors.DefinitionError):
        await asking(**how).execute(1)


# Who answers, and when


async def test_a_question_is_answered_once():
    run = asking().start(1, attended=True)
    [question] = await until_asked(run)
    run.answer(question, True)
    with pytest.raises(errors.AnswerRefused, match="not open"):
        run.answer(question, False)
    assert await run == "True"
    with pytest.raises(errors.AnswerRefused, match="not open"):
        run.answer(question, False)


@pytest.mark.parametrize("said", [(), ("one", "two", "three")])
async def test_an_answer_is_one_thing(said):
    run = asking().start(1, attended=True)
    await until_asked(run)
    with pytest.raises(errors.AnswerRefused, match="takes an answer, or a question and its answer"):
        run.answer(*said)
    await run.cancel()


async def test_who_has_several_questions_says_which():
    @Step
    async def both(n: int) -> list[str]:
        ask = current_context().ask
        return list(await asyncio.gather(ask("Who?"), ask("Where?")))

    run = both.start(1, attended=True)
    who, where = await until_asked(run, 2)
    with pytest.raises(errors.AnswerRefused, match=r"2 questions .* are open"):
        run.answer("me")
    run.answer(where.id, "here")
    assert run.questions == [who]
    assert run.status == "waiting"
    quire.load(run.id).answer("me")
    assert await run == ["me", "here"]


async def test_there_is_nothing_to_answer_where_nothing_was_asked():
    run = asking().start(1, attended=True)
    await until_asked(run)
    with pytest.raises(errors.AnswerRefused, match=r"Question '99' .* is not open") as refused:
        run.answer("99", True)
    assert "Publish 1?" in str(refused.value)
    run.answer(True)
    await run


def test_threads_answer_and_only_one_of_them_counts():
    run = asking(int).start(1, attended=True)
    while not run.questions:
        time.sleep(0.001)
    [question] = run.questions
    refused: list[int] = []

    def answer(number):
        try:
            run.answer(question, number)
        except errors.AnswerRefused:
            refused.append(number)

    threads = [threading.Thread(target=answer, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 7
    assert {*refused, int(run.wait())} == set(range(8))
    assert kinds(run).count("answered") == 1


@pytest.mark.parametrize("kind", [Step, Tool])
def test_a_function_without_await_asks_in_its_own_thread(kind):
    def ask(n: int) -> str:
        """Ask."""
        return current_context().ask("Whom?").wait()

    run = kind(ask).start(1 if kind is Step else {"n": 1}, attended=True)
    while not run.questions:
        time.sleep(0.001)
    run.answer("Ana")
    assert run.wait() == "Ana"


async def test_waiting_without_await_on_the_loop_itself_is_refused():
    @Step
    async def ask(n: int) -> str:
        return current_context().ask("Whom?").wait()

    with pytest.raises(errors.QuireError, match="would block the loop"):
        await ask.start(1, attended=True)


async def test_a_loop_of_its_own_inside_a_thread_asks_as_well():
    async def inner():
        return await current_context().ask("Whom?")

    @Step
    def ask(n: int) -> str:
        return asyncio.run(inner())

    run = ask.start(1, attended=True)
    await until_asked(run)
    run.answer("Ana")
    assert await run == "Ana"


async def test_a_question_that_was_not_asked_is_no_answer():
    @Step
    async def ask(n: int) -> str:
        return "published" if current_context().ask("Publish?", bool) else "kept"

    with pytest.raises(errors.QuireError, match="has not been asked"):
        await ask.start(1, attended=True)


async def test_after_the_end_nobody_is_asked():
    @Step
    async def leave(n: int) -> Any:
        places.append(current_context())
        return n

    places: list[Any] = []
    await leave.start(1, attended=True)
    with pytest.raises(errors.QuireError, match="has ended"):
        await places[0].ask("Anybody?")


async def test_a_part_of_a_run_has_its_own_questions():
    @Step
    async def outer(n: int) -> int:
        parts.extend(asks(name).start(n) for name in ("one", "two"))
        return sum([await part for part in parts])

    parts: list[Any] = []
    run = outer.start(1, attended=True)
    await until_asked(run, 2)
    for number, part in enumerate(parts):
        [question] = part.questions
        part.answer(question, number)
    assert await run == 3


# Time


async def test_who_is_not_answered_in_time_is_told():
    run = asking(timeout=0.02).start(1, attended=True)
    with pytest.raises(errors.Unanswered, match=r"within 0\.02 s: Publish 1"):
        await run
    assert (run.status, run.questions) == ("failed", [])
    [taken_back] = [event for event in run.past if isinstance(event, Cancelled)]
    assert taken_back.reason == "nobody answered within 0.02 s"


async def test_the_time_of_a_person_counts_against_that_of_the_run():
    run = asking(timeout=60).start(1, timeout=0.05, attended=True)
    [question] = await until_asked(run)
    assert question.until == pytest.approx(question.asked_at, abs=1)
    with pytest.raises(errors.DeadlineExceeded):
        await run
    assert run.questions == []


async def test_a_step_may_go_on_without_an_answer():
    @Step
    async def ask(n: int) -> str:
        try:
            return await current_context().ask("Whom?", timeout=0.01)
        except errors.Unanswered:
            return "nobody"

    run = ask.start(1, attended=True)
    assert await run == "nobody"
    assert (run.status, run.questions, run.fold().head()["questions"]) == ("succeeded", [], [])


@pytest.mark.parametrize("blocking", [False, True])
async def test_a_run_that_waits_is_stopped_at_once(blocking):
    released = threading.Event()

    @Step
    def ask(n: int) -> str:
        try:
            return current_context().ask("Whom?").wait()
        finally:
            released.set()

    run = (ask if blocking else asking()).start(1, attended=True)
    await until_asked(run)
    began = time.perf_counter()
    await run.cancel("enough")
    assert time.perf_counter() - began < 0.5
    assert (run.status, run.questions) == ("cancelled", [])
    assert [event.kind for event in run.past] == ["started", "asked", "cancelled", "cancelled"]
    if blocking:
        assert await asyncio.to_thread(released.wait, 2)
    with pytest.raises(errors.AnswerRefused):
        run.answer("1", True)


# Where nobody is


async def test_where_nobody_is_the_run_fails_and_the_question_stays():
    run = await unanswered(asking(), 1)
    assert isinstance(run.error, errors.Stop)
    [question] = run.questions
    assert run.error.question == question.id
    assert f"quire.load('{run.id}').answer('{question.id}', ...)" in str(run.error)
    assert run.status == "failed"
    assert quire.load(run.id).questions == [question]


async def test_an_answer_for_a_run_that_has_failed_is_taken_when_it_is_resumed():
    step = asking()
    run = await unanswered(step, 1)
    record = quire.load(run.id)
    with pytest.raises(errors.AnswerRefused):
        record.answer("perhaps")
    record.answer("yes", by="Ana")
    assert record.questions == []
    assert record.fold().head()["questions"][0]["by"] == "Ana"
    with pytest.raises(errors.AnswerRefused, match="No questions"):
        record.answer("yes")
    again = step.resume(run.id)
    assert await again == "True"
    assert [event.kind for event in again.past] == ["started", "asked", "failed", "answered", "resumed", "succeeded"]


async def test_the_handle_of_a_run_that_has_failed_takes_answers_too():
    step = asking(Draft)
    run = await unanswered(step, 1)
    with pytest.raises(errors.AnswerRefused, match="no answer to"):
        run.answer({"pages": 2})
    run.answer('{"title": "Bees"}')
    assert run.questions == []
    assert await step.resume(run.id) == repr(Draft(title="Bees"))


async def test_an_answer_that_does_not_fit_any_more_is_asked_for_again():
    run = await unanswered(asking(Title), 1)
    run.answer({"words": "bees"})  # which only the type itself knows to be wrong
    again = asking(Title).resume(run.id, attended=True)
    [question] = await until_asked(again)
    again.answer(question, {"words": "Bees"})
    assert "Bees" in await again


async def test_one_that_is_not_answered_is_asked_again_in_the_same_span():
    step = asking()
    run = await unanswered(step, 1)
    again = step.resume(run.id, attended=True)
    [question] = await until_asked(again)
    assert question.id == run.error.question
    again.answer(True)
    assert await again == "True"
    assert again.fold().head()["questions"][0]["asked_at"] == run.past[1].at


async def test_what_is_no_run_but_a_copy_takes_no_answers(tmp_path):
    run = await unanswered(asking(), 1)
    for copy in (run.at(2), quire.load(run.export(tmp_path / "copy.jsonl"))):
        with pytest.raises(errors.AnswerRefused, match="copy"):
            copy.answer(True)


async def test_an_unattended_run_does_not_wait():
    with pytest.raises(errors.Unanswered):
        await asking().start(1, attended=False)


async def test_what_was_answered_in_a_step_that_failed_later_is_not_asked_again():
    ran: list[bool] = []

    @Step
    async def ask(n: int) -> int:
        sure = [await current_context().ask(f"{word}?", bool) for word in ("Sure", "Really")]
        ran.append(all(sure))
        if len(ran) == 1:
            raise ValueError("not yet")
        return n

    run = ask.start(4, attended=True)
    for _ in range(2):
        await until_asked(run)
        run.answer(True)
    with pytest.raises(ValueError, match="not yet"):
        await run
    assert await ask.resume(run.id) == 4
    assert ran == [True, True]


async def test_runs_that_wait_are_told_from_those_that_work():
    run = asking().start(1, attended=True)
    await until_asked(run)
    assert quire.runs()["status"].tolist() == ["waiting"]
    assert run.nodes["status"].tolist() == ["waiting"]
    run.answer(True)
    await run
    assert quire.runs()["status"].tolist() == ["succeeded"]


# Wherever


def asks(name: str) -> Step:
    async def ask(n: int) -> int:
        return n + await current_context().ask(f"How many for {name}?", int)

    return Step(ask, name=name)


async def answer_all(run, value, number):
    """Answer everything a run asks, so many questions in all."""
    for _ in range(number):
        [question, *_] = await until_asked(run)
        run.answer(question, value)


async def test_a_fan_out_asks_for_each_item():
    flow = Process.for_each(asks("work"))
    run = flow.start([1, 2, 3], attended=True)
    await until_asked(run, 3)
    assert run.fold().snapshot()["nodes"][flow.name]["status"] == "waiting"
    for number, question in enumerate(reversed(run.questions)):
        run.answer(question, number * 10)
    assert await run == [21, 12, 3]


async def test_a_question_is_not_collected_as_the_error_of_an_item():
    flow = Process.for_each(asks("work"), on_error="collect", max_parallel=1)
    run = flow.start([1, 2])
    for number in (5, 6):
        with pytest.raises(errors.Unanswered):
            await run
        quire.load(run.id).answer(number)
        run = flow.resume(run.id)
    assert await run == [6, 8]


@pytest.mark.may_block
async def test_it_goes_on_from_every_place_in_its_log():
    """Whatever had been asked and answered when it broke off, it ends as it would have."""
    flow = Process.for_each(asks("work") >> asks("more"), max_parallel=2)
    whole = flow.start([1, 2], attended=True)
    answers: dict[tuple[str, str], int] = {}
    for number in range(4):
        [question, *_] = await until_asked(whole)
        answers[question.where, question.text] = number
        whole.answer(question, number)
    result = await whole
    for place in range(1, len(whole.past)):
        with in_memory() as kept:
            await kept.append(whole.log.stream, whole.past[:place], 0)
            again = flow.resume(whole.id, attended=True)
            while not again.finished:
                for question in again.questions:
                    again.answer(question, answers[question.where, question.text])
                await asyncio.sleep(0)
            assert await again == result, place
            assert crashes.told(again.past) == crashes.told(whole.past), place


async def test_who_has_lost_a_race_is_not_asked_any_more():
    @Step
    async def other(n: int) -> int:
        await known.wait()
        return -n

    known = asyncio.Event()
    run = Process.race(asks("slow"), other).start(1, attended=True)
    asked = await until_asked(run)
    known.set()
    assert await run == -1
    assert (run.questions, run.fold().head()["questions"]) == ([], [])
    with pytest.raises(errors.AnswerRefused):
        run.answer(asked[0], 4)


async def test_a_race_is_won_by_whoever_is_answered_first():
    run = Process.race(asks("left"), asks("right")).start(1, attended=True)
    left, right = await until_asked(run, 2)
    run.answer(right, 5)
    assert await run == 6
    assert run.questions == []
    assert left.where.endswith("left")


async def test_a_loop_asks_in_each_iteration():
    flow = Process.loop(asks("more"), until=lambda n: n > 5)
    run = flow.start(0, attended=True)
    await answer_all(run, 3, 2)
    assert await run == 6


async def test_a_nested_flow_asks_by_its_path():
    @Step
    async def page(n: int) -> str:
        return str(n + await current_context().ask("How many?", int))

    run = Pipeline(Pipeline(page, name="inner"), name="outer").start(1, attended=True)
    [question] = await until_asked(run)
    assert question.where == "outer › inner › page"
    assert run.fold().head()["questions"][0]["node"] == "inner/page"
    run.answer(2)
    assert await run == "3"


async def test_what_is_started_inside_a_run_asks_there():
    @Step
    async def outer(n: int) -> int:
        return await asks("part").start(n)

    run = outer.start(1, attended=True)
    [question] = await until_asked(run)
    assert question.where == "outer › part"
    run.answer(4)
    assert await run == 5


def desk(replies, *tools):
    return Agent(ScriptedModel(replies), "Serve.", name="desk", tools=tools)


async def test_the_tool_of_an_agent_asks_and_its_call_waits():
    @Tool
    def refund(order: int) -> str:
        """Refund."""
        return "done" if current_context().ask(f"Refund {order}?", bool).wait() else "refused"

    run = desk([ToolUse("refund", {"order": 3}), "I did."], refund).start("Refund 3.", attended=True)
    await until_asked(run)
    shown = run.fold().snapshot()
    assert (shown["messages"][-1]["parts"][0]["status"], shown["nodes"]["refund"]["status"]) == ("waiting", "waiting")
    assert run.status == "waiting"
    run.answer("no")
    assert await run == "I did."
    assert run.tools["result"].tolist() == ['"refused"']


async def test_a_tool_that_nobody_answers_ends_the_turn_and_the_model_is_not_told():
    @Tool
    async def refund(order: int) -> str:
        """Refund."""
        return "done" if await current_context().ask(f"Refund {order}?", bool) else "refused"

    agent = desk([ToolUse("refund", {"order": 3}), "It was refused."], refund)
    run = await unanswered(agent, "Refund 3.")
    quire.load(run.id).answer("no")
    assert await agent.resume(run.id) == "It was refused."
    assert len(agent.llm.requests) == 2


async def test_a_tool_that_is_out_of_time_does_not_wait_any_more():
    released = threading.Event()

    @Tool(timeout=0.03)
    def refund(order: int) -> str:
        """Refund."""
        try:
            return current_context().ask("Refund?").wait()
        finally:
            released.set()

    agent = desk([ToolUse("refund", {"order": 3}), "There was no time."], refund)
    run = agent.start("Refund 3.", attended=True)
    assert await run == "There was no time."
    assert (run.questions, run.fold().head()["questions"]) == ([], [])
    assert await asyncio.to_thread(released.wait, 2)


# Forks


async def test_a_fork_before_the_answer_asks_anew_and_one_after_it_does_not():
    flow = asks("one") >> asks("two")
    run = flow.start(1, attended=True)
    await answer_all(run, 2, 2)
    assert await run == 5
    places = [event.seq for event in run.past if isinstance(event, Answered)]
    before = run.fork(at=places[0] - 1, attended=True)
    assert [q.where.rpartition(" ")[2] for q in await until_asked(before)] == ["one"]
    await answer_all(before, 7, 2)
    assert await before == 15
    after = run.fork(at=places[0], attended=True)
    assert [q.where.rpartition(" ")[2] for q in await until_asked(after)] == ["two"]
    after.answer(0)
    assert await after == 3
    assert await run.fork(at=places[1]) == 5


async def test_a_fork_where_a_tool_has_its_answer_uses_the_tool():
    used: list[int] = []

    @Tool
    async def refund(order: int) -> str:
        """Refund."""
        sure = await current_context().ask(f"Refund {order}?", bool)
        used.append(order)
        return f"{sure}"

    agent = desk([ToolUse("refund", {"order": 3}), "Done.", "Done."], refund)
    run = agent.start("Refund 3.", attended=True)
    await answer_all(run, True, 1)
    await run
    place = next(event.seq for event in run.past if isinstance(event, Answered))
    assert await run.fork(at=place) == "Done."
    assert used == [3, 3]
