import { expect, test } from "vitest";
import { Timeline } from "../src/timeline";

// Events at 0, 0, 0.1, 0.5, 10 and 10.2 seconds.
const timeline = new Timeline({ times: [0, 0, 100, 400], marks: [[3, "failed"]] });
timeline.add({ times: [9_500, 200], marks: [[5, "waiting"]] });

test("what comes later goes on from what was there", () => {
  expect(timeline.length).toBe(6);
  expect([1, 2, 3, 4, 5, 6].map((seq) => timeline.at(seq))).toEqual([0, 0, 0.1, 0.5, 10, 10.2]);
  expect(timeline.marks).toEqual([
    [3, "failed"],
    [5, "waiting"],
  ]);
});

test.each([
  [-1, 1],
  [0, 2],
  [0.09, 2],
  [0.1, 3],
  [9.99, 4],
  [99, 6],
])("at %d s the last event is number %d", (at, seq) => expect(timeline.seqAt(at)).toBe(seq));

test("what happened is counted in equal stretches", () => {
  expect(timeline.counts(11, 11)).toEqual([4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
});

test("a replay keeps the pace of the run, and long pauses are shortened", () => {
  expect(timeline.later(0, 0.3, 12, 1)).toBeCloseTo(0.3);
  expect(timeline.later(0.5, 0.5, 12, 1)).toBeCloseTo(5.25);
  expect(timeline.later(0.4, 0.1 + 1 + 0.1, 12, 1)).toBeCloseTo(10.1);
  expect(timeline.later(10.2, 0.5, 10.7, 1)).toBeCloseTo(10.7);
  expect(timeline.later(0, 99, 12, 1)).toBe(12);
});
