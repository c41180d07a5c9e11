// A message in other words: a field in the place of what was said.

import { html, say } from "./dom";
import { grow } from "./grown";

const [FEWEST, LINES] = [2, 8];

export class Rewording {
  readonly #article: HTMLElement;
  readonly #button: HTMLButtonElement;
  readonly #form = html("form", { class: "reword" });
  readonly #text = html("textarea", { "aria-label": "In other words" });
  readonly #submit = html("button", { type: "submit", class: "main" }, "Ask anew");
  readonly #refusal = html("p", { class: "bad refusal", role: "alert", hidden: true });
  readonly #onDone: (text: string | null) => void;

  /** `onDone` gets the other words, or nothing if it stays as it is. */
  constructor(button: HTMLButtonElement, text: string, onDone: (text: string | null) => void) {
    this.#button = button;
    this.#article = button.closest("article")!;
    this.#onDone = onDone;
    this.#text.value = text;
    const cancel = html("button", { type: "button", class: "quiet", onclick: () => this.#back() }, "Cancel");
    this.#form.append(this.#text, this.#refusal, html("div", { class: "row ways" }, html("span", { class: "soft small grow" }, "Goes on from here, on a branch of its own."), cancel, this.#submit));
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#say();
    });
    this.#text.addEventListener("keydown", (event) => this.#key(event));
    this.#text.addEventListener("input", () => grow(this.#text, LINES, FEWEST));
    this.#article.classList.add("is-reworded");
    this.#article.append(this.#form);
    grow(this.#text, LINES, FEWEST);
    this.#text.focus();
  }

  refuse(refusal: string): void {
    this.#submit.disabled = false;
    this.#refusal.hidden = false;
    say(this.#refusal, refusal);
    this.#text.focus();
  }

  /** Show what was said again. */
  cancel(): void {
    this.#form.remove();
    this.#article.classList.remove("is-reworded");
    this.#onDone(null);
  }

  #back(): void {
    this.cancel();
    this.#button.focus();
  }

  #key(event: KeyboardEvent): void {
    if (event.key === "Escape") return this.#back();
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    this.#say();
  }

  #say(): void {
    const text = this.#text.value.trim();
    if (!text || this.#submit.disabled) return;
    this.#submit.disabled = true;
    this.#onDone(text);
  }
}
