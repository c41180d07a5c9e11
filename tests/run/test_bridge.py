"""Code that cannot await, beside loops of every sort: each program has a process of its own."""

from tests.kit import output_of

STEPS = """
import asyncio
from quire import Step, errors
@Step
async def double(n: int) -> int:
    await asyncio.sleep(0)
    return 2 * n
"""


def test_an_async_step_may_call_execute_sync(tmp_path):
    program = """
@Step
async def outer(n: int) -> int:
    return double.execute_sync(n) + 1
print(outer.execute_sync(1))
print(asyncio.run(outer.execute(2)))
"""
    assert output_of(STEPS + program, tmp_path).split() == ["3", "5"]


def test_beside_a_modern_kernel_the_work_is_done_on_another_loop(tmp_path):
    program = """
import ipykernel  # its version tells that its loop must not be entered again
async def main():
    print(double.execute_sync(1), asyncio.run.__module__)
asyncio.run(main())
"""
    assert output_of(STEPS + program, tmp_path, PYTHONWARNINGS="default").split() == ["2", "asyncio.runners"]


def test_waiting_where_nothing_could_go_on_is_refused(tmp_path):
    program = """
import ipykernel
async def main():
    run = double.start(1)
    try:
        run.wait()
    except errors.QuireError as error:
        print(error.remedy)
    print(await run, run.wait())
asyncio.run(main())
"""
    assert output_of(STEPS + program, tmp_path).splitlines() == ["Write `await run`.", "2 2"]


def test_tables_can_be_read_anywhere(tmp_path):
    program = """
import quire
double.execute_sync(1)
@Step
def count(n: int) -> int:
    return len(quire.runs())
@Step
async def count_too(n: int) -> int:
    return len(quire.runs())
print(count.execute_sync(1), count_too.execute_sync(1))
async def main():
    print(len(quire.runs()))
asyncio.run(main())
"""
    assert output_of(STEPS + program, tmp_path).split() == ["2", "3", "3"]
