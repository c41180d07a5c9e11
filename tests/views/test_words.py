import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quire.views.words import change, cost, count, moment, money, seconds, size, tokens

CASES = json.loads(Path(__file__).with_name("words.json").read_text(encoding="utf-8"))
WORDS = {
    "money": money,
    "money_simulated": lambda usd: money(usd, simulated=True),
    "cost": lambda both: cost(*both),
    "tokens": tokens,
    "size": size,
    "seconds": seconds,
    "moment": moment,
    "money_change": lambda difference: change(difference, money),
    "tokens_change": lambda difference: change(difference, tokens),
    "seconds_change": lambda difference: change(difference, seconds),
    "count": lambda both: count(*both),
}


@pytest.mark.parametrize(
    ("rule", "value", "text"), [(rule, value, text) for rule, cases in CASES.items() for value, text in cases]
)
def test_the_shared_cases(rule, value, text):
    assert WORDS[rule](value) == text


@given(st.floats(min_value=0, max_value=1e9))
def test_money_is_never_shown_as_less_precise_than_it_is_large(usd):
    text = money(usd)
    assert text.startswith(("$", "<$"))
    assert abs(float(text.lstrip("<$").replace(",", "")) - usd) <= (0.0001 if usd < 1 else 0.0051)


@given(st.floats(min_value=0, max_value=1e7))
def test_times_never_print_sixty_of_anything(length):
    assert "60" not in seconds(length).replace(",", "").split()[2:]


@given(st.floats(min_value=-1e6, max_value=1e6).filter(lambda value: value != 0))
def test_a_change_has_a_true_sign(difference):
    assert change(difference, seconds)[0] == ("\N{MINUS SIGN}" if difference < 0 else "+")
