// What a run asks people: a card for each open question, a line for each answer, on top of every view of the run.

import { html, say } from "./dom";
import { grow } from "./grown";
import type { Question } from "./protocol";
import { showStatus, statusMark } from "./status";
import * as words from "./words";

/** Where the reader stands: nobody can answer in the past, or when nobody listens any more. */
export interface Standpoint {
  now: number;
  open: boolean;
}

type Send = (question: string, value: string) => void;

// A free answer grows with its text up to so many lines.
const LINES = 8;

export class Questions {
  readonly root = html("div", { class: "asks", hidden: true });
  readonly #send: Send;
  readonly #cards = new Map<string, Card>();
  readonly #news = html("span", { class: "hidden", "aria-live": "polite" });

  constructor(send: Send) {
    this.#send = send;
  }

  /** Show what was asked, the oldest first; what somebody is typing stays. */
  show(questions: Question[], standpoint: Standpoint): void {
    const known = new Set(this.#cards.keys());
    const cards = questions.map((question) => this.#card(question));
    for (const [index, question] of questions.entries()) cards[index]!.show(question, standpoint);
    const ids = new Set(questions.map(({ id }) => id));
    for (const id of this.#cards.keys()) if (!ids.has(id)) this.#cards.delete(id);
    this.#arrange([this.#news, ...cards.map(({ root }) => root)]);
    this.root.hidden = questions.length === 0;
    const fresh = questions.filter(({ id, answer }) => !known.has(id) && answer === null);
    if (fresh.length > 0) say(this.#news, fresh.map((question) => `${asker(question)} asks: ${question.text}`).join(" "));
  }

  /** Time has passed. */
  tick(now: number): void {
    for (const card of this.#cards.values()) card.tick(now);
  }

  /** An answer that was given here did not fit. */
  refuse(question: string, message: string): void {
    this.#cards.get(question)?.refuse(message);
  }

  #card(question: Question): Card {
    const card = this.#cards.get(question.id) ?? new Card(question, this.#send);
    this.#cards.set(question.id, card);
    return card;
  }

  /** What is there already is not moved: it may have the focus. */
  #arrange(parts: HTMLElement[]): void {
    for (const [index, part] of parts.entries()) {
      const there = this.root.children[index] ?? null;
      if (there !== part) this.root.insertBefore(part, there);
    }
    while (this.root.children.length > parts.length) this.root.lastChild!.remove();
  }
}

/** One question: as long as it is open with buttons or a text box, then one line for the record. */
class Card {
  readonly root: HTMLElement;
  #question: Question;
  readonly #mark = statusMark("waiting");
  readonly #when = html("span", { class: "soft" });
  readonly #asked = html("span", { class: "soft cut asked" });
  readonly #answer = html("b", { class: "cut answer" });
  readonly #refusal = html("p", { class: "bad refusal", role: "alert", hidden: true });
  readonly #box: HTMLTextAreaElement | null;
  readonly #buttons: HTMLButtonElement[];
  #sent = false;
  #open = true;

  constructor(question: Question, send: Send) {
    this.#question = question;
    const { choices, field } = question;
    const give = (value: string) => {
      if (this.#sent) return;
      this.#sent = true;
      this.#refusal.hidden = true;
      this.#allow();
      send(question.id, value);
    };
    this.#box = field === null ? null : html("textarea", { rows: 1, "aria-label": "Answer", placeholder: field });
    const choose = choices.map((choice, index) => button(choice, index === 0, () => give(choice)));
    const free = this.#box ? [button("Answer", choices.length === 0, () => give(this.#box!.value))] : [];
    this.#buttons = [...choose, ...free];
    this.#box?.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      give(this.#box!.value);
    });
    this.#box?.addEventListener("input", () => grow(this.#box!, LINES));
    const label = question.tool === null ? `Question: ${asker(question)}` : `Approval: ${question.tool}`;
    const words = html("div", { class: "grow said" }, this.#title(), ...about(question));
    const ways = html("div", { class: "row wrap ways" }, ...choose, this.#box && html("div", { class: "row free" }, this.#box, ...free));
    this.root = html("section", { class: "ask", role: "group", "aria-label": label, tabindex: -1 }, words, ways, this.#refusal);
  }

  show(question: Question, { now, open }: Standpoint): void {
    this.#question = question;
    this.#open = open && question.answer === null;
    if (!open) this.#sent = false;
    const answered = question.answer !== null;
    this.root.classList.toggle("answered", answered);
    showStatus(this.#mark, answered ? "succeeded" : "waiting", answered ? "answered" : "waiting");
    say(this.#asked, answered ? question.text : "");
    say(this.#answer, question.answer ?? "");
    this.#allow();
    this.tick(now);
  }

  tick(now: number): void {
    const { answered_at, asked_at, by, until } = this.#question;
    const waited = words.moment(Math.max(0, (answered_at ?? now) - asked_at));
    const left = until === null || !this.#open ? "" : `, ${words.moment(Math.max(0, until - now))} left`;
    say(this.#when, answered_at === null ? `asked ${waited} ago${left}` : `by ${by ?? "somebody"}, ${waited}`);
  }

  refuse(message: string): void {
    if (!this.#sent) return; // somebody else's answer, given at another page
    this.#sent = false;
    this.#refusal.hidden = false;
    say(this.#refusal, message);
    this.#allow();
    this.#box?.focus();
  }

  #title(): HTMLElement {
    const { tool } = this.#question;
    const by = tool === null ? "" : `asked by ${asker(this.#question)}`;
    return html("div", { class: "row wrap heading" }, this.#mark, html("b", {}, tool ?? asker(this.#question)), by && html("span", { class: "soft" }, by), this.#asked, this.#answer, this.#when);
  }

  #allow(): void {
    const can = this.#open && !this.#sent;
    // The reader's place is kept when what has the focus can no longer have it.
    if (!can && this.root.contains(document.activeElement)) this.root.focus({ preventScroll: true });
    for (const one of this.#buttons) one.disabled = !can;
    if (this.#box) this.#box.disabled = !can;
  }
}

function button(label: string, main: boolean, onclick: () => void): HTMLButtonElement {
  return html("button", { type: "button", class: main ? "main" : null, onclick }, label);
}

/** Who asks, by the name people gave it. */
function asker({ node, path }: Question): string {
  return (node ?? path).split(/\/| › /).at(-1) || "the run";
}

function about({ text, arguments: given, why }: Question): HTMLElement[] {
  const pairs = given.map(([name, value]) => html("span", {}, html("span", { class: "soft" }, name), " ", html("code", {}, value)));
  const parts = [
    html("p", {}, text),
    pairs.length > 0 && html("div", { class: "row wrap given-with" }, ...pairs),
    why !== null && html("p", { class: "soft why" }, `Why: ${why}`),
  ];
  return parts.filter((part) => part !== false);
}
