// Another output for a node, with which a fork goes on from there: what the node gave, as text to change.

import { html, set } from "./dom";
import { grow } from "./grown";
import { icon } from "./icons";
import type { Details } from "./protocol";

const [FEWEST, LINES] = [2, 12];

export class Rewrite {
  readonly root: HTMLElement;
  /** Opens it. */
  readonly button: HTMLButtonElement;
  readonly #text = html("textarea", { class: "mono" });
  readonly #fork: HTMLButtonElement;
  #open = false;
  #given = "";

  constructor(onFork: (output: string) => void) {
    this.button = html("button", { type: "button", onclick: () => this.#turn(true) }, "Edit output");
    const fork = () => {
      this.#fork.disabled = true;
      onFork(this.#text.value);
    };
    this.#fork = html("button", { type: "button", class: "main", onclick: fork }, icon("fork"), "Fork with this output");
    const back = html("button", { type: "button", onclick: () => this.#turn(false) }, "Discard edits");
    const note = html("span", { class: "soft small" }, "What depends on it runs anew, and nothing else.");
    this.#text.addEventListener("input", () => grow(this.#text, LINES, FEWEST));
    this.root = html("div", { class: "rewrite", hidden: true }, this.#text, html("div", { class: "row wrap" }, this.#fork, back, note));
  }

  /** Offer it for a node that has given something; what somebody is writing stays. */
  show({ title, status, output, kind }: Details, can: boolean): void {
    const isOne = can && status === "succeeded" && output !== null && kind !== "each";
    const given = output?.text ?? "";
    if (this.#open && (!isOne || given !== this.#given)) this.#turn(false);
    this.button.hidden = !isOne || this.#open;
    set(this.#text, { "aria-label": `Output of ${title}` });
    this.#given = given;
  }

  close(): void {
    if (this.#open) this.#turn(false);
  }

  /** The run that was asked for is there, or cannot be. */
  forked(refused: boolean): void {
    this.#fork.disabled = false;
    if (this.#open && !refused) this.#turn(false);
  }

  #turn(open: boolean): void {
    this.#open = open;
    this.root.hidden = !open;
    this.#fork.disabled = false;
    this.button.hidden = open;
    if (!open) return;
    this.#text.value = this.#given;
    grow(this.#text, LINES, FEWEST);
    this.#text.focus({ preventScroll: true });
  }
}
