// Walking through a graph with the arrow keys: along the edges, and across to what stands beside.

import type { Box, Layout, Point } from "./layout";
import type { GraphEdge } from "./protocol";

export type Step = "left" | "right" | "up" | "down";

const FORWARD = { LR: "right", TB: "down" } as const;
const BACKWARD = { LR: "left", TB: "up" } as const;

/** The node that an arrow key leads to: over an edge if it points along the flow, else the nearest on that side. */
export function neighbor(from: string, step: Step, layout: Layout, edges: GraphEdge[]): string | null {
  const here = layout.boxes.get(from);
  if (!here) return null;
  const linked = along(from, step, layout, edges).map((id) => layout.boxes.get(id)!);
  const candidates = linked.length > 0 ? linked : [...layout.boxes.values()].filter((box) => isOn(step, here, box));
  return nearest(here, candidates, step)?.id ?? null;
}

function along(from: string, step: Step, layout: Layout, edges: GraphEdge[]): string[] {
  if (step === FORWARD[layout.direction]) return edges.flatMap((edge) => (edge.source === from && edge.target ? [edge.target] : []));
  if (step === BACKWARD[layout.direction]) return edges.flatMap((edge) => (edge.target === from && edge.source ? [edge.source] : []));
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
