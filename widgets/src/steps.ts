// Walking through a graph with the arrow keys: along the edges, also into and out of groups, and across to what stands beside.

import type { Box, Layout, Point } from "./layout";
import { Nest } from "./nest";
import type { GraphEdge } from "./protocol";

export type Step = "left" | "right" | "up" | "down";

const FORWARD = { LR: "right", TB: "down" } as const;
const BACKWARD = { LR: "left", TB: "up" } as const;

/** The node that an arrow key leads to: over an edge if one leads to that side, else the nearest there. */
export function neighbor(from: string, step: Step, layout: Layout, edges: GraphEdge[], nest = new Nest([])): string | null {
  const here = layout.boxes.get(from);
  if (!here) return null;
  const there = [...layout.boxes.values()].filter((box) => isOn(step, here, box));
  const linked = new Set(along(from, step, layout, edges, nest));
  const near = there.filter(({ id }) => linked.has(id));
  return nearest(here, near.length > 0 ? near : there, step)?.id ?? null;
}

/** An edge from or to a group is one from or to all that is in it: the nearest is where it would be entered. */
function along(from: string, step: Step, { direction }: Layout, edges: GraphEdge[], nest: Nest): string[] {
  const isAt = (end: string | null) => end !== null && (end === from || nest.holds(end, from));
  const isInside = (end: string | null, other: string | null) => end !== null && other !== null && nest.holds(end, other);
  const real = edges.filter(({ source, target }) => !isInside(source, target) && !isInside(target, source));
  const leaves = (end: string | null) => (end === null ? [] : nest.leaves(end));
  if (step === FORWARD[direction]) return real.filter(({ source }) => isAt(source)).flatMap(({ target }) => leaves(target));
  if (step === BACKWARD[direction]) return real.filter(({ target }) => isAt(target)).flatMap(({ source }) => leaves(source));
  return [];
}

function isOn(step: Step, here: Box & Point, there: Box & Point): boolean {
  if (step === "left") return there.x + there.width <= here.x;
  if (step === "right") return there.x >= here.x + here.width;
  if (step === "up") return there.y + there.height <= here.y;
  return there.y >= here.y + here.height;
}

/** Sideways distance counts double, so that a key stays on its line. */
function nearest(here: Box & Point, boxes: (Box & Point)[], step: Step): (Box & Point) | undefined {
  const upright = step === "up" || step === "down";
  const distance = (box: Box & Point) => {
    const [dx, dy] = [Math.abs(center(box).x - center(here).x), Math.abs(center(box).y - center(here).y)];
    return upright ? 2 * dx + dy : dx + 2 * dy;
  };
  return [...boxes].sort((one, other) => distance(one) - distance(other))[0];
}

function center(box: Box & Point): Point {
  return { x: box.x + box.width / 2, y: box.y + box.height / 2 };
}
