// What went wrong: class and path, the person's own traceback, the remedy in a sentence.

import { html, type Child } from "./dom";
import type { Failure } from "./protocol";

export function failurePanel(failure: Failure): HTMLElement {
  return html(
    "div",
    { class: "err" },
    html("p", {}, html("b", {}, failure.type), failure.path ? ` in ${failure.path}` : null),
    html("pre", {}, ...tracebackLines(failure)),
    failure.remedy ? html("p", {}, ...withCode(failure.remedy)) : null,
  );
}

/** The last line names the error and is the one to read first; a traceback may already end with it. */
function tracebackLines({ traceback, type, message }: Failure): Child[] {
  const summary = message ? `${type}: ${message}` : type;
  const trace = traceback?.trimEnd() ?? "";
  const before = trace.endsWith(summary) ? trace.slice(0, -summary.length) : trace && `${trace}\n`;
  return [before || null, html("b", {}, summary)];
}

/** Names in `backticks` are set as code. */
function withCode(sentence: string): Child[] {
  return sentence.split("`").map((piece, index) => (index % 2 === 1 ? html("code", {}, piece) : piece));
}
