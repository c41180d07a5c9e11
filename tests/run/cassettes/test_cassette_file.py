"""The file of a cassette: readable, safe, and never lost: not to a crash, a stranger's file or a full disk."""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import quire
from quire.core.errors import CassetteError
from quire.core.messages import File
from quire.core.tape import Effect
from quire.run.cassettes.reel import Exchange, Reel, Used
from tests.run.cassettes.kept import HEADER, agent, lines, put, text_of
from tests.servers import ChatServer, says, sends, streams

AT = "2026-11-20T10:00:00Z"


def exchange(question: str, nth: int = 1, **more) -> Exchange:
    body = {"model": "m", "messages": [{"role": "user", "content": question}]}
    reply = {"status": 200, "headers": {"content-type": "text/plain"}, "data": b"Hello", "chunks": ((5, 0.1),)}
    return Exchange(**{"url": "https://x.example/v1/chat", "body": body, "nth": nth, "at": AT, **reply, **more})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "demo.jsonl"


LINES = [
    exchange("Hi"),
    exchange("Grüße \x85\u2028\u2029 🦋 \ud83d", data="Grüße 🦋\u2028".encode(), chunks=((3, 0.1), (12, 0.25))),
    exchange("bytes", data=b"\xff\x00", chunks=((2, 0.0),)),
    exchange("busy", status=429, headers={"retry-after": "7"}, error="RateLimited"),
    exchange("cut", broke="StreamInterrupted", error="StreamInterrupted", lasted=1.5),
    exchange("gone", status=None, headers={}, data=b"", chunks=(), broke="ProviderUnreachable", lasted=0.1),
    Used(tool="search", arguments={"q": "x"}, nth=1, at=AT, effect=Effect(result={"found": [1, None]})),
    Used(tool="search", arguments={"q": "x"}, nth=2, at=AT, effect=Effect(error_type="KeyError", error="'x'")),
    Used(tool="stop", arguments={}, nth=1, at=AT, effect=Effect(error_type="Stop", error="enough", stops=True)),
    Used(
        tool="draw", arguments="broken {", nth=1, at=AT, effect=Effect(result="[file 1]", files=(File.of(b"x", "a/b"),))
    ),
]


def test_what_is_written_is_read(path: Path):
    reel = Reel(path)
    for line in LINES:
        reel.add(line)
    assert reel.lines() == LINES
    assert Reel(path).lines() == LINES
    assert len(lines(path)) == len(LINES) + 1
    assert [reel.number_of(line) for line in reel.lines()] == list(range(2, len(LINES) + 2))


def test_a_line_is_one_line_for_everybody_with_its_names_sorted(path: Path):
    reel = Reel(path)
    for line in LINES:
        reel.add(line)
    text = text_of(path)
    assert len(text.splitlines()) == len(LINES) + 1
    for line in text.splitlines():
        assert list(json.loads(line)) == sorted(json.loads(line))


def test_adding_leaves_what_is_there_as_it_is(path: Path):
    reel = Reel(path)
    reel.add(LINES[0])
    before = path.read_bytes()
    reel.add(LINES[1])
    assert path.read_bytes().startswith(before)


def test_a_line_comes_instead_of_others_in_one_step(path: Path):
    reel = Reel(path)
    for line in LINES[:3]:
        reel.add(line)
    path.chmod(0o640)
    by_hand = path.read_bytes().split(b"\n")[2].replace(b'","', b'" , "')
    path.write_bytes(path.read_bytes().replace(path.read_bytes().split(b"\n")[2], by_hand))
    reel.add(LINES[3], instead=[LINES[0], LINES[2]])
    assert reel.lines() == Reel(path).lines() == [LINES[1], LINES[3]]
    assert path.stat().st_mode & 0o777 == 0o640
    assert by_hand in path.read_bytes()
    assert [each.name for each in path.parent.iterdir()] == ["demo.jsonl"]


@pytest.mark.parametrize("keep", [1, 40, -1])
def test_a_torn_last_line_is_passed_over_and_replaced(path: Path, keep: int):
    reel = Reel(path)
    reel.add(LINES[0])
    whole = path.read_bytes()
    reel.add(LINES[1])
    torn = path.read_bytes()[len(whole) :].rstrip(b"\n")[:keep]
    path.write_bytes(whole + torn)
    reel = Reel(path)
    assert reel.lines() == LINES[:1]
    reel.add(LINES[2])
    assert Reel(path).lines() == reel.lines() == [LINES[0], LINES[2]]


def test_a_last_line_without_its_end_is_whole(path: Path):
    reel = Reel(path)
    reel.add(LINES[0])
    path.write_bytes(path.read_bytes().rstrip(b"\n"))
    reel.add(LINES[2])
    assert Reel(path).lines() == [LINES[0], LINES[2]]


def test_a_link_stays_a_link(path: Path, tmp_path: Path):
    Reel(path).add(LINES[0])
    link = tmp_path / "link.jsonl"
    link.symlink_to(path)
    Reel(link).add(LINES[1], instead=[LINES[0]])
    assert link.is_symlink()
    assert Reel(path).lines() == [LINES[1]]


def test_what_somebody_else_does_to_the_file_is_seen(path: Path):
    one, other = Reel(path), Reel(path)
    one.add(LINES[0])
    other.add(LINES[1])
    assert one.lines() == LINES[:2]
    path.unlink()
    assert one.lines() == []
    other.add(LINES[2])
    assert one.lines() == [LINES[2]]


def _replied(**odd: Any) -> str:
    reply = {"status": 200, "headers": {}, "chunks": [], "text": "", **odd}
    return json.dumps({"nth": 1, "at": "x", "request": {"url": "http://u", "body": {}}, "reply": reply}) + "\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("\n", "is not a cassette"),
        ("hello\n", "is not a cassette"),
        ("[1]\n", "is not a cassette"),
        ('{"kind":"started","seq":1}\n', "is not a cassette"),
        ('{"quire_cassette":2}\n', "is of version 2; this Quire reads version 1"),
        (HEADER + "<<<<<<< HEAD\n{}\n", "Line 2 of the cassette demo.jsonl is not a recording"),
        (HEADER + "{}\n", "Line 2"),
        (HEADER + '{"nth":1,"at":"x","request":{"url":"u","body":{}},"reply":{"status":200}}\n', "Line 2"),
        (HEADER + '{"nth":1,"at":"x","tool":"t","arguments":{}}\n', "Line 2"),
        (HEADER + '{"nth":1,"at":"x","request":{"url":7,"body":{}}}\n', "Line 2"),
        (HEADER + _replied(status="fine"), "Line 2"),
        (HEADER + _replied(headers=[]), "Line 2"),
        (HEADER + "null\n\n", "Line 2"),
    ],
)
@pytest.mark.parametrize("mode", ["auto", "record", "replay"])
def test_a_file_that_is_no_cassette_is_refused_and_left_alone(path: Path, words: str, said: str, mode):
    path.parent.mkdir()
    put(path, words)
    with pytest.raises(CassetteError, match=said):
        quire.cassette(path, mode=mode)
    assert text_of(path) == words


def test_an_empty_file_is_an_empty_cassette(path: Path):
    path.parent.mkdir()
    path.touch()
    with ChatServer(says("Hello")) as server, quire.cassette(path):
        agent(server).execute_sync("Hi")
    assert len(lines(path)) == 2


def test_a_folder_is_refused(tmp_path: Path):
    with pytest.raises(CassetteError, match="it is a folder"):
        quire.cassette(tmp_path)


def test_nothing_to_replay_is_said_at_once(path: Path):
    with pytest.raises(CassetteError, match=r"There is no cassette .*demo\.jsonl to replay"):
        quire.cassette(path, mode="replay")


def test_a_path_where_no_file_can_be_is_said_before_anybody_is_asked(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with ChatServer(says("Hello")) as server, quire.cassette(tmp_path / "file" / "demo.jsonl"):
        with pytest.raises(CassetteError, match="is no folder"):
            agent(server).execute_sync("Hi")
        assert not server.requests


READ_ONLY = """
import os
from pathlib import Path
from quire.core.errors import CassetteError
from quire.run.cassettes.reel import Reel
if os.geteuid() == 0:
    os.setuid(65534)  # root may write anywhere
reel = Reel(Path("demo.jsonl"))
print(len(reel.lines()))
try:
    reel.check_writable()
except CassetteError as error:
    print(error.what)
"""


@pytest.mark.parametrize(("name", "why"), [("demo.jsonl", "it is read-only"), ("other.jsonl", ". is read-only")])
def test_what_is_read_only_is_played_and_said_before_anybody_is_asked(tmp_path: Path, name: str, why: str):
    folder = tmp_path / "folder"
    Reel(folder / name).add(LINES[0])
    (folder / name).chmod(0o444)
    folder.chmod(0o555)
    done = subprocess.run([sys.executable, "-c", READ_ONLY], cwd=folder, capture_output=True, text=True, check=False)
    folder.chmod(0o755)
    there = int(name == "demo.jsonl")
    assert done.stdout.startswith(f"{there}\nThe cassette demo.jsonl cannot be written: "), done.stderr
    assert why in done.stdout


async def test_a_disk_that_is_full_is_an_error_and_leaves_the_file(path: Path):
    Reel(path).add(LINES[0])
    before = len(text_of(path))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with ChatServer(says("Hello")) as server, quire.cassette(path):
        old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (before + 10, limits[1]))
        try:
            with pytest.raises(CassetteError, match="cannot be written"):
                await agent(server).execute("Hi")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            signal.signal(signal.SIGXFSZ, old)
    assert Reel(path).lines() == LINES[:1]


async def test_words_edited_by_hand_are_played(path: Path):
    with ChatServer(streams("Hel", "lo")) as server, quire.cassette(path):
        await agent(server).execute("Hi")
    put(path, text_of(path).replace("Hel", "Hello and good day, fel"))
    with quire.cassette(path, mode="replay"):
        assert await agent(server).execute("Hi") == "Hello and good day, fello"


async def test_no_header_of_a_request_and_few_of_a_reply(path: Path):
    more = {
        "set-cookie": "session=1",
        "openai-organization": "org-1",
        "x-request-id": "req-1",
        "x-ratelimit-limit": "9",
    }
    with ChatServer(sends(200, says("Hello").chunks[0], headers=more)) as server, quire.cassette(path):
        await agent(server).execute("Hi")
    [line] = lines(path)[1:]
    assert set(line["request"]) == {"url", "body"}
    assert set(line["reply"]["headers"]) == {"content-type", "x-request-id", "x-ratelimit-limit"}


def test_it_says_what_it_is_and_what_it_did(path: Path):
    with ChatServer(says("Hello")) as server:
        with quire.cassette(path) as tape:
            assert repr(tape) == "<cassette demo.jsonl: auto, 0 recordings>"
            agent(server).execute_sync("Hi")
            agent(server).execute_sync("Hi")
            assert repr(tape) == "<cassette demo.jsonl: auto, 1 recording, 1 played, 1 recorded>"
        assert repr(quire.cassette(path, mode="live")) == "<cassette demo.jsonl: live, 0 recordings>"
