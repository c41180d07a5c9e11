// From boxes and arrows to places: one pixel is one point, so what is painted fits exactly.

import { Names, RANK_GAP, stretches, write, type Scene } from "./dot";
import { place } from "./graphviz";
import { Nest } from "./nest";
import { read } from "./plan";
import { rank } from "./ranks";

export type Direction = "LR" | "TB";

export interface Point {
  x: number;
  y: number;
}

export interface Size {
  width: number;
  height: number;
}

export interface Box extends Size {
  id: string;
}

/** From a node or group to another; a null end is a small dot where the flow is entered or left. */
export interface Arrow {
  source: string | null;
  target: string | null;
  /** Width of the label in pixels, 0 without one. */
  label: number;
  /** A loop's way back. */
  isReturn?: boolean;
}

export interface PlacedArrow {
  line: string;
  tip: string;
  label: Point;
  /** Where the dots of open ends are painted. */
  ends: Point[];
}

/** How wide the words on top of each group are. */
export type Frames = ReadonlyMap<string, number>;

export interface Layout extends Size {
  direction: Direction;
  /** Top left corners, by node id. */
  boxes: Map<string, Point & Box>;
  /** The same of the groups. */
  groups: Map<string, Point & Size>;
  arrows: PlacedArrow[];
}

/** One way to draw the nodes: in full, or saying less so that more fits beside each other. */
export interface Draft {
  direction: Direction;
  boxes: Box[];
}

/** What the nodes stand in, and whether a column has one width. */
export interface Setting {
  nest?: Nest;
  frames?: Frames;
  even?: boolean;
}

export const MARGIN = 8;
/** The first draft that fits at scale 1, else the last one. */
export async function arrange(drafts: Draft[], arrows: Arrow[], room: number, setting: Setting = {}): Promise<Layout> {
  const [draft, ...others] = drafts as [Draft, ...Draft[]];
  const scene = sceneOf(draft, arrows, setting);
  const isLast = others.length === 0;
  if (!isLast && leastWidth(scene) > room) return arrange(others, arrows, room, setting);
  const names = new Names(scene);
  const layout = read(await place(write(scene, names)), scene, names);
  return isLast || layout.width + 2 * MARGIN <= room ? layout : arrange(others, arrows, room, setting);
}

function sceneOf({ boxes, direction }: Draft, arrows: Arrow[], { nest = new Nest([]), frames = new Map(), even = false }: Setting): Scene {
  const ranks = rank(boxes, arrows, nest, direction);
  const scene = { boxes, direction, arrows, nest, frames, ranks };
  return even || nest.groups.size > 0 ? { ...scene, boxes: evened(scene, even) } : scene;
}

/** A lower bound of the width; spares the layout that would not fit anyway. */
function leastWidth(scene: Scene): number {
  const columns: number[] = [];
  for (const { id, width } of scene.boxes) columns[scene.ranks.depth.get(id)!] = Math.max(columns[scene.ranks.depth.get(id)!] ?? 0, width);
  const wider = [...stretches(scene).values()].reduce((sum, more) => sum + more, 0);
  return columns.reduce((sum, width) => sum + width, 0) + (columns.length - 1) * RANK_GAP[scene.direction] + wider;
}

/** One width a column, so that a run reads as a table of stages; what is stacked always has one width. */
function evened({ boxes, direction, ranks: { depth }, nest }: Scene, even: boolean): Box[] {
  const row = ({ id }: Box): string => {
    if (even && direction === "LR") return `${depth.get(id)}`;
    const home = nest.home(id);
    return home && (home.kind === "loop" || nest.isStacked(home, direction)) ? `in ${home.id}` : `is ${id}`;
  };
  const widest = new Map<string, number>();
  for (const box of boxes) widest.set(row(box), Math.max(widest.get(row(box)) ?? 0, box.width));
  return boxes.map((box) => ({ ...box, width: widest.get(row(box))! }));
}
