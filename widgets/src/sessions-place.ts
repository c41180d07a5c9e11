// The selected message: who said what, and going on from there.

import type { PlaceDetails, Tree } from "./browsing";
import { html, set } from "./dom";
import { icon } from "./icons";
import { namesAt } from "./sessions-tree";
import * as words from "./words";

type Doing = "fork" | "checkpoint";

interface Asked {
  onRestore(): void;
  onFork(into: string): void;
  onCheckpoint(name: string): void;
  /** A name that no session has yet. */
  unused(session: string): string;
}

const FORMS: Record<Doing, { label: string; verb: string }> = {
  fork: { label: "New session", verb: "Fork" },
  checkpoint: { label: "Name of this place", verb: "Set checkpoint" },
};

/** Stays in the page from message to message, so that what is being typed is never lost to news. */
export class PlacePanel {
  readonly root = html("section", { class: "panel sunk place", "aria-label": "Inspector", hidden: true });
  readonly #asked: Asked;
  readonly #title = html("h3");
  readonly #who = html("span", { class: "soft" });
  readonly #restore: HTMLButtonElement;
  readonly #fork: HTMLButtonElement;
  readonly #mark: HTMLButtonElement;
  readonly #form = html("form", { class: "row wrap naming", hidden: true });
  readonly #field = html("input", { autocomplete: "off" });
  readonly #submit = html("button", { type: "submit", class: "main" });
  readonly #told = html("p", { class: "told", role: "status" });
  readonly #text = html("p", { class: "words" });
  readonly #facts = html("div", { class: "row wrap soft small facts-row" });
  #doing: Doing | null = null;
  #place: PlaceDetails | null = null;

  constructor(asked: Asked) {
    this.#asked = asked;
    const opens = (doing: Doing) => ({ type: "button", "aria-expanded": "false", onclick: () => this.#open(doing) });
    this.#restore = html("button", { type: "button", onclick: () => this.#go(asked.onRestore) }, "Restore");
    this.#mark = html("button", { ...opens("checkpoint") }, "Checkpoint");
    this.#fork = html("button", { ...opens("fork"), class: "main" }, icon("fork"), "Fork from here");
    const cancel = html("button", { type: "button", class: "quiet", onclick: () => this.#close(true) }, "Cancel");
    this.#form.append(this.#field, this.#submit, cancel);
    this.#form.addEventListener("submit", (event) => this.#send(event));
    this.#form.addEventListener("keydown", ({ key }) => key === "Escape" && this.#close(true));
    const head = html("div", { class: "row wrap" }, this.#title, this.#who, html("span", { class: "grow" }), html("div", { class: "row" }, this.#mark, this.#restore, this.#fork));
    this.root.append(head, this.#form, this.#told, this.#text, this.#facts);
  }

  show(place: PlaceDetails, tree: Tree): void {
    const isOther = this.#place?.session !== place.session || this.#place.branch !== place.branch || this.#place.message !== place.message;
    this.#place = place;
    this.root.hidden = false;
    if (isOther) this.#close(false);
    this.#title.textContent = `${place.branch}, message ${place.message}`;
    this.#who.textContent = place.role === "agent" ? `${place.sender}, agent` : place.sender;
    this.#mark.hidden = !place.newest;
    // The session goes on from there already.
    this.#restore.disabled = place.newest;
    this.#text.replaceChildren(...wordsOf(place));
    this.#facts.replaceChildren(...factsOf(place, tree));
  }

  hide(): void {
    this.root.hidden = true;
    this.#place = null;
    this.#close(false);
  }

  /** What was asked for is done. */
  done(sentence: string): void {
    this.#close(false);
    this.#tell(sentence, false);
  }

  /** It cannot be done, and why; what was typed stays. */
  refused(message: string, remedy: string | null): void {
    this.#tell([message, remedy].filter(Boolean).join(" "), true);
    if (this.#doing) this.#field.focus();
  }

  /** Nobody listens any more. */
  close(): void {
    this.#close(false);
    for (const button of [this.#restore, this.#fork, this.#mark]) button.hidden = true;
  }

  #open(doing: Doing): void {
    if (this.#doing === doing) return this.#close(true);
    this.#close(false);
    this.#doing = doing;
    const { label, verb } = FORMS[doing];
    set(this.#button(doing), { "aria-expanded": "true" });
    set(this.#field, { "aria-label": label, placeholder: label });
    this.#submit.textContent = verb;
    this.#field.value = doing === "fork" ? this.#asked.unused(this.#place!.session) : "";
    this.#form.hidden = false;
    this.#field.focus();
    this.#field.select();
  }

  #close(back: boolean): void {
    const button = this.#doing && this.#button(this.#doing);
    this.#doing = null;
    this.#form.hidden = true;
    this.#tell("", false);
    if (!button) return;
    set(button, { "aria-expanded": "false" });
    if (back) button.focus();
  }

  #button(doing: Doing): HTMLButtonElement {
    return doing === "fork" ? this.#fork : this.#mark;
  }

  #send(event: Event): void {
    event.preventDefault();
    const name = this.#field.value.trim();
    if (!name) return this.refused("It needs a name.", null);
    const { onFork, onCheckpoint } = this.#asked;
    this.#go(() => (this.#doing === "fork" ? onFork(name) : onCheckpoint(name)));
  }

  #go(ask: () => void): void {
    this.#tell("", false);
    ask();
  }

  #tell(sentence: string, isError: boolean): void {
    this.#told.hidden = !sentence;
    this.#told.textContent = sentence;
    set(this.#told, { class: isError ? "told bad" : "told", role: isError ? "alert" : "status" });
  }
}

function wordsOf({ text, files, left_out }: PlaceDetails): (Node | string)[] {
  const parts: (Node | string | false)[] = [text || (files.length === 0 && html("span", { class: "soft" }, "(no words)"))];
  if (left_out > 0) parts.push(html("span", { class: "soft" }, ` … and ${words.count(left_out, "character")} more, in the table of messages.`));
  return parts.filter((part) => part !== false);
}

function factsOf(place: PlaceDetails, tree: Tree): HTMLElement[] {
  const { branch, message } = place;
  const begin = tree.branches.filter(({ origin, first }) => first > 1 && origin?.name === branch && origin.message === message);
  const named = namesAt(tree.checkpoints, branch, message).map((name) => html("span", {}, "checkpoint ", html("b", {}, name)));
  const facts = [
    ...begin.map((row) => `${row.branch} forks here`),
    ...namesAt(tree.forks, branch, message).map((session) => `${session} forks here, a session of its own`),
    place.calls > 0 && words.count(place.calls, "tool call"),
    ...place.files,
    place.tokens !== null && `${words.tokens(place.tokens)} ${place.tokens === 1 ? "token" : "tokens"}`,
    place.simulated && "simulated",
    place.hidden && "hidden from models: a summary stands for it",
    place.said_in !== null && `said in ${place.said_in}`,
    place.newest && "the session goes on here",
    place.role === "person" && "one goes on before this message, and can say it otherwise",
  ];
  return [...named, ...facts.filter((fact) => fact !== false).map((fact) => html("span", {}, fact))];
}
