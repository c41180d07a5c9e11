// The conversation of a run: an article a message. A message that grows gets more text in the text
// node it has; nothing is painted twice, so a long log streams without flicker.

import { callCard } from "./call";
import { html, say } from "./dom";
import { fileCard } from "./file";
import { icon, type Icon } from "./icons";
import type { Message, Part } from "./protocol";
import * as words from "./words";

const SYMBOLS: Record<Message["role"], Icon> = { person: "person", agent: "agent", tool: "tool", system: "agent" };
// Nearer to the end than this, the reader is following.
const NEAR = 24;

// Rows come in leaves: those far from the reader's eye are drawn when there is time, and skipped in layout.
const LEAF = 50;
const ROW_HEIGHT = 96;
const MARGIN = "1500px";

interface Row {
  root: HTMLElement;
  /** The text node of each part, to append to; files and calls have none. */
  texts: (Text | null)[];
  painted: Message;
}

interface Leaf {
  root: HTMLOListElement;
  ids: string[];
  drawn: boolean;
}

type Messages = ReadonlyMap<string, Message>;

/** What a chat adds to the messages: something in the head of one, and something after it. */
export interface Additions {
  beside(message: Message): HTMLElement | null;
  after(message: Message): HTMLElement[];
}

const NOTHING: Additions = { beside: () => null, after: () => [] };

export class Conversation {
  readonly root: HTMLElement;
  /** The row above the messages. */
  readonly bar = html("div", { class: "row counts" }, html("span", { class: "grow" }));
  readonly #additions: Additions;
  readonly #log = html("div", { class: "log", role: "log" });
  readonly #count = html("span", { class: "soft small" });
  readonly #scroller = html("div", { class: "talk", tabindex: 0 });
  readonly #empty = html("p", { class: "empty soft" }, "Nothing has been said yet.");
  readonly #rows = new Map<string, Row>();
  readonly #leaves: Leaf[] = [];
  readonly #leafOf = new Map<string, Leaf>();
  readonly #near: IntersectionObserver;
  #messages: Messages = new Map();
  #following = true;
  #drawing = false;

  constructor(additions = NOTHING) {
    this.#additions = additions;
    this.bar.append(this.#count);
    this.#scroller.append(this.#empty, this.#log);
    this.#scroller.addEventListener("scroll", () => (this.#following = this.#isAtEnd()), { passive: true });
    this.#near = new IntersectionObserver((seen) => this.#approach(seen), { root: this.#scroller, rootMargin: MARGIN });
    this.root = html("div", {}, this.bar, this.#scroller);
    new ResizeObserver(() => this.follow()).observe(this.#scroller);
  }

  /** Show all messages; rows that are already right stay as they are. */
  show(name: string, messages: Messages): void {
    this.#log.setAttribute("aria-label", `Conversation of ${name}`);
    this.#cut(messages);
    if ([...this.#leafOf.keys()].some((id) => !messages.has(id))) this.#clear();
    this.update(messages, messages.keys());
    this.#summarize();
  }

  /** Paint the messages that are new or have changed. */
  update(messages: Messages, ids: Iterable<string>): void {
    this.#messages = messages;
    let whole = false;
    for (const id of ids) whole = this.#paint(id) || whole;
    const last = this.#leaves[this.#leaves.length - 1];
    if (last) this.#draw(last);
    if (whole) this.#summarize();
    this.follow();
    this.#drawRest();
  }

  /** Stay at the end if the reader is there. Asking for heights costs a layout: not while nobody looks. */
  follow(): void {
    if (this.#following && !this.root.hidden) this.#scroller.scrollTop = this.#scroller.scrollHeight;
  }

  /** Go to the end, and stay there. */
  toEnd(): void {
    this.#following = true;
    this.follow();
  }

  /** True if more than text was added to a known message. */
  #paint(id: string): boolean {
    const message = this.#messages.get(id);
    const row = this.#rows.get(id);
    if (!message) return false;
    if (row && isSame(row.painted, message)) {
      row.painted = message;
      grow(row, message);
    } else if (row) this.#repaint(row, message);
    else if (!this.#leafOf.has(id)) this.#add(message);
    return row?.painted !== message;
  }

  #repaint(row: Row, message: Message): void {
    const open = new Set([...row.root.querySelectorAll("details[open]")].map((fold) => fold.getAttribute("data-call") ?? ""));
    const fresh = drawRow(message, open, this.#additions);
    row.root.replaceWith(fresh.root);
    this.#rows.set(message.id, fresh);
  }

  #add(message: Message): void {
    const last = this.#leaves[this.#leaves.length - 1];
    const leaf = last && last.ids.length < LEAF ? last : this.#turnLeaf();
    leaf.ids.push(message.id);
    this.#leafOf.set(message.id, leaf);
    if (leaf.drawn) this.#drawInto(leaf, [message.id]);
  }

  /** At an earlier moment less had been said: what came later is taken off the end. */
  #cut(messages: Messages): void {
    for (let leaf = this.#leaves.at(-1); leaf; leaf = this.#leaves.at(-1)) {
      for (let id = leaf.ids.at(-1); id !== undefined && !messages.has(id); id = leaf.ids.at(-1)) this.#drop(leaf, id);
      if (leaf.ids.length > 0) return;
      this.#near.unobserve(leaf.root);
      leaf.root.remove();
      this.#leaves.pop();
    }
  }

  #drop(leaf: Leaf, id: string): void {
    leaf.ids.pop();
    this.#rows.get(id)?.root.remove();
    this.#rows.delete(id);
    this.#leafOf.delete(id);
  }

  #clear(): void {
    for (const leaf of this.#leaves.splice(0)) leaf.root.remove();
    this.#rows.clear();
    this.#leafOf.clear();
  }

  // ---------- leaves ----------

  #turnLeaf(): Leaf {
    const leaf = { root: html("ol", { class: "leaf" }), ids: [], drawn: false };
    leaf.root.style.minHeight = `${LEAF * ROW_HEIGHT}px`;
    this.#leaves.push(leaf);
    this.#log.append(leaf.root);
    this.#near.observe(leaf.root);
    return leaf;
  }

  #draw(leaf: Leaf): void {
    if (leaf.drawn) return;
    leaf.drawn = true;
    leaf.root.style.minHeight = "";
    this.#near.unobserve(leaf.root);
    this.#drawInto(leaf, leaf.ids);
  }

  #drawInto(leaf: Leaf, ids: string[]): void {
    const rows = ids.map((id) => [id, drawRow(this.#messages.get(id)!, new Set(), this.#additions)] as const);
    for (const [id, row] of rows) this.#rows.set(id, row);
    leaf.root.append(...rows.map(([, row]) => row.root));
  }

  #approach(seen: IntersectionObserverEntry[]): void {
    const roots = new Set(seen.filter((entry) => entry.isIntersecting).map((entry) => entry.target));
    for (const leaf of this.#leaves) if (roots.has(leaf.root)) this.#draw(leaf);
    this.follow();
  }

  /** One leaf at a time, from the end, whenever the page has nothing better to do. */
  #drawRest(): void {
    if (this.#drawing) return;
    const leaf = this.#leaves.findLast((leaf) => !leaf.drawn);
    if (!leaf) return;
    this.#drawing = true;
    idle(() => {
      this.#drawing = false;
      this.#draw(leaf);
      this.follow();
      this.#drawRest();
    });
  }

  #summarize(): void {
    let calls = 0;
    for (const message of this.#messages.values()) for (const part of message.parts) if (part.type === "call") calls++;
    const parts = [this.#messages.size > 0 && words.count(this.#messages.size, "message"), calls > 0 && words.count(calls, "tool call")];
    say(this.#count, parts.filter(Boolean).join(", "));
    this.#empty.hidden = this.#messages.size > 0;
    this.#log.hidden = this.#messages.size === 0;
  }

  #isAtEnd(): boolean {
    const { scrollHeight, scrollTop, clientHeight } = this.#scroller;
    return scrollHeight - scrollTop - clientHeight < NEAR;
  }
}

function idle(work: () => void): void {
  if ("requestIdleCallback" in globalThis) requestIdleCallback(work);
  else setTimeout(work);
}

/** The same, or another object with the same in it, as it is after a look at the past. */
function isSame(painted: Message, message: Message): boolean {
  return painted === message || JSON.stringify(painted) === JSON.stringify(message);
}

function grow(row: Row, message: Message): void {
  message.parts.forEach((part, index) => {
    const text = row.texts[index];
    if (text && "text" in part && part.text.length > text.length) text.appendData(part.text.slice(text.length));
  });
}

function drawRow(message: Message, open: Set<string>, { beside, after }: Additions): Row {
  const texts: Row["texts"] = [];
  const parts = message.parts.map((part) => drawPart(part, open, texts));
  if (message.writing) writeCaret(parts, texts);
  const failed = message.error !== null && html("p", { class: "bad" }, message.error);
  const article = html("article", { class: "msg", "aria-label": message.sender }, byline(message, beside(message)), ...parts, failed);
  const root = html("li", { class: message.role === "person" ? "turn-row you" : "turn-row" }, article, ...after(message));
  return { root, texts, painted: message };
}

function byline({ sender, role, note, tokens, at, writing, simulated }: Message, added: HTMLElement | null): HTMLElement {
  const beside = writing ? html("span", { class: "accent" }, "writing") : tokens === null ? "" : words.count(tokens, "token");
  return html(
    "header",
    { class: "row" },
    html("span", { class: "who" }, icon(SYMBOLS[role]), html("b", {}, sender)),
    html("span", { class: "soft cut" }, note || role),
    simulated && html("span", { class: "tag" }, "simulated"),
    html("span", { class: "grow" }),
    html("span", { class: "soft small" }, beside),
    at !== null && html("time", { class: "soft small" }, words.moment(at)),
    added,
  );
}

function drawPart(part: Part, open: Set<string>, texts: Row["texts"]): HTMLElement {
  if (part.type === "call") {
    texts.push(null);
    const card = callCard(part, open.has(part.id));
    return part.files ? html("div", { class: "gave" }, card, ...part.files.map(fileCard)) : card;
  }
  if (part.type === "file") {
    texts.push(null);
    return fileCard(part);
  }
  const text = document.createTextNode(part.text);
  texts.push(text);
  if (part.type === "thinking") return thought(part, text, open.has("thought"));
  return html(part.type === "data" ? "pre" : "p", {}, text);
}

function thought(part: Extract<Part, { type: "thinking" }>, text: Text, open: boolean): HTMLElement {
  const length = part.seconds === null ? "Thought" : `Thought for ${words.moment(part.seconds)}`;
  const label = part.tokens === null ? length : `${length}, ${words.count(part.tokens, "token")}`;
  const summary = html("summary", { class: "row soft" }, icon("fold"), label);
  return html("details", { class: "think", open, "data-call": "thought" }, summary, html("p", { class: "soft" }, text));
}

/** The caret blinks where the next word will appear; thinking and calls are folded, so there it stands below. */
function writeCaret(parts: HTMLElement[], texts: Row["texts"]): void {
  const last = parts[parts.length - 1];
  const caret = html("span", { class: "caret" });
  if (last && texts[texts.length - 1] && last.tagName !== "DETAILS") last.append(caret);
  else parts.push(html("p", {}, caret));
}

