"""The servers that stores talk to: real ones, on loopback, each started when the first test needs it.

A program that is not there is installed from Debian's package. A server runs below a process that watches over it:
when whoever started it is gone, in whatever way, so is the server.
"""

from __future__ import annotations

import atexit
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import pytest

__all__ = [
    "PASSWORD",
    "Server",
    "bucket",
    "database",
    "in_redis",
    "in_sql",
    "leave_s3",
    "new_postgres",
    "new_redis",
    "new_s3",
    "number",
    "postgres",
    "redis",
    "restart_postgres",
    "restart_redis",
    "restart_s3",
    "return_s3",
    "s3",
    "start_postgres",
    "start_redis",
]

PASSWORD = "p@ss/w:rd#1"
"""Of PostgreSQL and of Redis: such as people have, and such as no message may show."""

PATIENCE = 30.0
"""Seconds that a server may take to start on a busy machine."""

WATCH = """
import os, subprocess, sys
user, ending, log, *command = sys.argv[1:]
who = {"user": int(user), "group": int(user), "extra_groups": []} if int(user) else {}
with open(log, "ab") as said:
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, cwd="/", **who)
for word in sys.stdin:  # ends with whoever holds the other end
    if word == "end\\n":
        break
    server.send_signal(int(word))
server.send_signal(int(ending))
server.wait()
"""

S3 = """
import signal, sys
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server
# One request after the other: only then is its look for an object, before it puts one, a condition that holds.
application = DomainDispatcherApplication(create_backend_app)
told = []
signal.signal(signal.SIGUSR1, lambda *_: told.append("away"))
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])

class Away(Exception):
    pass

def look():
    if told:
        told.clear()
        raise Away

while True:
    server = make_server("127.0.0.1", int(sys.argv[1]), application, request_handler=MotoRequestHandler)
    server.service_actions = look
    try:
        server.serve_forever(poll_interval=0.02)
    except Away:  # it holds everything in memory, so it does not end: it takes no more connections
        signal.sigwait([signal.SIGUSR2])
"""

numbers = count(1)


@dataclass
class Server:
    """A server that can be stopped and started again, with what it keeps."""

    command: Sequence[str]
    port: int
    folder: Path
    """What it keeps, and what it says."""
    ending: signal.Signals = signal.SIGTERM
    """What ends it in good order, without waiting for its clients."""
    user: int = 0
    watch: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def start(self, is_up: Callable[[], bool]) -> Server:
        """Start it, and come back when it is up."""
        told = [str(self.user), str(int(self.ending)), str(self.folder / "log"), *self.command]
        self.watch = subprocess.Popen([sys.executable, "-c", WATCH, *told], stdin=subprocess.PIPE)
        until = time.monotonic() + PATIENCE
        while not is_up():
            if time.monotonic() > until:
                raise RuntimeError(f"{self.command[0]} did not start:\n{(self.folder / 'log').read_text()}")
            time.sleep(0.02)
        return self

    def stop(self, how: signal.Signals | None = None) -> None:
        """End it, in good order if nothing else is said; what it keeps stays."""
        if how is not None:
            self.tell(int(how))
        if self.watch is not None:
            self.tell("end")  # that this end is closed may not be enough: whoever was forked has one, too
            self.watch.communicate()
            self.watch = None

    def tell(self, what: int | Literal["end"]) -> None:
        """Send it a signal, or let it end."""
        if self.watch is not None and self.watch.stdin is not None:
            with suppress(BrokenPipeError):  # it has ended
                self.watch.stdin.write(f"{what}\n".encode())
                self.watch.stdin.flush()

    def forget(self) -> None:
        """End it for good."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def server(name: str, **how: Any) -> Server:
    """Return a server, not started yet, that ends at the latest with the tests."""
    made = Server(port=free_port(), folder=Path(tempfile.mkdtemp(prefix=f"quire-{name}-")), **how)
    atexit.register(made.forget)
    return made


def free_port() -> int:
    """Ask the system for a port."""
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return asked.getsockname()[1]


def answers(port: int) -> bool:
    """Whether somebody takes connections."""
    with socket.socket() as asked:
        return asked.connect_ex(("127.0.0.1", port)) == 0


def installed(package: str, find: Callable[[], Path | None]) -> Path:
    """Find a program; install Debian's package of it, or say why these tests cannot run."""
    if found := find():
        return found
    reason = install(package)
    return give_up(reason) if reason else find() or give_up(f"{package} was installed but is not found")


@cache
def install(package: str) -> str | None:
    """Install a package, or say why that cannot be; it is tried once."""
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        return f"there is no {package} here: install it"
    for step in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", package]):
        done = subprocess.run(
            ["apt-get", *step],
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"},  # it starts no server of its own
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            return f"{package} could not be installed:\n{done.stdout}"
    return None


def give_up(reason: str) -> Any:
    """Fail where nobody would notice a skip."""
    return pytest.fail(reason, pytrace=False) if os.environ.get("CI") else pytest.skip(reason)


# --- PostgreSQL -------------------------------------------------------------------------------------------------------


@cache
def postgres() -> Server:
    """Return the PostgreSQL server of all tests that let it live."""
    return new_postgres()


def new_postgres() -> Server:
    """Start a PostgreSQL server."""
    programs = installed("postgresql", programs_of_postgres)
    # It refuses to run as root.
    made = server("postgres", command=(), ending=signal.SIGINT, user=pwd.getpwnam("nobody").pw_uid * (not os.geteuid()))
    data, secret = made.folder / "data", made.folder / "password"
    secret.write_text(PASSWORD)
    for path in (made.folder, secret):
        os.chown(path, made.user or -1, made.user or -1)
    initialize = [programs / "initdb", "-D", data, "-U", "quire", f"--pwfile={secret}"]
    initialize += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync", "--wal-segsize=1"]
    who: dict[str, Any] = {"user": made.user, "group": made.user, "extra_groups": []} if made.user else {}
    subprocess.run(initialize, check=True, stdout=subprocess.DEVNULL, cwd="/", **who)
    options = {
        "listen_addresses": "127.0.0.1", "port": made.port, "unix_socket_directories": "", "fsync": "off",
        "max_connections": 60, "shared_buffers": "32MB", "jit": "off", "autovacuum": "off",
    }  # fmt: skip
    made.command = [str(programs / "postgres"), "-D", str(data), *(f"--{name}={it}" for name, it in options.items())]
    return start_postgres(made)


def start_postgres(made: Server) -> Server:
    """Start it, again or for the first time."""
    told = made.folder / "data" / "postmaster.pid"
    return made.start(lambda: told.exists() and "ready" in told.read_text())


def restart_postgres(made: Server, meanwhile: Callable[[], object] = bool) -> None:
    """End it at once, as a crash does, and start it again, which has it look what is in its log."""
    made.stop(signal.SIGQUIT)
    meanwhile()
    start_postgres(made)


def database(made: Server | None = None) -> str:
    """Return the URL of a schema of its own."""
    name = f"t{os.getpid()}_{next(numbers)}"
    url = f"postgresql://quire:{quote(PASSWORD, safe='')}@127.0.0.1:{(made or postgres()).port}/postgres"
    in_sql(url, f"CREATE SCHEMA {name}")
    return f"{url}?search_path={name}"


def in_sql(url: str, command: str) -> str:
    """Have PostgreSQL's own client do something."""
    url, _, schema = url.partition("?search_path=")
    psql = [installed("postgresql", programs_of_postgres) / "psql", "-X", "-q", "-A", "-t", url, "-c", command]
    settings = {"PGOPTIONS": f"-c search_path={schema}"} if schema else {}
    done = subprocess.run(psql, env={**os.environ, **settings}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def programs_of_postgres() -> Path | None:
    """Find the folder of its programs, the newest first; Debian keeps them out of the PATH."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: -int(path.parent.name))
    if on_path := shutil.which("initdb"):
        folders.append(Path(on_path).resolve().parent)
    return next((folder for folder in folders if (folder / "initdb").exists() and (folder / "psql").exists()), None)


# --- Redis ------------------------------------------------------------------------------------------------------------


@cache
def redis() -> Server:
    """Return the Redis server of all tests that let it live."""
    return new_redis()


def new_redis() -> Server:
    """Start a Redis server, which keeps what it is told also when it is started again."""
    program = installed("redis-server", lambda: (path := shutil.which("redis-server")) and Path(path))
    made = server("redis", command=())
    options = {
        "bind": "127.0.0.1", "port": made.port, "dir": made.folder, "requirepass": PASSWORD, "databases": 10_000,
        "appendonly": "yes", "appendfsync": "no", "save": "",
    }  # fmt: skip
    made.command = [str(program), *(str(word) for name, it in options.items() for word in (f"--{name}", it))]
    return start_redis(made)


def start_redis(made: Server) -> Server:
    """Start it, again or for the first time."""
    return made.start(lambda: answers(made.port))


def restart_redis(made: Server, meanwhile: Callable[[], object] = bool) -> None:
    """Kill it, and start it again, which has it read what it wrote."""
    made.stop(signal.SIGKILL)
    meanwhile()
    start_redis(made)


def number(made: Server | None = None) -> str:
    """Return the URL of a database of its own."""
    url = f"redis://:{quote(PASSWORD, safe='')}@127.0.0.1:{(made or redis()).port}"
    # It counts itself, because other processes may ask it, too.
    return f"{url}/{in_redis(f'{url}/0', 'INCR', 'numbers')}"


def in_redis(url: str, *command: str) -> str:
    """Have Redis' own client do something."""
    port, _, number = url.rpartition(":")[2].partition("/")
    told = ["redis-cli", "--raw", "-e", "-p", port, "-n", number, *command]
    secret = {**os.environ, "REDISCLI_AUTH": PASSWORD}
    done = subprocess.run(told, env=secret, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# --- S3 ---------------------------------------------------------------------------------------------------------------


@cache
def s3() -> Server:
    """Return the S3 server of all tests that let it live."""
    return new_s3()


def new_s3() -> Server:
    """Start a server that speaks S3, and keeps to the conditions that a request is made under."""
    made = server("s3", command=())
    made.command = [sys.executable, "-c", S3, str(made.port)]
    return made.start(lambda: answers(made.port))


def restart_s3(made: Server, meanwhile: Callable[[], object] = bool) -> None:
    """Let it be away for a while."""
    leave_s3(made)
    meanwhile()
    time.sleep(0.3)
    return_s3(made)


def leave_s3(made: Server) -> None:
    """Let it take no more connections."""
    made.tell(int(signal.SIGUSR1))
    _await(lambda: not answers(made.port))


def return_s3(made: Server) -> None:
    """Let it take connections again."""
    made.tell(int(signal.SIGUSR2))
    _await(lambda: answers(made.port))


def bucket(made: Server | None = None) -> str:
    """Return the URL of a bucket of its own, with a folder in it."""
    endpoint, name = f"http://127.0.0.1:{(made or s3()).port}", f"bucket-{os.getpid()}-{next(numbers)}"
    urllib.request.urlopen(urllib.request.Request(f"{endpoint}/{name}", method="PUT")).close()
    return f"s3://{name}/some/logs?endpoint={endpoint}&region=us-east-1&access_key_id=me&secret_access_key=hidden"


def _await(happened: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE
    while not happened():
        if time.monotonic() > until:
            raise RuntimeError("A server did not do what it was told.")
        time.sleep(0.01)
