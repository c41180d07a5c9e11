"""What fits a JSON schema: the finer rules too, and nothing is fetched from elsewhere."""

import pytest

from quire.core.fits import mismatch


@pytest.mark.parametrize(
    ("schema", "value", "wrong"),
    [
        ({}, object(), None),
        ({"type": "integer", "minimum": 0}, 0, None),
        ({"type": "integer", "minimum": 0}, -1, "minimum of 0"),
        ({"type": "integer"}, True, "not of type 'integer'"),
        ({"items": {"$ref": "#/$defs/word"}, "$defs": {"word": {"type": "string"}}}, ["a", 2], "[1]: 2 is not"),
        ({"$ref": "https://example.org/schema.json"}, 1, "https://example.org/schema.json"),
    ],
)
def test_what_does_not_fit_is_told_with_its_place(schema, value, wrong):
    told = mismatch(schema, value)
    assert told is None if wrong is None else wrong in told
