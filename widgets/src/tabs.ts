// A tablist as assistive technology expects it: one stop for Tab, arrow keys within.

import { html, say, set } from "./dom";

export interface Tab {
  id: string;
  label: string;
}

let made = 0;

export class Tabs {
  readonly root: HTMLElement;
  readonly panel: HTMLElement;
  readonly #onChoose: (id: string) => void;
  readonly #prefix = `quire-tabs-${++made}`;
  #buttons = new Map<string, HTMLButtonElement>();
  #chosen = "";

  constructor(label: string, onChoose: (id: string) => void) {
    this.#onChoose = onChoose;
    this.root = html("div", { class: "tabs", role: "tablist", "aria-label": label });
    this.panel = html("div", { role: "tabpanel", id: this.#prefix });
    this.root.addEventListener("keydown", (event) => this.#key(event));
  }

  get chosen(): string {
    return this.#chosen;
  }

  /** Offer these tabs; the choice stays if it is still among them. */
  offer(tabs: Tab[], preferred: string): void {
    if (tabs.map((tab) => tab.id).join() !== [...this.#buttons.keys()].join()) this.#rebuild(tabs);
    for (const { id, label } of tabs) say(this.#buttons.get(id)!, label);
    if (!this.#buttons.has(this.#chosen)) this.choose(this.#buttons.has(preferred) ? preferred : (tabs[0]?.id ?? ""));
  }

  choose(id: string): void {
    this.#chosen = id;
    for (const [name, button] of this.#buttons) set(button, { "aria-selected": String(name === id), tabindex: name === id ? 0 : -1 });
    set(this.panel, { "aria-labelledby": `${this.#prefix}-${id}` });
    this.#onChoose(id);
  }

  #rebuild(tabs: Tab[]): void {
    this.#buttons = new Map(tabs.map(({ id }) => [id, this.#button(id)]));
    this.root.replaceChildren(...this.#buttons.values());
    if (this.#buttons.has(this.#chosen)) set(this.#buttons.get(this.#chosen)!, { "aria-selected": "true", tabindex: 0 });
  }

  #button(id: string): HTMLButtonElement {
    const states = { "aria-selected": "false", "aria-controls": this.#prefix, tabindex: -1 };
    return html("button", { type: "button", role: "tab", id: `${this.#prefix}-${id}`, ...states, onclick: () => this.choose(id) });
  }

  #key(event: KeyboardEvent): void {
    const ids = [...this.#buttons.keys()];
    const at = ids.indexOf(this.#chosen);
    const goal = { ArrowRight: at + 1, ArrowLeft: at - 1 + ids.length, Home: 0, End: ids.length - 1 }[event.key];
    const id = goal === undefined ? undefined : ids[goal % ids.length];
    if (id === undefined) return;
    this.choose(id);
    this.#buttons.get(id)?.focus();
    event.preventDefault();
  }
}
