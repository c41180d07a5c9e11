"""What the tests of cassettes share: an agent behind a server on this machine, and the file as text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from quire import LLM, Agent
from tests.servers import ChatServer

HEADER = '{"quire_cassette":1}\n'


def llm(server: ChatServer | str, model: str = "gpt-test", **more: Any) -> LLM:
    url = server if isinstance(server, str) else server.url
    return LLM(model, provider="openai_compat", base_url=url, **more)


def agent(server: ChatServer | str, words: str = "Answer.", **more: Any) -> Agent:
    return Agent(llm(server), words, name="helper", **more)


def is_there(path: Path) -> bool:
    return path.exists()


def text_of(path: Path) -> str:
    return path.read_text()


def put(path: Path, text: str) -> None:
    path.write_text(text)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]
