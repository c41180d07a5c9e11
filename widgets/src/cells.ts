// The items of a fan-out: a cell for each, or one plain bar when there are too many to see apart.

import { set, svg } from "./dom";
import type { NodeState } from "./protocol";

const MOST = 48;
const GAP = 1.5;
const BAR = { y: 48, height: 8, rx: 1 };

export class Cells {
  readonly root = svg("g");
  #made = "";

  /** Repaint what differs; `left` and `width` are those of the row. */
  show({ status, progress }: NodeState, left: number, width: number): void {
    const total = progress?.[1] ?? 0;
    const done = Math.min(progress?.[0] ?? 0, total);
    const made = `${total} ${left} ${width}`;
    if (made !== this.#made) this.root.replaceChildren(...(total > MOST || total < 1 ? bars(left, width) : cells(total, left, width)));
    this.#made = made;
    // Something is under way as long as the node is; how many, only the kernel can tell.
    const working = status === "running" ? Math.min(progress?.[2] ?? 1, total - done) : 0;
    if (total > MOST || total < 1) this.#stretch(left, width, done / (total || 1), working / (total || 1));
    else for (const [index, cell] of [...this.root.children].entries()) set(cell, { class: look(index, done, working) });
  }

  #stretch(left: number, width: number, done: number, working: number): void {
    const [, behind, now] = this.root.children as unknown as SVGElement[];
    set(behind!, { width: width * done });
    set(now!, { x: left + width * done, width: width * working });
  }
}

function look(index: number, done: number, working: number): string {
  if (index < done) return "item done";
  return index < done + working ? "item now" : "item";
}

function cells(total: number, left: number, width: number): SVGElement[] {
  const unit = (width - GAP * (total - 1)) / total;
  return Array.from({ length: total }, (_, index) => svg("rect", { ...BAR, x: (left + index * (unit + GAP)).toFixed(2), width: unit.toFixed(2) }));
}

/** All of them, those that are done, those under way. */
function bars(left: number, width: number): SVGElement[] {
  return ["item", "item done", "item now"].map((look, index) => svg("rect", { class: look, ...BAR, x: left, width: index === 0 ? width : 0 }));
}
