"""What users import: the error tree, the events, and how light it is. (`test_architecture` pins `quire` itself.)"""

import inspect
import re
import sys

import pytest

import quire
import quire.core.errors
from quire import errors, events
from quire.core.events import KINDS, Event, Unknown
from tests.kit import output_of

HEAVY = ["IPython", "graphviz", "httpx", "ipywidgets", "mcp", "nest_asyncio", "pandas", "quire_widgets", "anywidget"]
HEAVY += ["asyncpg", "obstore", "redis", "sqlite3"]


def test_the_everyday_names():
    assert quire.__all__ == [
        "LLM",
        "Agent",
        "File",
        "Memory",
        "Pipeline",
        "Process",
        "Retry",
        "Run",
        "State",
        "Step",
        "Tool",
        "cassette",
        "copy_store",
        "costs",
        "current_context",
        "errors",
        "events",
        "load",
        "models",
        "reducers",
        "runs",
        "sessions",
        "testing",
        "tools",
        "views",
    ]
    assert set(quire.__all__) <= set(dir(quire))


@pytest.mark.parametrize("name", quire.__all__)
def test_every_name_can_be_imported_first(name, tmp_path):
    if name in {"LLM", "Run", "load", "errors", "views", "testing", "tools"}:  # one of each home
        assert output_of(f"from quire import {name}; print({name}.__name__)", tmp_path).endswith(name)
    assert getattr(quire, name) is not None


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Agnet'"):
        _ = quire.Agnet


def test_importing_quire_loads_nothing_heavy(tmp_path):
    loaded = output_of("import quire, sys; print(*sys.modules)", tmp_path).split()
    assert set(HEAVY).isdisjoint(loaded)


def test_running_a_step_loads_no_table_and_no_screen(tmp_path):
    loaded = output_of(
        """
        import sys
        from quire import LLM, Agent, Pipeline, Step
        @Step
        def ask(text: str) -> list[str]:
            return [text]
        answer = Agent(LLM("offline"), "Answer.", input=list[str])
        Pipeline(ask, answer).execute_sync("x")
        print(*sys.modules)
        """,
        tmp_path,
    ).split()
    assert set(HEAVY).isdisjoint(loaded)


def own(module, base):
    return {
        name: thing
        for name, thing in vars(module).items()
        if inspect.isclass(thing) and issubclass(thing, base) and thing.__module__ == module.__name__
    }


def test_every_error_is_public_and_drawn_where_it_stands():
    written = own(quire.core.errors, BaseException)
    assert sorted(errors.__all__) == sorted(written)
    del written["SchemaWarning"]  # a warning is no error
    drawn = re.findall(r"^ {4}([│├└─ ]*)(\w+)", quire.core.errors.__doc__, re.MULTILINE)
    assert {name for _, name in drawn} == set(written)
    above: list[tuple[int, str]] = []
    for indent, name in drawn:
        while above and above[-1][0] >= len(indent):
            above.pop()
        assert written[name].__bases__[0].__name__ == (above[-1][1] if above else "Exception")
        above.append((len(indent), name))


def test_every_event_is_public_and_can_be_read_back():
    written = own(sys.modules["quire.core.events"], Event)
    assert sorted(events.__all__) == sorted([*written, "KINDS"])
    assert set(KINDS.values()) == set(written.values()) - {Event, Unknown}
    assert all(kind == event.kind for kind, event in KINDS.items())
    listed = re.findall(r"^ {4}\w+ +([a-z ]+)$", sys.modules["quire.core.events"].__doc__, re.MULTILINE)
    assert sorted(" ".join(listed).split()) == sorted(KINDS)
