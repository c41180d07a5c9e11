// In what column (left to right) or row (top down) each node stands: the longest way to it from the start.

import type { Arrow, Box, Direction } from "./layout";
import type { Nest } from "./nest";

export interface Ranks {
  depth: Map<string, number>;
  /** Arrows that close a circle; they do not move what they lead to. */
  back: Set<Arrow>;
}

interface Link {
  to: number;
  /** How many ranks it leads on. */
  step: number;
  arrow: Arrow | null;
}

/** Groups have a place of their own where they are entered and left; what stands in them lies between. */
export function rank(boxes: Box[], arrows: Arrow[], nest: Nest, direction: Direction): Ranks {
  const places = new Places(boxes, nest, direction);
  const leaving: Link[][] = Array.from({ length: places.count }, () => []);
  const link = (from: number, to: number, step: number, arrow: Arrow | null = null) => {
    if (from !== to) leaving[from]!.push({ to, step, arrow });
  };
  const back = new Set<Arrow>();
  for (const arrow of arrows) {
    if (arrow.source === null || arrow.target === null) continue;
    if (arrow.isReturn || arrow.source === arrow.target) back.add(arrow);
    else link(places.leave(arrow.source, arrow.target), places.enter(arrow.target, arrow.source), 1, arrow);
  }
  if (nest.groups.size > 0) frame(nest, direction, places, link);
  const depths = deepen(leaving, back);
  return { depth: new Map(boxes.map(({ id }) => [id, depths[places.of(id)]!])), back };
}

/** A group is entered before what is in it, and left after it. */
function frame(nest: Nest, direction: Direction, places: Places, link: (from: number, to: number, step: number) => void): void {
  for (const group of nest.groups.values()) {
    const parts = [...group.own, ...nest.inside(group.id).map(({ id }) => id)];
    for (const part of parts) {
      link(places.enter(group.id), places.enter(part), 0);
      link(places.leave(part), places.leave(group.id), 0);
    }
    if (direction === "TB" && nest.isStacked(group, direction))
      for (const [index, id] of group.own.slice(1).entries()) link(places.of(group.own[index]!), places.of(id), 1);
  }
}

/** Numbers for everything that has a depth: nodes, and where groups are entered and left. */
class Places {
  readonly count: number;
  readonly #nest: Nest;
  readonly #nodes = new Map<string, number>();
  readonly #groups = new Map<string, number>();

  constructor(boxes: Box[], nest: Nest, direction: Direction) {
    this.#nest = nest;
    let count = 0;
    for (const { id } of boxes) this.#nodes.set(id, count++);
    for (const group of nest.groups.values()) {
      this.#groups.set(group.id, count);
      count += 2;
      // What is stacked left to right stands in one column.
      if (direction === "LR" && nest.isStacked(group, direction)) for (const id of group.own) this.#nodes.set(id, count);
      count++;
    }
    this.count = count;
  }

  of(node: string): number {
    return this.#nodes.get(node)!;
  }

  /** From inside itself a group is left where it is entered: such an edge leads in. */
  leave(id: string, target = ""): number {
    const group = this.#groups.get(id);
    return group === undefined ? this.of(id) : group + (this.#nest.holds(id, target) ? 0 : 1);
  }

  enter(id: string, source = ""): number {
    const group = this.#groups.get(id);
    return group === undefined ? this.of(id) : group + (this.#nest.holds(id, source) ? 1 : 0);
  }
}

function deepen(leaving: Link[][], back: Set<Arrow>): number[] {
  const { order, closing } = walk(leaving);
  for (const { arrow } of closing) if (arrow) back.add(arrow);
  const depths = leaving.map(() => 0);
  for (const place of order)
    for (const link of leaving[place]!) if (!closing.has(link)) depths[link.to] = Math.max(depths[link.to]!, depths[place]! + link.step);
  return depths;
}

/** Depth-first without recursion, since a chain may be thousands long: an order along the links, and those that close circles. */
function walk(leaving: Link[][]): { order: number[]; closing: Set<Link> } {
  const state: ("open" | "done")[] = [];
  const order: number[] = [];
  const closing = new Set<Link>();
  for (const start of leaving.keys()) {
    if (state[start]) continue;
    const stack = [{ place: start, next: 0 }];
    state[start] = "open";
    while (stack.length > 0) {
      const top = stack[stack.length - 1]!;
      const link = leaving[top.place]![top.next++];
      if (!link) {
        state[top.place] = "done";
        order.push(top.place);
        stack.pop();
      } else if (state[link.to] === "open") closing.add(link);
      else if (!state[link.to]) {
        state[link.to] = "open";
        stack.push({ place: link.to, next: 0 });
      }
    }
  }
  return { order: order.reverse(), closing };
}
