"""What the browser of sessions shows, told from their streams alone."""

from hypothesis import given
from hypothesis import strategies as st

from quire.core.events import Branched, Checkpointed, Compacted, Continued, Remembered
from quire.core.messages import File, Message, Text, ToolCall, ToolResult
from quire.core.usage import Usage
from quire.views.browsing import mentions, place_at, place_details, row, tree
from quire.views.session import Place, SessionFold


class Story:
    """A session, told event by event."""

    def __init__(self, session="trip", origins=None):
        self.fold = SessionFold(session, origins)

    def add(self, kind, **fields):
        seq = len(self.fold.events) + 1
        self.fold.apply(kind(seq=seq, at=float(seq), run="r", span=str(seq), parent=None, **fields))
        return seq

    def say(self, words, *between):
        messages = (Message.of("user", words), *between, Message.of("assistant", words.upper()))
        usage = Usage(input_tokens=10, output_tokens=4)
        about = {"agent": "guide", "usage": usage, "cost_usd": 0.5, "branch": self.fold.head}
        return self.add(Remembered, turn=messages, **about)

    def restore(self, to, branch, origin=None):
        return self.add(Branched, branch=branch, origin=origin or self.fold.session, to=to)

    def rows(self):
        return {branch["branch"]: branch for branch in tree(self.fold)["branches"]}


def test_a_branch_is_shown_from_where_it_leaves_the_row_that_has_the_rest():
    story = Story()
    story.say("kyoto")
    story.say("osaka")
    story.say("tokyo")
    story.restore(2, "calm")
    story.say("nara")
    main, calm = story.rows().values()
    assert (main["origin"], main["first"], main["last"], main["going"]) == (None, 1, 6, 4)
    assert (calm["origin"], calm["first"], calm["last"], calm["going"]) == ({"name": "main", "message": 4}, 5, 6, 6)
    assert (calm["messages"], calm["turns"], calm["cost_usd"], calm["says"]) == (2, 1, 0.5, "NARA")
    assert (tree(story.fold)["head"], tree(story.fold)["tokens"], tree(story.fold)["cost_usd"]) == ("calm", 56, 2.0)


def test_a_branch_on_which_nothing_was_said_yet_has_no_message_of_its_own():
    story = Story()
    story.say("kyoto")
    story.say("osaka")
    story.restore(1, "back")
    assert (story.rows()["back"]["first"], story.rows()["back"]["last"]) == (3, 2)
    story.restore(0, "all over")
    anew = story.rows()["all over"]
    assert (anew["first"], anew["last"], anew["origin"]) == (1, 0, {"name": "main", "message": 0})


def test_a_branch_of_a_branch_begins_in_the_row_that_shows_its_last_shared_message():
    story = Story()
    story.say("a")
    story.restore(1, "b")
    story.say("b")
    story.restore(3, "c")
    story.say("c")
    story.restore(1, "d")
    origins = {name: row["origin"] for name, row in story.rows().items()}
    assert origins["c"] == {"name": "b", "message": 4}
    assert origins["d"] == {"name": "main", "message": 2}


def test_a_fork_shows_what_it_goes_on_from_as_its_own_beginning():
    trip = Story()
    trip.say("kyoto")
    trip.add(Checkpointed, branch="main", name="outline")
    trip.add(Continued, into="by train", to=2)
    trip.say("osaka")
    train = Story("by train", {"trip": trip.fold})
    train.restore(2, "main", origin="trip")
    train.say("tokyo")
    only = train.rows()["main"]
    assert (only["origin"], only["first"], only["last"]) == ({"name": "trip", "message": 2}, 1, 4)
    assert (only["messages"], only["turns"]) == (2, 1)
    assert tree(train.fold)["checkpoints"] == [{"name": "outline", "branch": "main", "message": 2}]
    assert tree(trip.fold)["forks"] == [{"name": "by train", "branch": "main", "message": 2}]
    inherited = place_details(train.fold, "main", 2)
    assert (inherited["text"], inherited["said_in"]) == ("KYOTO", "trip")
    assert place_at(train.fold, "main", 2) == Place("trip", 1)
    assert place_at(train.fold, "main", 4) == Place("by train", 2)


def test_calls_of_tools_are_part_of_the_answer():
    story = Story()
    call = Message(role="assistant", parts=(ToolCall(id="1", tool="find", arguments="{}"), Text(text="Let me see.")))
    result = Message(role="tool", parts=(ToolResult(id="1", tool="find", text="secret"),))
    story.say("where?", call, result)
    assert story.rows()["main"]["last"] == 2
    asked, answer = (place_details(story.fold, "main", number) for number in (1, 2))
    assert (asked["sender"], asked["role"], asked["calls"], asked["tokens"]) == ("you", "person", 0, None)
    assert (answer["sender"], answer["role"], answer["calls"], answer["tokens"]) == ("guide", "agent", 1, 4)
    assert answer["text"] == "Let me see.\n\nWHERE?"
    assert place_details(story.fold, "main", 3) is place_details(story.fold, "nowhere", 1) is None


def test_an_answer_of_a_declared_type_and_a_file_are_told():
    story = Story()
    plan = Message(role="assistant", parts=(ToolCall(id="1", tool="reply", arguments='{"days": 3}'),))
    picture = Message(role="user", parts=(File.of(b"x", "image/png", name="map.png"),))
    story.add(Remembered, branch="main", agent="a", turn=(picture, plan))
    assert place_details(story.fold, "main", 1)["files"] == ["map.png, image/png"]
    assert place_details(story.fold, "main", 2)["text"] == '{"days": 3}'


def test_one_goes_on_after_an_answer_and_before_a_question():
    story = Story()
    story.say("a")
    story.say("b")
    assert [place_at(story.fold, "main", number).seq for number in (1, 2, 3, 4)] == [0, 1, 1, 2]
    story.add(Compacted, branch="main", hidden=1, summary="a", by="me")
    assert place_at(story.fold, "main", 4).seq == 3  # the newest place has the summary
    assert place_at(story.fold, "main", 5) is None
    assert [place_details(story.fold, "main", number)["newest"] for number in (2, 3, 4)] == [False, False, True]


def test_what_a_summary_hides_is_shown_as_hidden():
    story = Story()
    for words in "abc":
        story.say(words)
    story.add(Compacted, branch="main", hidden=2, summary="a and b", by="me")
    assert story.rows()["main"]["hidden"] == 4
    assert [place_details(story.fold, "main", number)["hidden"] for number in (4, 5)] == [True, False]
    story.restore(3, "before")  # from before the summary, models are shown everything again
    assert story.rows()["before"]["hidden"] == 0
    assert place_details(story.fold, "main", 2)["hidden"] is False


def test_a_very_long_message_is_cut_and_says_so():
    story = Story()
    story.say("x" * 30_000)
    said = place_details(story.fold, "main", 1)
    assert (len(said["text"]), said["left_out"], len(story.rows()["main"]["says"])) == (20_000, 10_000, 200)


def test_the_list_says_who_spoke_last_how_much_and_when():
    story = Story()
    story.say("kyoto")
    story.add(Checkpointed, branch="main", name="p")
    told = row(story.fold)
    assert (told["session"], told["agent"], told["turns"], told["branches"]) == ("trip", "guide", 1, 1)
    assert (told["checkpoints"], told["seq"], told["last_at"], told["tokens"]) == (1, 2, 2.0, 14)


def test_words_are_found_in_names_and_in_what_was_said_on_any_branch():
    story = Story("Trip to Kyoto")
    story.say("by train")
    story.restore(0, "other")
    story.say("two\nlines")
    found = [mentions(story.fold, words) for words in ("KYOTO", "Train", "two lines", "plane")]
    assert found == [True, True, True, False]


@given(st.lists(st.one_of(st.just("say"), st.just("compact"), st.integers(0, 40)), max_size=25))
def test_every_message_of_every_branch_is_in_one_row_and_can_be_looked_at(steps):
    story = Story()
    for number, step in enumerate(steps):
        if step == "say":
            story.say(str(number))
        elif step == "compact":
            turns = len(story.fold.line().turns)
            story.add(Compacted, branch=story.fold.head, hidden=turns // 2, summary="s", by="me")
        elif step <= len(story.fold.events):
            story.restore(step, f"from {number}")
    rows = story.rows()
    assert sum(row["last"] - row["first"] + 1 for row in rows.values()) == 2 * len(story.fold.turns)
    assert [row["messages"] for row in rows.values()] == [row["last"] - row["first"] + 1 for row in rows.values()]
    for name, branch in rows.items():
        said = story.fold.lines[name].said()
        assert branch["last"] == len(said)
        for number, message in enumerate(said, 1):
            details, place = place_details(story.fold, name, number), place_at(story.fold, name, number)
            assert details["text"] == message.text
            kept = number if message.role == "assistant" else number - 1
            assert story.fold.line_at(place).said() == said[:kept]
        if branch["origin"]:
            shown = rows[branch["origin"]["name"]]
            assert branch["origin"]["message"] == branch["first"] - 1 <= shown["last"]
