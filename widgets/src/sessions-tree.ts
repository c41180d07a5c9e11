// The branches of a session: a row for each, a dot for each message. However long it is, only the dots in sight are made.

import type { Branch, Mark, Tree } from "./browsing";
import { html, set, svg } from "./dom";
import { icon } from "./icons";

/** Where the first message is from the left of the drawing and from the top, and what is kept free below and at the right. */
const [LEFT, TOP, ROW, FOOT, RIGHT] = [16, 28, 44, 52, 40];
/** The most that the name of a checkpoint after the last message may take. */
const LABEL = 160;
const NAMES = 152;
const [WIDE, NARROW] = [60, 24];
const LETTER = 6.2;

interface At {
  row: number;
  message: number;
}

/** Draws a tree, and tells which of its places is chosen. */
export class BranchTree {
  readonly root = html("div", { class: "branches" });
  readonly #onChoose: (branch: string, message: number) => void;
  readonly #names = html("div", { class: "names", "aria-hidden": "true" });
  readonly #drawing = svg("svg", { class: "tree" });
  readonly #lines = svg("g");
  readonly #flags = svg("g");
  readonly #spots = svg("g");
  readonly #dots = new Map<string, SVGGElement>();
  #tree: Tree | null = null;
  #step = WIDE;
  #last = 1;
  #chosen: At | null = null;
  /** Where Tab enters the tree. */
  #entry: At | null = null;
  #frame = 0;

  constructor(onChoose: (branch: string, message: number) => void) {
    this.#onChoose = onChoose;
    set(this.#drawing, { role: "figure" });
    this.#drawing.append(this.#lines, this.#flags, this.#spots);
    this.root.append(this.#names, this.#drawing);
    this.root.addEventListener("scroll", () => (this.#frame ||= requestAnimationFrame(() => this.#scrolled())), { passive: true });
    this.#drawing.addEventListener("keydown", (event) => this.#key(event));
    new ResizeObserver(() => this.#tree && this.#layOut(this.#tree)).observe(this.root);
  }

  show(tree: Tree): void {
    this.#tree = tree;
    this.#chosen = this.#entry = null;
    this.#layOut(tree);
  }

  /** Mark a place as the chosen one. */
  choose(branch: string, message: number): void {
    const row = this.#row(branch);
    this.#chosen = this.#entry = row < 0 ? null : this.#home({ row, message });
    this.#draw();
  }

  /** Bring the newest message into sight, with as much before it as there is room for. */
  toEnd(): void {
    const row = this.#row(this.#tree?.head ?? "");
    const head = this.#tree?.branches[row];
    if (!head) return;
    const message = Math.max(head.first, head.last);
    const last = message === this.#last ? this.root.scrollWidth : this.#x(message) + NAMES + 2 * RIGHT;
    this.root.scrollLeft = last - this.root.clientWidth;
    this.root.scrollTop = Math.max(0, this.#y(row) + FOOT - this.root.clientHeight);
    this.#draw();
  }

  // ---------- where things are ----------

  #x(message: number): number {
    return LEFT + (message - 1) * this.#step;
  }

  #y(row: number): number {
    return TOP + row * ROW;
  }

  #row(branch: string): number {
    return this.#tree?.branches.findIndex((row) => row.branch === branch) ?? -1;
  }

  /** The row that shows a message of a branch: what is shared is shown by the one that was there first. */
  #home({ row, message }: At): At {
    for (let at = row, guard = 0; guard < 999; guard++) {
      const branch = this.#tree!.branches[at]!;
      const source = branch.origin ? this.#row(branch.origin.name) : -1;
      if (message >= branch.first || source < 0) return { row: at, message };
      at = source;
    }
    return { row, message };
  }

  #layOut(tree: Tree): void {
    const next = tree.branches.map((row) => (row.branch === tree.head ? Math.max(row.first, row.last) : row.last));
    this.#last = Math.max(1, ...next);
    const right = Math.max(RIGHT, ...tree.checkpoints.filter(({ message }) => message === this.#last).map(({ name }) => Math.min(LABEL, 32 + name.length * LETTER)));
    const room = this.root.clientWidth - NAMES - LEFT - right;
    this.#step = Math.max(NARROW, Math.min(WIDE, room / Math.max(1, this.#last - 1)));
    const [width, height] = [this.#x(this.#last) + right, this.#y(tree.branches.length - 1) + FOOT];
    set(this.#drawing, { "aria-label": `Branches of ${tree.session}`, viewBox: `0 0 ${width} ${height}`, width, height });
    this.#names.style.height = `${height}px`;
    const names = tree.branches.map(({ branch }, row) => {
      const name = html("span", { class: branch === tree.head ? "cut is-going" : "cut", title: branch }, branch);
      name.style.top = `${this.#y(row) - 10}px`;
      return name;
    });
    const axis = html("span", { class: "soft small" }, "message");
    axis.style.top = `${height - 20}px`;
    this.#names.replaceChildren(...names, axis);
    this.#draw();
  }

  // ---------- painting ----------

  #draw(): void {
    if (!this.#tree) return;
    this.#drawLines(this.#tree);
    this.#drawFlags(this.#tree);
    this.#scrolled();
  }

  /** The branches that were left come first, so that the one that goes on is on top. */
  #drawLines(tree: Tree): void {
    const ways = tree.branches.flatMap((branch, row) => this.#ways(tree, branch, row));
    const paths = [false, true].map((going) => {
      const d = ways.filter((way) => way.going === going).map((way) => way.d).join("");
      return svg("path", { class: going ? "br cur" : "br", d });
    });
    const y = this.#y(tree.branches.length - 1) + 28;
    this.#lines.replaceChildren(svg("path", { class: "ax", d: `M${this.#x(1)} ${y}H${this.#x(this.#last)}` }), ...paths);
  }

  #ways(tree: Tree, branch: Branch, row: number): { going: boolean; d: string }[] {
    const y = this.#y(row);
    const source = branch.origin && branch.first > 1 ? this.#row(branch.origin.name) : -1;
    const going = Math.min(branch.last, branch.going);
    const ways: [going: boolean, from: number, to: number][] = [[true, branch.first, going], [false, Math.max(going, branch.first), branch.last]];
    const flat = ways.filter(([, from, to]) => from < to).map(([going, from, to]) => ({ going, d: `M${this.#x(from)} ${y}H${this.#x(to)}` }));
    if (source < 0) return flat;
    const [x, k, from] = [this.#x(branch.first - 1), this.#step / WIDE, this.#y(source)];
    const d = `M${x} ${from}C${x + 28 * k} ${from} ${x + 14 * k} ${y} ${this.#x(branch.first)} ${y}`;
    return [{ going: branch.branch === tree.head || branch.going >= branch.first, d }, ...flat];
  }

  #drawFlags({ checkpoints }: Tree): void {
    const named = new Map<string, { at: At; names: string[] }>();
    for (const { name, branch, message } of checkpoints) {
      const at = { row: this.#row(branch), message };
      const flag = named.get(key(at)) ?? { at, names: [] };
      named.set(key(at), flag);
      flag.names.push(name);
    }
    const flags = [...named.values()];
    this.#flags.replaceChildren(
      ...flags.map(({ at, names }) => {
        const next = Math.min(...flags.filter((other) => other.at.row === at.row && other.at.message > at.message).map((other) => other.at.message));
        const room = (Number.isFinite(next) ? (next - at.message) * this.#step : LABEL) - 16;
        const [x, y] = [this.#x(at.message), this.#y(at.row)];
        const mark = icon("mark", { x: x - 6, y: y - 26 });
        set(mark, { width: 12, height: 12 });
        return svg("g", { class: "flag" }, mark, svg("text", { class: "ck", x: x + 8, y: y - 16 }, cut(names.join(", "), room)));
      }),
    );
  }

  /** Make the dots that are in sight, and a little beyond. */
  #scrolled(): void {
    this.#frame = 0;
    const tree = this.#tree;
    if (!tree) return;
    const { scrollLeft, clientWidth } = this.root;
    const from = Math.max(1, Math.floor((scrollLeft - clientWidth) / this.#step));
    const to = Math.min(this.#last, Math.ceil((scrollLeft + 2 * clientWidth) / this.#step));
    const kept = new Set<string>();
    const spots: SVGElement[] = [];
    const add = (at: At) => {
      if (kept.has(key(at))) return;
      kept.add(key(at));
      spots.push(this.#dot(tree, at));
    };
    tree.branches.forEach((branch, row) => {
      for (let message = Math.max(from, branch.first); message <= Math.min(to, branch.last); message++) add({ row, message });
    });
    // Wherever it is scrolled to, the place with the focus stays.
    for (const at of [this.#entry, this.#chosen]) if (at && at.message <= tree.branches[at.row]!.last) add(at);
    for (const name of this.#dots.keys()) if (!kept.has(name)) this.#drop(name);
    for (const spot of spots) if (spot.parentNode !== this.#spots) this.#spots.append(spot);
    this.#ticks(tree, from, to);
  }

  #dot(tree: Tree, at: At): SVGGElement {
    const branch = tree.branches[at.row]!;
    const dot = this.#dots.get(key(at)) ?? this.#newDot(at);
    const { hidden, end, going } = facts(tree, branch, at.message);
    const chosen = same(at, this.#chosen);
    const entry = this.#entry ?? { row: this.#row(tree.head), message: tree.branches[this.#row(tree.head)]?.last ?? 1 };
    const [ring, circle] = [dot.children[0]!, dot.children[1]!];
    set(dot, {
      "aria-label": `${branch.branch}, message ${at.message}`,
      "aria-description": hidden ? "hidden from models" : null,
      "aria-pressed": String(chosen),
      tabindex: same(at, entry) ? 0 : -1,
      transform: `translate(${this.#x(at.message)} ${this.#y(at.row)})`,
    });
    set(circle, { class: ["tn", going && "cur", hidden && "hid", end && "hd"].filter(Boolean).join(" "), r: end ? 5 : 3.5 });
    set(ring, { class: "selr" });
    return dot;
  }

  #drop(name: string): void {
    this.#dots.get(name)?.remove();
    this.#dots.delete(name);
  }

  #newDot(at: At): SVGGElement {
    const choose = () => {
      const branch = this.#tree!.branches[at.row]!.branch;
      this.choose(branch, at.message);
      this.#onChoose(branch, at.message);
    };
    // The ring is also what a finger can hit.
    const dot = svg("g", { class: "spot", role: "button", onclick: choose }, svg("circle", { r: 9 }), svg("circle"));
    this.#dots.set(key(at), dot);
    return dot;
  }

  /** The numbers of the messages, and where the next one of the branch that goes on will be, if it has none yet. */
  #ticks(tree: Tree, from: number, to: number): void {
    const room = `${this.#last}`.length * LETTER + 8;
    const every = [1, 2, 5, 10].find((step) => step * this.#step >= room) ?? 10;
    const y = this.#y(tree.branches.length - 1) + 44;
    const ticks: SVGElement[] = [];
    for (let message = Math.ceil(from / every) * every; message <= to; message += every)
      ticks.push(svg("text", { x: this.#x(message), y, "text-anchor": "middle" }, String(message)));
    const row = this.#row(tree.head);
    const head = tree.branches[row];
    if (head && head.last < head.first) ticks.push(svg("circle", { class: "nx", cx: this.#x(head.first), cy: this.#y(row), r: 5 }));
    for (const old of this.#spots.querySelectorAll(":scope > text, :scope > .nx")) old.remove();
    this.#spots.prepend(...ticks);
  }

  // ---------- the keyboard ----------

  #key(event: KeyboardEvent): void {
    const at = this.#entry ?? this.#chosen;
    if (!at || !this.#tree) return;
    if (event.key === "Enter" || event.key === " ") this.#dots.get(key(at))?.dispatchEvent(new MouseEvent("click", { bubbles: true }));
    else {
      const goal = this.#neighbor(this.#tree, at, event.key);
      if (!goal) return;
      this.#focus(goal);
    }
    event.preventDefault();
  }

  #neighbor({ branches }: Tree, { row, message }: At, pressed: string): At | null {
    const { first, last } = branches[row]!;
    const line = { ArrowRight: message + 1, ArrowLeft: message - 1, Home: 1, End: last }[pressed];
    if (line !== undefined) return line < 1 || line > last ? null : line < first ? this.#home({ row, message: line }) : { row, message: line };
    const way = { ArrowUp: -1, ArrowDown: 1 }[pressed];
    if (way === undefined) return null;
    for (let other = row + way; branches[other]; other += way) {
      const { first, last } = branches[other]!;
      if (first <= last) return { row: other, message: Math.max(first, Math.min(last, message)) };
    }
    return null;
  }

  #focus(at: At): void {
    this.#entry = at;
    const [x, y] = [this.#x(at.message), this.#y(at.row)];
    const room = this.root.clientWidth - NAMES - RIGHT;
    if (x < this.root.scrollLeft + LEFT) this.root.scrollLeft = x - LEFT;
    else if (x > this.root.scrollLeft + room) this.root.scrollLeft = x - room;
    if (y < this.root.scrollTop + TOP) this.root.scrollTop = y - TOP;
    else if (y > this.root.scrollTop + this.root.clientHeight - TOP) this.root.scrollTop = y - this.root.clientHeight + TOP;
    this.#scrolled();
    this.#dots.get(key(at))?.focus({ preventScroll: true });
  }
}

/** What a dot shows: whether it belongs to the branch that goes on, is hidden from models, or is the last of its branch. */
function facts(tree: Tree, branch: Branch, message: number): { going: boolean; hidden: boolean; end: boolean } {
  const going = message <= branch.going;
  const head = tree.branches.find((row) => row.branch === tree.head);
  const isHead = branch === head;
  return { going, hidden: message <= ((going ? head : branch)?.hidden ?? 0), end: message === branch.last && (isHead || branch.going < branch.last) };
}

function key({ row, message }: At): string {
  return `${row} ${message}`;
}

function same(one: At, other: At | null): boolean {
  return other !== null && key(one) === key(other);
}

function cut(text: string, room: number): string {
  const letters = Math.max(0, Math.floor(room / LETTER));
  return text.length <= letters ? text : `${text.slice(0, Math.max(0, letters - 1)).trimEnd()}…`;
}

/** What is at a place of the tree. */
export function namesAt(marks: Mark[], branch: string, message: number): string[] {
  return marks.filter((mark) => mark.branch === branch && mark.message === message).map(({ name }) => name);
}
