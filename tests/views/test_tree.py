"""The browser of sessions as it stays in a saved notebook."""

import re
from xml.etree import ElementTree as ET

import pytest

from quire.views.browsing import Branch, Mark, SessionRow, Tree
from quire.views.tree import sessions_html, sessions_text, tree_svg


def branch(name, **changes):
    about = {"origin": None, "first": 1, "last": 6, "going": 6, "hidden": 0, "messages": 6, "turns": 3}
    told = {"cost_usd": 0.01, "simulated": False, "says": "Good."}
    return Branch(branch=name, **{**about, **told, **changes})


def tree(*branches, head="main", checkpoints=()):
    about = {"session": "trip", "seq": 3, "tokens": 8204, "cost_usd": 0.0109, "turns": 4, "simulated": False}
    return Tree(**about, head=head, branches=list(branches), checkpoints=list(checkpoints), forks=[])


def row(name):
    about = {"agent": "guide", "last_at": 0.0, "turns": 3, "branches": 1, "checkpoints": 0, "seq": 3, "tokens": 1}
    return SessionRow(session=name, **about, cost_usd=0.0, simulated=False)


def shown(*rows, of=None, only=None):
    return {"kind": "sessions", "only": only, "rows": list(rows), "tree": of}


CALM = branch("calm", origin={"name": "main", "message": 4}, first=5, last=6, messages=2)
FORKED = tree(branch("main", going=4), CALM, head="calm", checkpoints=[Mark(name="a <b>", branch="main", message=2)])


def classes(svg, tag="circle"):
    return [found.get("class") for found in ET.fromstring(svg).iter(f"{{http://www.w3.org/2000/svg}}{tag}")]


def test_the_branch_that_goes_on_is_dark_and_ends_in_the_accent():
    dots = classes(tree_svg(FORKED))
    assert dots == ["dot going"] * 4 + ["dot", "dot end", "dot going", "dot going end"]
    assert classes(tree_svg(FORKED), "path").count("line going") == 3  # what is shared, the way over, and its own


def test_what_a_summary_hides_is_drawn_as_hidden():
    dots = classes(tree_svg(tree(branch("main", hidden=4))))
    assert dots == ["dot going hidden"] * 4 + ["dot going", "dot going end"]


def test_a_branch_on_which_nothing_was_said_yet_shows_where_it_will_go_on():
    back = branch("back", origin={"name": "main", "message": 2}, first=3, last=2, going=2, messages=0, turns=0)
    assert classes(tree_svg(tree(branch("main", going=2), back, head="back")))[-1] == "next"


@pytest.mark.parametrize("of", [FORKED, tree(branch("<script>&", last=0, going=0), head="<script>&")])
def test_names_are_text_in_every_form(of):
    for text in (tree_svg(of), sessions_html(shown(row("<script>"), of=of))):
        assert "<script" not in text
        assert "a <b>" not in text
    assert ET.fromstring(tree_svg(of)).get("role") == "img"


def test_the_drawing_follows_light_and_dark_and_asks_for_nothing():
    svg = tree_svg(FORKED)
    assert "prefers-color-scheme:dark" in svg
    assert not re.search(r"url\(|href|https?://(?!www\.w3\.org)", svg)


def test_of_what_is_long_the_end_is_drawn():
    rows = [branch(f"b{n}", origin={"name": "main", "message": 2}, first=3, last=4, going=2) for n in range(60)]
    svg = tree_svg(tree(branch("main", last=2000, going=2000), *rows))
    assert len(classes(svg)) == 36
    assert float(ET.fromstring(svg).get("width")) <= 930
    text = sessions_text(shown(*(row(f"s{n}") for n in range(30)), of=FORKED))
    assert "30 sessions" in text
    assert "10 more sessions" in text


def test_the_text_says_where_branches_begin_and_which_goes_on():
    assert sessions_text(shown(row("trip"), of=FORKED)).splitlines() == [
        "1 session",
        "  trip: guide, 3 turns, 1 branch, 1970-01-01 00:00 UTC",
        "",
        "trip: 8,204 tokens, $0.0109, 1 checkpoint",
        "  main: 6 messages, $0.0100   Good.",
        "* calm, forked at main, 4: 2 messages, $0.0100   Good.",
    ]


def test_one_session_alone_has_no_list():
    assert "<b>Sessions</b>" not in sessions_html(shown(row("trip"), of=FORKED, only="trip"))
    assert sessions_text(shown(row("trip"), of=FORKED, only="trip")).startswith("trip:")
