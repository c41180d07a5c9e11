"""Questions in processes and kernels of their own: killed while they wait, answered from outside, gone on with."""

import contextlib
import os
import textwrap

import pytest
from jupyter_client.manager import KernelManager

import quire
from quire import errors
from quire.run.runtime import keep_in, open_store
from tests.kit import ROOT, output_of, program

FLOW = """
    import asyncio, sys
    import quire
    from quire import Agent, Pipeline, Step, Tool, current_context
    from quire.testing import ScriptedModel, ToolUse

    @Tool
    def refund(order: int) -> str:
        "Refund."
        if not current_context().ask(f"Refund {order}?", bool).wait():
            return "refused"
        with open("refunds", "a") as file:
            file.write(f"{order}\\n")
        return "refunded"

    def talk(request):
        last = request.messages[-1]
        return f"It was {last.parts[0].text}." if last.role == "tool" else ToolUse("refund", {"order": 3})

    clerk = Agent(ScriptedModel([talk] * 9), "Refund.", name="clerk", tools=[refund])

    @Step
    async def check(text: str) -> str:
        print("checked", file=sys.stderr)
        return text + "!"
    desk = check >> clerk
"""
ASK = """
    async def main():
        run = desk.start("Refund 3.", attended=True)
        while not run.questions:
            await asyncio.sleep(0.01)
        await run.log.flush()  # or it might be killed with the question still on its way to the record
        print(run.id, flush=True)
        await run

    asyncio.run(main())
"""
GO_ON = """
    print(desk.resume(RUN).wait())
"""


@pytest.fixture
def kept(quire_home):
    """Keep runs where the programs keep theirs."""
    with keep_in(open_store(f"file:{quire_home}")):
        yield quire_home


@pytest.fixture
def killed(kept, monkeypatch):
    """Return the id of a run that was killed while it waited for a person."""
    kept.mkdir(exist_ok=True)
    monkeypatch.chdir(kept)  # where programs begun from here write what they do
    running = program(FLOW + ASK, kept)
    try:
        run = running.stdout.readline().strip()
        with pytest.raises(errors.StreamConflict, match=r"is being done by process(.|\n)*in that process"):
            quire.load(run).answer("yes")  # it could not hear that
    finally:
        running.kill()
        running.communicate()
    return run


@pytest.mark.parametrize(("answer", "said", "done"), [("yes", "refunded", ["3"]), ("no", "refused", [])])
def test_what_was_killed_while_it_waited_goes_on_with_the_answer(kept, killed, answer, said, done):
    record = quire.load(killed)
    [question] = record.questions
    assert (question.text, question.choices) == ("Refund 3?", ("yes", "no"))
    record.answer(question, answer, by="Ana")
    assert output_of(FLOW + GO_ON.replace("RUN", repr(killed)), kept) == f"It was {said}."
    assert ((kept / "refunds").read_text().split() if done else []) == done
    record = quire.load(killed)
    assert (record.status, record.questions) == ("succeeded", [])
    assert record.nodes["status"].tolist() == ["succeeded"] * 3
    assert record.fold().head()["questions"][0]["by"] == "Ana"


def test_without_an_answer_it_asks_again(kept, killed):
    go_on = f"""
    async def main():
        run = desk.resume({killed!r}, attended=True)
        while not run.questions:
            await asyncio.sleep(0.01)
        run.answer(run.questions[0], "yes")
        print(await run)

    asyncio.run(main())
    """
    assert output_of(FLOW + go_on, kept) == "It was refunded."
    assert (kept / "refunds").read_text().split() == ["3"]


def test_a_script_without_a_handle_fails_rather_than_hang(kept):
    go_on = """
    try:
        desk.execute_sync("Refund 3.")
    except quire.errors.Unanswered as error:
        print(error)
    """
    assert output_of(FLOW + go_on, kept).startswith("Nobody is here to answer: Refund 3?\n  in desk › clerk › refund\n")


# In a real kernel


@pytest.fixture(scope="module")
def cell(tmp_path_factory):
    """Run cells in one kernel, as somebody who sits before it or not; return what each prints."""
    home = tmp_path_factory.mktemp("kernel")
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel(cwd=str(home), env={**os.environ, "PYTHONPATH": str(ROOT), "QUIRE_HOME": str(home)})
    client = manager.client()
    client.start_channels()
    client.wait_for_ready(timeout=60)

    def run(code, *, person):
        said = []

        def hear(message):
            kind, content = message["header"]["msg_type"], message["content"]
            if kind == "stream":
                said.append(content["text"])
            elif kind == "error":
                said.append("\n".join(content["traceback"]))

        client.execute_interactive(textwrap.dedent(code), timeout=60, output_hook=hear, allow_stdin=person)
        return "".join(said).strip()

    run(
        """
        import asyncio, threading, time
        import quire
        from quire import Step, current_context, errors

        @Step
        async def ask(n: int) -> bool:
            return await current_context().ask(f"Publish {n}?", bool)

        @Step
        def ask_in_a_thread(n: int) -> bool:
            return current_context().ask(f"Publish {n}?", bool).wait()

        async def asked(run):
            while not run.questions:
                await asyncio.sleep(0.01)
            return run.questions
        """,
        person=True,
    )
    yield run
    client.stop_channels()
    with contextlib.suppress(Exception):
        manager.shutdown_kernel(now=True)


@pytest.mark.parametrize("step", ["ask", "ask_in_a_thread"])
def test_in_a_notebook_with_a_person_a_run_waits_between_cells(cell, step):
    assert cell(f"run = {step}.start(1)\nawait asked(run)\nprint(run.status)", person=True) == "waiting"
    assert cell("run.answer('perhaps')", person=True).endswith("Answer with yes or no.")
    assert cell("run.answer('yes')\nprint(await run)", person=True) == "True"


def test_what_a_cell_awaits_can_be_answered_from_another_thread(cell):
    code = """
        def answer():
            while not (waiting := [run for run in quire.runs()["run"] if quire.load(run).questions]):
                time.sleep(0.01)
            quire.load(waiting[0]).answer("no")

        threading.Thread(target=answer).start()
        print(await ask.execute(2))
    """
    assert cell(code, person=True) == "False"


@pytest.mark.parametrize("step", ["ask", "ask_in_a_thread"])
def test_in_a_notebook_that_nobody_sits_before_it_does_not_wait(cell, step):
    code = f"""
        try:
            await {step}.execute(1)
        except errors.Unanswered as error:
            print(error.what)
    """
    assert cell(code, person=False) == "Nobody is here to answer: Publish 1?"
