// When the events of a run happened: from a moment to a place in the log, and back.

import type { Ticks } from "./protocol";

type Mark = Ticks["marks"][number];

export class Timeline {
  /** Seconds since the start, of the events in order. */
  readonly #at: number[] = [];
  readonly marks: Mark[] = [];
  #milliseconds = 0;

  constructor(ticks: Ticks) {
    this.add(ticks);
  }

  /** How many events there are; places are counted from 1. */
  get length(): number {
    return this.#at.length;
  }

  add({ times, marks }: Ticks): void {
    for (const step of times) this.#at.push((this.#milliseconds += step) / 1000);
    this.marks.push(...marks);
  }

  /** When an event happened, in seconds since the start. */
  at(seq: number): number {
    return this.#at[Math.max(1, Math.min(seq, this.length)) - 1] ?? 0;
  }

  /** The last event up to a moment; the first one if there is none. */
  seqAt(at: number): number {
    let [low, high] = [0, this.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#at[middle]! <= at) low = middle + 1;
      else high = middle;
    }
    return Math.max(1, low);
  }

  /** How many events there were in each of `count` equal stretches of the time. */
  counts(length: number, count: number): number[] {
    const found = new Array<number>(count).fill(0);
    for (const at of this.#at) found[Math.min(count - 1, Math.floor((at / length) * count))]! += 1;
    return found;
  }

  /** Where a replay is `step` seconds after `at`: at the pace of the run, but a pause takes no longer than `most`. */
  later(at: number, step: number, length: number, most: number): number {
    for (let left = step; left > 1e-9 && at < length; ) {
      const seq = this.seqAt(at);
      const next = seq < this.length ? this.at(seq + 1) : length;
      const pace = Math.max(1, (next - this.at(seq)) / most);
      const reached = Math.min(at + left * pace, next);
      left -= (reached - at) / pace;
      at = reached;
    }
    return at;
  }
}
