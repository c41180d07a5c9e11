// A name for the place where the conversation is: a button, and a field when it is wanted.

import { html, say, set } from "./dom";
import { icon } from "./icons";

export class Naming {
  readonly button: HTMLButtonElement;
  readonly form = html("form", { class: "row wrap naming", hidden: true });
  readonly #field = html("input", { autocomplete: "off", "aria-label": "Name of this place", placeholder: "Name of this place" });
  readonly #refusal = html("p", { class: "bad refusal", role: "alert", hidden: true });

  constructor(onName: (name: string) => void) {
    this.button = html("button", { type: "button", class: "quiet", "aria-expanded": "false", disabled: true }, icon("mark"), "Checkpoint");
    this.button.addEventListener("click", () => (this.form.hidden ? this.#open() : this.#back()));
    const cancel = html("button", { type: "button", class: "quiet", onclick: () => this.#back() }, "Cancel");
    this.form.append(this.#field, html("button", { type: "submit", class: "main" }, "Set checkpoint"), cancel, this.#refusal);
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      const name = this.#field.value.trim();
      if (name) onName(name);
      else this.told("It needs a name.");
    });
    this.form.addEventListener("keydown", ({ key }) => key === "Escape" && this.#back());
  }

  allow(can: boolean): void {
    this.button.disabled = !can;
    if (!can && !this.form.hidden) this.close();
  }

  /** The name is given, or it cannot be, and why. */
  told(refusal: string | null): void {
    this.#refusal.hidden = refusal === null;
    say(this.#refusal, refusal ?? "");
    if (refusal === null) this.#back();
    else this.#field.focus();
  }

  close(): void {
    this.form.hidden = true;
    this.#refusal.hidden = true;
    set(this.button, { "aria-expanded": "false" });
  }

  #open(): void {
    this.form.hidden = false;
    this.#field.value = "";
    set(this.button, { "aria-expanded": "true" });
    this.#field.focus();
  }

  #back(): void {
    this.close();
    this.button.focus();
  }
}
