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

from quire.views import drawing
from quire.views.layout import Link, Size, layered

SVG = "{http://www.w3.org/2000/svg}"
STATUSES = ["pending", "running", "waiting", "succeeded", "failed", "skipped", "cancelled"]
HOSTILE = '<script>alert("x")</script> & </style> \' ]]> \x00\x1b'


def node(id, title=None, *, kind="step", note="python", input="A", output="B"):
    return {"id": id, "title": title or id, "kind": kind, "note": note, "input": input, "output": output}


def edge(source, target, label="T"):
    return {"source": source, "target": target, "label": label}


def graph(nodes, edges, name="audit"):
    return {"name": name, "kind": "pipeline", "nodes": nodes, "edges": edges}


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


def test_it_goes_top_down_only_when_it_would_be_too_wide():
    def shape(count):
        root = parsed(drawing.graph_svg(chain(count)))
        return float(root.get("width")), float(root.get("height"))

    assert shape(3)[0] > shape(3)[1]
    assert shape(12)[0] < shape(12)[1]


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
    return graph(
        [node(id, draw(names), kind=draw(names), note=draw(names), input=draw(names)) for id in ids], edges, draw(names)
    )


@st.composite
def runs(draw):
    drawn = draw(graphs())
    some = {
        item["id"]: state(item["id"], draw(st.sampled_from(STATUSES)), reason=draw(names)) for item in drawn["nodes"]
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


# --- the layout ---


def overlap(one, two):
    return (
        one.x < two.x + two.width
        and two.x < one.x + one.width
        and one.y < two.y + two.height
        and two.y < one.y + one.height
    )


@settings(max_examples=100, deadline=None)
@given(
    st.integers(1, 14).flatmap(
        lambda n: st.tuples(st.just(n), st.lists(st.tuples(*[st.integers(0, n - 1)] * 2), max_size=30))
    ),
    st.booleans(),
)
def test_nodes_never_overlap_and_links_begin_and_end_at_their_nodes(drawn, down):
    count, ends = drawn
    links = [Link(str(source), str(target), "T", Size(30, 14)) for source, target in ends]
    page = layered({str(at): Size(100, 48) for at in range(count)}, links, down=down)
    boxes = list(page.boxes.values())
    assert not any(overlap(one, two) for at, one in enumerate(boxes) for two in boxes[at + 1 :])
    for link, curve in zip(links, page.curves, strict=True):
        assert len(curve.points) % 3 == 1
        for name, (x, y) in ((link.source, curve.points[0]), (link.target, curve.points[-1])):
            box = page.boxes[name]
            assert box.x - 0.01 <= x <= box.x + box.width + 0.01
            assert box.y - 0.01 <= y <= box.y + box.height + 0.01
    assert all(box.x >= -0.01 and box.x + box.width <= page.width + 0.01 for box in boxes)


def test_a_diamond_is_even_and_a_chain_straight():
    sizes = {id: Size(100, 48) for id in "abcdef"}
    pairs = ["ab", "ac", "bd", "cd", "de", "ef"]
    boxes = layered(sizes, [Link(*pair) for pair in pairs]).boxes
    assert boxes["a"].y == boxes["d"].y == boxes["e"].y == boxes["f"].y
    assert boxes["b"].y + boxes["c"].y == 2 * boxes["a"].y


def test_a_link_that_skips_a_layer_passes_beside_it():
    page = layered({id: Size(100, 48) for id in "abc"}, [Link("a", "b"), Link("b", "c"), Link("a", "c")])
    box, way = page.boxes["b"], page.curves[2].points
    beside = [y for x, y in way if box.x <= x <= box.x + box.width]
    assert beside
    assert all(not box.y <= y <= box.y + box.height for y in beside)


def test_nodes_and_labels_of_one_text_do_not_pile_up():
    links = [Link("s", str(at), "Draft", Size(40, 14)) for at in range(8)]
    page = layered({"s": Size(100, 48), **{str(at): Size(100, 48) for at in range(8)}}, links)
    spots = [curve.label for curve in page.curves]
    assert len({(round(x), round(y)) for x, y in spots}) == 8


@pytest.mark.parametrize("shape", ["chain", "fan", "tangle"])
def test_a_thousand_nodes_are_drawn_in_a_moment(shape):
    ids = [str(at) for at in range(1000)]
    pairs = {
        "chain": list(pairwise(ids)),
        "fan": [pair for id in ids[2:] for pair in (("0", id), (id, "1"))],
        "tangle": [(ids[(at * 7919) % at], ids[at]) for at in range(1, 1000)]
        + list(zip(ids[::2], ids[1::2], strict=True)),
    }[shape]
    drawn = graph([node(id) for id in ids], [edge(*pair) for pair in pairs])
    began = time.process_time()
    drawing.graph_svg(drawn)
    assert time.process_time() - began < 2  # less than one on a laptop; twice that for a busy machine


# --- words ---


def test_a_graph_as_text_has_a_line_a_node_in_the_order_of_the_flow():
    mixed = graph([node("late", output="C"), node("first")], [edge("first", "late")])
    assert drawing.graph_text(mixed).splitlines() == ["first: A -> B   step, python", "late: A -> C    step, python"]
    assert drawing.ascii(mixed, DONE) == "first: A -> B   pending\nlate: A -> C    pending"


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


def test_importing_the_drawings_loads_no_graphviz_and_no_screen():
    heavy = {"graphviz", "pandas", "IPython", "anywidget"}
    asked = f"import sys, quire.views.drawing; print(*({heavy} & set(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == ""
