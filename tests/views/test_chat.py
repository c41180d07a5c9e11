"""What a chat shows of a session and of a turn that goes on, as pure functions."""

import pytest

from quire.core.events import Branched, Checkpointed, Remembered
from quire.core.messages import File, Message, Text, Thought, ToolCall, ToolResult
from quire.core.usage import Usage
from quire.views import chat
from quire.views.session import SessionFold


def turn(seq, *messages, **fields):
    about = {"at": float(seq), "run": f"r{seq}", "span": "1", "parent": None, "branch": "main", "agent": "guide"}
    return Remembered(seq=seq, turn=messages, **{**about, **fields})


def asked(*parts):
    return Message(role="user", parts=parts)


def said(*parts):
    return Message(role="assistant", parts=parts)


def spoken(seq, **fields):
    return turn(seq, Message.of("user", f"question {seq}"), Message.of("assistant", f"answer {seq}"), **fields)


def fold(*events):
    session = SessionFold("trip")
    for event in events:
        session.apply(event)
    return session


def test_a_turn_is_what_was_asked_and_one_bubble_for_the_answer():
    results = (ToolResult(id="1", tool="look", text="found"), ToolResult(id="2", tool="look", text="no", failed=True))
    calls = (ToolCall(id="1", tool="look", arguments='{"a":1}'), ToolCall(id="2", tool="look", arguments='{"a":'))
    answer = [said(Thought(text="Hm."), Text(text="I look."), *calls), Message(role="tool", parts=results)]
    usage = Usage(input_tokens=4, output_tokens=3)
    you, agent = chat.turn(turn(1, asked(Text(text="Look")), *answer, said(Text(text="Done.")), usage=usage))
    assert (you["sender"], you["role"], you["edit"], you["tokens"]) == ("you", "person", True, None)
    assert (agent["sender"], agent["role"], agent["tokens"], "edit" in agent) == ("guide", "agent", 3, False)
    assert [part["type"] for part in agent["parts"]] == ["thinking", "text", "call", "call", "text"]
    good, bad = agent["parts"][2:4]
    assert (good["arguments"], good["result"], good["status"]) == ('{\n  "a": 1\n}', "found", "succeeded")
    assert (bad["arguments"], bad["error"], bad["status"]) == ('{"a":', "no", "failed")


def test_who_gave_more_than_words_cannot_say_it_in_other_words():
    file = File.of(b"%PDF", "application/pdf", name="plan.pdf")
    you, agent = chat.turn(turn(1, asked(Text(text="Read"), file), said(Text(text="Read."))))
    assert "edit" not in you
    assert [part["type"] for part in you["parts"]] == ["text", "file"]
    gave = ToolResult(id="1", tool="draw", text="drawn", files=(file,))
    call = said(ToolCall(id="1", tool="draw", arguments=""))
    _, agent = chat.turn(turn(1, asked(Text(text="Draw")), call, Message(role="tool", parts=(gave,))))
    assert agent["parts"][0]["files"][0]["name"] == "plan.pdf"


@pytest.mark.parametrize(
    ("text", "kind"), [('{"a": 1}', "data"), ("[1]", "data"), ("no data", "text"), ('{"a":', "text")]
)
def test_a_reply_is_data_only_where_it_is_and_is_expected(text, kind):
    event = turn(1, asked(Text(text="a")), said(Text(text=text)))
    assert chat.turn(event, data=True)[1]["parts"][0]["type"] == kind
    assert chat.turn(event)[1]["parts"][0] == {"type": "text", "text": text}


def test_checkpoints_are_marked_where_the_line_has_them():
    def place(seq, **fields):
        return {"seq": seq, "at": float(seq), "run": "", "span": "", "parent": None, **fields}

    main = (spoken(1), Checkpointed(**place(2), branch="main", name="one"), spoken(3))
    session = fold(
        *main,
        Checkpointed(**place(4), branch="main", name="two"),
        Branched(**place(5), branch="other", origin="trip", to=2),
        spoken(6, branch="other"),
        Checkpointed(**place(7), branch="other", name="three"),
        Checkpointed(**place(8), branch="other", name="end"),
    )
    assert chat.marked(session, session.line()) == {1: ["one"], 2: ["three", "end"]}
    assert chat.marked(session, session.line("main")) == {1: ["one"], 2: ["two"]}


def test_the_head_counts_the_session_and_says_what_has_no_price():
    usage = Usage(input_tokens=4, output_tokens=3)
    session = fold(spoken(1, usage=usage, cost_usd=0.5), spoken(2, usage=usage, cost_usd=0.25))
    head = chat.head_of("guide", "m", session, None)
    assert (head["tokens"], head["cost_usd"], head["unpriced"], head["status"]) == (14, 0.75, False, None)
    unknown = chat.head_of("guide", "m", fold(spoken(1, usage=usage, cost_usd=None)), None)
    assert (unknown["cost_usd"], unknown["unpriced"]) == (None, True)
    empty = chat.head_of("guide", "m", SessionFold("trip"), None)
    assert (empty["tokens"], empty["cost_usd"], empty["unpriced"]) == (None, None, False)


def changed(**fields):
    return {**chat.turn(spoken(1))[1], **fields}


def test_news_are_what_was_added_if_that_is_all():
    before, text = changed(), "answer 1"
    assert chat.news(before, changed()) is None
    longer = changed(parts=[{"type": "text", "text": f"{text} and more"}])
    assert chat.news(before, longer) == [{"id": before["id"], "append": (0, " and more")}]
    for other in (
        changed(writing=True),
        changed(parts=[{"type": "text", "text": "other"}]),
        changed(parts=[{"type": "data", "text": f"{text} and more"}]),
        changed(parts=[*before["parts"], {"type": "text", "text": "x"}]),
        changed(marks=["here"]),
    ):
        assert chat.news(before, other) == [other]


def test_without_a_page_text_is_text_and_what_went_wrong_is_told():
    session = fold(turn(1, asked(Text(text="<script>")), said(Text(text="<b>"))))
    head = chat.head_of("<i>guide</i>", "m", session, None)
    shown = {"kind": "chat", "head": head, "messages": chat.turn(session.turns[0])}
    page = chat.chat_html(shown)
    assert not [tag for tag in ("<script>", "<b></p>", "<i>guide") if tag in page]
    assert "&lt;script&gt;" in page
    error = {"type": "ProviderError", "path": "guide", "message": "<u>", "remedy": "Wait.", "traceback": None}
    failed = {**shown, "head": {**head, "status": "failed", "error": error}}
    assert "ProviderError: &lt;u&gt;<br>Wait." in chat.chat_html(failed)
    assert chat.chat_text(failed).endswith("ProviderError: <u>\nWait.")
    stopped = {**shown, "head": {**head, "status": "cancelled", "reason": "stopped by you"}}
    assert chat.chat_text(stopped).endswith("cancelled: stopped by you")
