// The lines of edges: those of a large graph are painted many at once, since the page pays for every element.

import { set, svg } from "./dom";
import type { PlacedArrow } from "./layout";

// Where lines share a way, the liveliest is painted last.
const FLOWS = ["never", "later", "done", "now"];

/** One edge in a bundle. */
export class Strand {
  readonly arrow: PlacedArrow;
  readonly #changed: (flow: string) => void;
  flow = "";

  constructor(arrow: PlacedArrow, changed: (flow: string) => void) {
    this.arrow = arrow;
    this.#changed = changed;
  }

  /** Show what became of the data, once the bundle is painted. */
  show(flow: string): void {
    if (flow === this.flow) return;
    this.#changed(this.flow);
    this.#changed(flow);
    this.flow = flow;
  }
}

/** Edges that are painted together: all whose data flows alike are one line with many heads. */
export class Bundle {
  readonly root = svg("g");
  readonly strands: Strand[];
  readonly #stale = new Set<string>();
  readonly #lines = new Map<string, SVGElement>();

  constructor(arrows: PlacedArrow[]) {
    this.strands = arrows.map((arrow) => new Strand(arrow, (flow) => this.#stale.add(flow)));
  }

  /** Paint what has changed since the last time. */
  paint(): void {
    if (this.#stale.size === 0) return;
    for (const flow of this.#stale) this.#draw(flow);
    this.#stale.clear();
    this.root.replaceChildren(...FLOWS.flatMap((flow) => this.#lines.get(flow) ?? []));
  }

  #draw(flow: string): void {
    const arrows = this.strands.filter((strand) => strand.flow === flow).map(({ arrow }) => arrow);
    const [line, tip] = [svg("path"), svg("path", { class: "tip" })];
    set(line, { d: arrows.map(({ line }) => line).join("") });
    set(tip, { d: arrows.map(({ tip }) => tip).join("") });
    if (arrows.length > 0) this.#lines.set(flow, svg("g", { class: "edge", "data-flow": flow }, line, tip));
    else this.#lines.delete(flow);
  }
}

/** Tie edges together in the order in which they stand in the graph: that is mostly the order of their places. */
export function bundled(arrows: PlacedArrow[], size: number): Bundle[] {
  const count = Math.ceil(arrows.length / size);
  return Array.from({ length: count }, (_, index) => new Bundle(arrows.slice(index * size, (index + 1) * size)));
}
