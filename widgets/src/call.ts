// A tool call as a folded card: what was called and how it ended; whole arguments and result when opened.

import { html } from "./dom";
import { icon } from "./icons";
import type { Call, Status } from "./protocol";
import { statusMark } from "./status";
import * as words from "./words";

const LONGEST = 120;

export interface Called {
  id?: string;
  tool: string;
  arguments: string;
  result: string | null;
  error: string | null;
  status: Status;
  seconds: number | null;
}

export function callCard(call: Called | Call, open = false): HTMLElement {
  return html(
    "details",
    { class: "call", open, "data-call": call.id ?? null },
    html(
      "summary",
      { class: "row" },
      icon("fold"),
      icon("tool"),
      html("code", { class: "cut grow" }, html("b", {}, call.tool), `(${signature(call.arguments)})`),
      html("span", { class: "soft small only-wide" }, call.seconds === null ? "" : words.seconds(call.seconds)),
      statusMark(call.status),
    ),
    html("div", { class: "call-body" }, entry("arguments", call.arguments), entry("result", call.result), entry("error", call.error)),
  );
}

/** `order_id=8841, currency="EUR"`; arguments that are still being written are shown as they are. */
export function signature(text: string): string {
  const values = parsed(text);
  const pairs = values && Object.entries(values).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  const line = pairs ? pairs.join(", ") : text.replace(/\s+/g, " ");
  return line.length > LONGEST ? `${line.slice(0, LONGEST)}…` : line;
}

function parsed(text: string): object | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? value : null;
  } catch {
    return null;
  }
}

function entry(label: string, text: string | null): HTMLElement | null {
  if (text === null) return null;
  const tone = label === "error" ? "bad" : "";
  return html("div", {}, html("p", { class: "soft small" }, label), html("pre", { class: tone }, text));
}
