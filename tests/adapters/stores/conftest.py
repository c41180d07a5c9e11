"""A place for each store, and a store in it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from quire.core.ports import Store
from tests.adapters.stores import servers
from tests.adapters.stores.places import LASTING, PLACES, Place


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return PLACES[request.param](tmp_path)


@pytest.fixture(params=LASTING)
def lasting(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return PLACES[request.param](tmp_path)


@pytest.fixture
def store(place: Place) -> Store:
    return place.open()


@pytest.fixture
def free_port() -> int:
    return servers.free_port()


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that others get to, unlike pytest's, which every new session closes to them."""
    folder = Path(tempfile.mkdtemp(prefix="quire-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)
