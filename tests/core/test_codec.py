"""The codec's law: what was written is read; and what was not written by us is read or refused, never crashed over."""

from __future__ import annotations

import dataclasses
import json
import typing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quire.core.codec import decode, encode, from_record, to_record
from quire.core.events import KINDS, Called, Event, Requested, Responded, Succeeded, Unknown
from quire.core.messages import File, Message, Text, Thought, ToolCall, ToolResult
from quire.core.usage import Usage

COMMON = {"seq": 1, "at": 1.5, "run": "r", "span": "1", "parent": None}


def joined(text: str) -> str:
    """Two halves of a surrogate pair side by side are one character to every reader of JSON."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


words = st.text(st.characters(exclude_categories=()), max_size=20).map(joined)
numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
payloads = st.recursive(
    st.none() | st.booleans() | numbers | words,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=4),
    max_leaves=12,
)
maybe = st.none() | words
files = st.builds(File.of, st.binary(max_size=8), st.just("image/png"), name=maybe)
several = st.lists(files, max_size=2).map(tuple)
parts = (
    st.builds(Text, text=words)
    | files
    | st.builds(Thought, text=words, signature=maybe, sealed_by=maybe)
    | st.builds(ToolCall, id=words, tool=words, arguments=words, signature=maybe, sealed_by=maybe)
    | st.builds(ToolResult, id=words, tool=words, text=words, failed=st.booleans(), files=several)
)
messages = st.builds(
    Message,
    role=st.sampled_from(["system", "user", "assistant", "tool"]),
    parts=st.lists(parts, max_size=4).map(tuple),
)
values: dict[Any, st.SearchStrategy[Any]] = {
    Any: payloads,
    str: words,
    str | None: st.none() | words,
    float | None: st.none() | st.floats(0, 1e9),
    dict[str, Any]: st.dictionaries(words, payloads, max_size=3),
    dict[str, Any] | None: st.none() | st.dictionaries(words, payloads, max_size=3),
    dict[str, str]: st.dictionaries(words, words, max_size=3),
    dict[str, int]: st.dictionaries(words, st.integers(0), max_size=3),
    tuple[str, ...]: st.lists(words, max_size=3).map(tuple),
    tuple[Any, ...]: st.lists(payloads, max_size=3).map(tuple),
    tuple[int, ...]: st.lists(st.integers(0), max_size=3).map(tuple),
    tuple[File, ...]: several,
    Message: messages,
    tuple[Message, ...]: st.lists(messages, max_size=2).map(tuple),
    Usage | None: st.none() | st.builds(Usage, cached_input_tokens=st.none() | st.integers(0)),
    int: st.integers(0, 10**9),
    int | None: st.none() | st.integers(0, 10**9),
    bool: st.booleans(),
    float: st.floats(0, 4e9),
}


def of(kind: type[Event]) -> st.SearchStrategy[Event]:
    hints = typing.get_type_hints(kind)
    return st.builds(kind, **{field.name: values[hints[field.name]] for field in dataclasses.fields(kind)})


unknown = st.builds(
    Unknown,
    **{name: values[typing.get_type_hints(Event)[name]] for name in COMMON},
    name=words.filter(lambda name: name not in KINDS),
    data=st.dictionaries(words.filter(lambda name: name not in {"kind", *COMMON}), payloads, max_size=3),
)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_what_is_written_is_read(kind: type[Event]):
    @given(of(kind))
    def law(event: Event):
        line = encode(event)
        assert line.endswith(b"\n")
        assert line.count(b"\n") == 1
        # repr, for 1, 1.0 and True are equal.
        assert repr(decode(line)) == repr(event)
        assert repr(from_record(to_record(event))) == repr(event)

    law()


@given(unknown)
def test_a_kind_of_another_version_is_kept_whole(event: Unknown):
    assert repr(decode(encode(event))) == repr(event)


@given(st.sampled_from(list(KINDS.values())).flatmap(of), st.dictionaries(words.map("new ".__add__), payloads))
def test_fields_of_another_version_are_passed_over(event: Event, fields: dict[str, Any]):
    line = json.dumps({**json.loads(encode(event)), **fields}).encode()
    assert decode(line) == event


def test_parts_and_counts_of_another_version_are_passed_over():
    message = {"role": "user", "parts": [{"is": "text", "text": "a", "bold": True}, {"is": "image", "url": "b"}]}
    record = {"kind": "responded", **COMMON, "finish_reason": "stop", "message": message}
    event = from_record({**record, "usage": {"input_tokens": 1, "output_tokens": 2, "audio_tokens": 3}})
    assert isinstance(event, Responded)
    assert event.message == Message.of("user", "a")
    assert event.usage == Usage(input_tokens=1, output_tokens=2)


@given(st.sampled_from(list(KINDS.values())).flatmap(of))
def test_every_line_is_json_that_any_reader_takes(event: Event):
    line = encode(event).decode()  # UTF-8, even when a payload is not Unicode
    assert json.loads(line, parse_constant=pytest.fail)["kind"] == event.kind


@pytest.mark.parametrize("text", ["\ud83d", "a\udfffb", "\ud83d\ud83d", "\n\r\u2028\u0085\x00", "e\u0301\U0001f600"])
def test_text_that_is_hard_to_write(text: str):
    event = Succeeded(**COMMON, output={text: text})
    assert decode(encode(event)) == event


@pytest.mark.parametrize("levels", [150, 199, 230, 253, 254, 300, 600])
def test_deep_payloads(levels: int):
    deep: Any = 1
    for _ in range(levels):
        deep = [deep]
    event = Succeeded(**COMMON, output=deep)
    assert decode(encode(event)) == event


def test_numbers_that_json_has_no_word_for_are_text():
    event = Called(**COMMON, tool="t", call="c", arguments=[float("nan"), float("-inf")])
    assert b'["NaN","-Infinity"]' in encode(event)


def test_fields_at_their_default_are_left_out():
    event = Requested(**COMMON, agent="a", provider="p", model="m", messages=1)
    assert set(json.loads(encode(event))) == {"kind", *COMMON, "agent", "provider", "model", "messages", "settings"}


@given(st.sampled_from(list(KINDS.values())).flatmap(of), st.data())
def test_a_torn_line_is_a_value_error(event: Event, data: st.DataObject):
    line = encode(event).removesuffix(b"\n")
    cut = data.draw(st.integers(0, len(line) - 1))
    with pytest.raises(ValueError):  # noqa: PT011 - whatever it says, the store says which line
        decode(line[:cut])


@given(st.binary() | st.builds(lambda a, b: b'{"kind":' + a + b"," + b, st.binary(), st.binary()))
def test_bytes_that_are_no_event_are_a_value_error(line: bytes):
    with pytest.raises(ValueError):  # noqa: PT011
        decode(line)


@pytest.mark.parametrize("line", [b"", b"\n", b"[]", b"null", b"{}", b"\0" * 64, b"[" * 100_000, b"\xff", b"1" * 9999])
def test_lines_that_are_no_event(line: bytes):
    with pytest.raises(ValueError):  # noqa: PT011
        decode(line)


FIELDS = sorted({field.name for kind in KINDS.values() for field in dataclasses.fields(kind)} - {*COMMON})


@given(st.sampled_from([*KINDS]), st.dictionaries(st.sampled_from(FIELDS), payloads))
def test_records_with_anything_in_them_are_read_or_a_value_error(kind: str, fields: dict[str, Any]):
    try:
        event = from_record({"kind": kind, **COMMON, **fields})
    except ValueError:
        return
    assert event.kind == kind


@given(st.sampled_from(["kind", *COMMON]), payloads)
def test_what_every_event_has_is_of_its_type(name: str, value: Any):
    record = {"kind": "succeeded", **COMMON, name: value}
    try:
        event = from_record(record)
    except ValueError:
        return
    assert isinstance(event.seq, int)
    assert isinstance(event.run, str)


@pytest.mark.parametrize("name", ["kind", *COMMON])
def test_what_every_event_has_cannot_be_missing(name: str):
    record = {"kind": "succeeded", **COMMON}
    del record[name]
    with pytest.raises(ValueError, match="an event needs"):
        from_record(record)
