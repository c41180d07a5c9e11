// The bar below a run that moves every view of it to a past moment.

import { html, say, set, svg } from "./dom";
import { icon } from "./icons";
import type { Timeline } from "./timeline";
import * as words from "./words";

/** A moment of a run: the last event up to then, and the seconds since the start. */
export interface Place {
  seq: number;
  at: number;
}

export interface ScrubOptions {
  /** The reader goes to a moment, or back to the end. */
  onMove(place: Place | null): void;
  onFork(seq: number): void;
}

const [WIDTH, FLOOR, PITCH, BAR] = [740, 20, 5, 3];
const [LOW, HIGH] = [4, 16];
// Marks nearer to each other than this part of the bar would cover one another.
const APART = 0.02;
// Seconds that a pause takes in a replay, at the most, and between two steps for who wants no motion.
const PAUSE = 1;
const STEP = 0.5;
// Nearer to the end than this, in pixels, the reader means the end.
const SNAP = 6;
const PAGE = 0.1;

export class Scrub {
  readonly root: HTMLElement;
  readonly #options: ScrubOptions;
  readonly #play = html("button", { type: "button", class: "icon", onclick: () => this.#toggle() });
  readonly #before = svg("path", { class: "events" });
  readonly #after = svg("path", { class: "events later" });
  readonly #marks = html("span");
  readonly #thumb = html("span", { class: "thumb" });
  readonly #track: HTMLElement;
  readonly #label = html("span");
  readonly #fork: HTMLButtonElement;
  readonly #back: HTMLButtonElement;
  readonly #refusal = html("p", { class: "bad small refusal", role: "alert", hidden: true });
  #timeline: Timeline | null = null;
  #length = 0;
  #live = false;
  #forkable = false;
  #gone = false;
  #place: Place | null = null;
  #playing = 0;
  #dragging = false;
  #drawn = "";
  #marked = "";

  constructor(options: ScrubOptions) {
    this.#options = options;
    const rail = svg("rect", { class: "rail", y: 22, width: WIDTH, height: 2 });
    const bars = svg("svg", { viewBox: `0 0 ${WIDTH} 28`, preserveAspectRatio: "none", "aria-hidden": "true" }, rail, this.#after, this.#before);
    const slider = { role: "slider", tabindex: 0, "aria-label": "Moment", "aria-valuemin": 0 };
    this.#track = html("div", { class: "track", ...slider }, bars, this.#marks, this.#thumb);
    this.#fork = html("button", { type: "button", onclick: () => this.#forkHere() }, icon("fork"), "Fork from here");
    this.#back = html("button", { type: "button", class: "quiet", onclick: () => this.#leave() });
    this.root = html("div", { class: "scrub", hidden: true }, this.#play, this.#track, this.#label, this.#fork, this.#back, this.#refusal);
    this.#track.addEventListener("keydown", (event) => this.#key(event));
    this.#track.addEventListener("pointerdown", (event) => this.#grab(event));
    this.#track.addEventListener("pointermove", (event) => this.#dragging && this.#point(event));
    for (const end of ["pointerup", "pointercancel"]) this.#track.addEventListener(end, () => this.#drop());
  }

  /** Show a run that has lasted so long; `live` if it goes on. */
  show(timeline: Timeline | null, length: number, live: boolean, forkable: boolean): void {
    this.#timeline = timeline;
    this.#length = length;
    this.#live = live;
    this.#forkable = forkable;
    this.root.hidden = timeline === null || timeline.length === 0;
    if (!this.root.hidden) this.#paint();
  }

  /** Nobody can be asked any more. */
  close(): void {
    this.#gone = true;
    this.#stop();
    this.#place = null;
    set(this.#track, { "aria-disabled": "true", tabindex: -1 });
    this.#play.disabled = true;
    this.#paint();
  }

  /** The run that was asked for is there, or cannot be, and why. */
  forked(refusal = ""): void {
    this.#fork.disabled = false;
    this.#refusal.hidden = refusal === "";
    say(this.#refusal, refusal);
  }

  // ---------- moving ----------

  #go(place: Place | null): void {
    if (this.#gone) return;
    this.#place = place;
    this.#refusal.hidden = true;
    this.#fork.disabled = false;
    this.#paint();
    this.#options.onMove(place);
  }

  #goTo(at: number): void {
    this.#go(at >= this.#length ? null : { seq: this.#timeline!.seqAt(at), at: Math.max(0, at) });
  }

  /** The moment of an event; behind the last one is the end. */
  #goToEvent(seq: number): void {
    const timeline = this.#timeline!;
    if (seq >= timeline.length && !this.#live) return this.#go(null);
    if (seq > timeline.length) return this.#go(null);
    this.#go({ seq: Math.max(1, seq), at: timeline.at(seq) });
  }

  #leave(): void {
    this.#stop();
    this.#go(null);
    this.#track.focus();
  }

  #key(event: KeyboardEvent): void {
    if (this.#gone) return;
    const { seq, at } = this.#place ?? { seq: this.#timeline!.length + (this.#live ? 1 : 0), at: this.#length };
    const moves: Record<string, () => void> = {
      ArrowLeft: () => this.#goToEvent(seq - 1),
      ArrowRight: () => this.#goToEvent(seq + 1),
      PageDown: () => this.#goTo(at - PAGE * this.#length),
      PageUp: () => this.#goTo(at + PAGE * this.#length),
      Home: () => this.#goToEvent(1),
      End: () => this.#go(null),
      Escape: () => this.#go(null),
    };
    const move = moves[{ ArrowDown: "ArrowLeft", ArrowUp: "ArrowRight" }[event.key] ?? event.key];
    if (!move) return;
    this.#stop();
    move();
    event.preventDefault();
  }

  #grab(event: PointerEvent): void {
    if (this.#gone || event.button !== 0) return;
    this.#stop();
    this.#dragging = true;
    this.#track.setPointerCapture(event.pointerId);
    this.#track.focus({ preventScroll: true });
    event.preventDefault();
    this.#point(event);
  }

  #point(event: PointerEvent): void {
    const { left, width } = this.#track.getBoundingClientRect();
    const x = Math.max(0, event.clientX - left);
    if (x > width - SNAP) this.#go(null);
    else this.#goTo((x / width) * this.#length);
  }

  #drop(): void {
    if (!this.#dragging) return;
    this.#dragging = false;
    this.#paint();
  }

  #forkHere(): void {
    if (!this.#place) return;
    this.#fork.disabled = true;
    this.#options.onFork(this.#place.seq);
  }

  // ---------- replay ----------

  #toggle(): void {
    if (this.#playing) this.#stop();
    else this.#start();
    this.#paint();
  }

  #start(): void {
    this.#goTo(this.#place?.at ?? 0);
    const steps = matchMedia("(prefers-reduced-motion: reduce)").matches;
    let before = performance.now();
    const turn = (now: number) => {
      this.#playing = requestAnimationFrame(turn);
      if (steps && now - before < STEP * 1000) return;
      this.#replay((now - before) / 1000);
      before = now;
    };
    this.#playing = requestAnimationFrame(turn);
  }

  #replay(passed: number): void {
    const at = this.#timeline!.later(this.#place?.at ?? 0, passed, this.#length, PAUSE);
    if (at >= this.#length) this.#stop();
    this.#goTo(at);
  }

  #stop(): void {
    cancelAnimationFrame(this.#playing);
    this.#playing = 0;
  }

  // ---------- painting ----------

  #paint(): void {
    const place = this.#place;
    const told = this.#length < 1 ? words.seconds : words.moment;
    const length = told(this.#length);
    const live = this.#live && !this.#gone;
    const text = place ? `${told(place.at)} of ${length}` : live ? `${length}, live` : length;
    this.#draw(place ? place.at / (this.#length || 1) : 1);
    this.root.classList.toggle("is-past", place !== null);
    this.root.classList.toggle("is-over", !live);
    set(this.#track, {
      "aria-valuemax": round(this.#length),
      "aria-valuenow": round(place?.at ?? this.#length),
      "aria-valuetext": place || live ? text : `${text}, ${this.#gone ? "as last seen" : "the end"}`,
    });
    set(this.#label, { class: place || !live ? "when" : "when live" });
    say(this.#label, text);
    this.#offer(place !== null && !this.#dragging);
  }

  /** What can be done at a past moment; not while the bar is dragged, which it would make shorter. */
  #offer(past: boolean): void {
    const action = this.#playing ? "Pause" : this.#place ? "Replay from here" : "Replay from the start";
    if (this.#play.getAttribute("aria-label") !== action) {
      set(this.#play, { "aria-label": action, title: this.#playing ? null : "At the pace of the run; long pauses are shortened" });
      this.#play.replaceChildren(icon(this.#playing ? "pause" : "play"));
    }
    this.#fork.hidden = !past || !this.#forkable || this.#playing !== 0;
    this.#back.hidden = !past;
    this.root.classList.toggle("is-acting", past);
    say(this.#back, this.#live ? "Live" : "End");
    set(this.#back, { "aria-label": this.#live ? "Back to live" : "Back to the end" });
  }

  #draw(part: number): void {
    set(this.#thumb, { style: `left: ${(part * 100).toFixed(2)}%` });
    const count = WIDTH / PITCH;
    const split = Math.round(part * count);
    const drawn = `${this.#timeline?.length} ${this.#length} ${split}`;
    if (drawn === this.#drawn || !this.#timeline) return;
    this.#drawn = drawn;
    const bars = barsOf(this.#timeline.counts(this.#length || 1, count));
    set(this.#before, { d: bars.slice(0, split).join("") });
    set(this.#after, { d: bars.slice(split).join("") });
    this.#mark(this.#timeline);
  }

  #mark(timeline: Timeline): void {
    const places = apart(timeline.marks.map(([seq, kind]) => ({ kind, part: timeline.at(seq) / (this.#length || 1) })));
    const marked = places.map(({ kind, part }) => `${kind} ${part.toFixed(3)}`).join();
    if (marked === this.#marked) return;
    this.#marked = marked;
    this.#marks.replaceChildren(
      ...places.map(({ kind, part }) => html("span", { class: "at", "data-status": kind, style: `left: ${(part * 100).toFixed(2)}%` }, icon(kind))),
    );
  }
}

function round(seconds: number): number {
  return Math.round(seconds * 1000) / 1000;
}

/** A bar for each stretch in which something happened: the more, the higher, but many do not dwarf the few. */
function barsOf(counts: number[]): string[] {
  const most = Math.log2(Math.max(8, ...counts));
  return counts.map((count, index) => {
    const height = count === 0 ? 0 : LOW + ((HIGH - LOW) * Math.log2(count)) / most;
    return height === 0 ? "" : `M${index * PITCH} ${FLOOR}v${-round(height)}h${BAR}v${round(height)}z`;
  });
}

/** Where many marks of a kind are close together, the first stands for them. */
function apart(marks: { kind: "waiting" | "failed"; part: number }[]): typeof marks {
  const last: Record<string, number> = {};
  return marks.filter(({ kind, part }) => {
    if (part - (last[kind] ?? -1) < APART) return false;
    last[kind] = part;
    return true;
  });
}
