"""The peers, each built as its own documentation says, all asking the same server.

They are imported when they are needed: what is not installed is left out of a table, and nothing else is.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from importlib.metadata import PackageNotFoundError, version
from itertools import pairwise
from typing import Any, TypedDict

from tests.benchmarks.chat import MODEL

__all__ = [
    "BURR",
    "LANGGRAPH",
    "PYDANTIC_AI",
    "PYDANTIC_GRAPH",
    "SDK",
    "State",
    "langgraph_chain",
    "openai_client",
    "pydantic_ai_model",
]


def _named(name: str, package: str) -> str:
    try:
        return f"{name} {version(package)}"
    except PackageNotFoundError:
        return name


BURR = _named("burr", "burr")
LANGGRAPH = _named("langgraph", "langgraph")
PYDANTIC_AI = _named("pydantic-ai", "pydantic-ai-slim")
PYDANTIC_GRAPH = _named("pydantic-graph", "pydantic-graph")
SDK = _named("openai SDK", "openai")


async def openai_client(url: str, stack: AsyncExitStack) -> Any:
    """Return the openai SDK's client; its retries are off, they would hide a fault."""
    from openai import AsyncOpenAI

    return await stack.enter_async_context(AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0))


async def pydantic_ai_model(url: str, stack: AsyncExitStack) -> Any:
    """Return the model as pydantic-ai asks it."""
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    return OpenAIChatModel(MODEL, provider=OpenAIProvider(openai_client=await openai_client(url, stack)))


class State(TypedDict):
    """What langgraph's nodes hand on."""

    value: Any


def langgraph_chain(nodes: Sequence[Callable[[State], Awaitable[State]]]) -> Any:
    """Return a compiled langgraph of nodes one after the other."""
    from langgraph.graph import END, START, StateGraph

    graph: Any = StateGraph(State)
    names = [f"node_{number}" for number in range(len(nodes))]
    for name, node in zip(names, nodes, strict=True):
        graph.add_node(name, node)
    for before, after in pairwise([START, *names, END]):
        graph.add_edge(before, after)
    return graph.compile()
