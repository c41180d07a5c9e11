"""The decoder gives the same events however the bytes are cut."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from quire.adapters.sse import SentEvent, SSEDecoder

ENDS = st.sampled_from(["\n", "\r\n", "\r"])
WORDS = st.text(alphabet='aé\u2028\u0085😀 :{}"\v\f', max_size=8)
LINES = st.one_of(
    st.just(""),
    WORDS.map(lambda words: f"data: {words}"),
    WORDS.map(lambda words: f"data:{words}"),
    WORDS.map(lambda words: f": {words}"),
    st.sampled_from(["event: error", "id: 7", "retry: 10", "data", "nonsense"]),
)


def decoded(*chunks: bytes) -> list[SentEvent]:
    decoder = SSEDecoder()
    events = [event for chunk in chunks for event in decoder.feed(chunk)]
    return [*events, *decoder.finish()]


@given(st.lists(st.tuples(LINES, ENDS), max_size=20), st.data())
def test_any_chunking_gives_the_same_events(lines: list[tuple[str, str]], data: st.DataObject):
    raw = "".join(line + end for line, end in lines).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=8)))
    pieces = [raw[a:b] for a, b in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
    whole = decoded(raw)
    assert decoded(*pieces) == whole
    assert decoded(*(raw[n : n + 1] for n in range(len(raw)))) == whole


@given(st.lists(WORDS, min_size=1, max_size=5), ENDS)
def test_data_survives(words: list[str], end: str):
    raw = "".join(f"data: {line}{end}" for line in words).encode() + end.encode()
    assert decoded(raw) == [SentEvent("", "\n".join(words))]


def test_comments_and_events_without_data_are_no_events():
    assert decoded(b": ping\n\n: OPENROUTER PROCESSING\n\nevent: empty\n\ndata: 1\n\n") == [SentEvent("", "1")]


def test_the_last_event_needs_no_empty_line():
    assert decoded(b"event: error\ndata: {}") == [SentEvent("error", "{}")]


def test_a_byte_order_mark_is_skipped():
    assert decoded(b"\xef\xbb\xbfdata: 1\n\n") == [SentEvent("", "1")]


def test_broken_utf8_does_not_stop_the_stream():
    assert decoded(b"data: \xff\n\ndata: ok\n\n")[1] == SentEvent("", "ok")
