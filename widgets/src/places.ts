// A large graph as the kernel has laid it out for the saved picture; what it says of places becomes a layout.

import type { Layout, PlacedArrow, Point } from "./layout";
import type { Nest } from "./nest";
import { arrowed, TIP } from "./plan";
import type { ArrowPlace, Graph, Pair, Places } from "./protocol";

export function unpack({ direction, width, height, boxes, arrows }: Places, graph: Graph, nest: Nest): Layout {
  const at = (id: string) => {
    const [x, y, width, height] = boxes[id]!;
    return [id, { id, x, y, width, height }] as const;
  };
  return {
    ...{ direction, width, height },
    boxes: new Map(graph.nodes.map(({ id }) => at(id))),
    // The kernel may make less of groups that make no sense: a log may have been written by anything.
    groups: new Map([...nest.groups.keys()].filter((id) => id in boxes).map(at)),
    arrows: arrows.map(arrowAt),
  };
}

function arrowAt({ points, at, dots }: ArrowPlace): PlacedArrow {
  const path = Array.from({ length: points.length / 2 }, (_, index) => ({ x: points[2 * index]!, y: points[2 * index + 1]! }));
  const to = path.at(-1)!;
  return { ...arrowed([...path.slice(0, -1), before(to, path.at(-2)!)], to), label: point(at), ends: dots.map(point) };
}

/** Where the head of an arrow begins. */
function before(to: Point, from: Point): Point {
  const length = Math.hypot(to.x - from.x, to.y - from.y) || 1;
  return { x: to.x - (TIP * (to.x - from.x)) / length, y: to.y - (TIP * (to.y - from.y)) / length };
}

function point([x = 0, y = 0]: Pair | []): Point {
  return { x, y };
}
