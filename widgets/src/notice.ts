import { html } from "./dom";

/** The line over a card whose kernel is gone: the last moment stays, with how to load it. */
export function kernelGone(sentence: string, remedy: string): HTMLElement {
  return html(
    "div",
    { class: "row wrap notice", role: "note" },
    html("b", {}, "The kernel is gone."),
    html("span", { class: "soft grow" }, sentence),
    html("code", {}, remedy),
  );
}
