import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Scrub, type Place } from "../src/scrub";
import { Timeline } from "../src/timeline";

let scrub: Scrub;
let moves: (Place | null)[];
let forks: number[];
// Events at 0, 2, 4, 6 and 8 seconds.
const timeline = new Timeline({ times: [0, 2_000, 2_000, 2_000, 2_000], marks: [[2, "failed"]] });

beforeEach(() => {
  [moves, forks] = [[], []];
  scrub = new Scrub({ onMove: (place) => moves.push(place), onFork: (seq) => forks.push(seq) });
  document.body.replaceChildren(scrub.root);
  scrub.show(timeline, 10, true, true);
});
afterEach(() => vi.useRealTimers());

const slider = () => scrub.root.querySelector<HTMLElement>('[role="slider"]')!;
const button = (label: string) => [...scrub.root.querySelectorAll("button")].find((one) => (one.getAttribute("aria-label") ?? one.textContent) === label)!;
const press = (...keys: string[]) => keys.forEach((key) => slider().dispatchEvent(new KeyboardEvent("keydown", { key, cancelable: true })));
const told = () => slider().getAttribute("aria-valuetext");

test("live it says so, and the label is what a screen reader hears", () => {
  expect(slider().getAttribute("aria-label")).toBe("Moment");
  expect(["min", "max", "now"].map((name) => slider().getAttribute(`aria-value${name}`))).toEqual(["0", "10", "10"]);
  expect(told()).toBe("10.0 s, live");
  expect(scrub.root.querySelector(".when")!.textContent).toBe("10.0 s, live");
  expect(button("Fork from here").hidden).toBe(true);
});

test("a short run is told in milliseconds", () => {
  scrub.show(timeline, 0.004, false, true);
  expect(told()).toBe("4 ms, the end");
});

test("arrow keys go from event to event, and past the last one back to live", () => {
  press("ArrowLeft", "ArrowLeft", "ArrowDown");
  expect(moves).toEqual([
    { seq: 5, at: 8 },
    { seq: 4, at: 6 },
    { seq: 3, at: 4 },
  ]);
  expect(told()).toBe("4.0 s of 10.0 s");
  press("ArrowRight", "ArrowUp", "ArrowRight");
  expect(moves.slice(3)).toEqual([{ seq: 4, at: 6 }, { seq: 5, at: 8 }, null]);
});

test("Home is the first event; End and Escape are now", () => {
  press("Home", "ArrowLeft", "End", "Home", "Escape");
  expect(moves).toEqual([{ seq: 1, at: 0 }, { seq: 1, at: 0 }, null, { seq: 1, at: 0 }, null]);
});

test("Page keys go a tenth of the time", () => {
  press("PageDown", "PageDown", "PageUp");
  expect(moves).toEqual([{ seq: 5, at: 9 }, { seq: 5, at: 8 }, { seq: 5, at: 9 }]);
  press("PageUp");
  expect(moves.at(-1)).toBeNull();
});

test("a past moment can be forked, and left", () => {
  press("Home");
  button("Fork from here").click();
  button("Fork from here").click();
  expect(forks).toEqual([1]);
  scrub.forked("It cannot be done.");
  expect(scrub.root.querySelector("[role=alert]")!.textContent).toBe("It cannot be done.");
  button("Back to live").click();
  expect(moves.at(-1)).toBeNull();
  expect(scrub.root.querySelector<HTMLElement>("[role=alert]")!.hidden).toBe(true);
});

test("nobody can fork what the kernel does not know", () => {
  scrub.show(timeline, 10, true, false);
  press("Home");
  expect(button("Fork from here").hidden).toBe(true);
});

test("of a run that has ended, the last event is the end", () => {
  scrub.show(timeline, 8, false, true);
  expect(told()).toBe("8.0 s, the end");
  press("ArrowLeft", "ArrowRight");
  expect(moves).toEqual([{ seq: 4, at: 6 }, null]);
  press("Home");
  expect(button("Back to the end").hidden).toBe(false);
});

test("a replay goes from the start to the end by itself, and can be stopped", () => {
  vi.useFakeTimers();
  scrub.show(timeline, 8, false, true);
  button("Replay from the start").click();
  vi.advanceTimersByTime(1_500);
  expect(moves.at(-1)!.at).toBeGreaterThan(2);
  button("Pause").click();
  const stopped = moves.length;
  vi.advanceTimersByTime(500);
  expect(moves).toHaveLength(stopped);
  button("Replay from here").click();
  vi.advanceTimersByTime(8_000);
  expect(moves.at(-1)).toBeNull();
  expect(button("Replay from the start")).toBeDefined();
});

test("without motion a replay goes in steps", () => {
  vi.useFakeTimers();
  vi.stubGlobal("matchMedia", () => ({ matches: true }));
  button("Replay from the start").click();
  vi.advanceTimersByTime(1_900);
  expect(moves.length).toBeLessThanOrEqual(4);
  vi.unstubAllGlobals();
});

test("without a kernel the bar is still", () => {
  press("Home");
  scrub.close();
  expect(slider().getAttribute("aria-disabled")).toBe("true");
  expect(told()).toBe("10.0 s, as last seen");
  press("Home");
  expect(moves).toHaveLength(1);
});
