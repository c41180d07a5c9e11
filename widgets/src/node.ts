// One node of the graph: how large it must be, and its painting, which follows its status.

import { Cells } from "./cells";
import { say, set, svg } from "./dom";
import { icon } from "./icons";
import type { Box, Direction, Point } from "./layout";
import type { Ruler } from "./measure";
import type { GraphNode, NodeState, Status } from "./protocol";
import { barest, fitting, reserved } from "./second";

const PADDING = 12;
const GLYPH = 20;
const HEIGHT = { plain: 48, fanOut: 66 };
const LEAST = 96;
const MOST = 240;

export interface Look {
  direction: Direction;
  /** Say the reason in full, not only what must be said. */
  full: boolean;
  /** A runner of a race, which is going to win or to lose. */
  race: boolean;
}

/** How much room a node takes: all that it has to say, or as little as it can do with. */
export function size(node: GraphNode, state: NodeState | null, look: Look, now: number, ruler: Ruler): Box {
  const kind = kindShown(node, state, look.direction) ? 16 + ruler.width(node.kind, "small") : 0;
  const title = ruler.width(node.title, "title") + kind;
  const fanOut = isFanOut(node, state);
  const second = state ? reserved(state, now, ruler, { ...look, fanOut }) : ruler.width(node.note ?? "", "small");
  const width = Math.max(title, second) + indent(state) + PADDING;
  return {
    id: node.id,
    width: Math.min(MOST, Math.max(LEAST, Math.ceil(width / 4) * 4)),
    height: state && fanOut ? HEIGHT.fanOut : HEIGHT.plain,
  };
}

function isFanOut(node: GraphNode, state: NodeState | null): boolean {
  return node.kind === "each" || state?.progress != null;
}

function kindShown(node: GraphNode, state: NodeState | null, direction: Direction): boolean {
  return !state || (direction === "LR" && !isFanOut(node, state));
}

function indent(state: NodeState | null): number {
  return PADDING + (state ? GLYPH : 0);
}

/** A node as painted; kept for as long as the graph is, and moved when the graph is laid out anew. */
export class NodeShape {
  readonly root: SVGGElement;
  readonly #node: GraphNode;
  readonly #ruler: Ruler;
  #full = false;
  #status: Status | null = null;
  #direction: Direction = "LR";
  #box: Box = { id: "", width: 0, height: 0 };
  readonly #sheet = svg("path", { class: "sheet" });
  readonly #ring = svg("rect", { class: "ring", x: -3, y: -3, rx: 8.5 });
  readonly #frame = svg("rect", { class: "box", rx: 6 });
  #glyph: SVGElement | null = null;
  readonly #title = svg("text", { class: "title", y: 20 });
  readonly #kind = svg("text", { y: 20, "text-anchor": "end" });
  readonly #word = svg("tspan", { class: "word" });
  readonly #rest = document.createTextNode("");
  readonly #second = svg("text", { y: 37 }, this.#word, this.#rest);
  readonly #cells = new Cells();

  constructor(node: GraphNode, ruler: Ruler) {
    this.#node = node;
    this.#ruler = ruler;
    const states = { role: "button", tabindex: 0, "aria-pressed": "false", "data-node": node.id };
    this.root = svg("g", { class: "node", ...states }, this.#frame, this.#title);
  }

  /** Draw all of the node, or only its frame and name: what is out of sight need not follow every change. */
  detail(full: boolean, state: NodeState | null, now: number): void {
    if (full === this.#full) return;
    this.#full = full;
    const parts = [this.#kind, this.#second, ...(this.#glyph ? [this.#glyph] : [])];
    if (full) this.root.prepend(this.#ring);
    if (full) this.root.append(...parts);
    else for (const part of [this.#ring, this.#sheet, this.#cells.root, ...parts]) part.remove();
    if (full) this.#flesh(state, now);
  }

  place(box: Box & Point, direction: Direction, state: NodeState | null): void {
    this.#box = box;
    this.#direction = direction;
    const { width, height } = box;
    set(this.root, { transform: `translate(${box.x} ${box.y})` });
    set(this.#ring, { width: width + 6, height: height + 6 });
    set(this.#frame, { width, height });
    set(this.#kind, { x: width - PADDING });
    set(this.#title, { x: indent(state) });
    set(this.#second, { x: indent(state) });
    say(this.#kind, kindShown(this.#node, state, direction) ? this.#node.kind : "");
    this.#entitle(state);
  }

  /** Paint the status; before a run there is none and the note stands in its place. */
  show(state: NodeState | null, now: number): void {
    const status = state?.status ?? "pending";
    set(this.root, { "aria-label": `${this.#node.title}: ${status}`, "data-status": state ? status : null });
    if (this.#full) this.#flesh(state, now);
  }

  #flesh(state: NodeState | null, now: number): void {
    if (state && state.status !== this.#status) this.#mark(state.status);
    const fanOut = isFanOut(this.#node, state);
    this.#stack(fanOut);
    this.#count(fanOut ? state : null);
    this.tell(state, now);
  }

  /** Has what must be said become too long, or the box too low? Then the graph has to be laid out anew. */
  isOutgrown(state: NodeState, now: number): boolean {
    const { width, height } = this.#box;
    const tight = this.#full && this.#ruler.width(barest(state, now), "small") > this.#room(state) + 1;
    return (tight && width < MOST) || (isFanOut(this.#node, state) && height < HEIGHT.fanOut);
  }

  /** Only the words of the second line: called while time passes. */
  tell(state: NodeState | null, now: number): void {
    if (!this.#full) return;
    const room = this.#room(state) + 1;
    const line = state ? fitting(state, now, this.#ruler, room) : this.#ruler.cut(this.#node.note ?? "", "small", room);
    say(this.#word, state?.status ?? "");
    if (this.#rest.data !== line) this.#rest.data = line;
  }

  #room(state: NodeState | null): number {
    return this.#box.width - indent(state) - PADDING;
  }

  press(pressed: boolean): void {
    set(this.root, { "aria-pressed": String(pressed) });
  }

  #entitle(state: NodeState | null): void {
    const kind = kindShown(this.#node, state, this.#direction) ? 16 + this.#ruler.width(this.#node.kind, "small") : 0;
    say(this.#title, this.#ruler.cut(this.#node.title, "title", this.#room(state) - kind + 1));
  }

  #mark(status: Status): void {
    const glyph = icon(status, { x: 11, y: 9 });
    if (this.#glyph) this.#glyph.replaceWith(glyph);
    else this.root.append(glyph);
    this.#glyph = glyph;
    this.#status = status;
  }

  /** A fan-out is one node with a second sheet behind it. */
  #stack(fanOut: boolean): void {
    const { width, height } = this.#box;
    set(this.#sheet, { d: `M5 ${height + 3}H${width - 3}a6 6 0 0 0 6-6V5` });
    if (fanOut) this.root.prepend(this.#sheet);
    else this.#sheet.remove();
  }

  #count(state: NodeState | null): void {
    if (!state) return this.#cells.root.remove();
    this.#cells.show(state, PADDING, this.#box.width - 2 * PADDING);
    if (!this.#cells.root.parentNode) this.root.append(this.#cells.root);
  }
}
