// Writing a graph down for Graphviz. Sizes come in measured, one pixel as one point; ids never get there, only numbers.

import type { Arrow, Box, Direction, Frames } from "./layout";
import type { Group, Nest } from "./nest";
import type { Ranks } from "./ranks";

const DOT_SIZE = 6;
const NODE_GAP = 22;
export const RANK_GAP = { LR: 60, TB: 38 };
const LABEL = { height: 16, gap: 20 };
const GROUP = { margin: 10, caption: 15 };
const NO_PORTS = `tailport="" headport=""`;

export interface Scene {
  boxes: Box[];
  arrows: Arrow[];
  nest: Nest;
  /** How wide the words on top of each group are. */
  frames: Frames;
  direction: Direction;
  ranks: Ranks;
}

/** What everything is called in DOT. */
export class Names {
  readonly #nodes: Map<string, string>;
  readonly #groups: Map<string, string>;

  constructor({ boxes, nest }: Pick<Scene, "boxes" | "nest">) {
    this.#nodes = new Map(boxes.map(({ id }, index) => [id, `n${index}`]));
    this.#groups = new Map([...nest.groups.keys()].map((id, index) => [id, `cluster_${index}`]));
  }

  node(id: string): string {
    return this.#nodes.get(id)!;
  }

  group(id: string): string | undefined {
    return this.#groups.get(id);
  }

  /** The dot where an arrow begins or ends in the open: of the whole graph, or of the group around its other end. */
  dot({ source, target }: Arrow, side: "source" | "target", index: number, nest: Nest): string | null {
    const [id, other] = side === "source" ? [source, target] : [target, source];
    if (id === null) return `${side}${index}`;
    return this.#groups.has(id) && other !== null && nest.holds(id, other) ? `${side}_${this.group(id)}` : null;
  }
}

export function write(scene: Scene, names: Names): string {
  const { arrows, direction } = scene;
  // What nothing leads to or from is stacked from below, left to right.
  const boxes = direction === "LR" && arrows.length === 0 ? [...scene.boxes].reverse() : scene.boxes;
  const lines = [
    `rankdir=${direction} splines=true newrank=true compound=true`,
    `nodesep=${inches(NODE_GAP)} ranksep=${inches(rankGap(arrows, direction))}`,
    `node [shape=box fixedsize=true label=""]`,
    `edge [arrowsize=.7${direction === "LR" ? " tailport=e headport=w" : ""}]`,
    ...boxes.filter(({ id }) => !scene.nest.home(id)).map((box) => node(box, names)),
    ...clusters(scene, names),
    ...columns({ ...scene, boxes }).map((ids) => `{rank=same ${ids.map((id) => names.node(id)).join(" ")}}`),
    ...arrows.map((arrow, index) => edge(arrow, index, scene, names)),
    ...ties(scene, names),
    ...spine(scene, names),
  ];
  return `digraph {\n${lines.join("\n")}\n}`;
}

function node({ id, width, height }: Box, names: Names): string {
  return `${names.node(id)} [width=${inches(width)} height=${inches(height)}]`;
}

/** Top down a label takes a rank of its own; left to right only the gaps that hold one are widened, by `stretches`. */
function rankGap(arrows: Arrow[], direction: Direction): number {
  return direction === "TB" && arrows.some(({ label }) => label > 0) ? LABEL.gap : RANK_GAP[direction];
}

/** How much wider than usual the gap in front of each column must be for the labels in it, from left to right. */
export function stretches({ arrows, direction, ranks: { depth } }: Pick<Scene, "arrows" | "direction" | "ranks">): Map<number, number> {
  const wider = new Map<number, number>();
  for (const { source, target, label } of direction === "LR" ? arrows : []) {
    const [from, to] = [depth.get(source ?? ""), depth.get(target ?? "")];
    const column = to ?? (from === undefined ? from : from + 1);
    const more = label + LABEL.gap - RANK_GAP.LR;
    // A longer line has room for its words on the way.
    if (column !== undefined && more > 0 && (from ?? column - 1) === column - 1) wider.set(column, Math.max(wider.get(column) ?? 0, more));
  }
  return wider;
}

function inches(pixels: number): string {
  return (pixels / 72).toFixed(4);
}

/** Graphviz measures text in fonts it does not have; an empty table of a given size is exact. */
function blank(width: number, height: number): string {
  const size = `FIXEDSIZE="TRUE" WIDTH="${Math.ceil(width)}" HEIGHT="${height}"`;
  return `<<TABLE ${size} BORDER="0" CELLBORDER="0" CELLPADDING="0" CELLSPACING="0"><TR><TD></TD></TR></TABLE>>`;
}

// ---------- groups ----------

function clusters(scene: Scene, names: Names, outer: string | null = null): string[] {
  if (scene.nest.groups.size === 0) return [];
  return scene.nest.inside(outer).map((group) => cluster(group, scene, names));
}

function cluster(group: Group, scene: Scene, names: Names): string {
  const own = new Set(group.own);
  const name = names.group(group.id)!;
  const parts = [
    ...scene.boxes.filter(({ id }) => own.has(id)).map((box) => node(box, names)),
    ...clusters(scene, names, group.id),
    ...openings(group, scene, names).map(dot),
  ];
  const label = blank(scene.frames.get(group.id) ?? 0, GROUP.caption);
  return `subgraph ${name} {margin=${GROUP.margin} label=${label}\n${parts.join("\n")}\n}`;
}

/** A group that sends to what is in it does so from a dot inside its border, and takes back at another. */
function openings(group: Group, { arrows, nest }: Scene, names: Names): string[] {
  const dots = (["source", "target"] as const).flatMap((side) =>
    arrows.filter((arrow) => arrow[side] === group.id).map((arrow, index) => names.dot(arrow, side, index, nest)),
  );
  return [...new Set(dots.filter((name) => name !== null))];
}

function dot(name: string): string {
  return `${name} [shape=circle width=${inches(DOT_SIZE)} height=${inches(DOT_SIZE)}]`;
}

// ---------- edges ----------

interface End {
  /** The node or dot that the edge is tied to. */
  name: string;
  /** The group at whose border it is seen to end. */
  border?: string;
  /** The line that makes the dot. */
  dot?: string;
}

function edge(arrow: Arrow, index: number, scene: Scene, names: Names): string {
  const [tail, head] = [end(arrow, "source", index, scene, names), end(arrow, "target", index, scene, names)];
  const attributes = [
    scene.ranks.back.has(arrow) || isAside(arrow, scene) ? "constraint=false" : "",
    isAside(arrow, scene) ? NO_PORTS : "",
    isWithin(arrow, scene) ? "weight=8" : "",
    tail.border ? `ltail=${tail.border}` : "",
    head.border ? `lhead=${head.border}` : "",
    // Left to right a label sits on the line and is painted by us; top down it stands beside it and needs room.
    scene.direction === "TB" && arrow.label ? `label=${blank(arrow.label + DOT_SIZE, LABEL.height)}` : "",
  ];
  return `${tail.dot ?? ""}${head.dot ?? ""}${tail.name} -> ${head.name} [${attributes.filter(Boolean).join(" ")}]`;
}

function end(arrow: Arrow, side: "source" | "target", index: number, { nest, ranks }: Scene, names: Names): End {
  const id = arrow[side];
  const open = names.dot(arrow, side, index, nest);
  if (open !== null) return { name: open, dot: id === null ? `${dot(open)}\n` : "" };
  const border = names.group(id!);
  return border ? { name: names.node(outermost(nest.leaves(id!), side, ranks)), border } : { name: names.node(id!) };
}

/** The node of a group that is nearest to where an edge comes from; of several the middle one. */
function outermost(leaves: string[], side: "source" | "target", { depth }: Ranks): string {
  const depths = leaves.map((id) => depth.get(id)!);
  const wanted = side === "target" ? Math.min(...depths) : Math.max(...depths);
  const nearest = leaves.filter((id) => depth.get(id) === wanted);
  return nearest[nearest.length >> 1]!;
}

/** Stays inside one group: such edges are kept straight before those that lead there or away. */
function isWithin({ source, target }: Arrow, { nest }: Scene): boolean {
  const home = source === null ? null : nest.home(source);
  return home !== null && home.id === nest.home(target ?? "")?.id;
}

/** Does not lead on to a later column, so it need not leave on one side and arrive on the other. */
function isAside({ source, target }: Arrow, { ranks: { depth }, direction }: Scene): boolean {
  const [from, to] = [depth.get(source ?? ""), depth.get(target ?? "")];
  return direction === "LR" && from !== undefined && to !== undefined && to <= from;
}

// ---------- columns ----------

function columns({ boxes, ranks: { depth } }: Scene): string[][] {
  const rows: string[][] = [];
  for (const box of boxes) (rows[depth.get(box.id)!] ??= []).push(box.id);
  return rows.filter((row) => row.length > 1);
}

/** In a column of a graph from left to right the first of a chain stands lowest. */
function ties({ nest, direction }: Scene, names: Names): string[] {
  const stacks = [...nest.groups.values()].filter((group) => nest.isStacked(group, direction));
  return stacks.flatMap(({ own }) => {
    const order = (direction === "LR" ? [...own].reverse() : own).map((id) => names.node(id));
    return order.slice(1).map((name, index) => `${order[index]} -> ${name} [style=invis weight=8 ${NO_PORTS}]`);
  });
}

/** Where no edge leads from a column to the next one, as at the borders of groups, an unseen one keeps them apart. */
function spine({ boxes, arrows, nest, ranks: { depth } }: Scene, names: Names): string[] {
  if (nest.groups.size === 0) return [];
  const first = new Map<number, string>();
  for (const { id } of boxes) if (!first.has(depth.get(id)!)) first.set(depth.get(id)!, id);
  const linked = new Set(arrows.flatMap(({ source, target }) => {
    const [from, to] = [depth.get(source ?? ""), depth.get(target ?? "")];
    return from !== undefined && to === from + 1 ? [to] : [];
  }));
  const ranks = [...first.keys()].sort((one, other) => one - other);
  return ranks.slice(1).flatMap((to, index) => {
    const from = ranks[index]!;
    const tie = `${names.node(first.get(from)!)} -> ${names.node(first.get(to)!)} [style=invis weight=0 minlen=${to - from}]`;
    return linked.has(to) ? [] : [tie];
  });
}
