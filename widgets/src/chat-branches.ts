// The branches of a conversation as tabs. Going on with another one is a deed, so arrow keys only lead there.

import { html, set } from "./dom";

export class Branches {
  readonly root = html("div", { class: "row branch-tabs", hidden: true });
  readonly #list = html("div", { class: "seg", role: "tablist", "aria-label": "Branches" });
  readonly #onChoose: (branch: string) => void;
  #names: string[] = [];
  #head = "";

  constructor(onChoose: (branch: string) => void) {
    this.#onChoose = onChoose;
    this.root.append(html("span", { class: "soft small only-wide" }, "branch"), this.#list);
    this.#list.addEventListener("keydown", (event) => this.#key(event));
    new ResizeObserver(() => this.#reveal()).observe(this.#list);
  }

  show(names: string[], head: string, open: boolean): void {
    this.root.hidden = names.length < 2;
    if (names.join("\n") !== this.#names.join("\n")) this.#list.replaceChildren(...names.map((name) => this.#tab(name)));
    this.#names = names;
    this.#head = head;
    for (const tab of this.#tabs) {
      const isHead = tab.textContent === head;
      set(tab, { "aria-selected": String(isHead), tabindex: isHead ? 0 : -1, "aria-disabled": String(!open && !isHead) });
    }
    this.#reveal();
  }

  /** Only the tabs are moved: the notebook stays where its reader is. */
  #reveal(): void {
    const head = this.#tabs.find((tab) => tab.getAttribute("aria-selected") === "true");
    if (!head || this.root.contains(document.activeElement)) return;
    const [tabs, tab] = [this.#list.getBoundingClientRect(), head.getBoundingClientRect()];
    if (tab.left < tabs.left) this.#list.scrollLeft -= tabs.left - tab.left;
    else if (tab.right > tabs.right) this.#list.scrollLeft += tab.right - tabs.right;
  }

  get #tabs(): HTMLButtonElement[] {
    return [...this.#list.querySelectorAll("button")];
  }

  #tab(name: string): HTMLButtonElement {
    const tab = html("button", { type: "button", role: "tab" }, name);
    tab.addEventListener("click", () => {
      if (tab.getAttribute("aria-disabled") !== "true" && name !== this.#head) this.#onChoose(name);
    });
    return tab;
  }

  #key(event: KeyboardEvent): void {
    const tabs = this.#tabs;
    const at = tabs.indexOf(document.activeElement as HTMLButtonElement);
    const goal = { ArrowRight: at + 1, ArrowLeft: at - 1 + tabs.length, Home: 0, End: tabs.length - 1 }[event.key];
    if (goal === undefined || at < 0) return;
    tabs[goal % tabs.length]?.focus();
    event.preventDefault();
  }
}
