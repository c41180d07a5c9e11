// The list of sessions, with the box that finds some of them. Names are looked up here, what was said in the kernel.

import type { SessionRow } from "./browsing";
import { html, say, set } from "./dom";
import * as words from "./words";

const SEARCH_AFTER = 150;

interface Listed {
  item: HTMLLIElement;
  button: HTMLButtonElement;
  name: HTMLElement;
  time: HTMLElement;
  about: HTMLElement;
}

interface Asked {
  onChoose(session: string): void;
  onFind(words: string): void;
  now(): number;
}

/** Keeps its buttons: a session that was used again moves up and stays the same element. */
export class SessionList {
  readonly root: HTMLElement;
  readonly #asked: Asked;
  readonly #search = html("input", { type: "search", "aria-label": "Find a session", placeholder: "Find a session", autocomplete: "off" });
  readonly #list = html("ul", { class: "sessions" });
  readonly #none = html("p", { class: "soft none", hidden: true });
  readonly #listed = new Map<string, Listed>();
  #rows: SessionRow[] = [];
  #chosen = "";
  /** The words that were looked for, and where the kernel found them. */
  #said: { words: string; sessions: Set<string> } = { words: "", sessions: new Set() };
  #due: ReturnType<typeof setTimeout> | undefined;

  constructor(asked: Asked) {
    this.#asked = asked;
    this.root = html("nav", { class: "side", "aria-label": "Sessions" }, html("div", { class: "find" }, html("h2", {}, "Sessions"), this.#search), this.#list, this.#none);
    this.#search.addEventListener("input", () => this.#look());
    this.#search.addEventListener("keydown", (event) => this.#leave(event));
    this.#list.addEventListener("keydown", (event) => this.#walk(event));
  }

  show(rows: SessionRow[], chosen: string): void {
    this.#rows = rows;
    this.#chosen = chosen;
    const names = new Set(rows.map(({ session }) => session));
    for (const session of this.#listed.keys()) if (!names.has(session)) this.#drop(session);
    rows.forEach((row, index) => {
      const { item } = this.#paint(row);
      if (this.#list.children[index] !== item) this.#list.insertBefore(item, this.#list.children[index] ?? null);
    });
    this.#filter();
  }

  /** Time has passed. */
  tick(): void {
    for (const row of this.#rows) say(this.#listed.get(row.session)!.time, ago(this.#asked.now() - row.last_at));
  }

  /** The kernel has found words in what was said. */
  found(text: string, sessions: string[]): void {
    this.#said = { words: text, sessions: new Set(sessions) };
    this.#filter();
  }

  #paint(row: SessionRow): Listed {
    const listed = this.#listed.get(row.session) ?? this.#make(row.session);
    const branches = words.count(row.branches, "branch", "branches");
    say(listed.about, [row.agent, words.count(row.turns, "turn"), branches].filter(Boolean).join(", "));
    say(listed.time, ago(this.#asked.now() - row.last_at));
    set(listed.button, { "aria-current": row.session === this.#chosen ? "true" : null });
    return listed;
  }

  #drop(session: string): void {
    this.#listed.get(session)?.item.remove();
    this.#listed.delete(session);
  }

  #make(session: string): Listed {
    const [name, time, about] = [html("b", { class: "cut grow" }, session), html("span", { class: "soft small" }), html("span", { class: "soft small cut" })];
    const button = html("button", { type: "button", class: "sess", onclick: () => this.#asked.onChoose(session) }, html("span", { class: "row" }, name, time), about);
    const listed = { item: html("li", {}, button), button, name, time, about };
    this.#listed.set(session, listed);
    return listed;
  }

  // ---------- finding ----------

  #look(): void {
    clearTimeout(this.#due);
    const wanted = this.#wanted();
    if (wanted) this.#due = setTimeout(() => this.#asked.onFind(wanted), SEARCH_AFTER);
    this.#filter();
  }

  #wanted(): string {
    return plain(this.#search.value);
  }

  #filter(): void {
    const wanted = this.#wanted();
    const said = this.#said.words === wanted ? this.#said.sessions : new Set();
    for (const [session, { item }] of this.#listed) item.hidden = !plain(session).includes(wanted) && !said.has(session);
    const shown = this.#shown();
    const stop = shown.find((button) => button.hasAttribute("aria-current")) ?? shown[0];
    for (const { button } of this.#listed.values()) set(button, { tabindex: button === stop ? 0 : -1 });
    this.#none.hidden = shown.length > 0;
    say(this.#none, wanted ? "Nowhere were these words said." : "");
  }

  #shown(): HTMLButtonElement[] {
    return this.#rows.map(({ session }) => this.#listed.get(session)!).filter(({ item }) => !item.hidden).map(({ button }) => button);
  }

  // ---------- the keyboard ----------

  #leave(event: KeyboardEvent): void {
    if (event.key === "ArrowDown") this.#shown()[0]?.focus();
    else if (event.key === "Escape" && this.#search.value) {
      this.#search.value = "";
      this.#look();
    } else return;
    event.preventDefault();
  }

  #walk(event: KeyboardEvent): void {
    const shown = this.#shown();
    const at = shown.indexOf(document.activeElement as HTMLButtonElement);
    if (event.key === "ArrowUp" && at === 0) this.#search.focus();
    const goal = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: shown.length - 1 }[event.key];
    if (at < 0 || goal === undefined) return;
    shown[goal]?.focus();
    event.preventDefault();
  }
}

/** `now`, `26 m ago`, `2 h ago`, `yesterday`, `3 days ago`. */
export function ago(seconds: number): string {
  const minutes = Math.floor(seconds / 60);
  if (minutes < 1) return "now";
  if (minutes < 60) return `${minutes} m ago`;
  if (minutes < 24 * 60) return `${Math.floor(minutes / 60)} h ago`;
  const days = Math.floor(minutes / (24 * 60));
  return days === 1 ? "yesterday" : `${words.whole(days)} days ago`;
}

function plain(text: string): string {
  return text.toLowerCase().split(/\s+/).filter(Boolean).join(" ");
}
