// What stands in what: the groups of a graph (a race, a loop, a pipeline in a pipeline) as a tree over its nodes.

import type { Direction } from "./layout";
import type { GraphGroup } from "./protocol";

export interface Group extends GraphGroup {
  /** The nodes that stand in it directly, not in a group within it. */
  own: string[];
}

// So many parts of a group stand one below the other; more take too much height.
const STACKED = { loop: 3, race: 4 };

export class Nest {
  /** Enclosing groups come before the groups in them; groups without a node are left out. */
  readonly groups: ReadonlyMap<string, Group>;
  readonly #homes = new Map<string, string>();

  constructor(nodes: string[], groups: GraphGroup[] = []) {
    const known = new Set(nodes);
    const filled = groups.map((group) => ({ ...group, nodes: group.nodes.filter((id) => known.has(id)), own: [] as string[] }));
    const kept = filled.filter((group) => group.nodes.length > 0).sort((one, other) => other.nodes.length - one.nodes.length);
    this.groups = new Map(outward(kept).map((group) => [group.id, group]));
    for (const group of this.groups.values()) for (const id of group.nodes) this.#homes.set(id, group.id);
    for (const [id, home] of this.#homes) this.groups.get(home)!.own.push(id);
  }

  /** The innermost group around a node or a group. */
  home(id: string): Group | null {
    const group = this.groups.get(id);
    return this.groups.get((group ? group.parent : this.#homes.get(id)) ?? "") ?? null;
  }

  /** Is this node or group inside that group, however deep? */
  holds(outer: string, id: string): boolean {
    for (let group = this.home(id); group; group = this.home(group.id)) if (group.id === outer) return true;
    return false;
  }

  /** The nodes that an end of an edge stands for. */
  leaves(id: string): string[] {
    return this.groups.get(id)?.nodes ?? [id];
  }

  inside(outer: string | null): Group[] {
    return [...this.groups.values()].filter((group) => (this.home(group.id)?.id ?? null) === outer);
  }

  /** Small loops and, where width is dear, small races have their parts one below the other. */
  isStacked(group: Group, direction: Direction): boolean {
    const most = direction === "LR" ? { loop: STACKED.loop }[group.kind] : { race: STACKED.race }[group.kind];
    return most !== undefined && group.own.length === group.nodes.length && group.own.length <= most;
  }
}

/** Each group after the one around it; a parent that is unknown, or inside its own child, counts as none. */
function outward(groups: Group[]): Group[] {
  const byId = new Map(groups.map((group) => [group.id, group]));
  const ordered = new Map<string, Group>();
  const add = (group: Group, below: Set<string>): void => {
    if (ordered.has(group.id)) return;
    const parent = byId.get(group.parent ?? "");
    const sound = parent !== undefined && !below.has(parent.id);
    if (sound) add(parent, new Set([...below, parent.id]));
    ordered.set(group.id, sound ? group : { ...group, parent: null });
  };
  for (const group of groups) add(group, new Set([group.id]));
  return [...ordered.values()];
}
