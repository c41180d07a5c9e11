"""A turn decides without waiting: no loop, no clock, no log; the same answers lead to the same wants."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from quire import errors
from quire.agents import turn as turns
from quire.core.messages import Message, Text, ToolCall, ToolResult
from quire.core.ports import Abilities, Answer, ModelRequest, ToolForm


class Verdict(BaseModel):
    score: int


IT = (Text(text="it"),)
FORM = ToolForm(name="look", description="Look.", parameters={"type": "object"})


def rules(**changes):
    usual = {
        "agent": "judge",
        "output": Verdict,
        "tools": (FORM,),
        "output_attempts": 2,
        "max_tool_rounds": 3,
    }
    return turns.Rules(**{**usual, **changes})


def says(text, finish="stop"):
    return Answer(message=Message.of("assistant", text), finish_reason=finish, usage=None)


def asks(*tools, finish="tool_calls", **arguments):
    calls = tuple(ToolCall(id=str(n), tool=tool, arguments=arguments.get(tool, "{}")) for n, tool in enumerate(tools))
    return Answer(message=Message(role="assistant", parts=(Text(text="hm"), *calls)), finish_reason=finish, usage=None)


def replies(arguments, *others, finish="tool_calls"):
    return asks(*others, "reply", reply=arguments, finish=finish)


def result(call):
    return ToolResult(id=call.id, tool=call.tool, text=f"{call.tool} found")


def played(answers, **changes):
    """Return every want of a turn in which the model gives these answers; of an Ask, the request."""
    turn, want = turns.begin(rules(**changes), "Judge.", IT)
    wants = [worded(turn, want)]
    for answer in answers:
        if not isinstance(want, turns.Ask):
            break
        turn, want = turns.heard(turn, answer)
        wants.append(worded(turn, want))
        if isinstance(want, turns.Use):
            turn, want = turns.used(turn, [result(call) for call in want.calls])
            wants.append(worded(turn, want))
    return wants


def worded(turn, want):
    return turns.request(turn, Abilities(), {"temperature": 0.5}) if isinstance(want, turns.Ask) else want


def test_a_turn_from_question_to_value():
    request, done = played([says('{"score": 3}')])
    assert [message.role for message in request.messages] == ["system", "user"]
    assert (request.temperature, request.tools, request.output.name) == (0.5, (FORM,), "Verdict")
    assert done == turns.Done(value=Verdict(score=3))


def test_tools_are_used_and_their_results_go_back_in_order():
    _, use, again, done = played([asks("look", "find"), says('{"score": 3}')])
    assert [call.tool for call in use.calls] == ["look", "find"]
    assert [part.text for part in again.messages[-1].parts] == ["look found", "find found"]
    assert isinstance(done, turns.Done)


def test_the_same_answers_lead_to_the_same_wants():
    answers = [asks("look"), says("nonsense"), asks("look", "find"), says('{"score": 3}')]
    assert played(answers) == played(answers)
    assert isinstance(played(answers)[-1], turns.Done)


def test_the_same_turn_is_worded_for_each_model_as_it_needs_it():
    turn, _ = turns.begin(rules(), "Judge.", IT)
    turn, _ = turns.heard(turn, asks("look", "find"))
    turn, _ = turns.used(turn, [result(call) for call in turn.messages[-1].calls])
    held = turns.request(turn, Abilities(), {"temperature": 0.5})
    told = turns.request(turn, Abilities(output_schema=False, tools=False), {"max_tokens": 9})
    assert (held.output.name, held.messages[0].text, held.temperature) == ("Verdict", "Judge.", 0.5)
    assert (told.output, told.temperature, told.max_tokens) == (None, None, 9)
    assert told.messages[0].text.startswith("Judge.\n\n")
    assert '"score"' in told.messages[0].text
    assert held.messages[1:] == told.messages[1:]


@given(
    st.lists(
        st.sampled_from(
            [
                says("nonsense"),
                says('{"score": 1}'),
                says("", "length"),
                asks("look"),
                asks("a", "b"),
                asks("reply", "reply"),
                replies("{}"),
                replies('{"score": 1}'),
                replies('{"score": 1}', "look"),
            ]
        )
    )
)
def test_every_turn_ends_within_its_limits(answers):
    wants = played(answers)
    uses = [want for want in wants if isinstance(want, turns.Use)]
    requests = [want for want in wants if isinstance(want, ModelRequest)]
    assert len(uses) <= 3
    assert sum(message.role == "user" for message in requests[-1].messages) <= 2
    called = [call.id for message in requests[-1].messages for call in message.calls]
    answered = [part.id for m in requests[-1].messages for part in m.parts if isinstance(part, ToolResult)]
    assert answered == called
    assert all(isinstance(want, ModelRequest | turns.Use) for want in wants[:-1])
    if len(answers) > 5:
        assert isinstance(wants[-1], turns.Done | turns.Broken)
    lengths = [len(request.messages) for request in requests]
    assert lengths == sorted(set(lengths))


@pytest.mark.parametrize(
    ("answers", "changes", "error", "message"),
    [
        ([says("x")] * 2, {}, errors.OutputValidationError, "replied 2 times"),
        ([says("x")], {"output_attempts": 1}, errors.OutputValidationError, "replied once"),
        ([asks("look")] * 4, {}, errors.ToolRoundsExceeded, "4 times in one turn"),
        ([asks("look")], {"max_tool_rounds": 0}, errors.ToolRoundsExceeded, "1 times"),
    ],
)
def test_a_turn_breaks_with_an_error_of_its_own(answers, changes, error, message):
    *_, broken = played(answers, **changes)
    assert isinstance(broken, turns.Broken)
    assert type(broken.error) is error
    assert message in str(broken.error)


def test_text_is_never_invalid():
    assert played([says("")], output=str)[-1] == turns.Done(value="")


# A reply by call


def test_a_call_of_the_reply_tool_is_the_reply():
    _, done = played([replies('{"score": 3}')])
    assert done == turns.Done(value=Verdict(score=3))
    _, done = played([replies('{"value": [1, 2]}')], output=list[int])
    assert done == turns.Done(value=[1, 2])
    _, done = played([replies("")], output=dict[str, int])
    assert done == turns.Done(value={})


def test_a_reply_that_does_not_fit_is_told_so_as_the_result_of_its_call():
    _, again, done = played([replies('{"score": "many"}'), replies('{"score": 3}')])
    [told] = again.messages[-1].parts
    assert (told.tool, told.id, told.failed) == ("reply", "0", True)
    assert "score: Input should be a valid integer" in told.text
    assert "Call `reply` again" in told.text
    assert done == turns.Done(value=Verdict(score=3))
    *_, broken = played([replies('{"score": "many"}')] * 2)
    assert isinstance(broken.error, errors.OutputValidationError)
    assert broken.error.raw == '{"score": "many"}'


def test_a_reply_that_was_cut_off_says_so():
    _, again = played([replies('{"score": ', finish="length")])
    assert "cut off at the limit of tokens" in again.messages[-1].parts[0].text


def test_words_are_taken_too():
    _, again, done = played([says("Let me think."), says('{"score": 3}')])
    assert '"score"' in again.messages[-1].text  # the schema: perhaps nobody showed it to the model
    assert done == turns.Done(value=Verdict(score=3))


def test_a_reply_together_with_other_calls_is_not_taken_before_they_have_run():
    _, use, again, done = played([replies('{"score": 1}', "look", "find"), replies('{"score": 2}')])
    assert [call.tool for call in use.calls] == ["look", "find"]
    told = again.messages[-1].parts
    assert [(part.id, part.tool) for part in told] == [("0", "look"), ("1", "find"), ("2", "reply")]
    assert [part.failed for part in told] == [False, False, True]
    assert told[2].text.startswith("Not taken")
    assert done == turns.Done(value=Verdict(score=2))


def test_two_replies_at_once_are_none():
    _, again, done = played([asks("reply", "reply", reply='{"score": 1}'), replies('{"score": 2}')])
    assert [part.id for part in again.messages[-1].parts] == ["0", "1"]
    assert "was called 2 times" in again.messages[-1].parts[0].text
    assert done == turns.Done(value=Verdict(score=2))


def test_the_reply_tool_takes_no_name_of_the_users():
    mine = ToolForm(name="reply", description="Mine.", parameters={"type": "object"})
    other = ToolForm(name="reply_2", description="Mine.", parameters={"type": "object"})
    turn, _ = turns.begin(rules(tools=(mine, other)), "Judge.", IT)
    request = turns.request(turn, Abilities(output_schema=False), {})
    assert [(tool.name, tool.is_reply) for tool in request.tools] == [
        ("reply", False),
        ("reply_2", False),
        ("reply_3", True),
    ]
    assert "`reply_3`" in request.messages[0].text
    _, want = turns.heard(turn, asks("reply"))
    assert isinstance(want, turns.Use)


def test_an_agent_that_replies_in_words_has_no_reply_tool():
    _, use = played([asks("reply")], output=str)[:2]
    assert [call.tool for call in use.calls] == ["reply"]


def test_a_reply_that_was_filtered_is_told_with_what_there_was_of_it():
    broken = played([says("The way to", finish="content_filter")])[-1]
    assert isinstance(broken.error, errors.ContentFiltered)
    assert (broken.error.partial, broken.error.body) == ("The way to", "The way to")
