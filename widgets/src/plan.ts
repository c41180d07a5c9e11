// Reading what Graphviz has placed: corners, borders, and curves with a head.

import { RANK_GAP, stretches, type Names, type Scene } from "./dot";
import type { Plan } from "./graphviz";
import type { Arrow, Layout, PlacedArrow, Point, Size } from "./layout";

export function read(plan: Plan, scene: Scene, names: Names): Layout {
  const { boxes, arrows, nest, direction } = scene;
  const objects = new Map((plan.objects ?? []).map((object) => [object.name, object]));
  const shift = widening(plan, scene, names);
  const center = (name: string): Point | null => (objects.get(name)?.pos ? point(objects.get(name)!.pos!, shift) : null);
  const corners = boxes.map((box) => {
    const middle = center(names.node(box.id)) ?? { x: 0, y: 0 };
    return [box.id, { ...box, x: middle.x - box.width / 2, y: middle.y - box.height / 2 }] as const;
  });
  const dots = (arrow: Arrow, index: number) =>
    (["source", "target"] as const).map((side) => names.dot(arrow, side, index, nest)).map((name) => (name ? center(name) : null));
  const borders = [...nest.groups.keys()].map((id) => [id, border(objects.get(names.group(id)!)?.bb ?? "", shift)] as const);
  const { width, height } = border(plan.bb, shift);
  return {
    ...{ direction, width, height },
    boxes: new Map(corners),
    groups: new Map(borders),
    arrows: arrows.map((arrow, index) => readArrow(plan.edges?.[index], dots(arrow, index), shift)),
  };
}

type Shift = (x: number) => number;

/** Gaps with labels are made wider after the placing: Graphviz knows only one gap for all columns. */
function widening(plan: Plan, scene: Scene, names: Names): Shift {
  const wider = stretches(scene);
  if (wider.size === 0) return (x) => x;
  const gaps = gapsBetween(plan, scene, names);
  const within = (x: number, from: number, to: number) => Math.min(1, Math.max(0, (x - from) / Math.max(1, to - from)));
  const steps = [...wider].flatMap(([column, more]) => gaps.filter((gap) => gap.column === column).map((gap) => ({ ...gap, more })));
  return (x) => x + steps.reduce((sum, { from, to, more }) => sum + more * within(x, from, to), 0);
}

/** Where the columns end and begin; the dots of open ends stand before the first or after the last. */
function gapsBetween(plan: Plan, { boxes, ranks: { depth } }: Scene, names: Names): { column: number; from: number; to: number }[] {
  const middles = new Map((plan.objects ?? []).map(({ name, pos }) => [name, Number(pos?.split(",")[0])]));
  const edges = new Map<number, { left: number; right: number }>();
  for (const { id, width } of boxes) {
    const [x, known] = [middles.get(names.node(id)) ?? 0, edges.get(depth.get(id)!)];
    edges.set(depth.get(id)!, { left: Math.min(known?.left ?? Infinity, x - width / 2), right: Math.max(known?.right ?? -Infinity, x + width / 2) });
  }
  const columns = [...edges].sort(([one], [other]) => one - other);
  const { left, right } = columns[0]![1];
  const [first, last] = [{ left, right: left - RANK_GAP.LR }, columns.at(-1)![1]];
  const all = [[columns[0]![0] - 1, first] as const, ...columns, [columns.at(-1)![0] + 1, { left: last.right + RANK_GAP.LR, right }] as const];
  return all.slice(1).map(([column, { left }], index) => ({ column, from: all[index]![1].right, to: left }));
}

function border(words: string, shift: Shift): Point & Size {
  const [left = 0, one = 0, right = 0, other = 0] = words.split(",").map(Number);
  return { x: shift(left), y: Math.min(one, other), width: shift(right) - shift(left), height: Math.abs(other - one) };
}

function readArrow(placed: { pos?: string; lp?: string } = {}, ends: (Point | null)[], shift: Shift): PlacedArrow {
  const { pos = "", lp } = placed;
  const words = pos.split(" ");
  const head = words.find((word) => word.startsWith("e,"));
  const points = words.filter((word) => /^[-\d.]/.test(word)).map((word) => point(word, shift));
  return {
    // A line that was clipped at a border in an odd place has no head of its own.
    ...arrowed(points, head ? point(head.slice(2), shift) : points.at(-1)),
    label: lp ? point(lp, shift) : midway(points),
    ends: ends.filter((center) => center !== null),
  };
}

function point(words: string, shift: Shift): Point {
  const [x, y] = words.split(",").map(Number);
  return { x: shift(x ?? 0), y: y ?? 0 };
}

function curve(points: Point[]): string {
  const [start, ...rest] = points.map(({ x, y }) => `${round(x)} ${round(y)}`);
  return start ? `M${start}C${rest.join(" ")}` : "";
}

/** How long a head is. */
export const TIP = 7;

/** A filled head of 7 by 6 pixels; the line is drawn on to its base, since Graphviz leaves room for its own. */
export function arrowed(points: Point[], to: Point | undefined): Pick<PlacedArrow, "line" | "tip"> {
  if (!to) return { line: "", tip: "" };
  const from = points.findLast(({ x, y }) => x !== to.x || y !== to.y) ?? to;
  const length = Math.hypot(to.x - from.x, to.y - from.y) || 1;
  const along = { x: (to.x - from.x) / length, y: (to.y - from.y) / length };
  const base = { x: to.x - TIP * along.x, y: to.y - TIP * along.y };
  const corner = (side: number) => `${round(base.x - side * along.y)} ${round(base.y + side * along.x)}`;
  return {
    line: `${curve(points)}L${round(base.x)} ${round(base.y)}`,
    tip: `M${round(to.x)} ${round(to.y)}L${corner(3)}L${corner(-3)}Z`,
  };
}

/** The point half way along a curve. */
function midway(points: Point[]): Point {
  const steps = flatten(points);
  const lengths = steps.slice(1).map((step, index) => Math.hypot(step.x - steps[index]!.x, step.y - steps[index]!.y));
  let left = lengths.reduce((sum, length) => sum + length, 0) / 2;
  const index = lengths.findIndex((length) => (left -= length) <= 0);
  return steps[index + 1] ?? points[0] ?? { x: 0, y: 0 };
}

function flatten(points: Point[]): Point[] {
  const steps = points.slice(0, 1);
  for (let i = 0; i + 3 < points.length; i += 3)
    for (let step = 1; step <= 16; step++) steps.push(bezier(points.slice(i, i + 4) as Bezier, step / 16));
  return steps;
}

type Bezier = [Point, Point, Point, Point];

function bezier([a, b, c, d]: Bezier, t: number): Point {
  const u = 1 - t;
  const mix = (axis: "x" | "y") => u ** 3 * a[axis] + 3 * u * u * t * b[axis] + 3 * u * t * t * c[axis] + t ** 3 * d[axis];
  return { x: mix("x"), y: mix("y") };
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
