// The conversation of a run: an article a message. A message that grows gets more text in the text
// node it has; nothing is painted twice, so a long log streams without flicker.

import { callCard } from "./call";
import { html, say } from "./dom";
import { icon, type Icon } from "./icons";
import type { Message, Part } from "./protocol";
import * as words from "./words";

const SYMBOLS: Record<Message["role"], Icon> = { person: "person", agent: "agent", tool: "tool", system: "agent" };
// Nearer to the end than this, the reader is following.
const NEAR = 24;

interface Row {
  root: HTMLElement;
  /** The text node of each part, to append to; folded cards have none. */
  texts: (Text | null)[];
  painted: Message;
}

export class Conversation {
  readonly root: HTMLElement;
  readonly #list: HTMLOListElement;
  readonly #count = html("span", { class: "soft small" });
  readonly #scroller = html("div", { class: "talk", tabindex: 0 });
  readonly #empty = html("p", { class: "empty soft" }, "Nothing has been said yet.");
  readonly #rows = new Map<string, Row>();
  #following = true;

  constructor() {
    this.#list = html("ol", { class: "log", role: "log" });
    this.#scroller.append(this.#empty, this.#list);
    this.#scroller.addEventListener("scroll", () => (this.#following = this.#isAtEnd()), { passive: true });
    this.root = html("div", {}, html("div", { class: "row counts" }, html("span", { class: "grow" }), this.#count), this.#scroller);
  }

  /** Show all messages; rows that are already right stay as they are. */
  show(name: string, messages: ReadonlyMap<string, Message>): void {
    this.#list.setAttribute("aria-label", `Conversation of ${name}`);
    for (const [id, row] of this.#rows)
      if (!messages.has(id)) {
        row.root.remove();
        this.#rows.delete(id);
      }
    this.update(messages, messages.keys());
  }

  /** Paint the messages that are new or have changed. */
  update(messages: ReadonlyMap<string, Message>, ids: Iterable<string>): void {
    const fresh: HTMLElement[] = [];
    for (const id of ids) {
      const message = messages.get(id);
      const row = this.#rows.get(id);
      if (!message) continue;
      if (row && grew(row.painted, message)) grow(row, message);
      else if (row) this.#repaint(row, message);
      else fresh.push(this.#add(message));
    }
    this.#list.append(...fresh);
    this.#summarize(messages);
    this.follow();
  }

  /** Stay at the end if the reader is there. */
  follow(): void {
    if (this.#following) this.#scroller.scrollTop = this.#scroller.scrollHeight;
  }

  #add(message: Message): HTMLElement {
    const row = drawRow(message, new Set());
    this.#rows.set(message.id, row);
    return row.root;
  }

  #repaint(row: Row, message: Message): void {
    const open = new Set([...row.root.querySelectorAll("details[open]")].map((fold) => fold.getAttribute("data-call") ?? ""));
    const fresh = drawRow(message, open);
    row.root.replaceWith(fresh.root);
    this.#rows.set(message.id, fresh);
  }

  #summarize(messages: ReadonlyMap<string, Message>): void {
    let calls = 0;
    for (const message of messages.values()) for (const part of message.parts) if (part.type === "call") calls++;
    const parts = [words.count(messages.size, "message"), calls > 0 && words.count(calls, "tool call")];
    say(this.#count, parts.filter(Boolean).join(", "));
    this.#empty.hidden = messages.size > 0;
    this.#list.hidden = messages.size === 0;
  }

  #isAtEnd(): boolean {
    const { scrollHeight, scrollTop, clientHeight } = this.#scroller;
    return scrollHeight - scrollTop - clientHeight < NEAR;
  }
}

/** Only text was added at the end of parts: the rest of the message is the same object. */
function grew(painted: Message, now: Message): boolean {
  return painted === now;
}

function grow(row: Row, message: Message): void {
  message.parts.forEach((part, index) => {
    const text = row.texts[index];
    if (text && "text" in part && part.text.length > text.length) text.appendData(part.text.slice(text.length));
  });
}

function drawRow(message: Message, open: Set<string>): Row {
  const texts: Row["texts"] = [];
  const parts = message.parts.map((part) => drawPart(part, open, texts));
  if (message.writing) writeCaret(parts, texts);
  const failed = message.error !== null && html("p", { class: "bad" }, message.error);
  const article = html("article", { class: "msg", "aria-label": message.sender }, byline(message), ...parts, failed);
  const root = html("li", { class: message.role === "person" ? "turn-row you" : "turn-row" }, article);
  return { root, texts, painted: message };
}

function byline({ sender, role, note, tokens, at, writing, simulated }: Message): HTMLElement {
  const beside = writing ? html("span", { class: "accent" }, "writing") : tokens === null ? "" : words.count(tokens, "token");
  return html(
    "header",
    { class: "row" },
    html("span", { class: "who" }, icon(SYMBOLS[role]), html("b", {}, sender)),
    html("span", { class: "soft cut" }, note || role),
    simulated && html("span", { class: "tag" }, "simulated"),
    html("span", { class: "grow" }),
    html("span", { class: "soft small" }, beside),
    html("time", { class: "soft small" }, words.moment(at)),
  );
}

function drawPart(part: Part, open: Set<string>, texts: Row["texts"]): HTMLElement {
  if (part.type === "call") {
    texts.push(null);
    return callCard(part, open.has(part.id));
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

