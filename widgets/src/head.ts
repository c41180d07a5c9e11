// The head of a card: the name and how it stands, then the figures, then what can be done.

import { html, say, type Child } from "./dom";
import { icon } from "./icons";
import type { Head } from "./protocol";
import { elapsed, isLive, showStatus, statusMark } from "./status";
import * as words from "./words";

/** Lay out a head; every card has this shape. */
export function cardHead(title: Child[], sub: Child[], figures: HTMLElement[], action: HTMLElement | null = null): HTMLElement {
  return html(
    "header",
    { class: "head" },
    html("div", { class: "name" }, html("div", { class: "row wrap title-row" }, ...title), html("div", { class: "sub" }, ...sub)),
    figures.length > 0 && html("dl", { class: "stats" }, ...figures),
    action,
  );
}

export function figure(label: string, ...value: Child[]): HTMLElement {
  return html("div", { class: "stat" }, html("dt", {}, label), html("dd", {}, ...value));
}

/** The head of a run, kept and rewritten in place, so that focus stays on Stop and nothing is announced twice. */
export class RunHead {
  readonly root: HTMLElement;
  readonly #status = statusMark("pending", true);
  readonly #tags = html("span", { class: "row" });
  readonly #reason = html("span", { class: "soft" });
  readonly #kind = html("span");
  readonly #run = html("span", { class: "mono" });
  readonly #source = html("span");
  readonly #done = html("span");
  readonly #elapsed = html("dd");
  readonly #tokens = html("dd");
  readonly #cost = html("dd");
  readonly #stop: HTMLButtonElement;
  readonly #title = html("h2");
  #closed = false;

  constructor(onStop: () => void) {
    const stop = () => {
      this.#stop.disabled = true;
      onStop();
    };
    this.#stop = html("button", { type: "button", "aria-label": "Stop run", onclick: stop }, icon("stop"), "Stop");
    const stat = (label: string, value: HTMLElement) => html("div", { class: "stat" }, html("dt", {}, label), value);
    const figures = [stat("elapsed", this.#elapsed), stat("tokens", this.#tokens), stat("cost", this.#cost)];
    this.root = cardHead([this.#title, this.#status, this.#tags, this.#reason], [this.#kind, this.#run, this.#source, this.#done], figures, this.#stop);
  }

  /** Show how a run stands, or stood at a past moment; Stop is for the run as it is. */
  show(head: Head, now: number, past: { at: number; live: boolean } | null = null): void {
    say(this.#title, head.name);
    showStatus(this.#status, head.status);
    this.#tags.replaceChildren(...tags(head, past?.at).map((tag) => html("span", { class: "tag" }, tag)));
    say(this.#reason, head.reason ?? "");
    say(this.#kind, head.kind);
    say(this.#run, `run ${head.short}`);
    say(this.#source, head.source ? `forked from ${head.source.slice(-4)}` : "");
    say(this.#done, head.total > 1 ? `${words.whole(head.done)} of ${words.whole(head.total)} nodes done` : "");
    say(this.#tokens, words.tokens(tokenSum(head)));
    this.#cost.replaceChildren(...spent(head));
    this.#stop.hidden = this.#closed || !(past?.live ?? isLive(head.status));
    this.tick(head, now);
  }

  tick(head: Head, now: number): void {
    say(this.#elapsed, words.seconds(elapsed(head.started_at, head.ended_at, now)));
  }

  /** Nobody listens any more. */
  close(): void {
    this.#closed = true;
    this.#stop.hidden = true;
  }
}

function tags({ simulated, replayed }: Head, at?: number): string[] {
  return [at !== undefined && `at ${words.moment(at)}`, simulated && "simulated", replayed && "replayed"].filter((tag) => tag !== false);
}

function tokenSum({ input_tokens, output_tokens }: Head): number | null {
  return input_tokens === null && output_tokens === null ? null : (input_tokens ?? 0) + (output_tokens ?? 0);
}

/** The amount in ink, what qualifies it beside it in grey. */
function spent({ cost_usd, model_calls, unpriced_calls, simulated }: Head): (Node | string)[] {
  if (simulated && !cost_usd) return ["$0 ", html("span", { class: "soft" }, "simulated")];
  const priced = model_calls > 0 && unpriced_calls >= model_calls ? null : cost_usd;
  const note = priced !== null && unpriced_calls > 0 ? ` and ${words.count(unpriced_calls, "call")} unpriced` : "";
  return [words.cost(priced, model_calls), html("span", { class: "soft" }, note)];
}
