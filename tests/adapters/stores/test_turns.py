"""How long a server is waited for: one that was there, one that says it is starting, one that was never seen."""

import pytest

from quire.adapters.stores.turns import Turns


class GoneError(Exception):
    pass


class StartingError(GoneError):
    pass


class Server:
    """Answers what was agreed on, one after the other."""

    def __init__(self, *answers: Exception | str):
        self.answers = list(answers)

    async def answer(self, _: object) -> str:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


async def opened() -> str:
    return "open"


async def closed(_: object) -> None:
    pass


@pytest.fixture
def turns():
    return Turns(opened, closed, lost=(GoneError,), starting=(StartingError,))


async def test_a_server_that_is_starting_is_waited_for(turns):
    assert await turns.take("s", Server(StartingError(), GoneError(), StartingError(), "ready").answer) == "ready"


async def test_one_that_was_there_is_waited_for(turns):
    server = Server("ready", GoneError(), "back")
    assert [await turns.take("s", server.answer) for _ in range(2)] == ["ready", "back"]


async def test_one_that_was_never_there_is_not(turns):
    with pytest.raises(GoneError):
        await turns.take("s", Server(GoneError(), "ready").answer)
