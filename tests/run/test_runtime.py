"""Where runs are kept: told by an address, in the environment or in quire.toml."""

from __future__ import annotations

import asyncio
import traceback

import pytest

import quire
from quire import Process, Step
from quire.core.errors import DefinitionError, QuireError
from quire.run import runtime
from quire.testing import in_memory
from tests.adapters.stores import servers
from tests.kit import output_of

ADDRESSES = {
    "file": lambda folder: (folder / "logs").as_uri(),
    "memory": lambda _: "memory://",
    "sqlite": lambda folder: f"sqlite:///{folder}/deep/runs.db",
    "postgresql": lambda _: servers.database(),
    "postgres": lambda _: servers.database().replace("postgresql:", "postgres:"),
    "redis": lambda _: servers.number(),
    "s3": lambda _: servers.bucket(),
}


@Step
def double(n: int) -> int:
    return 2 * n


@pytest.fixture(params=ADDRESSES)
def address(request, tmp_path, monkeypatch):
    address = ADDRESSES[request.param](tmp_path)
    monkeypatch.setenv("QUIRE_DATABASE_URL", address)
    runtime._kept_at.cache_clear()  # that of another test
    return address


async def test_runs_are_kept_at_the_address_in_the_environment(address, quire_home):
    run = double.start(4)
    assert await run == 8
    assert await asyncio.to_thread(double.execute_sync, 5) == 10  # on another loop
    assert len(quire.runs()) == 2
    assert quire.load(run.id).output == 8
    again = runtime.store() if address == "memory://" else runtime.open_store(address)
    assert [event.kind for event in await again.read(f"runs/{run.id}")] == ["started", "succeeded"]
    assert not quire_home.exists()


async def test_a_run_outlives_a_restart_of_its_database(monkeypatch):
    monkeypatch.setenv("QUIRE_DATABASE_URL", servers.database())
    server = servers.postgres()

    @Step
    async def restart(n: int) -> list[int]:
        await asyncio.to_thread(server.stop)
        await asyncio.to_thread(servers.start_postgres, server)
        return [n] * 50

    process = Process(input=int)
    process.add(Process.for_each(double, max_parallel=5), inputs=process.add(restart))
    run = process.start(4)
    assert await run == [8] * 50
    assert await runtime.store().read(f"runs/{run.id}") == run.log.events


def test_the_address_may_stand_in_the_settings(tmp_path, monkeypatch, quire_home):
    deep = tmp_path / "my project" / "notebooks"
    deep.mkdir(parents=True)
    (tmp_path / "my project" / "quire.toml").write_text('[storage]\nurl = "sqlite:///data/runs.db"')
    monkeypatch.chdir(deep)
    run = double.start(4)
    run.wait()
    assert (tmp_path / "my project" / "data" / "runs.db").exists()
    assert quire.load(run.id).output == 8
    monkeypatch.setenv("QUIRE_DATABASE_URL", f"sqlite:///{tmp_path}/mine.db")
    assert repr(runtime.store()) == f"SQLiteStore('{tmp_path}/mine.db')"
    with in_memory() as here:
        assert runtime.store() is here
    assert not quire_home.exists()


def test_without_an_address_they_are_kept_in_the_house(quire_home):
    double.execute_sync(4)
    assert repr(runtime.store()) == f"FileStore('{quire_home}')"
    assert list(quire_home.glob("runs/*.jsonl"))


def test_they_stay_together_when_the_working_directory_changes(tmp_path, monkeypatch):
    monkeypatch.setenv("QUIRE_DATABASE_URL", "sqlite:///together.db")
    runtime._kept_at.cache_clear()
    monkeypatch.chdir(tmp_path)
    double.execute_sync(4)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    double.execute_sync(5)
    assert len(quire.runs()) == 2
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_run_that_is_not_there_is_looked_for_where_runs_are_kept(monkeypatch, tmp_path):
    monkeypatch.setenv("QUIRE_DATABASE_URL", f"sqlite:///{tmp_path}/runs.db")
    with pytest.raises(QuireError, match=r"no run 'none' in SQLiteStore\('.*runs.db'\)") as caught:
        quire.load("none")
    assert "QUIRE_DATABASE_URL" in caught.value.remedy


@pytest.mark.parametrize("address", ["mysql://me:hush@host/x", "hush", "", "/var/hush", "hush@host"])
def test_an_unknown_scheme_names_those_that_are_known(address):
    with pytest.raises(DefinitionError, match="its scheme is not known") as caught:
        runtime.open_store(address)
    known = "az, file, gs, memory, postgres, postgresql, redis, rediss, s3, sqlite"
    assert known in caught.value.remedy
    assert "hush" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("address", ["memory://x", "file://host/x", "file:", "file:///", "file:x?y"])
def test_an_address_that_says_too_much_or_too_little(address):
    with pytest.raises(DefinitionError) as caught:
        runtime.open_store(address)
    assert caught.value.remedy.startswith("It is written")


@pytest.mark.parametrize(
    ("driver", "address", "extra"),
    [
        ("asyncpg", "postgresql://me:hush@host/x", "postgres"),
        ("redis", "rediss://me:hush@host/1", "redis"),
        ("obstore", "gs://bucket", "objects"),
    ],
)
def test_a_driver_that_is_not_installed_is_named_with_what_brings_it(driver, address, extra, tmp_path):
    told = output_of(
        f"""
        import sys
        sys.modules[{driver!r}] = None
        from quire.core.errors import QuireError
        from quire.run.runtime import open_store
        try:
            open_store({address!r})
        except QuireError as error:
            print(error)
        """,
        tmp_path,
    )
    scheme = address.partition(":")[0]
    assert told == f'{scheme} needs {driver}, which is not installed.\n  pip install "quire[{extra}]"'
