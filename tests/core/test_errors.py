"""The error tree as the docstring draws it, and the three parts of a message."""

from __future__ import annotations

import pickle
import re

import pytest

from quire.core import errors
from quire.core.errors import CorruptLog, OutputValidationError, ProviderError, QuireError

CLASSES = [getattr(errors, name) for name in errors.__all__ if name != "SchemaWarning"]


def drawn() -> dict[str, tuple[str | None, str | None]]:
    """Return each class of the docstring's tree with its parent and what else it is."""
    tree, above = {"QuireError": (None, None)}, ["QuireError"]
    for branch, name, other in re.findall(r"^ {4}([│├└─ ]+)(\w+)(?: \((\w+)\))?", errors.__doc__ or "", re.MULTILINE):
        depth = len(branch) // 4
        tree[name] = (above[depth - 1], other or None)
        above[depth:] = [name]
    return tree


def test_the_tree_in_the_docstring_is_the_tree():
    real = {}
    for kind in CLASSES:
        mother, *others = kind.__bases__
        mother_name = None if mother is Exception else mother.__name__
        real[kind.__name__] = (mother_name, others[0].__name__ if others else None)
    assert drawn() == real


def test_every_class_is_public():
    here = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, QuireError)}
    assert here | {"SchemaWarning"} == set(errors.__all__)


@pytest.mark.parametrize("kind", CLASSES)
def test_a_message_says_what_where_and_the_remedy(kind: type[QuireError]):
    error = kind("The tank is empty.", where="trip > drive", remedy="Fill it.\nThen go on.")
    assert str(error) == "The tank is empty.\n  in trip > drive\n  Fill it.\n  Then go on."
    assert (error.what, error.where, error.remedy) == ("The tank is empty.", "trip > drive", "Fill it.\nThen go on.")


@pytest.mark.parametrize("kind", CLASSES)
def test_where_can_be_filled_in_later(kind: type[QuireError]):
    error = kind("The tank is empty.")
    assert str(error) == "The tank is empty."
    error.where = "trip"
    assert str(error) == "The tank is empty.\n  in trip"


@pytest.mark.parametrize("kind", CLASSES)
def test_errors_travel_between_processes(kind: type[QuireError]):
    error = pickle.loads(pickle.dumps(kind("What.", where="here", remedy="Do.")))
    assert type(error) is kind
    assert str(error) == "What.\n  in here\n  Do."


def test_what_some_errors_carry():
    assert OutputValidationError("What.", raw="{").raw == "{"
    assert ProviderError("What.", status=429, body="slow down").status == 429
    assert CorruptLog("What.").readable == []


@pytest.mark.parametrize("kind", CLASSES)
def test_every_class_says_what_it_is_for(kind: type[QuireError]):
    assert kind.__doc__
