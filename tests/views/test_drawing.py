import re
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from base64 import b64decode
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quire.core.errors import DefinitionError
from quire.views import drawing

SVG = "{http://www.w3.org/2000/svg}"
STATUSES = ["pending", "running", "waiting", "succeeded", "failed", "skipped", "cancelled"]
HOSTILE = '<script>alert("x")</script> & </style> \' ]]> \x00\x1b'


def node(id, title=None, *, kind="step", note="python", input="A", output="B"):
    return {"id": id, "title": title or id, "kind": kind, "note": note, "input": input, "output": output}


def edge(source, target, label="T"):
    return {"source": source, "target": target, "label": label}


def way(source, target, when, label="T"):
    return {**edge(source, target, label), "when": when}


def group(id, kind, nodes, *, note="3 steps", parent=None, title=None):
    return {"id": id, "title": title or id, "kind": kind, "note": note, "nodes": nodes, "parent": parent}


def graph(nodes, edges, name="audit", groups=()):
    plain = {"name": name, "kind": "pipeline", "nodes": nodes, "edges": edges}
    return {**plain, "groups": list(groups)} if groups else plain


def state(id, status, **facts):
    empty = {"reason": None, "started_at": None, "ended_at": None, "tokens": None, "cost_usd": None, "progress": None}
    return {"id": id, "status": status, "attempt": 1, "calls": 0, "simulated": False, **empty, **facts}


HEAD = {
    "name": "audit",
    "kind": "pipeline",
    "run": "run-7f3a",
    "short": "7f3a",
    "status": "succeeded",
    "simulated": False,
    "replayed": False,
    "started_at": 0.0,
    "ended_at": 29.6,
    "input_tokens": 49000,
    "output_tokens": 314,
    "cost_usd": 0.032,
    "unpriced_calls": 0,
    "model_calls": 4,
    "done": 3,
    "total": 3,
    "error": None,
    "reason": None,
    "questions": [],
}


def head(**facts):
    return {**HEAD, **facts}


def message(sender, *parts, role="agent", **facts):
    plain = {"at": 1.1, "tokens": 88, "writing": False, "simulated": False, "error": None, "parts": list(parts)}
    return {"id": sender, "sender": sender, "role": role, "note": f"{role}, gpt-4o-mini", **plain, **facts}


def text(words):
    return {"type": "text", "text": words}


CALL = {
    "type": "call",
    "id": "c1",
    "tool": "lookup",
    "arguments": '{"id": 8841}',
    "result": '{"ok": true}',
    "error": None,
    "status": "succeeded",
    "seconds": 0.118,
}
DIAMOND = graph(
    [node("a"), node("b"), node("c"), node("d")],
    [edge(None, "a", "In"), edge("a", "b"), edge("a", "c"), edge("b", "d"), edge("c", "d"), edge("d", None, "Out")],
)
DONE = {id: state(id, "succeeded", started_at=0.0, ended_at=1.2) for id in "abcd"}
DESK = graph(
    [node(id, id.rpartition("/")[2]) for id in ("triage", "draft/fast", "draft/slow", "polish/revise", "polish/critic")]
    + [node("read", kind="each", note="8 at once"), node("send")],
    [
        edge(None, "triage", "Ticket"),
        way("triage", "draft", "triage.kind == 'refund'"),
        way("triage", "read", "otherwise"),
        edge("draft", "polish", "Draft"),
        edge("polish/revise", "polish/critic", "Draft"),
        way("polish/critic", "polish/revise", "again", ""),
        edge("polish", "send", "Reply"),
        edge("send", None, "Receipt"),
    ],
    "desk",
    [
        group("draft", "race", ["draft/fast", "draft/slow"], note="first success wins"),
        group("polish", "loop", ["polish/revise", "polish/critic"], note="at most 4 times"),
    ],
)
DESK_RUN = {
    "triage": state("triage", "succeeded", started_at=0.0, ended_at=1.1),
    "draft": state("draft", "succeeded", started_at=1.1, ended_at=3.7),
    "draft/fast": state("draft/fast", "succeeded", reason="won", started_at=1.1, ended_at=3.7),
    "draft/slow": state("draft/slow", "cancelled", reason="lost", started_at=1.1, ended_at=3.7),
    "polish": state("polish", "running", progress=[2, 4]),
    "polish/revise": state("polish/revise", "succeeded", started_at=0.0, ended_at=9.2, attempt=2),
    "polish/critic": state("polish/critic", "waiting", reason="retry 2 in 1.5 s"),
    "read": state("read", "skipped", reason="triage said refund"),
}
NESTED = graph(
    [node("a"), node("o/b"), node("o/i/c"), node("o/i/d"), node("e")],
    [edge("a", "o"), edge("o/b", "o/i"), edge("o", "e"), edge("o", "o/b"), edge("a", "o/i/d"), edge("o", "o")],
    groups=[
        group("o", "pipeline", ["o/b", "o/i/c", "o/i/d"]),
        group("o/i", "parallel", ["o/i/c", "o/i/d"], note="", parent="o", title="inner"),
    ],
)
RUN = (head(), DIAMOND, DONE, [message("you", text("Hello."), role="person"), message("desk", text("Hi."), CALL)])
FLOW_HEAD = {
    "name": "audit",
    "kind": "pipeline",
    "input": "In",
    "output": "Out",
    "example": "audit.start(In(…))",
    "checks": "4 steps",
}


def parsed(svg):
    return ET.fromstring(svg)


def words_of(svg):
    return ["".join(found.itertext()) for found in parsed(svg).iter(f"{SVG}text")]


def chain(count):
    ids = [str(at) for at in range(count)]
    return graph([node(id) for id in ids], [edge(one, two) for one, two in pairwise(ids)])


# --- the SVG ---


def test_before_a_run_types_are_the_labels_and_notes_the_second_lines():
    svg = drawing.graph_svg(DIAMOND)
    assert {"a", "b", "step", "python", "T", "In", "Out"} <= set(words_of(svg))
    assert svg.count('class="end"') == 2


def test_a_run_says_how_each_node_is_in_words_and_leaves_out_types():
    states = {**DONE, "b": state("b", "failed", reason="ValueError"), "d": state("d", "skipped", reason="b failed")}
    told = words_of(drawing.graph_svg(DIAMOND, states))
    assert {"succeeded · 1.2 s", "failed · ValueError", "skipped · b failed"} <= set(told)
    assert "T" not in told


@pytest.mark.parametrize("status", STATUSES)
def test_every_status_has_its_own_shape_and_its_word(status):
    svg = drawing.graph_svg(graph([node("a")], []), {"a": state("a", status)})
    assert status in words_of(svg)
    glyph = re.search(r"scale\(\.875\)\">(.*?)</g>", svg)[1]
    others = [
        drawing.graph_svg(graph([node("a")], []), {"a": state("a", other)}) for other in STATUSES if other != status
    ]
    assert all(glyph not in other for other in others)


@pytest.mark.parametrize(
    ("source", "target", "flow"),
    [
        ("succeeded", "succeeded", "done"),
        ("succeeded", "running", "now"),
        ("succeeded", "pending", "later"),
        ("running", "pending", "later"),
        ("succeeded", "skipped", "never"),
        ("failed", "pending", "never"),
    ],
)
def test_edges_say_what_became_of_the_data(source, target, flow):
    states = {"a": state("a", source), "b": state("b", target)}
    svg = drawing.graph_svg(graph([node("a"), node("b")], [edge("a", "b")]), states)
    assert f'class="edge {flow}"' in svg


def test_a_fan_out_shows_a_cell_an_item_and_a_plain_bar_when_there_are_many():
    def bars(done, total):
        states = {"a": state("a", "running", progress=[done, total])}
        return drawing.graph_svg(graph([node("a", kind="each")], []), states).count('class="item')

    assert (bars(17, 24), bars(17, 49)) == (24, 2)
    assert bars(0, 0) == 1  # nothing to do yet: an empty cell


def test_a_fan_out_has_a_second_sheet_and_room_for_its_cells_before_it_begins():
    fan_out = graph([node("a", kind="each")], [])
    assert 'class="sheet"' in drawing.graph_svg(fan_out)
    assert drawing.graph_svg(fan_out, {}).count('class="item"') == 1


@pytest.mark.parametrize(
    ("progress", "words"), [([17, 24], "17 of 24"), ([4321, 10_000], "4,321 of 10,000"), ([5, 0], "5 so far")]
)
def test_a_fan_out_says_how_far_it_is(progress, words):
    drawn = graph([node("a", kind="each")], [])
    states = {"a": state("a", "running", progress=progress)}
    assert f"running · {words}" in words_of(drawing.graph_svg(drawn, states))
    assert drawing.graph_text(drawn, states).endswith(f"running {words}")


def boxes(svg, kind):
    found = [part for part in parsed(svg).iter(f"{SVG}g") if part.get("class", "").startswith(kind)]
    for part in found:
        x, y = map(float, re.findall(r"-?[\d.]+", part.get("transform")))
        frame = part.find(f"{SVG}rect")
        texts = ["".join(text.itertext()) for text in part.iter(f"{SVG}text")]
        yield texts[0], (x, y, x + float(frame.get("width")), y + float(frame.get("height")))


def inside(inner, outer):
    return inner[0] > outer[0] and inner[1] > outer[1] and inner[2] < outer[2] and inner[3] < outer[3]


@pytest.mark.parametrize("states", [None, DESK_RUN])
def test_a_group_is_a_box_around_its_parts_and_nothing_else(states):
    svg = drawing.graph_svg(DESK, states)
    parts = dict(boxes(svg, "node"))
    race, loop = (box for _, box in boxes(svg, "group"))
    assert {name for name, box in parts.items() if inside(box, race)} == {"fast", "slow"}
    assert {name for name, box in parts.items() if inside(box, loop)} == {"revise", "critic"}


def test_groups_nest():
    svg = drawing.graph_svg(NESTED)
    outer, inner = (box for _, box in boxes(svg, "group"))
    parts = dict(boxes(svg, "node"))
    assert inside(inner, outer)
    assert all(inside(parts[name], inner) for name in ("o/i/c", "o/i/d"))
    assert [name for name, _ in boxes(svg, "group")] == ["o · pipeline, 3 steps", "inner · parallel"]


def test_a_group_says_what_it_is_and_a_loop_counts_its_iterations():
    assert {"race: first success wins", "loop: at most 4 times"} <= set(words_of(drawing.graph_svg(DESK)))
    svg = drawing.graph_svg(DESK, DESK_RUN)
    assert "loop: iteration 2 of 4" in words_of(svg)
    assert re.findall(r'class="(pip[^"]*)"', svg) == ["pip done", "pip now", "pip", "pip"]


def test_a_group_that_failed_says_so():
    states = {**DESK_RUN, "draft": state("draft", "failed", reason="AllFailed")}
    assert "race: first success wins · failed, AllFailed" in words_of(drawing.graph_svg(DESK, states))
    assert "failed · AllFailed" in drawing.graph_text(DESK, states)


def test_the_word_of_a_route_is_on_its_edge_before_a_run_and_in_a_run():
    for states in (None, DESK_RUN):
        told = words_of(drawing.graph_svg(DESK, states))
        assert {"triage.kind == 'refund'", "otherwise"} <= set(told)
    assert 'class="edge never"' in drawing.graph_svg(DESK, DESK_RUN)


def test_every_edge_is_drawn_also_those_from_a_group_to_its_own_part():
    assert drawing.graph_svg(NESTED).count('class="edge ') == len(NESTED["edges"])
    assert drawing.graph_svg(DESK).count('class="edge ') == len(DESK["edges"])


@pytest.mark.parametrize(
    ("status", "progress", "flow"),
    [("running", [1, 4], "later"), ("succeeded", [1, 4], "never"), ("succeeded", [3, 4], "done")],
)
def test_the_way_back_of_a_loop_tells_whether_it_was_taken(status, progress, flow):
    states = {
        "l": state("l", status, progress=progress),
        "l/a": state("l/a", "succeeded" if status == "succeeded" else "running"),
    }
    loop = graph([node("l/a")], [way("l/a", "l/a", "again")], groups=[group("l", "loop", ["l/a"])])
    svg = drawing.graph_svg(loop, states)
    assert f'class="edge {flow}"' in svg
    assert "again" not in words_of(svg)


def test_a_reason_is_told_in_full_where_there_is_room_and_in_a_word_where_there_is_not():
    kept = {"reason": "kept from an earlier run", "started_at": 0.0, "ended_at": 1.0}
    told = drawing.graph_text(chain(9), {"0": state("0", "succeeded", **kept)})
    assert "succeeded · kept from an earlier run, 1.0 s" in told
    assert "succeeded · kept from an earlier run" in words_of(
        drawing.graph_svg(chain(1), {"0": state("0", "succeeded", **kept)})
    )
    assert "succeeded · reused, 1.0 s" in words_of(drawing.graph_svg(chain(9), {"0": state("0", "succeeded", **kept)}))


def test_groups_that_make_no_sense_are_left_out():
    lost = [group("x", "race", ["nobody"]), group("y", "loop", ["a"], parent="z"), group("z", "loop", [], parent="y")]
    drawn = graph([node("a")], [edge("a", "x"), edge("a", "gone")], groups=[*lost, group("a", "race", ["a"])])
    assert drawing.graph_svg(drawn).count('class="group"') == 2
    assert drawing.graph_text(drawn).splitlines()[-1] == "    a: A -> B   step, python"


def test_it_goes_top_down_only_when_it_would_be_too_wide():
    def shape(count):
        root = parsed(drawing.graph_svg(chain(count)))
        return float(root.get("width")), float(root.get("height"))

    assert shape(3)[0] > shape(3)[1]
    assert shape(12)[0] < shape(12)[1]


def test_where_everything_in_a_large_graph_is_is_told_as_it_is_drawn():
    large = chain(201)
    large["edges"] += [edge(None, "0", "In"), way("0", "200", "otherwise")]
    large["groups"] = [group("g", "race", ["7", "8"])]
    picture = drawing.graph_picture(large)
    drawn = dict(boxes(picture.svg, "node"))
    for name, (x, y, width, height) in picture.places["boxes"].items():
        assert name == "g" or drawn[name] == pytest.approx((x, y, x + width, y + height), abs=0.11)
    assert inside(drawn["7"], _edges_of(picture.places["boxes"]["g"]))
    assert picture.places["direction"] == "TB"
    arrows = {arrow["edge"]: arrow for arrow in picture.places["arrows"]}
    assert arrows.keys() == set(range(len(large["edges"])))
    assert [at for at, arrow in arrows.items() if arrow["dots"]] == [200]
    assert [(at, arrow["label"]) for at, arrow in arrows.items() if arrow["at"]] == [(201, "otherwise")]
    for at, arrow in arrows.items():
        last = _edges_of(picture.places["boxes"][large["edges"][at]["target"]])
        assert last[0] <= arrow["points"][-2] <= last[2]
        assert last[1] - 0.11 <= arrow["points"][-1] <= last[3] + 0.11


def _edges_of(box):
    x, y, width, height = box
    return x, y, x + width, y + height


def test_a_large_graph_shows_words_and_no_types_and_a_small_one_is_laid_out_by_the_page():
    large, small = chain(201), chain(200)
    for drawn in (large, small):
        drawn["edges"].append(way("0", "9", "otherwise", "Text"))
    told = words_of(drawing.graph_picture(large).svg)
    assert "otherwise" in told
    assert "T" not in told
    assert "T" in words_of(drawing.graph_picture(small).svg)
    assert drawing.graph_picture(small).places is None


def test_a_fan_out_of_a_large_graph_has_room_for_its_count_before_it_begins():
    large = chain(201)
    large["nodes"][3]["kind"] = "each"
    pending = {str(at): state(str(at), "pending") for at in range(201)}
    _, _, width, height = drawing.graph_picture(large, pending).places["boxes"]["3"]
    running = {**pending, "3": state("3", "running", progress=[4_321, 9_999])}
    assert drawing.graph_picture(large, running).places["boxes"]["3"][2:] == [width, height]


def test_it_needs_nothing_but_itself_and_has_both_themes():
    svg = drawing.graph_svg(DIAMOND, DONE, head())
    assert not re.search(r"href|url\(|<script|<use|var\(|@import", svg)
    assert "prefers-color-scheme:dark" in svg
    assert {"#2d7230", "#70bf73"} <= set(re.findall(r"#[0-9a-f]{6}", svg))
    root = parsed(svg)
    assert root.get("role") == "img"
    assert root.find(f"{SVG}title").text == "Graph of audit"
    assert "a: A -> B   succeeded 1.2 s" in root.find(f"{SVG}desc").text


def test_several_in_one_page_do_not_share_names():
    one, two = drawing.graph_svg(DIAMOND), drawing.graph_svg(DIAMOND, DONE)
    ids = [set(re.findall(r' id="([^"]+)"', svg)) for svg in (one, two)]
    assert not ids[0] & ids[1]
    style = parsed(one).find(f"{SVG}style").text
    scope = parsed(one).get("class")
    selectors = re.findall(r"(?:^|[{}])([^{}@]+)(?={)", style.replace("@media (prefers-color-scheme:dark)", ""))
    assert selectors
    assert all(part.startswith(f".{scope} ") for rule in selectors for part in re.split(r",(?=\.quire)", rule))


def test_the_same_graph_gives_the_same_drawing():
    assert drawing.graph_svg(DIAMOND, DONE) == drawing.graph_svg(DIAMOND, DONE)


names = st.text(max_size=12)
nodes = st.lists(names, min_size=1, max_size=6, unique=True)


@st.composite
def graphs(draw):
    ids = draw(nodes)
    ends = st.one_of(st.none(), st.sampled_from(ids), names)
    edges = draw(st.lists(st.builds(edge, ends, ends, names), max_size=10))
    kinds = st.one_of(names, st.sampled_from(["step", "each"]))
    parts = [node(id, draw(names), kind=draw(kinds), note=draw(names), input=draw(names)) for id in ids]
    return graph(parts, edges, draw(names), draw(groups(ids, edges)))


@st.composite
def groups(draw, ids, edges):
    """Groups as they may stand in a log: any names, any members, any parents, and edges that end at them."""
    called = draw(st.lists(st.one_of(names, st.sampled_from(ids)), max_size=4))
    members = st.lists(st.one_of(st.sampled_from(ids), names), max_size=6)
    parents = st.one_of(st.none(), names, st.sampled_from([*called, ""]))
    kinds = st.one_of(names, st.sampled_from(["race", "loop", "pipeline"]))
    ends = st.sampled_from([*ids, *called])
    edges += draw(st.lists(st.builds(way, ends, ends, st.one_of(names, st.just("again"), st.none())), max_size=6))
    return [group(id, draw(kinds), draw(members), note=draw(names), parent=draw(parents)) for id in called]


@st.composite
def runs(draw):
    drawn = draw(graphs())
    progress = st.one_of(st.none(), st.tuples(st.integers(0, 60), st.integers(0, 60)))
    known = [*drawn["nodes"], *drawn.get("groups", [])]
    some = {
        item["id"]: state(
            item["id"], draw(st.sampled_from(STATUSES)), reason=draw(names), progress=draw(progress), attempt=2
        )
        for item in known
        if draw(st.booleans())
    }
    said = st.builds(message, names, st.builds(text, names), st.just(CALL), role=st.sampled_from(["person", "agent"]))
    return head(name=drawn["name"], reason=draw(names)), drawn, some, draw(st.lists(said, max_size=3))


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.seen, self.open = set(), []

    def handle_starttag(self, tag, attrs):
        self.seen.add(tag)
        assert not [name for name, _ in attrs if name.startswith("on")]
        if tag not in ("br", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


KEPT = {"p", "b", "i", "br", "code", "pre", "img", "details", "summary", "section", "article"}


@settings(max_examples=150, deadline=None)
@given(runs())
def test_any_names_and_texts_give_documents_that_parse_and_run_nothing(run):
    head, drawn, states, messages = run
    for svg in (drawing.graph_svg(drawn), drawing.graph_svg(drawn, states, head)):
        assert {found.tag.removeprefix(SVG) for found in parsed(svg).iter()} <= {
            *("svg", "title", "desc", "style", "rect", "g", "path", "text", "tspan", "circle")
        }
    tags = Tags()
    tags.feed(drawing.run_html(head, drawn, states, messages))
    tags.close()
    assert not tags.open
    assert tags.seen <= KEPT
    assert not re.search("[\x00-\x08\x0b-\x1f]", drawing.run_text(head, drawn, states, messages))
    assert drawing.dot(drawn, states).startswith("digraph")
    assert drawing.mermaid(drawn, states).startswith("flowchart LR")


def test_a_hostile_name_is_text_everywhere():
    drawn = graph([node("a", HOSTILE)], [edge("a", None, HOSTILE)], HOSTILE)
    said = [message(HOSTILE, text(HOSTILE), {**CALL, "tool": HOSTILE, "result": HOSTILE})]
    html = drawing.run_html(head(name=HOSTILE), drawn, {}, said)
    assert "<script" not in html + drawing.graph_svg(drawn) + drawing.mermaid(drawn)
    assert "\x1b" not in drawing.run_text(head(name=HOSTILE), drawn, {}, said)


@pytest.mark.parametrize("shape", ["chain", "fan", "tangle", "groups"])
def test_a_thousand_nodes_are_drawn_in_a_moment(shape):
    ids = [str(at) for at in range(1000)]
    pairs = {
        "chain": list(pairwise(ids)),
        "fan": [pair for id in ids[2:] for pair in (("0", id), (id, "1"))],
        "tangle": [(ids[(at * 7919) % at], ids[at]) for at in range(1, 1000)]
        + list(zip(ids[::2], ids[1::2], strict=True)),
        "groups": [(str(at), str(at + 1)) for at in range(999) if at % 20 != 19]
        + [(f"g{at}", f"g{at + 1}") for at in range(49)],
    }[shape]
    boxes = [group(f"g{at}", "pipeline", ids[20 * at : 20 * at + 20]) for at in range(50)] if shape == "groups" else []
    drawn = graph([node(id) for id in ids], [edge(*pair) for pair in pairs], groups=boxes)
    began = time.process_time()
    drawing.graph_svg(drawn)
    assert time.process_time() - began < 2  # less than one on a laptop; twice that for a busy machine


# --- words ---


def test_a_graph_as_text_has_a_line_a_node_in_the_order_of_the_flow():
    mixed = graph([node("late", output="C"), node("first")], [edge("first", "late")])
    assert drawing.graph_text(mixed).splitlines() == ["first: A -> B   step, python", "late: A -> C    step, python"]
    assert drawing.ascii(mixed, DONE) == "first: A -> B   pending\nlate: A -> C    pending"


def test_a_group_as_text_is_a_line_and_its_parts_are_indented_below():
    assert drawing.graph_text(DESK).splitlines() == [
        "triage: A -> B            step, python",
        "draft · race: first success wins, when triage.kind == 'refund'",
        "  fast: A -> B            step, python",
        "  slow: A -> B            step, python",
        "read: A -> B, otherwise   each, 8 at once",
        "polish · loop: at most 4 times",
        "  revise: A -> B          step, python",
        "  critic: A -> B          step, python",
        "send: A -> B              step, python",
    ]


def test_a_run_of_groups_as_text_says_how_each_stands():
    told = [re.sub(" {3,}", "   ", line) for line in drawing.graph_text(DESK, DESK_RUN).splitlines()]
    assert {
        "draft · race: first success wins, when triage.kind == 'refund'   succeeded 2.6 s",
        "   fast: A -> B   succeeded · won, 2.6 s".removeprefix(" "),
        "read: A -> B, otherwise   skipped · triage said refund",
        "polish · loop: iteration 2 of 4   running",
        "  revise: A -> B   succeeded 9.2 s, attempt 2",
        "  critic: A -> B   waiting · retry 2 in 1.5 s",
    } <= set(told)


def test_a_status_is_followed_by_its_reason_or_by_its_time():
    told = drawing.graph_text(DIAMOND, {**DONE, "d": state("d", "skipped", reason="b said no")}).splitlines()
    assert told[0] == "a: A -> B   succeeded 1.2 s"
    assert told[-1] == "d: A -> B   skipped · b said no"


def test_a_cycle_still_has_all_its_lines():
    looped = graph([node("a"), node("b")], [edge("a", "b"), edge("b", "a")])
    assert len(drawing.graph_text(looped).splitlines()) == 2


def test_a_run_as_text_answers_first():
    told = drawing.run_text(*RUN).splitlines()
    assert told[0] == "audit: succeeded, 29.6 s, 49,314 tokens, $0.0320"
    assert "  a: A -> B   succeeded 1.2 s" in told
    assert told[-4:] == [
        "  desk (agent, gpt-4o-mini)",
        "    Hi.",
        '    lookup({"id": 8841}) succeeded 118 ms',
        '      {"ok": true}',
    ]


def test_a_simulated_run_says_so_and_a_failed_one_says_why():
    error = {"type": "ValueError", "path": "audit", "message": "no", "remedy": "Say yes.", "traceback": None}
    told = drawing.run_text(head(status="failed", simulated=True, error=error), DIAMOND, {}, [])
    assert told.startswith(
        "audit: failed, simulated, 29.6 s, 49,314 tokens, $0 simulated\n\n  ValueError in audit: no\n  Say yes."
    )


def test_long_texts_are_cut_in_a_summary_and_whole_in_a_conversation():
    said = [message("desk", text("x" * 1000))]
    assert "… (600 more characters)" in drawing.run_text(head(), DIAMOND, {}, said)
    assert "x" * 1000 in drawing.conversation_text(said)


def test_a_long_conversation_keeps_its_end_and_says_what_is_hidden():
    said = [message(f"agent {at}", text("Hi.")) for at in range(10_000)]
    for told in (drawing.conversation_text(said), drawing.conversation_html(head(), said)):
        assert "9,800 earlier messages not shown" in told
        assert "agent 9999" in told
        assert "agent 9799" not in told


# --- HTML ---


def test_a_saved_run_shows_the_picture_its_words_and_the_conversation():
    html = drawing.run_html(*RUN)
    data = re.search(r'src="data:image/svg\+xml;base64,([^"]+)"', html)[1]
    assert b64decode(data).decode() == drawing.graph_svg(DIAMOND, DONE, head())
    assert 'alt="pipeline audit: 4 nodes, 4 succeeded"' in html
    assert "<details><summary>2 messages</summary>" in html
    assert "<code>lookup</code> succeeded 118 ms" in html


def test_a_drawing_that_was_made_already_is_not_made_again():
    assert "PHN2Zy8+" in drawing.run_html(*RUN, "<svg/>")
    assert "PHN2Zy8+" in drawing.flow_html(FLOW_HEAD, DIAMOND, "<svg/>")


def test_a_saved_flow_says_what_to_type():
    html = drawing.flow_html(FLOW_HEAD, DIAMOND)
    assert "not run yet" in html
    assert "<code>audit.start(In(…))</code>" in html


def test_sender_and_role_stand_at_every_message():
    html = drawing.conversation_html(head(), [message("you", text("One.\nTwo.\n\nThree."), role="person", note="")])
    assert "<p><b>you</b> person, 88 tokens, 1.1 s</p>" in html
    assert "<p>One.<br>Two.</p>\n<p>Three.</p>" in html


def test_thoughts_and_data_have_their_own_forms():
    thought = {"type": "thinking", "text": "Hm.", "seconds": 0.4, "tokens": 61}
    html = drawing.conversation_html(head(), [message("desk", thought, {"type": "data", "text": '{"a": 1}'})])
    assert "<details><summary>Thought for 0.4 s, 61 tokens</summary>" in html
    assert "<pre>{&quot;a&quot;: 1}</pre>" in html


# --- other notations ---


def test_dot_and_mermaid_name_nodes_themselves_and_escape_what_they_hold():
    drawn = graph([node("a:b", 'say "hi" \\n <b>')], [edge("a:b", None, "list[T]")])
    assert "n0 -> to0" in drawing.dot(drawn)
    assert r"say \"hi\" \\n <b>" in drawing.dot(drawn)
    assert 'n0["say #34;hi#34; #92;n #60;b#62;<br/>step, python"]' in drawing.mermaid(drawn)


def test_mermaid_draws_groups_as_subgraphs_with_conditions_and_statuses():
    told = drawing.mermaid(DESK, DESK_RUN).splitlines()
    at = told.index('    subgraph g0["race: first success wins"]')
    assert told[at + 1 : at + 4] == [
        '        n1["fast<br/>succeeded · won, 2.6 s"]:::succeeded',
        '        n2["slow<br/>cancelled · lost, 2.6 s"]:::cancelled',
        "    end",
    ]
    assert {
        "    n0 -->|\"triage.kind == 'refund'\"| g0",
        '    n0 -.->|"otherwise"| n5',
        '    g0 -->|"Draft"| g1',
        '    n4 -->|"again"| n3',
        "    classDef cancelled stroke:#808080,stroke-dasharray:1 4",
    } <= set(told)


def test_dot_draws_groups_as_clusters_where_edges_end_at_borders():
    told = {line.strip() for line in drawing.dot(DESK, DESK_RUN).splitlines()}
    assert {
        "graph [compound=true rankdir=LR]",
        "subgraph cluster_g0 {",
        'color=gray label="race: first success wins" labeljust=l',
        "n0 -> n1 [label=\"triage.kind == 'refund'\" lhead=cluster_g0]",
        "n0 -> n5 [label=otherwise style=dotted]",
        'n2 -> n3 [label=Draft color="#1565b5" lhead=cluster_g1 ltail=cluster_g0]',
    } <= told


def test_notations_keep_every_edge_and_the_order_of_nesting():
    mermaid, dot = drawing.mermaid(NESTED), drawing.dot(NESTED)
    assert mermaid.count(" -->") == dot.count(" -> ") == len(NESTED["edges"])
    assert "        subgraph g1" in mermaid
    assert dot.index("subgraph cluster_g0") < dot.index("subgraph cluster_g1")
    assert "        from3(( ))" in mermaid  # from the border of a group to its own part
    hostile = graph([node("a")], [way("a", "g", HOSTILE)], groups=[group("g", HOSTILE, ["a"], note=HOSTILE)])
    assert "<script" not in drawing.mermaid(hostile)


@pytest.mark.parametrize("format", ["svg", "dot", "mermaid", "json", "ascii"])
def test_a_graph_is_drawn_in_every_format(format):
    told = drawing.drawn(DESK, format, DESK_RUN, head())
    assert "critic" in told
    assert told == drawing.drawn(DESK, format, DESK_RUN, head())


def test_a_format_that_does_not_exist_is_refused_with_those_that_do():
    with pytest.raises(DefinitionError, match="svg, dot, mermaid, json, ascii"):
        drawing.drawn(DESK, "png")


def test_importing_the_drawings_loads_no_graphviz_and_no_screen():
    heavy = {"graphviz", "pandas", "IPython", "anywidget"}
    asked = f"import sys, quire.views.drawing; print(*({heavy} & set(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == ""


# Questions

ASKED = {
    "id": "4", "node": "draft", "path": "audit › draft", "text": "Send <this>?", "tool": "send",
    "arguments": [("order", "3"), ("note", "two\nlines")], "why": "It costs.", "choices": ["yes", "no"], "field": "int",
    "asked_at": 5.0, "until": None, "answer": None, "by": None, "answered_at": None,
}  # fmt: skip
ANSWERED = {**ASKED, "tool": None, "answer": "no", "by": "Ana", "answered_at": 17.0}


def test_a_picture_says_who_asks_what_and_what_fits():
    html = drawing.run_html(head(questions=[ASKED]), graph([], []), {}, [])
    assert "<b>send</b> asks: <b>Send &lt;this&gt;?</b>" in html
    for line in (
        "asked by: audit › draft",
        "order: 3",
        "note: two<br>lines",
        "why: It costs.",
        "answer: yes, no or int",
    ):
        assert f"<li>{line}</li>" in html


def test_a_picture_says_what_was_answered_and_by_whom():
    html = drawing.run_html(head(questions=[ANSWERED]), graph([], []), {}, [])
    assert "<b>draft</b> asked: Send &lt;this&gt;? <b>no, by Ana after 12.0 s</b>" in html


def test_text_says_the_same():
    text = drawing.run_text(head(status="waiting", questions=[ANSWERED, ASKED]), graph([], []), {}, [])
    assert text.splitlines()[2:] == [
        "  draft asked: Send <this>? no, by Ana after 12.0 s",
        "  send asks: Send <this>?",
        "    asked by: audit › draft",
        "    order: 3",
        "    note: two",
        "    lines",
        "    why: It costs.",
        "    answer: yes, no or int",
    ]
