"""The image that Binder would build: read from its recipe, so no container engine is needed."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    """Have repo2docker write the Dockerfile for this repository's `binder` folder."""
    folder = tmp_path_factory.mktemp("repository")
    shutil.copytree(ROOT / "binder", folder / "binder")
    shutil.copy(ROOT / "pyproject.toml", folder)
    program = [sys.executable, "-m", "repo2docker", "--no-build", "--debug", "."]
    done = subprocess.run(program, cwd=folder, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_the_repository_is_there_before_pip_installs_it(recipe):
    copied = recipe.index("COPY --chown=0:0 src/ ")
    installed = recipe.index('install --no-cache-dir -r "binder/requirements.txt"')
    assert copied < installed < recipe.index("RUN ./binder/postBuild")


def test_python_is_the_one_asked_for_and_new_enough(recipe):
    [asked] = re.findall(r"python-(\d+\.\d+)", (ROOT / "binder" / "runtime.txt").read_text())
    assert f"python={asked}" in recipe
    oldest = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"].removeprefix(">=")
    assert tuple(map(int, asked.split("."))) >= tuple(map(int, oldest.split(".")))


def test_the_smoke_test_can_be_run():
    assert (ROOT / "binder" / "postBuild").stat().st_mode & 0o111


def test_what_is_recorded_is_played_there(recipe):
    assert 'R2D_ENTRYPOINT="${REPO_DIR}/binder/start"' in recipe
    started = subprocess.run([ROOT / "binder" / "start", "env"], capture_output=True, text=True, check=True).stdout
    assert "QUIRE_CASSETTE_MODE=replay" in started.splitlines()
