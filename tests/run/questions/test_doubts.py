"""Tools that were at work when a run broke off, of which nobody can tell what they did: a person is asked."""

import asyncio

import pytest

import quire
from quire import Agent, Tool, current_context, errors
from quire.events import Asked
from quire.testing import ScriptedModel, ToolUse
from tests.run.questions.asked import until_asked

WAYS = pytest.mark.parametrize("as_step", [False, True], ids=["asked for", "as a step"])


class Post:
    """A tool that sends letters, and is interrupted at some of them."""

    def __init__(self, *, interrupted=1, gives=str):
        self.sent: list[int] = []
        self.at_work = asyncio.Event()
        self.interrupted = interrupted
        self.gives = gives

    def tool(self):
        async def send(order: int):
            """Send."""
            self.sent.append(order)
            if len(self.sent) <= self.interrupted:
                self.at_work.set()
                await asyncio.Event().wait()
            return "sent now" if self.gives is str else None

        send.__annotations__["return"] = self.gives
        return Tool(send)

    def flow(self, *, as_step):
        def talk(request):
            last = request.messages[-1]
            return f"It says {last.parts[0].text}." if last.role == "tool" else ToolUse("send", {"order": 3})

        tool = self.tool()
        return tool if as_step else Agent(ScriptedModel([talk] * 9), "Go.", name="clerk", tools=[tool])

    async def broken_off(self, *, as_step):
        """Return a run that was stopped while the tool was at work, and what it is a run of."""
        flow = self.flow(as_step=as_step)
        run = flow.start({"order": 3} if as_step else "go")
        await self.at_work.wait()
        await run.cancel()
        return run, flow


def said(as_step, text):
    return text if as_step else f"It says {text}."


@WAYS
async def test_who_is_asked_is_told_of_which_call(as_step):
    run, flow = await Post().broken_off(as_step=as_step)
    again = flow.resume(run.id, attended=True)
    [question] = await until_asked(again)
    assert question.text == "Did send(order=3) do its work? The run broke off while it was at it."
    assert question.why == "If it did, the answer is what it gave: str."
    assert (question.tool, question.arguments, question.type) == ("send", {"order": 3}, "str")
    assert question.choices == ("no, do it now", "stop the run")
    assert again.status == "waiting"
    await again.cancel()


@WAYS
async def test_what_it_gave_is_taken_and_it_is_not_used_again(as_step):
    post = Post()
    run, flow = await post.broken_off(as_step=as_step)
    again = flow.resume(run.id, attended=True)
    [question] = await until_asked(again)
    with pytest.raises(errors.AnswerRefused, match="no answer to"):
        again.answer(question, 4)
    again.answer(question, "sent before")
    assert await again == said(as_step, "sent before")
    assert post.sent == [3]
    if not as_step:
        assert again.tools["result"].tolist() == ['"sent before"']


@WAYS
async def test_it_is_done_now_if_it_was_not(as_step):
    post = Post()
    run, flow = await post.broken_off(as_step=as_step)
    again = flow.resume(run.id, attended=True)
    await until_asked(again)
    again.answer("no, do it now")
    assert await again == said(as_step, "sent now")
    assert post.sent == [3, 3]


@WAYS
async def test_the_run_can_be_stopped_over_it_and_asks_once_more_when_it_goes_on(as_step):
    post = Post()
    run, flow = await post.broken_off(as_step=as_step)
    for _ in range(2):
        again = flow.resume(run.id, attended=True)
        await until_asked(again)
        again.answer("stop the run")
        with pytest.raises(errors.UnresolvedEffect, match="was to be stopped"):
            await again
    assert post.sent == [3]


@WAYS
async def test_what_gave_nothing_is_yes_or_no(as_step):
    post = Post(gives=None)
    run, flow = await post.broken_off(as_step=as_step)
    again = flow.resume(run.id, attended=True)
    [question] = await until_asked(again)
    assert question.choices == ("yes", "no, do it now", "stop the run")
    again.answer("yes")
    assert await again == (None if as_step else "It says null.")
    assert post.sent == [3]


@WAYS
@pytest.mark.parametrize(
    ("answer", "told", "times"), [("sent before", "sent before", 1), ("no, do it now", "sent now", 2)]
)
async def test_where_nobody_is_the_question_is_in_the_record_and_its_answer_settles_it(as_step, answer, told, times):
    post = Post()
    run, flow = await post.broken_off(as_step=as_step)
    for _ in range(2):
        with pytest.raises(errors.UnresolvedEffect, match=r"send\(order=3\)") as caught:
            await flow.resume(run.id)
    error, record = caught.value, quire.load(run.id)
    assert (error.tool, error.arguments) == ("send", {"order": 3})
    assert f"quire.load('{run.id}').answer('{error.question}', ...)" in str(error)
    assert [question.id for question in record.questions] == [error.question]
    record.answer(error.question, answer)
    assert await flow.resume(run.id) == said(as_step, told)
    assert post.sent == [3] * times


@WAYS
async def test_do_it_now_holds_for_one_try(as_step):
    post = Post(interrupted=2)
    run, flow = await post.broken_off(as_step=as_step)
    with pytest.raises(errors.UnresolvedEffect) as caught:
        await flow.resume(run.id)
    quire.load(run.id).answer(caught.value.question, "no, do it now")
    post.at_work.clear()
    again = flow.resume(run.id)
    await post.at_work.wait()
    await again.cancel()
    last = flow.resume(run.id, attended=True)
    [question] = await until_asked(last)
    assert question.id != caught.value.question
    last.answer("sent by hand")
    assert await last == said(as_step, "sent by hand")
    assert post.sent == [3, 3]
    assert len({event.span for event in last.past if isinstance(event, Asked)}) == 2


@WAYS
async def test_a_tool_that_asks_again_after_it_was_answered_may_have_begun_its_work(as_step):
    sent: list[str] = []

    @Tool
    async def send(order: int) -> str:
        """Send."""
        if await current_context().ask("Send it?", bool):
            sent.append("letter")
        if await current_context().ask("A copy too?", bool):
            sent.append("copy")
        return "sent now"

    def talk(request):
        last = request.messages[-1]
        return f"It says {last.parts[0].text}." if last.role == "tool" else ToolUse("send", {"order": 3})

    flow = send if as_step else Agent(ScriptedModel([talk] * 9), "Go.", name="clerk", tools=[send])
    run = flow.start({"order": 3} if as_step else "go")
    for answer in ("yes", "yes"):
        with pytest.raises(errors.Unanswered):
            await run
        quire.load(run.id).answer(answer)
        run = flow.resume(run.id)
    with pytest.raises(errors.UnresolvedEffect):
        await run
    assert sent == ["letter"]
    quire.load(run.id).answer("no, do it now")
    assert await flow.resume(run.id) == said(as_step, "sent now")
    assert sent == ["letter", "letter", "copy"]
