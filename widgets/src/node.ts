// One node of the graph: how large it must be, and its painting, which follows its status.

import { Body, GLYPH, PADDING } from "./body";
import { say, set, svg } from "./dom";
import type { Box, Direction, Point } from "./layout";
import type { Ruler } from "./measure";
import type { GraphNode, NodeState } from "./protocol";
import { barest, reserved } from "./second";

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
  #direction: Direction = "LR";
  #box: Box = { id: "", width: 0, height: 0 };
  readonly #frame = svg("rect", { class: "box", rx: 6 });
  readonly #title = svg("text", { class: "title", y: 20 });
  /** Null while only the frame and the name are drawn. */
  #body: Body | null = null;

  constructor(node: GraphNode, ruler: Ruler) {
    this.#node = node;
    this.#ruler = ruler;
    const states = { role: "button", tabindex: 0, "aria-pressed": "false", "data-node": node.id };
    this.root = svg("g", { class: "node", ...states }, this.#frame, this.#title);
  }

  /** Draw all of the node, or only its frame and name: what is out of sight need not follow every change. */
  detail(full: boolean, state: NodeState | null, now: number): void {
    if (full === (this.#body !== null)) return;
    if (!full) this.root.replaceChildren(this.#frame, this.#title);
    this.#body = full ? new Body(this.root, this.#ruler) : null;
    this.#flesh(state, now);
  }

  place(box: Box & Point, direction: Direction, state: NodeState | null): void {
    this.#box = box;
    this.#direction = direction;
    set(this.root, { transform: `translate(${box.x} ${box.y})` });
    set(this.#frame, { width: box.width, height: box.height });
    set(this.#title, { x: indent(state) });
    this.#entitle(state);
  }

  /** Paint the status; before a run there is none and the note stands in its place. */
  show(state: NodeState | null, now: number): void {
    const status = state?.status ?? "pending";
    set(this.root, { "aria-label": `${this.#node.title}: ${status}`, "data-status": state ? status : null });
    this.#flesh(state, now);
  }

  #flesh(state: NodeState | null, now: number): void {
    const kind = kindShown(this.#node, state, this.#direction) ? this.#node.kind : "";
    this.#body?.place(this.#box, indent(state), kind);
    this.#body?.show(state, isFanOut(this.#node, state));
    this.tell(state, now);
  }

  /** Has what must be said become too long, or the box too low? Then the graph has to be laid out anew. */
  isOutgrown(state: NodeState, now: number): boolean {
    const { width, height } = this.#box;
    const tight = this.#body !== null && this.#ruler.width(barest(state, now), "small") > this.#room(state) + 1;
    return (tight && width < MOST) || (isFanOut(this.#node, state) && height < HEIGHT.fanOut);
  }

  /** Only the words of the second line: called while time passes. */
  tell(state: NodeState | null, now: number): void {
    this.#body?.tell(state, this.#node.note ?? "", now, this.#room(state) + 1);
  }

  press(pressed: boolean): void {
    set(this.root, { "aria-pressed": String(pressed) });
  }

  #room(state: NodeState | null): number {
    return this.#box.width - indent(state) - PADDING;
  }

  #entitle(state: NodeState | null): void {
    const kind = kindShown(this.#node, state, this.#direction) ? 16 + this.#ruler.width(this.#node.kind, "small") : 0;
    say(this.#title, this.#ruler.cut(this.#node.title, "title", this.#room(state) - kind + 1));
  }
}
