"""Where the nodes and edges of a static drawing go: a small layered layout.

A node's depth fixes its layer, medians fix the order within a layer, least squares fix the places, and links bow
smoothly from layer to layer (the method of Sugiyama, Tagawa and Toda, 1981). It is our own because a drawing is made
on the kernel's loop, where nothing may take a second: of the two ready ones, Graphviz is a program that may be missing,
and graphlay 0.3.1 took 4.6 s for a fan of 200 nodes and was stopped after four minutes on one of 1,000.

Groups are laid out from the inside out: once its parts have their places, a group is one big node among its neighbors.

Inside, one pair of coordinates serves both directions: `along` is the way the data goes, `across` is the other way.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass, field, replace
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

__all__ = ["Box", "Curve", "Frame", "Layout", "Link", "Name", "Size", "around", "layered", "nested", "parting"]

Name: TypeAlias = str | tuple[str, int]
"""What a node is called: its id, or the side and the number of an edge that ends nowhere."""
Point: TypeAlias = tuple[float, float]

_GAP = {False: 60.0, True: 40.0}
"""Between two layers, left to right and top down: room for a curve and its arrowhead."""
_APART = 24.0
"""Between two nodes of a layer."""
_LANE = 12.0
"""Between a long link and what it passes."""
_AROUND_LABEL = 28.0
"""How much longer than its label a link is."""
_ROWS = 3
"""So many rows of labels, at most, have room between two layers, top down."""
_SAG = 44.0
"""How far the controls of a link that goes back hang below the nodes; the curve itself hangs 3/4 of that."""
_STRETCHED = 240.0
"""How far nodes are stretched at most to be as deep as what shares their layer."""
_MARGIN, _CAPTION = 10.0, 33.0
"""Between the border of a group and its parts, and above them, where its sentence stands."""
_SWEEPS = 12
_BENDS = 4000
"""Long links beyond this many bends run straight: no eye could follow them, and 1,000 nodes stay under a second."""
_POLISHED = 300
"""Up to this many spots, neighbors are also swapped pair by pair, which medians alone do not do, and centered."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much room something takes, in pixels."""

    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Link:
    """An edge to be placed, and the words on it."""

    source: Name
    target: Name
    label: str = ""
    size: Size = Size(0, 0)
    """The size of the label."""
    back: bool = False
    """Whether it leads back on purpose, as that of a loop does."""
    leave: float = 0.0
    """How far from the middle of its source it begins, across the way."""
    reach: float = 0.0
    """How far from the middle of its target it ends, across the way."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A group to be laid out."""

    caption: float
    """The width of the sentence on top."""
    down: bool
    """Whether its inside goes from the top down."""
    alike: bool = False
    """Whether its parts are all as wide as the widest, or as the sentence above them."""


@dataclass(frozen=True, slots=True)
class Box:
    """A placed rectangle, by its upper left corner."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Curve:
    """A placed link."""

    points: list[Point]
    """The start, then three points for each cubic stretch: two controls and an end."""
    label: Point | None
    """The middle of the label; None when there is none, or when a link that shares the way already says the same."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Everything placed, in a page that begins at (0, 0)."""

    width: float
    height: float
    boxes: dict[Name, Box]
    curves: list[Curve]
    """One for each link, in the order given."""


@dataclass(slots=True)
class _Spot:
    """A place in a layer: a node, or where a long link passes the layer."""

    rank: int
    depth: float
    breadth: float
    bend: bool = False
    center: float = 0.0
    before: list[int] = field(default_factory=list[int])
    after: list[int] = field(default_factory=list[int])


def layered(
    sizes: Mapping[Name, Size], links: Sequence[Link], *, down: bool = False, even: Container[Name] = ()
) -> Layout:
    """Place nodes of the given sizes and the links between them, from left to right or from the top down.

    Those in `even` are as deep as the deepest of their layer, within reason. The same input always gives the same
    output. Cycles are fine: a link that goes back hangs below the others.

    Example:
        >>> page = layered({"a": Size(100, 48), "b": Size(100, 48)}, [Link("a", "b")])
        >>> page.boxes["b"]
        Box(x=160.0, y=0, width=100.0, height=48)
    """
    if not sizes:
        return Layout(0, 0, {}, [])
    index = {name: at for at, name in enumerate(sizes)}
    ends = [(index[link.source], index[link.target]) for link in links]
    ways = _forward(len(sizes), ends, [link.back for link in links])
    spots = [_node_spot(size, down=down) for size in sizes.values()]
    _rank(spots, [end for end, way in zip(ends, ways, strict=True) if way])
    _even(spots, [spot for name, spot in zip(sizes, spots, strict=True) if name in even])
    chains = _chains(spots, ends, ways)
    _widen_for_labels(spots, chains, links, down=down)
    layers = _order(spots)
    _place(spots, layers)
    return _Page(spots, layers, chains, links, down).layout(list(sizes))


def _node_spot(size: Size, *, down: bool) -> _Spot:
    return _Spot(0, size.height, size.width) if down else _Spot(0, size.width, size.height)


# --- groups ---


def around(homes: Mapping[Name, str | None], name: Name) -> list[str]:
    """List the groups around a node or a group, the outermost first; `homes` tells the innermost of each.

    Example:
        >>> around({"a": None, "a/b": "a", "a/b/c": "a/b"}, "a/b/c")
        ['a', 'a/b']
    """
    outward: list[str] = []
    home = homes.get(name)
    while home is not None:
        outward.append(home)
        home = homes.get(home)
    return outward[::-1]


def parting(homes: Mapping[Name, str | None], one: Name, two: Name) -> tuple[str | None, Name, Name]:
    """Find the innermost group that holds both, and which of its parts they are or are in.

    Example:
        >>> parting({"a": None, "b": None, "a/x": "a", "b/y": "b"}, "a/x", "b/y")
        (None, 'a', 'b')
    """
    way, other = ([*around(homes, name), name] for name in (one, two))
    shared = 0
    while shared < min(len(way), len(other)) - 1 and way[shared] == other[shared]:
        shared += 1
    level = around(homes, way[shared])
    return level[-1] if level else None, way[shared], other[shared]


def nested(
    sizes: Mapping[Name, Size],
    links: Sequence[Link],
    frames: Mapping[str, Frame],
    homes: Mapping[Name, str | None],
    *,
    down: bool = False,
    even: Container[Name] = (),
) -> Layout:
    """Place nodes and groups of them; an enclosing group comes before the groups inside it.

    Links may begin and end at nodes and at groups.

    Example:
        >>> page = nested({"a": Size(100, 48), "g/b": Size(100, 48)}, [Link("a", "g")],
        ...     {"g": Frame(caption=60, down=False)}, {"a": None, "g": None, "g/b": "g"})
        >>> page.boxes["g"], page.boxes["g/b"]
        (Box(x=160.0, y=0, width=120.0, height=91.0), Box(x=170.0, y=33.0, width=100.0, height=48))
    """
    return _Nesting(dict(sizes), links, frames, homes, down, even).layout()


@dataclass(slots=True)
class _Nesting:
    """Lays out the inside of every group, the innermost first, and puts it all on one page."""

    sizes: dict[Name, Size]
    links: Sequence[Link]
    frames: Mapping[str, Frame]
    homes: Mapping[Name, str | None]
    down: bool
    even: Container[Name]
    insides: dict[str | None, Layout] = field(default_factory=dict[str | None, Layout])

    def layout(self) -> Layout:
        parts: dict[str | None, list[Name]] = {}
        for name in (*self.sizes, *self.frames):
            parts.setdefault(self.homes.get(name), []).append(name)
        levels: dict[str | None, list[tuple[int, Name, Name]]] = {}
        for at, link in enumerate(self.links):
            level, source, target = parting(self.homes, link.source, link.target)
            levels.setdefault(level, []).append((at, source, target))
        for group, frame in reversed(list(self.frames.items())):
            inside = self._inside(parts[group], levels.get(group, []), frame)
            width, height = max(inside.width, frame.caption) + 2 * _MARGIN, inside.height + _CAPTION + _MARGIN
            self.insides[group], self.sizes[group] = inside, Size(width, height)
        page = self._inside(parts.get(None, []), levels.get(None, []), Frame(0, self.down))
        self.insides[None] = page
        return self._page(levels)

    def _inside(self, parts: Sequence[Name], ends: Sequence[tuple[int, Name, Name]], frame: Frame) -> Layout:
        sizes = {name: self.sizes[name] for name in parts}
        if frame.alike:
            widest = max(frame.caption, *(size.width for size in sizes.values()))
            sizes = {name: replace(size, width=widest) for name, size in sizes.items()}
        links = [self._projected(self.links[at], source, target, down=frame.down) for at, source, target in ends]
        return layered(sizes, links, down=frame.down, even=() if frame.down else self.even)

    def _projected(self, link: Link, source: Name, target: Name, *, down: bool) -> Link:
        """Let a link end at the groups that its ends are in, but level with the ends themselves."""
        leave, reach = (self._off(*pair, down=down) for pair in ((link.source, source), (link.target, target)))
        return replace(link, source=source, target=target, leave=leave, reach=reach)

    def _off(self, name: Name, part: Name, *, down: bool) -> float:
        if name == part:
            return 0.0
        box, size = self._box(name, part), self.sizes[part]
        return box.x + box.width / 2 - size.width / 2 if down else box.y + box.height / 2 - size.height / 2

    def _box(self, name: Name, within: Name | None = None) -> Box:
        """Give the box of a node or a group as seen from a group around it, or from the page."""
        home = self.homes.get(name)
        box = self.insides[home].boxes[name]
        while home is not None:
            x, y = self._corner(home)
            box = replace(box, x=box.x + x, y=box.y + y)
            if home == within:
                break
            outer = self.insides[self.homes.get(home)].boxes[home]
            box = replace(box, x=box.x + outer.x, y=box.y + outer.y)
            home = self.homes.get(home)
        return box

    def _corner(self, group: str) -> Point:
        """Where the inside of a group begins: in the middle, if its sentence is wider."""
        return (self.sizes[group].width - self.insides[group].width) / 2, _CAPTION

    def _page(self, levels: Mapping[str | None, Sequence[tuple[int, Name, Name]]]) -> Layout:
        curves: dict[int, Curve] = {}
        for group, ends in levels.items():
            left, top = (0.0, 0.0) if group is None else self._corner(group)
            box = None if group is None else self._box(group)
            left, top = (left + box.x, top + box.y) if box else (left, top)
            for (at, source, target), curve in zip(ends, self.insides[group].curves, strict=True):
                points = [(x + left, y + top) for x, y in curve.points]
                label = curve.label and (curve.label[0] + left, curve.label[1] + top)
                link = self.links[at]
                if link.source != source:
                    points = _joined(points[::-1], self._box(link.source))[::-1]
                if link.target != target:
                    points = _joined(points, self._box(link.target))
                curves[at] = Curve(points, label)
        page = self.insides[None]
        boxes = {name: self._box(name) for name in self.sizes}
        return Layout(page.width, page.height, boxes, [curves[at] for at in range(len(self.links))])


def _joined(points: list[Point], box: Box) -> list[Point]:
    """Lead a curve on from the border of a group to a box inside it, by the shortest way."""
    x, y = points[-1]
    across, along = box.x + box.width / 2, box.y + box.height / 2
    sides = ((box.x, along), (box.x + box.width, along), (across, box.y), (across, box.y + box.height))
    end = min(sides, key=lambda side: (side[0] - x) ** 2 + (side[1] - y) ** 2)
    return [*points, *(((x * rest + end[0] * share), (y * rest + end[1] * share)) for share, rest in _THIRDS), end]


_THIRDS = ((1 / 3, 2 / 3), (2 / 3, 1 / 3))
"""The controls that make a cubic stretch a straight line."""


# --- layers ---


def _forward(count: int, ends: Sequence[tuple[int, int]], back: Sequence[bool]) -> list[bool]:
    """Tell which links go forward: the others are meant to lead back, or would close a cycle."""
    out: list[list[tuple[int, int]]] = [[] for _ in range(count)]
    entered = [0] * count
    ways = [not one for one in back]
    for at, (source, target) in enumerate(ends):
        if ways[at]:
            out[source].append((at, target))
            entered[target] += 1
    seen = [0] * count  # 1 while a node is on the path, 2 once everything behind it is known
    for root in sorted(range(count), key=lambda node: entered[node] > 0):
        if not seen[root]:
            _walk(root, out, seen, ways)
    return ways


def _walk(root: int, out: list[list[tuple[int, int]]], seen: list[int], ways: list[bool]) -> None:
    """Follow links depth first without recursion, since a chain may be longer than Python's stack."""
    seen[root] = 1
    path = [(root, iter(out[root]))]
    while path:
        node, rest = path[-1]
        for at, target in rest:
            ways[at] = seen[target] != 1
            if not seen[target]:
                seen[target] = 1
                path.append((target, iter(out[target])))
                break
        else:
            seen[node] = 2
            path.pop()


def _rank(spots: list[_Spot], ends: Iterable[tuple[int, int]]) -> None:
    """Put every node one layer behind its last predecessor; one that needs nothing, right before its first use."""
    before: list[list[int]] = [[] for _ in spots]
    after: list[list[int]] = [[] for _ in spots]
    for source, target in ends:
        after[source].append(target)
        before[target].append(source)
    missing = [len(nodes) for nodes in before]
    ready = [node for node, count in enumerate(missing) if not count]
    for node in ready:  # grows while it is read
        for target in after[node]:
            spots[target].rank = max(spots[target].rank, spots[node].rank + 1)
            missing[target] -= 1
            if not missing[target]:
                ready.append(target)
    for node, spot in enumerate(spots):
        if after[node] and not before[node]:
            spot.rank = min(spots[target].rank for target in after[node]) - 1


def _even(spots: list[_Spot], chosen: Iterable[_Spot]) -> None:
    """Make the chosen of each layer as deep as the deepest of it, unless that is so large that they would look lost."""
    deepest: dict[int, float] = {}
    for spot in spots:
        if spot.depth <= _STRETCHED:
            deepest[spot.rank] = max(deepest.get(spot.rank, 0.0), spot.depth)
    for spot in chosen:
        spot.depth = max(spot.depth, deepest.get(spot.rank, 0.0))


def _chains(spots: list[_Spot], ends: Sequence[tuple[int, int]], ways: Sequence[bool]) -> list[list[int]]:
    """Give every link its spots from source to target; links that leave one node share their bends."""
    chains: list[list[int]] = [[source, target] for source, target in ends]
    bends: dict[tuple[int, int], int] = {}
    joined: set[tuple[int, int]] = set()
    spans = [spots[target].rank - spots[source].rank for source, target in ends]
    for at in sorted((at for at, way in enumerate(ways) if way), key=spans.__getitem__):
        source, target = ends[at]
        if spans[at] > 1 and len(bends) + spans[at] > _BENDS:
            continue
        layers = range(spots[source].rank + 1, spots[target].rank)
        chains[at] = [source, *(_bend(spots, bends, source, rank) for rank in layers), target]
        joined.update(pairwise(chains[at]))
    for source, target in sorted(joined):
        spots[source].after.append(target)
        spots[target].before.append(source)
    return chains


def _bend(spots: list[_Spot], bends: dict[tuple[int, int], int], source: int, rank: int) -> int:
    if (source, rank) not in bends:
        bends[source, rank] = len(spots)
        spots.append(_Spot(rank, 0, 0, bend=True))
    return bends[source, rank]


def _widen_for_labels(spots: list[_Spot], chains: list[list[int]], links: Sequence[Link], *, down: bool) -> None:
    """Make room for a long link's label in the middle of its way."""
    for chain, link in zip(chains, links, strict=True):
        spot = spots[chain[len(chain) // 2]]
        if spot.bend:
            depth, breadth = (link.size.height, link.size.width) if down else (link.size.width, link.size.height)
            spot.depth, spot.breadth = max(spot.depth, depth), max(spot.breadth, breadth)


# --- the order within a layer ---


def _order(spots: list[_Spot]) -> list[list[int]]:
    """Sort each layer so that few links cross: medians of the neighbors, back and forth, the best kept."""
    layers: list[list[int]] = [[] for _ in range(max(spot.rank for spot in spots) + 1)]
    for at in _along_links(spots):
        layers[spots[at].rank].append(at)
    best, least = layers, _crossings(spots, layers)
    for sweep in range(_SWEEPS):
        if not least:
            break
        layers = _swept(spots, layers, backward=bool(sweep % 2))
        if len(spots) <= _POLISHED:
            _swap(spots, layers)
        crossings = _crossings(spots, layers)
        if crossings < least:
            best, least = layers, crossings
    return best


def _along_links(spots: list[_Spot]) -> Iterator[int]:
    """Name the spots depth first, so that what hangs together starts out together."""
    seen: set[int] = set()
    for root in sorted(range(len(spots)), key=lambda at: bool(spots[at].before)):
        waiting = [root]
        while waiting:
            at = waiting.pop()
            if at not in seen:
                seen.add(at)
                yield at
                waiting.extend(reversed(spots[at].after))


def _swept(spots: list[_Spot], layers: list[list[int]], *, backward: bool) -> list[list[int]]:
    layers = [list(layer) for layer in layers]
    place = _places(layers)
    for layer in reversed(layers) if backward else layers:
        keys = {at: _middle(place, spots[at].after if backward else spots[at].before, at) for at in layer}
        layer.sort(key=keys.__getitem__)
        place.update({at: slot for slot, at in enumerate(layer)})
    return layers


def _places(layers: Iterable[Sequence[int]]) -> dict[int, int]:
    return {at: slot for layer in layers for slot, at in enumerate(layer)}


def _middle(place: dict[int, int], neighbors: Sequence[int], at: int) -> float:
    return median([place[other] for other in neighbors]) if neighbors else place[at]


def _swap(spots: list[_Spot], layers: list[list[int]]) -> None:
    """Exchange neighbors wherever that removes crossings."""
    place = _places(layers)
    for layer in layers:
        for slot in range(len(layer) - 1):
            one, two = layer[slot], layer[slot + 1]
            if _knots(place, spots[one], spots[two]) > _knots(place, spots[two], spots[one]):
                layer[slot], layer[slot + 1] = two, one
                place[one], place[two] = slot + 1, slot


def _knots(place: dict[int, int], upper: _Spot, lower: _Spot) -> int:
    """Count the crossings between the links of two neighbors, the one standing above the other."""
    sides = ((upper.before, lower.before), (upper.after, lower.after))
    return sum(place[one] > place[two] for above, below in sides for one in above for two in below)


def _crossings(spots: list[_Spot], layers: list[list[int]]) -> int:
    place = _places(layers)
    total = 0
    for layer in layers:
        passed: list[int] = []
        for at in layer:
            ends = sorted(place[other] for other in spots[at].after)
            # Read all before adding any: links that leave one node do not cross.
            total += sum(len(passed) - bisect_left(passed, end + 1) for end in ends)
            for end in ends:
                insort(passed, end)
    return total


# --- the places across ---


def _place(spots: list[_Spot], layers: list[list[int]]) -> None:
    """Pull every spot towards its neighbors, as far as those beside it in the layer allow."""
    place = _places(layers)
    for spot in spots:
        spot.before.sort(key=place.__getitem__)
        spot.after.sort(key=place.__getitem__)
    for layer in layers:
        _settle(spots, layer, [(0.0, 1.0)] * len(layer))
    for sweep in range(_SWEEPS + 1):  # the last one goes forward, and leaves chains straight
        backward = bool(sweep % 2)
        for layer in reversed(layers) if backward else layers:
            _settle(spots, layer, [_wish(spots, at, backward=backward) for at in layer])


def _wish(spots: list[_Spot], at: int, *, backward: bool) -> tuple[float, float]:
    """Say where a spot would like to be and how much: two that are each other's middle want to be level.

    Of two in the middle it wants to be centered; where there are many spots, to stay where it is between them, since
    it would push its whole layer aside and the next one further.
    """
    spot = spots[at]
    neighbors = spot.after if backward else spot.before
    # A long link stays straight: it listens to its own other bends first.
    neighbors = [other for other in neighbors if spot.bend and spots[other].bend] or neighbors
    if not neighbors:
        return spot.center, 0.5
    middles = _middles(neighbors)
    wish = sum(spots[other].center for other in middles) / len(middles)
    if len(spots) > _POLISHED:
        wish = min(max(spot.center, spots[middles[0]].center), spots[middles[-1]].center)
    theirs = spots[middles[0]].before if backward else spots[middles[0]].after
    level = len(middles) == 1 and _middles(theirs) == [at]
    return wish, 1000.0 if level else 1.0


def _middles(ordered: list[int]) -> list[int]:
    """Give the one in the middle of an odd number, the two of an even one."""
    return ordered[(len(ordered) - 1) // 2 : len(ordered) // 2 + 1]


def _settle(spots: list[_Spot], layer: list[int], wishes: list[tuple[float, float]]) -> None:
    """Place a layer as near to its wishes as its order and gaps allow (least squares, by pooling neighbors)."""
    offsets = [0.0]
    for one, two in pairwise(layer):
        offsets.append(offsets[-1] + _distance(spots[one], spots[two]))
    pools: list[tuple[float, float, int]] = []  # mean, weight, how many
    for (wish, weight), offset in zip(wishes, offsets, strict=True):
        pool = (wish - offset, weight, 1)
        while pools and pools[-1][0] >= pool[0]:
            mean, heavy, count = pools.pop()
            both = heavy + pool[1]
            pool = ((mean * heavy + pool[0] * pool[1]) / both, both, count + pool[2])
        pools.append(pool)
    means = [mean for mean, _, count in pools for _ in range(count)]
    for at, mean, offset in zip(layer, means, offsets, strict=True):
        spots[at].center = mean + offset


def _distance(one: _Spot, two: _Spot) -> float:
    return (one.breadth + two.breadth) / 2 + (_LANE if one.bend or two.bend else _APART)


# --- the page ---


@dataclass(slots=True)
class _Page:
    """Turns places along and across into boxes and curves."""

    spots: list[_Spot]
    layers: list[list[int]]
    chains: list[list[int]]
    links: Sequence[Link]
    down: bool
    starts: list[float] = field(default_factory=list[float])
    stops: list[float] = field(default_factory=list[float])
    taken: set[tuple[int, int]] = field(default_factory=set[tuple[int, int]])
    said: set[tuple[str, Point]] = field(default_factory=set[tuple[str, Point]])

    def layout(self, names: list[Name]) -> Layout:
        self._measure_layers()
        boxes = [self._box(spot) for spot in self.spots[: len(names)]]
        paths = [self._path(chain, link) for chain, link in zip(self.chains, self.links, strict=True)]
        labels = self._labels(paths)
        corners = [corner for box in boxes for corner in ((box.x, box.y), (box.x + box.width, box.y + box.height))]
        corners += [point for path in paths for point in _extremes(path)]
        corners += [
            corner for link, at in zip(self.links, labels, strict=True) if at for corner in _around(at, link.size)
        ]
        left, top = (min(corner[axis] for corner in corners) for axis in (0, 1))
        right, bottom = (max(corner[axis] for corner in corners) for axis in (0, 1))
        return Layout(
            right - left,
            bottom - top,
            {
                name: Box(box.x - left, box.y - top, box.width, box.height)
                for name, box in zip(names, boxes, strict=True)
            },
            [
                Curve([(x - left, y - top) for x, y in path], label and (label[0] - left, label[1] - top))
                for path, label in zip(paths, labels, strict=True)
            ],
        )

    def _measure_layers(self) -> None:
        gaps = [_GAP[self.down]] * len(self.layers)
        for (source, rank), labels in self._short_labels().items():
            length = max(size.width for size in labels.values())
            if self.down:
                crowded = sum(size.width for size in labels.values()) > self.spots[source].breadth
                rows = min(len(labels), _ROWS) if crowded else 1
                length = rows * max(size.height for size in labels.values())
            gaps[rank] = max(gaps[rank], length + _AROUND_LABEL)
        along = 0.0
        for layer, gap in zip(self.layers, gaps, strict=True):
            self.starts.append(along)
            self.stops.append(along + max((self.spots[at].depth for at in layer), default=0.0))
            along = self.stops[-1] + gap

    def _short_labels(self) -> dict[tuple[int, int], dict[str, Size]]:
        """Gather by their source the labels of links to the next layer."""
        labels: dict[tuple[int, int], dict[str, Size]] = {}
        for chain, link in zip(self.chains, self.links, strict=True):
            first = self.spots[chain[0]].rank
            if len(chain) == 2 and link.label and self.spots[chain[1]].rank == first + 1:  # noqa: PLR2004
                labels.setdefault((chain[0], first), {})[link.label] = link.size
        return labels

    def _point(self, along: float, across: float) -> Point:
        return (across, along) if self.down else (along, across)

    def _edges(self, spot: _Spot) -> tuple[float, float]:
        """Where a spot begins and ends along the way: bends take the whole layer, nodes stand in its middle."""
        start, stop = self.starts[spot.rank], self.stops[spot.rank]
        if spot.bend:
            return start, stop
        middle = (start + stop) / 2
        return middle - spot.depth / 2, middle + spot.depth / 2

    def _box(self, spot: _Spot) -> Box:
        start, stop = self._edges(spot)
        x, y = self._point(start, round(spot.center - spot.breadth / 2))
        width, height = self._point(stop - start, spot.breadth)
        return Box(x, y, width, height)

    def _across(self, spot: _Spot) -> float:
        return round(spot.center - spot.breadth / 2) + spot.breadth / 2

    def _path(self, chain: list[int], link: Link) -> list[Point]:
        first, last = self.spots[chain[0]], self.spots[chain[-1]]
        if last.rank <= first.rank:
            beside = link.back and last.rank == first.rank - 1
            return self._path_beside(first, last) if beside else self._path_back(first, last)
        off = {chain[0]: link.leave, chain[-1]: link.reach}
        points = [self._point(self._edges(first)[1], self._across(first) + link.leave)]
        for at, to in pairwise(chain):
            one, two = self.spots[at], self.spots[to]
            across, to_across = self._across(one) + off.get(at, 0.0), self._across(two) + off.get(to, 0.0)
            # Between the layers and not between the nodes: a small node's link must pass the large ones beside it.
            middle = (self.stops[one.rank] + self.starts[two.rank]) / 2
            points += self._bow(middle, across, self._edges(two)[0], to_across)
            if two.bend:
                across, (start, stop) = self._across(two), self._edges(two)
                points += [self._point(along, across) for along in (start, stop, stop)]
        return points

    def _bow(self, middle: float, across: float, to_along: float, to_across: float) -> list[Point]:
        ends = ((middle, across), (middle, to_across), (to_along, to_across))
        return [self._point(*end) for end in ends]

    def _path_beside(self, first: _Spot, last: _Spot) -> list[Point]:
        """Lead a link back to the layer right before, beside the links that come from there."""
        off = min(first.breadth, last.breadth) / 4
        start, stop = self._edges(first)[0], self._edges(last)[1]
        across, to_across = self._across(first) + off, self._across(last) + off
        return [self._point(start, across), *self._bow((start + stop) / 2, across, stop, to_across)]

    def _path_back(self, first: _Spot, last: _Spot) -> list[Point]:
        """Hang a link that goes back below its nodes; one from a node to itself keeps its ends apart."""
        apart = 14.0 if first is last else 0.0
        from_, to = sum(self._edges(first)) / 2 + apart, sum(self._edges(last)) / 2 - apart
        rims = [self._across(spot) + spot.breadth / 2 for spot in (first, last)]
        sag = max(rims) + _SAG
        ends = ((from_, rims[0]), (from_, sag), (to, sag), (to, rims[1]))
        return [self._point(*end) for end in ends]

    def _labels(self, paths: list[list[Point]]) -> list[Point | None]:
        """Place the labels, those of straight links first: they have the least choice."""
        axis = 0 if self.down else 1
        labels: list[Point | None] = [None] * len(paths)
        for at in sorted(range(len(paths)), key=lambda at: abs(paths[at][0][axis] - paths[at][-1][axis])):
            labels[at] = self._label(self.links[at], paths[at])
        return labels

    def _label(self, link: Link, path: list[Point]) -> Point | None:
        """Take the freest place on the way; links that share a way and say the same say it once."""
        best = next(_tries(path))
        if not link.label or (link.label, best) in self.said:
            return None
        spot = min(_tries(path), key=lambda spot: len(self.taken & _cells(spot, link.size)))
        self.taken |= _cells(spot, link.size)
        self.said.add((link.label, best))
        return spot


def _tries(path: list[Point]) -> Iterator[Point]:
    """Give the points of a path where a label may stand, the best first: where there is room for it, then in a gap."""
    stretches = [path[at : at + 4] for at in range(0, len(path) - 1, 3)]
    spots = (len(stretches) + 3) // 2
    roomy = stretches[max(0, spots // 2 * 2 - 1) if len(stretches) > 1 else 0]
    yield from (_on(roomy, share) for share in (0.5, 0.35, 0.65, 0.2, 0.8, 0.1, 0.9))
    yield from (_on(stretch, 0.5) for stretch in stretches[::2])


def _on(stretch: list[Point], share: float) -> Point:
    """Give the point of a cubic stretch at a share of its parameter (Bernstein's form)."""
    rest = 1 - share
    weights = (rest**3, 3 * rest**2 * share, 3 * rest * share**2, share**3)
    return (
        sum(weight * x for weight, (x, _) in zip(weights, stretch, strict=True)),
        sum(weight * y for weight, (_, y) in zip(weights, stretch, strict=True)),
    )


def _around(center: Point, size: Size) -> tuple[Point, Point]:
    x, y = center
    return (x - size.width / 2, y - size.height / 2), (x + size.width / 2, y + size.height / 2)


def _cells(center: Point, size: Size) -> set[tuple[int, int]]:
    """Name the squares of 8 pixels that a label covers."""
    (left, top), (right, bottom) = _around(center, size)
    columns, rows = range(int(left // 8), int(right // 8) + 1), range(int(top // 8), int(bottom // 8) + 1)
    return {(column, row) for column in columns for row in rows}


def _extremes(path: list[Point]) -> list[Point]:
    """Give points between which a path stays: its joints, and the depth of one that goes back."""
    return [*path[::3], _on(path, 0.5)] if len(path) == 4 else path[::3]  # noqa: PLR2004 - one stretch
