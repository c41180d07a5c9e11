// The items of a fan-out as a compact table: each on one line, to be opened to its whole text.

import { html } from "./dom";
import { icon } from "./icons";
import type { Item } from "./protocol";
import { statusMark } from "./status";
import * as words from "./words";

const COLUMNS: [name: string, kind: string][] = [["item", "nr"], ["status", "how"], ["time", "long num"], ["input", ""], ["output", ""]];
// Longer than any line that can be seen; the rest would only make the page heavy.
const LINE = 300;

/** Keeps its rows: while a fan-out works, only those that changed are replaced. */
export class ItemTable {
  readonly root: HTMLElement;
  readonly #count = html("p", { class: "soft small items-count" });
  readonly #body = html("tbody");
  readonly #rows = new Map<number, { text: string; line: HTMLElement; whole: HTMLElement | null }>();
  readonly #open = new Set<number>();

  constructor() {
    const columns = html("colgroup", {}, ...COLUMNS.map(([, kind]) => html("col", { class: kind })));
    const names = html("tr", {}, ...COLUMNS.map(([name, kind]) => html("th", { scope: "col", class: kind }, name)));
    const table = html("table", {}, columns, html("thead", {}, names), this.#body);
    this.root = html("div", {}, this.#count, html("div", { class: "items" }, table));
  }

  show(items: Item[], total: number): void {
    this.#count.hidden = total <= items.length;
    this.#count.textContent = shownOf(items, total);
    for (const item of items) this.#row(item);
    const rows = items.flatMap(({ item }) => [this.#rows.get(item)!.line, this.#rows.get(item)!.whole].filter((row) => row !== null));
    // Rows only ever join; the ones that are there keep their place, and the reader's.
    for (const [index, row] of rows.entries()) {
      const there = this.#body.children[index] ?? null;
      if (there !== row) this.#body.insertBefore(row, there);
    }
    while (this.#body.children.length > rows.length) this.#body.lastChild!.remove();
  }

  #row(item: Item): void {
    const text = JSON.stringify(item);
    const known = this.#rows.get(item.item);
    if (known?.text === text) return;
    const isFocused = known?.line.contains(document.activeElement) ?? false;
    const row = { text, line: this.#line(item), whole: this.#open.has(item.item) ? whole(item) : null };
    known?.whole?.remove();
    known?.line.replaceWith(row.line);
    if (isFocused) row.line.querySelector("button")?.focus({ preventScroll: true });
    this.#rows.set(item.item, row);
  }

  #line(item: Item): HTMLElement {
    const expanded = { "aria-expanded": String(this.#open.has(item.item)), onclick: () => this.#toggle(item, toggle) };
    const toggle = html("button", { type: "button", ...expanded }, icon("fold"), words.whole(item.item));
    const result = item.error ?? item.output ?? "";
    return html(
      "tr",
      {},
      html("td", {}, toggle),
      html("td", {}, statusMark(item.status)),
      html("td", { class: "num" }, item.seconds === null ? "" : words.seconds(item.seconds)),
      html("td", {}, oneLine(item.input)),
      html("td", { class: item.error === null ? "" : "bad" }, oneLine(result)),
    );
  }

  #toggle(item: Item, toggle: HTMLElement): void {
    const row = this.#rows.get(item.item)!;
    const isOpen = !this.#open.delete(item.item);
    if (isOpen) this.#open.add(item.item);
    toggle.setAttribute("aria-expanded", String(isOpen));
    row.whole?.remove();
    row.whole = isOpen ? whole(item) : null;
    if (row.whole) row.line.after(row.whole);
    row.whole?.scrollIntoView({ block: "nearest" });
  }
}

/** `first 200 of 10,000, and 3 failed`: the items from the start on, and those that are told because they failed. */
function shownOf(items: Item[], total: number): string {
  const gap = items.findIndex(({ item }, index) => index > 0 && item !== items[index - 1]!.item + 1);
  const first = gap < 0 ? items.length : gap;
  const failed = items.length - first;
  return `first ${words.whole(first)} of ${words.whole(total)}${failed > 0 ? `, and ${words.whole(failed)} failed` : ""}`;
}

function oneLine(text: string): string {
  return text.slice(0, LINE).replace(/\s+/g, " ");
}

function whole({ input, output, error }: Item): HTMLElement {
  const texts: [label: string, text: string | null, tone: string][] = [["input", input, ""], ["output", output, ""], ["error", error, "bad"]];
  const told = texts.filter(([, text]) => text !== null);
  const values = told.map(([label, text, tone]) => {
    return html("div", { class: "value" }, html("p", { class: "soft small" }, label), html("pre", { class: tone }, text));
  });
  return html("tr", { class: "whole" }, html("td", { colspan: COLUMNS.length }, ...values));
}
