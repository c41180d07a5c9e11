"""Every example a reader can see works: in docstrings, and in the README. No network, a house of its own."""

import doctest
import re
from importlib import import_module

import pytest

from tests.kit import ROOT

TOOLKIT = ROOT / "toolkit"
MODULES = sorted(
    ".".join(path.relative_to(TOOLKIT).with_suffix("").parts).removesuffix(".__init__")
    for path in (TOOLKIT / "quire").rglob("*.py")
)
BLOCKS = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
EXAMPLES = [
    example
    for module in MODULES
    for example in doctest.DocTestFinder(exclude_empty=True).find(import_module(module), module)
    if example.examples
]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_docstring(example, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = []
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    failed, _ = doctest.DocTestRunner(optionflags=flags, verbose=False).run(example, out=said.append)
    assert not failed, "".join(said)


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_readme(number, tmp_path, monkeypatch):
    """A block may go on where the ones before it stopped."""
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "__readme__"}
    for block in BLOCKS[: number + 1]:
        exec(compile(block, "README.md", "exec"), names)
