"""When two requests are the same, and how it is told what differs."""

from __future__ import annotations

import copy

import pytest

from quire.run.cassettes.likeness import difference, distance, host_of, identity

URL = "http://127.0.0.1:5000/v1/chat/completions"
CHAT = {
    "model": "m",
    "temperature": 0.5,
    "messages": [
        {"role": "user", "content": "What is order 17?"},
        {
            "role": "assistant",
            "tool_calls": [
                {"id": "call_a", "type": "function", "function": {"name": "order", "arguments": '{"id":17}'}}
            ],
        },
        {"role": "tool", "tool_call_id": "call_a", "content": "shipped"},
    ],
}
CLAUDE = {
    "messages": [
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": "toolu_1", "name": "order", "input": {"id": "17"}}],
        },
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "shipped"}]},
    ]
}
GEMINI = {
    "contents": [
        {"parts": [{"functionCall": {"id": "x1", "name": "order", "args": {"id": "17"}}}]},
        {"parts": [{"functionResponse": {"id": "x1", "name": "order", "response": {"id": "17"}}}]},
    ]
}
RESPONSES = {
    "input": [
        {"type": "function_call", "call_id": "call_a", "id": "fc_1", "name": "order", "arguments": '{"id":17}'},
        {"type": "function_call_output", "call_id": "call_a", "output": "shipped"},
    ]
}


def renamed(body, changes):
    text = repr(body)
    for old, new in changes.items():
        text = text.replace(old, new)
    return eval(text)


@pytest.mark.parametrize("change", [{"user": "ada"}, {"metadata": {"a": "b"}}, {"prompt_cache_key": "k"}])
def test_who_asks_is_no_part_of_the_question(change):
    assert identity(URL, {**CHAT, **change}) == identity(URL, CHAT)


def test_the_order_of_fields_and_the_port_do_not_matter():
    assert identity("http://localhost:1/v1/chat/completions", dict(reversed(CHAT.items()))) == identity(URL, CHAT)


@pytest.mark.parametrize(
    ("body", "changes"),
    [
        (CHAT, {"call_a": "call_zz9"}),
        (CLAUDE, {"toolu_1": "toolu_zz9"}),
        (GEMINI, {"x1": "zz9"}),
        (RESPONSES, {"call_a": "call_zz9", "fc_1": "fc_zz"}),
    ],
)
def test_the_ids_of_calls_are_numbers(body, changes):
    assert identity(URL, renamed(body, changes)) == identity(URL, body)


@pytest.mark.parametrize("body", [CHAT, CLAUDE, GEMINI, RESPONSES])
def test_an_id_in_a_tool_s_own_data_is_part_of_the_question(body):
    assert identity(URL, renamed(body, {"17": "18"})) != identity(URL, body)


def test_which_call_a_result_belongs_to_is_part_of_the_question():
    two = copy.deepcopy(CHAT)
    two["messages"][1]["tool_calls"].append(
        {"id": "call_b", "type": "function", "function": {"name": "x", "arguments": ""}}
    )
    other = renamed(two, {"'tool_call_id': 'call_a'": "'tool_call_id': 'call_b'"})
    assert identity(URL, other) != identity(URL, two)


@pytest.mark.parametrize(
    "change", [{"model": "n"}, {"temperature": 0.6}, {"messages": CHAT["messages"][:1]}, {"seed": 1}, {"stream": True}]
)
def test_everything_else_is(change):
    assert identity(URL, {**CHAT, **change}) != identity(URL, CHAT)
    assert identity(URL.replace("chat", "text"), CHAT) != identity(URL, CHAT)


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://127.0.0.1:8000/v1", "localhost"),
        ("http://[::1]:8000/v1", "localhost"),
        ("http://localhost:1/", "localhost"),
        ("http://me.localhost/", "localhost"),
        ("https://api.example:8443/v1", "api.example:8443"),
    ],
)
def test_hosts(url, host):
    assert host_of(url) == host


def test_the_nearest_shares_most_of_its_words():
    asked = {"messages": ["What is the capital of Spain?"]}
    near, far = {"messages": ["What is the capital of France?"]}, {"messages": ["How much is two and two?"]}
    assert 0 < distance(near, asked) < distance(far, asked) <= 1
    assert distance(asked, asked) == 0
    assert distance({"a": 1, "b": 2}, {"a": 1}) == 1


def test_a_difference_is_read_at_a_glance():
    before = {"model": "m", "tools": [{"name": "a"}], "temperature": 0.5, "text": f"{'x' * 200}one{'y' * 200}"}
    after = {"model": "m", "tools": [], "temperature": None, "text": f"{'x' * 200}two{'y' * 200}", "n": 1}
    assert difference(before, after).splitlines() == [
        "tools[0]",
        '  - {"name": "a"}',
        "  + (nothing)",
        "temperature",
        "  - 0.5",
        "  + null",
        "text",
        f'  - "…{"x" * 25}one{"y" * 32}…"',
        f'  + "…{"x" * 25}two{"y" * 32}…"',
        "n",
        "  - (nothing)",
        "  + 1",
    ]


def test_a_long_difference_is_cut():
    lines = difference({str(n): n for n in range(20)}, {str(n): -n - 1 for n in range(20)}).splitlines()
    assert len(lines) == 3 * 8 + 1
    assert lines[-1] == "and 12 more"
