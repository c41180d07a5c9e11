// What a node shows beyond its frame and its name: its status as a shape and in words, its kind, the items of a fan-out.

import { Cells } from "./cells";
import { say, set, svg } from "./dom";
import { icon } from "./icons";
import type { Size } from "./layout";
import type { Ruler } from "./measure";
import type { NodeState, Status } from "./protocol";
import { fitting } from "./second";

export const PADDING = 12;
export const GLYPH = 20;

export class Body {
  readonly #root: SVGGElement;
  readonly #ruler: Ruler;
  readonly #sheet = svg("path", { class: "sheet" });
  readonly #ring = svg("rect", { class: "ring", x: -3, y: -3, rx: 8.5 });
  readonly #kind = svg("text", { y: 20, "text-anchor": "end" });
  readonly #word = svg("tspan", { class: "word" });
  readonly #rest = document.createTextNode("");
  readonly #second = svg("text", { y: 37 }, this.#word, this.#rest);
  readonly #cells = new Cells();
  #glyph: SVGElement | null = null;
  #status: Status | null = null;
  #size: Size = { width: 0, height: 0 };

  /** Join the other parts of a node. */
  constructor(root: SVGGElement, ruler: Ruler) {
    this.#root = root;
    this.#ruler = ruler;
    root.prepend(this.#ring);
    root.append(this.#kind, this.#second);
  }

  place({ width, height }: Size, indent: number, kind: string): void {
    this.#size = { width, height };
    set(this.#ring, { width: width + 6, height: height + 6 });
    set(this.#kind, { x: width - PADDING });
    set(this.#second, { x: indent });
    say(this.#kind, kind);
  }

  show(state: NodeState | null, fanOut: boolean): void {
    if (state && state.status !== this.#status) this.#mark(state.status);
    this.#stack(fanOut);
    this.#count(fanOut ? state : null);
  }

  /** The second line: the status with what is worth knowing, before a run a note. */
  tell(state: NodeState | null, note: string, now: number, room: number): void {
    const line = state ? fitting(state, now, this.#ruler, room) : this.#ruler.cut(note, "small", room);
    say(this.#word, state?.status ?? "");
    if (this.#rest.data !== line) this.#rest.data = line;
  }

  #mark(status: Status): void {
    const glyph = icon(status, { x: 11, y: 9 });
    if (this.#glyph) this.#glyph.replaceWith(glyph);
    else this.#root.append(glyph);
    this.#glyph = glyph;
    this.#status = status;
  }

  /** A fan-out is one node with a second sheet behind it. */
  #stack(fanOut: boolean): void {
    const { width, height } = this.#size;
    set(this.#sheet, { d: `M5 ${height + 3}H${width - 3}a6 6 0 0 0 6-6V5` });
    if (!fanOut) this.#sheet.remove();
    else if (!this.#sheet.parentNode) this.#root.prepend(this.#sheet);
  }

  #count(state: NodeState | null): void {
    if (!state) return this.#cells.root.remove();
    this.#cells.show(state, PADDING, this.#size.width - 2 * PADDING);
    if (!this.#cells.root.parentNode) this.#root.append(this.#cells.root);
  }
}
