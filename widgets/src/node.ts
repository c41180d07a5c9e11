// One node of the graph: how large it must be, and its painting, which follows its status.

import { say, set, svg } from "./dom";
import { icon } from "./icons";
import type { Box, Direction, Point } from "./layout";
import type { Ruler } from "./measure";
import type { GraphNode, NodeState, Status } from "./protocol";
import { elapsed } from "./status";
import * as words from "./words";

const PADDING = 12;
const GLYPH = 20;
const HEIGHT = { plain: 48, fanOut: 66 };
const LEAST = 96;
const MOST = 240;
// Room that every node keeps for its own end, so that a status never moves the graph.
const RESERVED = "succeeded · 29.6 s";
const MOST_CELLS = 48;

/** How much a node says: all of it left to right, the bare status top down. */
export function size(node: GraphNode, state: NodeState | null, direction: Direction, ruler: Ruler): Box {
  const kind = kindShown(state, direction) ? 16 + ruler.width(node.kind, "small") : 0;
  const title = ruler.width(node.title, "title") + kind;
  const seconds = state ? [RESERVED, secondLine(state, direction, 0).join(" · ")] : [node.note ?? ""];
  const second = Math.max(...seconds.map((line) => ruler.width(line, "small")));
  const width = Math.max(title, second) + indent(state) + PADDING;
  return {
    id: node.id,
    width: Math.min(MOST, Math.max(LEAST, Math.ceil(width / 4) * 4)),
    height: state?.progress ? HEIGHT.fanOut : HEIGHT.plain,
  };
}

/** The status word, then what is worth knowing beside it. */
export function secondLine(state: NodeState, direction: Direction, now: number): string[] {
  const time = elapsed(state.started_at, state.ended_at, now);
  const spent = time === null ? null : words.seconds(time);
  const reason = direction === "LR" ? state.reason : null;
  const attempt = direction === "LR" && state.attempt > 1 ? `attempt ${state.attempt}` : null;
  const beside: Record<Status, (string | null)[]> = {
    pending: [reason],
    running: [state.progress ? state.progress.join(" of ") : spent, attempt],
    waiting: [reason, spent],
    succeeded: [reason, spent, attempt],
    failed: [reason, spent, attempt],
    skipped: [reason],
    cancelled: [reason, spent],
  };
  const rest = beside[state.status].filter(Boolean).join(", ");
  return rest ? [state.status, rest] : [state.status];
}

function kindShown(state: NodeState | null, direction: Direction): boolean {
  return !state || (direction === "LR" && !state.progress);
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
  readonly #cells = svg("g");

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
    else for (const part of [this.#ring, this.#sheet, this.#cells, ...parts]) part.remove();
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
    say(this.#kind, kindShown(state, direction) ? this.#node.kind : "");
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
    this.#stack(state ? state.progress !== null : this.#node.kind === "each");
    this.#count(state?.progress ?? null);
    this.tell(state, now);
  }

  /** Only the words of the second line: called while time passes. */
  tell(state: NodeState | null, now: number): void {
    if (!this.#full) return;
    const [word = "", rest] = state ? secondLine(state, this.#direction, now) : ["", this.#node.note ?? ""];
    const room = this.#box.width - indent(state) - PADDING - this.#ruler.width(word, "small");
    say(this.#word, word);
    const line = rest ? this.#ruler.cut(word ? ` · ${rest}` : rest, "small", room + 1) : "";
    if (this.#rest.data !== line) this.#rest.data = line;
  }

  press(pressed: boolean): void {
    set(this.root, { "aria-pressed": String(pressed) });
  }

  #entitle(state: NodeState | null): void {
    const kind = kindShown(state, this.#direction) ? 16 + this.#ruler.width(this.#node.kind, "small") : 0;
    const room = this.#box.width - indent(state) - PADDING - kind;
    say(this.#title, this.#ruler.cut(this.#node.title, "title", room + 1));
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

  /** A cell for each item, or one plain bar when there are too many to see apart. */
  #count(progress: NodeState["progress"]): void {
    if (!progress) return this.#cells.remove();
    const [done, total] = progress;
    const cells = total > MOST_CELLS ? [done, total - done] : Array.from({ length: total }, () => 1);
    if (!this.#cells.isConnected) this.root.append(this.#cells);
    this.#cells.replaceChildren(...this.#bars(cells, total, done));
  }

  #bars(cells: number[], total: number, done: number): SVGElement[] {
    const gap = cells.length === 2 && total > MOST_CELLS ? 0 : 1.5;
    const unit = (this.#box.width - 2 * PADDING - gap * (cells.length - 1)) / Math.max(1, total);
    let [x, counted] = [PADDING, 0];
    return cells.map((items) => {
      const bar = svg("rect", { class: counted < done ? "item done" : "item", x, y: 48, width: items * unit, height: 8, rx: 1 });
      x += items * unit + gap;
      counted += items;
      return bar;
    });
  }
}
