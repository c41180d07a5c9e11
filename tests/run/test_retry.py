"""When trying again helps, how long to wait before it, and when not to."""

import asyncio
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quire import LLM, Agent, Retry, Step, errors
from tests.kit import kinds
from tests.servers import ChatServer, says, sends, streams


def limited(seconds):
    error = errors.RateLimited("slow down")
    error.retry_after = seconds
    return error


@given(
    st.integers(1, 2000),
    st.floats(0, 1e6, allow_nan=False),
    st.floats(0, 1e6, allow_nan=False),
)
def test_waits_double_up_to_the_longest_and_are_shortened_by_at_most_a_quarter(attempt, backoff, longest):
    wait = Retry(max_attempts=3000, backoff=backoff, longest=longest).wait_after(attempt, OSError())
    whole = min(backoff * 2.0 ** min(attempt - 1, 60), longest)
    assert 0.75 * whole <= wait <= whole


def test_waits_differ_so_that_many_do_not_come_back_at_once():
    policy = Retry(max_attempts=2, backoff=1)
    assert len({policy.wait_after(1, OSError()) for _ in range(50)}) > 10


@pytest.mark.parametrize(
    ("asked", "waits"), [(0.0, 0.0), (3.5, 3.5), (120.0, 120.0), (121.0, None), (86400.0, None), (-5.0, 0.0)]
)
def test_the_servers_own_wait_is_honored_within_reason(asked, waits):
    assert Retry(max_attempts=2, backoff=9, longest=1).wait_after(1, limited(asked)) == waits


@pytest.mark.parametrize(
    "kind",
    [
        errors.AuthenticationError,
        errors.QuotaExceeded,
        errors.ContextTooLong,
        errors.ContentFiltered,
        errors.ModelNotFound,
        errors.InvalidRequest,
        errors.InputValidationError,
        errors.DispatchError,
        errors.DefinitionError,
        errors.Stop,
    ],
)
def test_what_no_other_try_can_help_is_not_tried_again(kind):
    error = kind("no")
    assert Retry(max_attempts=9).wait_after(1, error) is None
    assert Retry(max_attempts=9, on=Exception).wait_after(1, error) is None
    assert Retry(max_attempts=9, on=(OSError, errors.QuireError)).wait_after(1, error) is None
    assert Retry(max_attempts=9, on=kind).wait_after(1, error) is not None  # somebody means it
    assert Retry(max_attempts=9, on=lambda error: True).wait_after(1, error) is not None


@pytest.mark.parametrize(
    "error",
    [
        errors.RateLimited("x"),
        errors.Overloaded("x"),
        errors.ProviderTimeout("x"),
        errors.ProviderUnreachable("x"),
        errors.StreamInterrupted("x"),
        errors.OutputValidationError("x"),
        errors.DeadlineExceeded("x"),
        ConnectionError("x"),
        ValueError("x"),
    ],
)
def test_what_another_try_can_help_is_tried_again(error):
    policy = Retry(max_attempts=3)
    assert policy.wait_after(1, error) is not None
    assert policy.wait_after(3, error) is None
    assert Retry().wait_after(1, error) is None


def test_nothing_is_tried_again_after_text_was_shown():
    broken = errors.StreamInterrupted("cut")
    broken.begun = True
    assert Retry(max_attempts=9).wait_after(1, broken) is None
    assert Retry(max_attempts=9, on=lambda error: True).wait_after(1, broken) is None


def test_cancellation_and_exit_are_no_errors():
    for error in (asyncio.CancelledError(), KeyboardInterrupt(), SystemExit()):
        assert Retry(max_attempts=9).wait_after(1, error) is None


@pytest.mark.parametrize(
    "nonsense",
    [
        {"max_attempts": 0},
        {"max_attempts": -1},
        {"max_attempts": 2.5},
        {"max_attempts": "3"},
        {"max_attempts": True},
        {"backoff": -1},
        {"backoff": float("nan")},
        {"backoff": "soon"},
        {"longest": -1},
        {"on": "everything"},
        {"on": 5},
        {"on": (OSError, "other")},
        {"on": [OSError]},
    ],
)
def test_nonsense_is_refused(nonsense):
    with pytest.raises(errors.DefinitionError) as raised:
        Retry(**nonsense)
    assert raised.value.remedy


async def test_a_deadline_shorter_than_the_wait_ends_the_tries_at_once():
    calls = []

    @Step
    async def work(n: int) -> int:
        calls.append(n)
        raise limited(60)

    began = time.perf_counter()
    with pytest.raises(errors.RateLimited):
        await work.with_retry(5).execute(1, timeout=30)
    assert time.perf_counter() - began < 1
    assert len(calls) == 1


async def test_a_wait_ends_with_the_run():
    @Step
    async def work(n: int) -> int:
        raise ConnectionError("down")

    run = work.with_retry(Retry(max_attempts=2, backoff=30)).start(1)
    await asyncio.sleep(0.01)
    assert run.fold().snapshot()["nodes"]["work"]["status"] == "waiting"
    await run.cancel("enough")
    assert run.status == "cancelled"
    assert kinds(run) == ["started", "retried", "cancelled"]


async def test_a_server_is_asked_again_after_its_own_wait():
    busy = sends(429, {"error": {"message": "slow down"}}, headers={"retry-after": "0.05"})
    with ChatServer(busy, busy, says("at last")) as server:
        agent = Agent(LLM("gpt-4o-mini", base_url=server.url, api_key="sk"), "x", retry=3)
        began = time.perf_counter()
        assert await agent.execute("hi") == "at last"
        assert time.perf_counter() - began >= 0.1
        assert len(server.requests) == 3


async def test_a_reply_that_broke_off_is_not_asked_for_again_once_it_was_seen():
    with ChatServer(streams("Once ", "upon ", ending="cut"), says("again")) as server:
        agent = Agent(LLM("gpt-4o-mini", base_url=server.url, api_key="sk"), "x", retry=3)
        run = agent.start("hi")
        with pytest.raises(errors.StreamInterrupted):
            await run
        assert len(server.requests) == 1
