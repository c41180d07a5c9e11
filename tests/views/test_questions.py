"""What a log says of questions: which are open, who answered, and what only waits for a person."""

import itertools

import pytest

from quire.core.messages import Message, ToolCall
from quire.events import (
    Answered,
    Asked,
    Called,
    Cancelled,
    Failed,
    Requested,
    Responded,
    Resumed,
    Returned,
    Started,
    Succeeded,
)
from quire.views.details import details
from quire.views.live import RunFold
from tests.kit import plain


class Told:
    """A log that is written by hand."""

    def __init__(self):
        self.events = []
        self.parents = {}

    def tell(self, kind, span, parent=None, **fields):
        parent = self.parents.setdefault(span, parent)
        at = float(len(self.events))
        self.events.append(kind(seq=len(self.events) + 1, at=at, run="r", span=span, parent=parent, **fields))

    def begin(self, span, parent=None, name="flow", of="step", **fields):
        self.tell(Started, span, parent, name=name, of=of, **fields)

    def ask(self, span, parent, text="Go on?", **fields):
        self.tell(Asked, span, parent, text=text, **fields)

    def fold(self):
        fold = RunFold()
        for event in self.events:
            fold.apply(event)
        return fold

    @property
    def head(self):
        return self.fold().head()

    @property
    def open(self):
        return list(self.fold().questions)

    def node(self, name):
        state = self.fold().snapshot()["nodes"][name]
        return state["status"], state["reason"]


def flow(*names):
    nodes = [{"id": name, "title": name, "kind": "step", "note": "", "input": "int", "output": "int"} for name in names]
    return {"name": "flow", "kind": "pipeline", "nodes": nodes, "edges": []}


@pytest.fixture
def told():
    """Return the log of a flow of which two steps have begun."""
    told = Told()
    told.begin("1", name="flow", of="pipeline", graph=flow("a", "b"))
    told.begin("2", "1", name="a")
    told.begin("3", "1", name="b")
    return told


def test_a_question_says_who_asks_what_and_why(told):
    told.ask(
        "4",
        "2",
        "Publish?",
        choices=("yes", "no"),
        values=(True, False),
        why="It is final.",
        tool="publish",
        arguments={"page": 3, "title": "Bees"},
        where="flow › a",
        until=99.0,
    )
    assert told.head["questions"] == [
        {
            "id": "4",
            "node": "a",
            "path": "flow › a",
            "text": "Publish?",
            "tool": "publish",
            "arguments": [("page", "3"), ("title", "Bees")],
            "why": "It is final.",
            "choices": ["yes", "no"],
            "field": None,
            "asked_at": 3.0,
            "until": 99.0,
            "answer": None,
            "by": None,
            "answered_at": None,
        }
    ]


@pytest.mark.parametrize(
    ("value", "shown"), [(True, "yes"), (1, "1"), ("yes", "yes"), ({"a": [1]}, '{"a":[1]}'), (None, "null")]
)
def test_an_answer_is_told_in_the_words_that_were_chosen(told, value, shown):
    told.ask("4", "2", choices=("yes", "no"), values=(True, False))
    told.tell(Answered, "4", value=value, by="Ana")
    [question] = told.head["questions"]
    assert (question["answer"], question["by"], question["answered_at"]) == (shown, "Ana", 4.0)
    assert told.open == []


def test_a_run_waits_only_when_nothing_in_it_moves(told):
    told.ask("4", "2")
    assert (told.head["status"], told.node("a"), told.node("b")) == (
        "running",
        ("waiting", "for you"),
        ("running", None),
    )
    told.tell(Succeeded, "3")
    assert (told.head["status"], told.node("a"), told.node("b")) == (
        "waiting",
        ("waiting", "for you"),
        ("succeeded", None),
    )
    told.tell(Answered, "4")
    assert (told.head["status"], told.node("a")) == ("running", ("running", None))


def test_a_node_with_two_questions_waits_until_both_are_answered(told):
    told.tell(Succeeded, "3")
    told.ask("4", "2", "One?")
    told.ask("5", "2", "Two?")
    told.tell(Answered, "4")
    assert (told.head["status"], told.node("a"), told.open) == ("waiting", ("waiting", "for you"), ["5"])
    told.tell(Answered, "5")
    assert (told.head["status"], told.node("a"), told.open) == ("running", ("running", None), [])


def test_a_node_in_which_something_else_moves_does_not_wait(told):
    told.ask("4", "2")
    told.tell(Requested, "5", "2", agent="x", provider="p", model="m", messages=1)
    assert told.node("a") == ("running", None)
    told.tell(Responded, "5", message=Message.of("assistant", "ok"), finish_reason="stop")
    assert told.node("a") == ("waiting", "for you")


def test_a_fan_out_waits_when_all_its_items_do():
    told = Told()
    told.begin("1", name="flow", of="pipeline", graph=flow("each"))
    told.begin("2", "1", name="each", of="each")
    for item in range(3):
        told.begin(f"{item + 3}", "2", name="work", item=item)
    for item in range(2):
        told.ask(f"{item + 6}", f"{item + 3}")
    assert (told.head["status"], told.node("each")) == ("running", ("running", None))
    told.tell(Succeeded, "5")
    assert (told.head["status"], told.node("each")) == ("waiting", ("waiting", "for you"))


@pytest.mark.parametrize(
    ("kind", "fields"),
    [(Failed, {"error_type": "E", "error": "x"}), (Cancelled, {"reason": "stopped"}), (Succeeded, {})],
)
def test_a_run_that_has_ended_does_not_wait(told, kind, fields):
    told.tell(Succeeded, "3")
    told.ask("4", "2")
    for span in "21":
        told.tell(kind, span, **fields)
    assert told.head["status"] == kind.kind
    assert told.node("a")[0] == kind.kind


def test_what_failed_over_a_question_can_still_be_answered(told):
    told.ask("4", "2")
    for span in "21":
        told.tell(Failed, span, error_type="Unanswered", error="nobody")
    assert told.open == ["4"]


def test_what_nobody_needs_to_know_any_more_is_not_open(told):
    told.ask("4", "2")
    told.ask("5", "3")
    told.tell(Succeeded, "3")
    assert told.open == ["4"]
    told.tell(Cancelled, "4", reason="lost the race")
    assert (told.open, told.head["questions"]) == ([], [])


def test_a_question_that_was_open_when_the_run_broke_off_is_waited_for_when_it_is_asked_again(told):
    told.tell(Succeeded, "3")
    told.ask("4", "2")
    told.tell(Resumed, "1")
    assert (told.head["status"], told.open) == ("running", ["4"])
    told.tell(Resumed, "2")
    told.ask("4", "2", until=50.0)
    assert (told.head["status"], told.open) == ("waiting", ["4"])
    [question] = told.head["questions"]
    assert (question["asked_at"], question["until"]) == (4.0, 50.0)


def using_a_tool():
    told = Told()
    told.begin("1", name="desk", of="agent")
    told.tell(Requested, "2", "1", agent="desk", provider="p", model="m", messages=2)
    call = Message(role="assistant", parts=(ToolCall(id="c", tool="send", arguments="{}"),))
    told.tell(Responded, "2", message=call, finish_reason="tool_calls")
    told.tell(Called, "3", "1", tool="send", call="c", arguments={})
    return told


def test_a_tool_that_asks_waits_in_the_conversation_too():
    told = using_a_tool()

    def status():
        return told.fold().snapshot()["messages"][-1]["parts"][0]["status"]

    told.begin("4", "3", name="confirm")
    told.ask("5", "4")
    assert (status(), told.head["status"]) == ("waiting", "waiting")
    told.tell(Answered, "5")
    assert status() == "running"
    told.tell(Succeeded, "4")
    told.tell(Returned, "3", tool="send", call="c", result=1)
    assert status() == "succeeded"


def test_a_tool_that_goes_on_after_it_failed_is_shown_as_it_ended_last():
    told = using_a_tool()
    told.tell(Failed, "3", error_type="UnresolvedEffect", error="Nobody knows.")

    def shown():
        part = told.fold().snapshot()["messages"][-1]["parts"][0]
        return part["status"], part["error"], part["result"]

    assert shown() == ("failed", "Nobody knows.", None)
    told.tell(Resumed, "3")
    assert shown() == ("running", None, None)
    told.tell(Returned, "3", tool="send", call="c", result=1)
    assert shown() == ("succeeded", None, "1")


def test_looking_at_any_moment_changes_nothing(told):
    told.ask("4", "2")
    told.tell(Succeeded, "3")
    told.tell(Resumed, "2")
    told.ask("5", "2", "More?")
    told.tell(Answered, "4", value=1)
    told.tell(Answered, "5", value=2)
    told.tell(Failed, "2", error_type="E", error="x")
    told.tell(Failed, "1", error_type="E", error="x")
    whole = plain(told.fold().snapshot())
    for looks in itertools.product([False, True], repeat=len(told.events)):
        fold = RunFold()
        for look, event in zip(looks, told.events, strict=True):
            fold.apply(event)
            if look:
                fold.head()
                fold.patch()
        assert plain(fold.snapshot()) == whole


def test_a_page_is_told_that_the_run_waits_and_that_it_goes_on(told):
    fold = told.fold()
    fold.patch()
    told.tell(Succeeded, "3")
    told.ask("4", "2")
    for event in told.events[-2:]:
        fold.apply(event)
    patch = fold.patch()
    assert (patch["head"]["status"], len(patch["head"]["questions"])) == ("waiting", 1)
    assert {"id": "a", "status": "waiting"}.items() <= patch["nodes"][0].items()
    told.tell(Answered, "4", value="x")
    fold.apply(told.events[-1])
    patch = fold.patch()
    assert (patch["head"]["status"], patch["nodes"][0]["status"]) == ("running", "running")
    assert fold.patch() is None


def test_the_inspector_of_a_node_tells_what_it_asked(told):
    told.ask("4", "2", "Publish?", choices=("yes", "no"), values=(True, False))
    assert ("asked", "Publish? yes or no") in details(told.events, "a")["facts"]
    told.tell(Answered, "4", value=True, by="Ana")
    told.tell(Succeeded, "2")
    assert ("asked", "Publish? yes, by Ana after 1.0 s") in details(told.events, "a")["facts"]
    assert not [fact for fact in details(told.events, "b")["facts"] if fact[0] == "asked"]
