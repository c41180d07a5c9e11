import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quire.views.layout import Frame, Link, Size, around, layered, nested, parting


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


def test_a_large_grid_stays_straight():
    """Every second node reads one further away as well; none of them may push its layer aside."""
    wide, deep = 20, 20
    links = [Link(f"{layer}.{at}", f"{layer + 1}.{at}") for layer in range(deep - 1) for at in range(wide)]
    links += [
        Link(f"{layer}.{(at + 5) % wide}", f"{layer + 1}.{at}") for layer in range(deep - 1) for at in range(1, wide, 2)
    ]
    sizes = {f"{layer}.{at}": Size(100, 48) for layer in range(deep) for at in range(wide)}
    page = layered(sizes, links, down=True)
    assert page.width < 1.25 * wide * 124


def test_nodes_and_labels_of_one_text_do_not_pile_up():
    links = [Link("s", str(at), "Draft", Size(40, 14)) for at in range(8)]
    page = layered({"s": Size(100, 48), **{str(at): Size(100, 48) for at in range(8)}}, links)
    spots = [curve.label for curve in page.curves]
    assert len({(round(x), round(y)) for x, y in spots}) == 8


# --- groups ---


def holds(outer, inner):
    return (
        outer.x <= inner.x
        and outer.y <= inner.y
        and inner.x + inner.width <= outer.x + outer.width
        and inner.y + inner.height <= outer.y + outer.height
    )


def at(box, point):
    x, y = point
    return box.x - 0.01 <= x <= box.x + box.width + 0.01 and box.y - 0.01 <= y <= box.y + box.height + 0.01


@st.composite
def nests(draw):
    """Groups 0, 1, ... each in one before it or in none, and nodes anywhere."""
    frames = {f"g{at}": Frame(draw(st.integers(0, 300)), draw(st.booleans())) for at in range(draw(st.integers(0, 5)))}
    homes = {name: draw(st.sampled_from([None, *list(frames)[:at]])) for at, name in enumerate(frames)}
    for number in range(draw(st.integers(1, 8))):
        homes[str(number)] = draw(st.sampled_from([None, *frames]))
    filled = {group for name in homes if name not in frames for group in around(homes, name)}
    frames = {name: frame for name, frame in frames.items() if name in filled}
    homes = {name: home for name, home in homes.items() if name not in homes.keys() - frames.keys() or name.isdigit()}
    ends = st.sampled_from(list(homes))
    pairs = draw(st.lists(st.tuples(ends, ends, st.booleans()), max_size=12))
    pairs = [(one, two, back) for one, two, back in pairs if one not in around(homes, two)]
    return frames, homes, [pair for pair in pairs if pair[1] not in around(homes, pair[0])]


@settings(max_examples=150, deadline=None)
@given(nests(), st.booleans())
def test_groups_hold_their_parts_and_links_end_at_nodes_and_borders(drawn, down):
    frames, homes, ends = drawn
    sizes = {name: Size(100, 48) for name in homes if name not in frames}
    links = [Link(one, two, "T", Size(30, 14), back=back) for one, two, back in ends]
    page = nested(sizes, links, frames, homes, down=down, even=sizes)
    assert set(page.boxes) == set(homes)
    for name, home in homes.items():
        assert home is None or holds(page.boxes[home], page.boxes[name])
        beside = [other for other in homes if homes[other] == home and other != name]
        assert not any(overlap(page.boxes[name], page.boxes[other]) for other in beside)
    for (source, target, _), curve in zip(ends, page.curves, strict=True):
        assert at(page.boxes[source], curve.points[0])
        assert at(page.boxes[target], curve.points[-1])
    assert page == nested(sizes, links, frames, homes, down=down, even=sizes)


def test_a_group_is_level_with_its_neighbors_and_as_wide_as_its_sentence():
    sizes = {"a": Size(100, 48), "g/x": Size(100, 48), "g/y": Size(60, 48), "b": Size(100, 48)}
    homes = {"a": None, "b": None, "g": None, "g/x": "g", "g/y": "g"}
    boxes = nested(sizes, [Link("a", "g"), Link("g", "b")], {"g": Frame(180, down=False, alike=True)}, homes).boxes
    middles = [boxes[name].y + boxes[name].height / 2 for name in ("a", "g", "b")]
    assert max(middles) - min(middles) < 1
    assert boxes["g"].width == 200
    assert boxes["g/x"].width == boxes["g/y"].width == 180


def test_the_way_back_of_a_small_loop_runs_beside_the_way_there():
    sizes = {"a": Size(100, 48), "b": Size(100, 48)}
    there, back = layered(sizes, [Link("a", "b"), Link("b", "a", back=True)], down=True).curves
    assert {x for x, _ in there.points} == {50}
    assert {x for x, _ in back.points} == {75}


@pytest.mark.parametrize(
    ("one", "two", "level"), [("a", "b", None), ("g/x", "g/y", "g"), ("g/h/z", "g/y", "g"), ("g", "g", None)]
)
def test_two_parts_meet_in_the_innermost_group_around_both(one, two, level):
    homes = {"a": None, "b": None, "g": None, "g/x": "g", "g/y": "g", "g/h": "g", "g/h/z": "g/h"}
    assert parting(homes, one, two)[0] == level
