"""What import-linter cannot say about the shape of the house; the layers themselves stand in `pyproject.toml`."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = {
    ".".join(path.relative_to(top).with_suffix("").parts).removesuffix(".__init__"): path
    for top in (ROOT / "toolkit", ROOT / "widgets")
    for package in ("quire", "quire_widgets")
    for path in (top / package).rglob("*.py")
}
ROOMS = {path.parent.name for path in (ROOT / "toolkit" / "quire").glob("*/__init__.py")}

LATE = {
    # The package root is read by everybody who imports anything; what opens the screens is for notebooks only.
    ("quire", "quire.core.doors"),
    # Loads ipywidgets, for whoever shows something and nobody else.
    ("quire_widgets", "quire_widgets.board"),
}
"""Imports of ours inside a function, as pairs of importer and imported; the comment says why it has to be late."""

HEAVY = {"httpcore", "httpx", "IPython", "ipywidgets", "mcp", "nest_asyncio", "pandas"}
"""What `import quire` must not load."""


@dataclass(frozen=True)
class Import:
    """One import statement's word for one module."""

    importer: str
    imported: str
    """The module, or the name in it: `from quire.core import errors` is written `quire.core.errors`."""
    late: bool
    """Inside a function."""
    typing: bool
    """Only for type checkers."""


def imports_of(importer: str) -> Iterator[Import]:
    def visit(node: ast.AST, *, late: bool, typing: bool) -> Iterator[Import]:
        for word in words_of(node):
            yield Import(importer, word, late, typing)
        late = late or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        guarded = node.body if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test) else ()
        for child in ast.iter_child_nodes(node):
            yield from visit(child, late=late, typing=typing or child in guarded)

    yield from visit(ast.parse(SOURCES[importer].read_text()), late=False, typing=False)


def words_of(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [name.name for name in node.names]
    if isinstance(node, ast.ImportFrom):
        assert not node.level, "relative imports hide where a name comes from"
        return [f"{node.module}.{name.name}" for name in node.names]
    return []


def module_of(word: str) -> str | None:
    """Find the module of ours that a word names, or that holds the name."""
    return word if word in SOURCES else (parent if (parent := word.rpartition(".")[0]) in SOURCES else None)


IMPORTS = [found for importer in sorted(SOURCES) for found in imports_of(importer)]


def test_no_module_imports_itself_in_a_circle():
    graph: dict[str, set[str]] = {}
    for found in IMPORTS:
        # A run, its context and what it runs name each other in annotations; that ties nothing when they are loaded.
        if (module := module_of(found.imported)) and not found.typing:
            graph.setdefault(found.importer, set()).add(module)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"an import cycle: {' <- '.join(error.args[1])}", pytrace=False)


def test_imports_inside_functions_are_few_and_named():
    late = {(found.importer, module_of(found.imported)) for found in IMPORTS if found.late}
    ours = {(importer, module) for importer, module in late if module}
    assert ours == LATE


def test_no_room_imports_the_root_or_what_only_re_exports():
    facades = {"quire"} | {f"quire.{path.stem}" for path in (ROOT / "toolkit" / "quire").glob("*.py")}
    from_rooms = [
        found for found in IMPORTS if found.importer.split(".")[1:2] and found.importer.split(".")[1] in ROOMS
    ]
    from_widgets = [found for found in IMPORTS if found.importer.split(".")[0] == "quire_widgets"]
    assert [found for found in from_rooms + from_widgets if module_of(found.imported) in facades] == []


def test_pandas_is_loaded_by_the_tables_alone():
    loading = {f.importer for f in IMPORTS if f.imported.split(".")[0] == "pandas" and not f.typing}
    assert {name for name in loading if not name.startswith("quire.views.tables")} == set()


def test_importing_quire_loads_nothing_heavy():
    program = "import quire, sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert HEAVY.isdisjoint(loaded)
