"""The peers, each built as its own documentation says, all asking the same server."""

from __future__ import annotations

import warnings
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from importlib.metadata import PackageNotFoundError, version
from typing import Any, TypedDict

from quire import LLM

__all__ = ["INSTRUCTIONS", "MODEL", "QUESTION", "TextState", "langgraph_chain", "llm", "messages", "named"]
__all__ += ["openai_client", "pydantic_ai_model"]

MODEL = "gpt-4o-mini"
INSTRUCTIONS = "Answer in one short sentence."
QUESTION = "Why is the sky blue?"
KEY = "none"


def named(name: str, package: str) -> str:
    """Return a peer's name with the version that is measured."""
    try:
        return f"{name} {version(package)}"
    except PackageNotFoundError:
        return name


def messages(question: str = QUESTION) -> list[Any]:
    """Return the conversation that everybody sends."""
    return [{"role": "system", "content": INSTRUCTIONS}, {"role": "user", "content": question}]


def llm(url: str) -> LLM:
    """Return the model as Quire asks it."""
    return LLM(MODEL, provider="openai_compat", base_url=f"{url}/v1", api_key=KEY)


async def openai_client(url: str, stack: AsyncExitStack) -> Any:
    """Return the openai SDK's client; its retries stay off, they would hide a fault."""
    from openai import AsyncOpenAI

    return await stack.enter_async_context(AsyncOpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0))


async def pydantic_ai_model(url: str, stack: AsyncExitStack) -> Any:
    """Return the model as pydantic-ai asks it."""
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    return OpenAIChatModel(MODEL, provider=OpenAIProvider(openai_client=await openai_client(url, stack)))


class TextState(TypedDict):
    """What langgraph's nodes hand on."""

    text: Any


def langgraph_chain(nodes: Sequence[tuple[str, Callable[[TextState], Awaitable[Any]]]]) -> Any:
    """Return a compiled langgraph of nodes one after the other."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it has deprecations of its own at import
        from langgraph.graph import END, START, StateGraph

    graph: Any = StateGraph(TextState)
    for name, node in nodes:
        graph.add_node(name, node)
    stops: Iterable[str] = [START, *(name for name, _ in nodes), END]
    path = list(stops)
    for before, after in zip(path, path[1:], strict=False):
        graph.add_edge(before, after)
    return graph.compile()
