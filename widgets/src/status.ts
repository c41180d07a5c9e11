// A status is told four ways at once: shape, icon, word and color.

import { html, say, set } from "./dom";
import { icon } from "./icons";
import type { Status } from "./protocol";

/** Make the mark of a status; `live` announces its changes to a screen reader. */
export function statusMark(status: Status, live = false): HTMLElement {
  const mark = html("span", { class: "status", role: live ? "status" : null });
  showStatus(mark, status);
  return mark;
}

/** Change a mark in place; an unchanged one is left alone, so that its arc does not jump. */
export function showStatus(mark: HTMLElement, status: Status, word: string = status): void {
  if (mark.dataset.status !== status) {
    set(mark, { "data-status": status });
    mark.replaceChildren(icon(status), document.createTextNode(word));
  } else if (mark.lastChild) say(mark.lastChild, word);
}

/** Can still change by itself. */
export function isLive(status: Status): boolean {
  return status === "running" || status === "waiting" || status === "pending";
}

/** Length of what has begun, up to `now` if it has not ended. */
export function elapsed(begun: number | null, ended: number | null, now: number): number | null {
  return begun === null ? null : Math.max(0, (ended ?? now) - begun);
}

export type Flow = "done" | "now" | "later" | "never";

/** What has become of the data on an edge, told from how the ends stand (null where the flow begins or ends). */
export function flow(source: Status | null, target: Status | null): Flow {
  const from = source ?? "succeeded";
  const to = target ?? "succeeded";
  if (isOver(from) && from !== "succeeded") return "never";
  if (to === "skipped" || to === "cancelled") return "never";
  if (from !== "succeeded") return "later";
  if (to === "running") return source ? "now" : "done";
  return to === "pending" ? "later" : "done";
}

function isOver(status: Status): boolean {
  return !isLive(status);
}
