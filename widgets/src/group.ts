// A group of the graph as painted: a hairline box with a sentence on top, and for a loop a pip for each iteration.

import { say, set, svg } from "./dom";
import type { Point, Size } from "./layout";
import type { Ruler } from "./measure";
import type { GraphGroup, NodeState } from "./protocol";
import { isLive } from "./status";
import * as words from "./words";

const PADDING = 12;
const PIP = { most: 12, step: 12, r: 3.5, y: 14 };
const GAP = 16;
// Graphviz sets a label off from the border of its cluster by this much, and counts it as part of the label.
const LABEL_MARGIN = 16;

/** What stands on top: what kind of group it is and how it goes about its work. */
export function sentence({ kind, title, note }: GraphGroup, state: NodeState | null): string {
  if (kind === "race") return note ? `race: ${note}` : "race";
  if (kind === "loop") return `loop${rounds(note, state)}`;
  return [`${title} · ${kind}`, note].filter(Boolean).join(", ");
}

function rounds(note: string | null | undefined, state: NodeState | null): string {
  const [round, most] = state?.progress ?? [0, 0];
  if (round < 1) return note ? `: ${note}` : "";
  return iteration(round, most);
}

function iteration(round: number, most: number): string {
  return `: iteration ${words.whole(round)}${most > 0 ? ` of ${words.whole(most)}` : ""}`;
}

/** Room for the sentence and the pips as they may become; how it ended is said only if there is room. */
export function captionWidth(group: GraphGroup, state: NodeState | null, ruler: Ruler): number {
  const most = state && group.kind === "loop" ? state.progress?.[1] || mostIn(group.note) : 0;
  const lines = [sentence(group, state), ...(most > 0 ? [`loop${iteration(most, most)}`] : [])];
  const text = Math.max(...lines.map((line) => ruler.width(line, "small")));
  return text + pipsWidth(most) + 2 * PADDING - LABEL_MARGIN;
}

/** "at most 4 times": before the first iteration only the note knows. */
function mostIn(note: string | null | undefined): number {
  return Number(note?.match(/\d+/)?.[0] ?? 0);
}

function pipsWidth(most: number): number {
  return most > 0 && most <= PIP.most ? GAP + most * PIP.step : 0;
}

export class GroupShape {
  readonly root: SVGGElement;
  readonly #group: GraphGroup;
  readonly #ruler: Ruler;
  readonly #frame = svg("rect", { rx: 8 });
  readonly #words = svg("text", { x: PADDING, y: 18 });
  readonly #pips = svg("g");
  #width = 0;

  constructor(group: GraphGroup, ruler: Ruler) {
    this.#group = group;
    this.#ruler = ruler;
    this.root = svg("g", { class: "group", role: "group", "data-group": group.id }, this.#frame, this.#words, this.#pips);
  }

  place({ x, y, width, height }: Point & Size): void {
    this.#width = width;
    set(this.root, { transform: `translate(${x} ${y})` });
    set(this.#frame, { width, height });
  }

  /** Paint how it stands; before a run there is no state. */
  show(state: NodeState | null): void {
    const status = state?.status ?? "pending";
    set(this.root, { "aria-label": `${this.#group.title}: ${status}`, "data-status": state ? status : null });
    const most = this.#pipsThatFit(state);
    const room = this.#width - 2 * PADDING - pipsWidth(most) + 1;
    const fits = this.#tellings(state).find((line) => this.#ruler.width(line, "small") <= room);
    say(this.#words, fits ?? this.#ruler.cut(sentence(this.#group, state), "small", room));
    this.#count(state, most);
  }

  /** The words tell the iteration as well, so the pips give way to them. */
  #pipsThatFit(state: NodeState | null): number {
    const most = state?.progress?.[1] ?? 0;
    const text = this.#ruler.width(sentence(this.#group, state), "small");
    return pipsWidth(most) > 0 && text + pipsWidth(most) <= this.#width - 2 * PADDING + 1 ? most : 0;
  }

  /** An end that was not a success is told in words, with its reason if there is room for it. */
  #tellings(state: NodeState | null): string[] {
    const line = sentence(this.#group, state);
    if (!state || isLive(state.status)) return [line];
    const ended = state.status === "succeeded" ? line : `${line} · ${state.status}`;
    const because = [ended, state.reason].filter(Boolean).join(state.status === "succeeded" ? " · " : ", ");
    return [because, ended, ...(state.status === "succeeded" ? [] : [`${this.#group.kind} · ${state.status}`]), line];
  }

  #count(state: NodeState | null, pips: number): void {
    const round = state?.progress?.[0] ?? 0;
    const first = this.#width - PADDING - pips * PIP.step + PIP.step - PIP.r;
    while (this.#pips.children.length > pips) this.#pips.lastChild!.remove();
    while (this.#pips.children.length < pips) this.#pips.append(svg("circle", { cy: PIP.y, r: PIP.r }));
    for (const [index, pip] of [...this.#pips.children].entries())
      set(pip, { cx: first + index * PIP.step, class: pipLook(index + 1, round, state!) });
  }
}

function pipLook(iteration: number, round: number, { status }: NodeState): string {
  if (iteration > round) return "pip";
  return iteration === round && isLive(status) ? "pip now" : "pip done";
}
