"""What the tests of questions wait for."""

import asyncio


async def until_asked(run, number=1):
    """Return the open questions of a run as soon as there are so many."""
    async with asyncio.timeout(5):
        while len(run.questions) < number:  # noqa: ASYNC110 - a handle tells nobody
            await asyncio.sleep(0.001)
    return run.questions
