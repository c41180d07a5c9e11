// From boxes and arrows to places: writes DOT, lets Graphviz place, reads the plan back.
// Graphviz only places; sizes come in measured and one pixel is one point, so what is painted fits exactly.

import { place, type Plan } from "./graphviz";

export type Direction = "LR" | "TB";

export interface Box {
  id: string;
  width: number;
  height: number;
}

/** A null end is a small dot where the flow is entered or left. */
export interface Arrow {
  source: string | null;
  target: string | null;
  /** Width of the label in pixels, 0 without one. */
  label: number;
}

export interface Point {
  x: number;
  y: number;
}

export interface PlacedArrow {
  line: string;
  tip: string;
  label: Point;
  /** Where the dots of open ends are painted. */
  ends: Point[];
}

export interface Layout {
  direction: Direction;
  width: number;
  height: number;
  /** Top left corners, by node id. */
  boxes: Map<string, Point & Box>;
  arrows: PlacedArrow[];
}

export const MARGIN = 8;
const DOT_SIZE = 6;
const NODE_GAP = 22;
const RANK_GAP = { LR: 60, TB: 38 };
const LABEL = { height: 16, gap: 20 };
const MANY = 200;

/** Left to right if that fits at scale 1, else top down. */
export async function arrange(wide: Box[], narrow: Box[], arrows: Arrow[], room: number): Promise<Layout> {
  if (leastWidth(wide, arrows) <= room) {
    const layout = await lay(wide, arrows, "LR");
    if (layout.width + 2 * MARGIN <= room) return layout;
  }
  return lay(narrow, arrows, "TB");
}

async function lay(boxes: Box[], arrows: Arrow[], direction: Direction): Promise<Layout> {
  const names = new Map(boxes.map((box, index) => [box.id, `n${index}`]));
  return read(await place(write(boxes, arrows, direction, names)), boxes, arrows, direction, names);
}

// ---------- depth: what column a node stands in ----------

/** Columns by longest way from the start; arrows that close a circle are left out and returned. */
export function depths(boxes: Box[], arrows: Arrow[]): { depth: Map<string, number>; back: Set<Arrow> } {
  const leaving = new Map<string, Arrow[]>(boxes.map((box) => [box.id, []]));
  for (const arrow of arrows) if (arrow.source !== null && arrow.target !== null) leaving.get(arrow.source)?.push(arrow);
  const { order, back } = walk(boxes, leaving);
  const depth = new Map(boxes.map((box) => [box.id, 0]));
  for (const id of order)
    for (const arrow of leaving.get(id) ?? [])
      if (!back.has(arrow)) depth.set(arrow.target!, Math.max(depth.get(arrow.target!) ?? 0, depth.get(id)! + 1));
  return { depth, back };
}

/** Depth-first without recursion, since a chain may be thousands long: topological order and back arrows. */
function walk(boxes: Box[], leaving: Map<string, Arrow[]>): { order: string[]; back: Set<Arrow> } {
  const state = new Map<string, "open" | "done">();
  const order: string[] = [];
  const back = new Set<Arrow>();
  for (const { id } of boxes) {
    if (state.has(id)) continue;
    const stack = [{ id, next: 0 }];
    state.set(id, "open");
    while (stack.length > 0) {
      const top = stack[stack.length - 1]!;
      const arrow = leaving.get(top.id)?.[top.next++];
      if (!arrow) {
        state.set(top.id, "done");
        order.unshift(top.id);
        stack.pop();
      } else if (state.get(arrow.target!) === "open") back.add(arrow);
      else if (!state.has(arrow.target!)) {
        state.set(arrow.target!, "open");
        stack.push({ id: arrow.target!, next: 0 });
      }
    }
  }
  return { order, back };
}

/** A lower bound of the width left to right; spares the layout that would not fit anyway. */
function leastWidth(boxes: Box[], arrows: Arrow[]): number {
  const { depth } = depths(boxes, arrows);
  const columns: number[] = [];
  for (const box of boxes) columns[depth.get(box.id)!] = Math.max(columns[depth.get(box.id)!] ?? 0, box.width);
  return columns.reduce((sum, width) => sum + width, 0) + (columns.length - 1) * rankGap(arrows, "LR");
}

// ---------- writing DOT ----------

function write(boxes: Box[], arrows: Arrow[], direction: Direction, names: Map<string, string>): string {
  const { depth, back } = depths(boxes, arrows);
  const lines = [
    `rankdir=${direction} splines=${boxes.length > MANY ? "polyline" : "true"} newrank=true compound=true`,
    `nodesep=${inches(NODE_GAP)} ranksep=${inches(rankGap(arrows, direction))}`,
    // A large graph is placed with less polish: its first paint is what the reader waits for.
    boxes.length > MANY ? "nslimit=2 mclimit=.3" : "",
    `node [shape=box fixedsize=true label=""]`,
    `edge [arrowsize=.7${direction === "LR" ? " tailport=e headport=w" : ""}]`,
    ...boxes.map((box) => `${names.get(box.id)} [width=${inches(box.width)} height=${inches(box.height)}]`),
    ...columns(boxes, depth).map((ids) => `{rank=same ${ids.map((id) => names.get(id)).join(" ")}}`),
    ...arrows.map((arrow, index) => edge(arrow, index, back.has(arrow), direction, names)),
  ];
  return `digraph {\n${lines.join("\n")}\n}`;
}

function edge(arrow: Arrow, index: number, back: boolean, direction: Direction, names: Map<string, string>): string {
  const from = arrow.source === null ? `in${index}` : names.get(arrow.source);
  const to = arrow.target === null ? `out${index}` : names.get(arrow.target);
  const end = arrow.source === null ? from : arrow.target === null ? to : null;
  const dot = end ? `${end} [shape=circle width=${inches(DOT_SIZE)} height=${inches(DOT_SIZE)}]\n` : "";
  // Left to right a label sits on the line and is painted by us; top down it stands beside it and needs room.
  const label = direction === "TB" && arrow.label ? ` label=${blank(arrow.label + DOT_SIZE)}` : "";
  return `${dot}${from} -> ${to} [${back ? "constraint=false" : ""}${label}]`;
}

/** Graphviz measures text in fonts it does not have; an empty table of a given size is exact. */
function blank(width: number): string {
  const size = `FIXEDSIZE="TRUE" WIDTH="${Math.ceil(width)}" HEIGHT="${LABEL.height}"`;
  return `<<TABLE ${size} BORDER="0" CELLBORDER="0" CELLPADDING="0" CELLSPACING="0"><TR><TD></TD></TR></TABLE>>`;
}

function columns(boxes: Box[], depth: Map<string, number>): string[][] {
  const rows: string[][] = [];
  for (const box of boxes) (rows[depth.get(box.id)!] ??= []).push(box.id);
  return rows.filter((row) => row.length > 1);
}

function rankGap(arrows: Arrow[], direction: Direction): number {
  const longest = arrows.reduce((width, arrow) => Math.max(width, arrow.label), 0);
  if (longest === 0) return RANK_GAP[direction];
  return direction === "LR" ? Math.max(RANK_GAP.LR, longest + LABEL.gap) : LABEL.gap;
}

function inches(pixels: number): string {
  return (pixels / 72).toFixed(4);
}

// ---------- reading the plan ----------

function read(plan: Plan, boxes: Box[], arrows: Arrow[], direction: Direction, names: Map<string, string>): Layout {
  const centers = new Map((plan.objects ?? []).map((object) => [object.name, object.pos ? point(object.pos) : null]));
  const corners = boxes.map((box) => {
    const center = centers.get(names.get(box.id)!) ?? { x: 0, y: 0 };
    return [box.id, { ...box, x: center.x - box.width / 2, y: center.y - box.height / 2 }] as const;
  });
  const [left, top, right, bottom] = plan.bb.split(",").map(Number) as [number, number, number, number];
  return {
    direction,
    width: right - left,
    height: Math.abs(bottom - top),
    boxes: new Map(corners),
    arrows: arrows.map((arrow, index) => readArrow(arrow, index, plan, centers)),
  };
}

function readArrow(arrow: Arrow, index: number, plan: Plan, centers: Map<string, Point | null>): PlacedArrow {
  const { pos = "", lp } = plan.edges?.[index] ?? {};
  const words = pos.split(" ");
  const head = words.find((word) => word.startsWith("e,"));
  const points = words.filter((word) => /^[-\d.]/.test(word)).map(point);
  const ends = [arrow.source === null ? `in${index}` : "", arrow.target === null ? `out${index}` : ""];
  return {
    ...(head ? arrowed(points, point(head.slice(2))) : { line: curve(points), tip: "" }),
    label: lp ? point(lp) : middle(points),
    ends: ends.map((name) => centers.get(name)).filter((center): center is Point => center != null),
  };
}

function point(words: string): Point {
  const [x, y] = words.split(",").map(Number);
  return { x: x ?? 0, y: y ?? 0 };
}

function curve(points: Point[]): string {
  const [start, ...rest] = points.map(({ x, y }) => `${round(x)} ${round(y)}`);
  return start ? `M${start}C${rest.join(" ")}` : "";
}

/** A filled head of 7 by 6 pixels; the line is drawn on to its base, since Graphviz leaves room for its own. */
function arrowed(points: Point[], to: Point): Pick<PlacedArrow, "line" | "tip"> {
  const from = points[points.length - 1] ?? to;
  const length = Math.hypot(to.x - from.x, to.y - from.y) || 1;
  const along = { x: (to.x - from.x) / length, y: (to.y - from.y) / length };
  const base = { x: to.x - 7 * along.x, y: to.y - 7 * along.y };
  const corner = (side: number) => `${round(base.x - side * along.y)} ${round(base.y + side * along.x)}`;
  return {
    line: `${curve(points)}L${round(base.x)} ${round(base.y)}`,
    tip: `M${round(to.x)} ${round(to.y)}L${corner(3)}L${corner(-3)}Z`,
  };
}

/** The point half way along a curve. */
function middle(points: Point[]): Point {
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
