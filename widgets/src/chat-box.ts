// The box to write in: Enter sends, Shift+Enter begins a new line; while a turn goes on the next message can be written.

import { html, say, set } from "./dom";
import { grow } from "./grown";
import { icon } from "./icons";

interface Deeds {
  onSend(text: string): void;
  onStop(): void;
}

const LINES = 8;

export class MessageBox {
  readonly root: HTMLElement;
  readonly #deeds: Deeds;
  readonly #text = html("textarea", { rows: 1, "aria-label": "Message" });
  readonly #send: HTMLButtonElement;
  readonly #stop: HTMLButtonElement;
  #goes = false;
  /** What was sent and is not yet known to have begun. */
  #sent: string | null = null;

  constructor(deeds: Deeds) {
    this.#deeds = deeds;
    this.#send = html("button", { type: "submit", class: "main", disabled: true }, "Send");
    this.#stop = html("button", { type: "button", hidden: true, onclick: () => this.#end() }, icon("stop"), "Stop");
    const form = html("form", { class: "row box" }, this.#text, this.#stop, this.#send);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#say();
    });
    this.#text.addEventListener("input", () => this.#fit());
    this.#text.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.#say();
    });
    this.root = form;
  }

  show(name: string, goes: boolean): void {
    set(this.#text, { placeholder: `Message ${name}` });
    const had = this.#stop === document.activeElement;
    if (goes !== this.#goes) this.#stop.disabled = false;
    this.#goes = goes;
    this.#stop.hidden = !goes;
    // The reader's place is kept when what has the focus goes away.
    if (had && !goes) this.focus();
    this.#fit();
  }

  /** What was sent has begun, or was refused: then it is not lost. */
  told(isRefused: boolean): void {
    if (isRefused && this.#sent !== null && !this.#text.value) this.#text.value = this.#sent;
    this.#sent = null;
    this.#fit();
  }

  focus(): void {
    this.#text.focus({ preventScroll: true });
  }

  #say(): void {
    const text = this.#text.value.trim();
    if (!text || this.#goes || this.#sent !== null) return;
    this.#sent = text;
    this.#text.value = "";
    this.#fit();
    this.#deeds.onSend(text);
  }

  #end(): void {
    this.#stop.disabled = true;
    this.focus();
    this.#deeds.onStop();
  }

  #fit(): void {
    grow(this.#text, LINES);
    this.#send.disabled = this.#goes || this.#sent !== null || !this.#text.value.trim();
    say(this.#send, "Send");
  }
}
