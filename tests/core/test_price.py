"""A price, and what usage comes to by it."""

import pytest

from quire.core.errors import DefinitionError
from quire.core.price import Price
from quire.core.usage import Usage

WHOLE = Price(input=10.0, output=100.0, cached_input=1.0, cache_write=12.0)
PLAIN = Price(input=10.0, output=100.0)


def used(*tokens):
    whole, written_out, cached, written = tokens
    return Usage(input_tokens=whole, output_tokens=written_out, cached_input_tokens=cached, cache_write_tokens=written)


@pytest.mark.parametrize(
    ("price", "tokens", "millionths"),
    [
        (WHOLE, (100, 10, None, None), 2000),
        (WHOLE, (100, 10, 40, None), 600 + 40 + 1000),
        (WHOLE, (100, 10, 40, 50), 100 + 40 + 600 + 1000),
        # More read from the cache, or written to it, than there was.
        (WHOLE, (100, 0, 130, None), 100),
        (WHOLE, (100, 0, 60, 70), 60 + 480),
        (PLAIN, (100, 10, 40, 50), 2000),
        (WHOLE, (0, 0, 0, 0), 0),
    ],
)
def test_each_part_of_a_prompt_has_its_price(price, tokens, millionths):
    assert price.of(used(*tokens)) == pytest.approx(millionths / 1e6, rel=1e-12)


@pytest.mark.parametrize("given", [3, "cheap", [], {"input": 1}, {"input": 1, "output": None}, {1: 2}])
def test_what_is_no_price_is_told_with_what_one_looks_like(given):
    with pytest.raises(DefinitionError, match=r"My price") as raised:
        Price.read(given, "My price", where="there")
    assert raised.value.where == "there"
    assert "input" in raised.value.remedy


def test_whole_numbers_are_prices_too():
    assert Price.read({"input": 1, "output": 2, "cache_write": 3}, "x") == Price(input=1.0, output=2.0, cache_write=3.0)
