import { expect, test } from "vitest";
import { arrange as lay, type Arrow, type Box, type Layout } from "../src/layout";
import { Nest } from "../src/nest";
import { rank } from "../src/ranks";
import type { Status } from "../src/protocol";
import { flow } from "../src/status";
import { neighbor } from "../src/steps";

const box = (id: string): Box => ({ id, width: 100, height: 48 });
const arrow = (source: string | null, target: string | null, label = 0): Arrow => ({ source, target, label });
const arrange = (boxes: Box[], arrows: Arrow[], room: number): Promise<Layout> =>
  lay([{ direction: "LR", boxes }, { direction: "TB", boxes }], arrows, room);
const boxes = ["a", "b", "c", "d"].map(box);
const arrows = [arrow(null, "a", 50), arrow("a", "b"), arrow("a", "c"), arrow("b", "d"), arrow("c", "d"), arrow("d", null)];

test("left to right if there is room", async () => {
  const layout = await arrange(boxes, arrows, 1_000);
  const x = (id: string) => layout.boxes.get(id)!.x;
  expect(layout.direction).toBe("LR");
  expect(x("a")).toBeLessThan(x("b"));
  expect(x("b")).toBeCloseTo(x("c"));
  expect(x("d")).toBeGreaterThan(x("c"));
  expect(layout.width).toBeLessThanOrEqual(984);
});

test("top down if there is not", async () => {
  const layout = await arrange(boxes, arrows, 400);
  const y = (id: string) => layout.boxes.get(id)!.y;
  expect(layout.direction).toBe("TB");
  expect(y("a")).toBeLessThan(y("b"));
  expect(y("b")).toBeCloseTo(y("c"));
  expect(y("d")).toBeGreaterThan(y("c"));
});

test("boxes keep the size they were given and do not overlap", async () => {
  const placed = [...(await arrange(boxes, arrows, 1_000)).boxes.values()];
  for (const one of placed)
    for (const other of placed)
      if (one !== other) expect(Math.abs(one.x - other.x) >= 100 || Math.abs(one.y - other.y) >= 48).toBe(true);
});

test("every arrow has a line and a head, open ends have a dot", async () => {
  const { arrows: placed } = await arrange(boxes, arrows, 1_000);
  for (const { line, tip } of placed) expect([line, tip]).toEqual([expect.stringMatching(/^M.*C.*L/), expect.stringMatching(/^M.*Z$/)]);
  expect(placed.map(({ ends }) => ends.length)).toEqual([1, 0, 0, 0, 0, 1]);
});

test("a circle is laid out, and does not change the columns", async () => {
  const circle = [arrow("a", "b"), arrow("b", "c"), arrow("c", "a")];
  expect([...rank(boxes.slice(0, 3), circle, new Nest([]), "LR").depth.values()]).toEqual([0, 1, 2]);
  expect((await arrange(boxes.slice(0, 3), circle, 1_000)).arrows).toHaveLength(3);
});

test("names never reach Graphviz", async () => {
  const odd = ['a"]; b [label="', "<b>", "ü\\"].map(box);
  const layout = await arrange(odd, [arrow(odd[0]!.id, odd[1]!.id)], 1_000);
  expect([...layout.boxes.keys()]).toEqual(odd.map(({ id }) => id));
});

test("two hundred nodes are placed", async () => {
  const many = Array.from({ length: 200 }, (_, i) => box(`n${i}`));
  const links = many.slice(30).map(({ id }, i) => arrow(`n${i}`, id));
  expect((await arrange(many, links, 900)).boxes.size).toBe(200);
});

test("arrow keys follow the edges, and step aside within a column", async () => {
  const layout = await arrange(boxes, arrows, 1_000);
  const upper = layout.boxes.get("b")!.y < layout.boxes.get("c")!.y ? "b" : "c";
  const lower = upper === "b" ? "c" : "b";
  const edges = arrows.map(({ source, target }) => ({ source, target }));
  expect(["b", "c"]).toContain(neighbor("a", "right", layout, edges));
  expect(neighbor(upper, "down", layout, edges)).toBe(lower);
  expect(neighbor(lower, "up", layout, edges)).toBe(upper);
  expect(neighbor("d", "right", layout, edges)).toBeNull();
});

test.each<[Status | null, Status | null, string]>([
  ["succeeded", "succeeded", "done"],
  ["succeeded", "failed", "done"],
  ["succeeded", "waiting", "done"],
  ["succeeded", "running", "now"],
  ["succeeded", "pending", "later"],
  ["running", "pending", "later"],
  ["waiting", "pending", "later"],
  ["pending", "pending", "later"],
  ["succeeded", "skipped", "never"],
  ["succeeded", "cancelled", "never"],
  ["skipped", "pending", "never"],
  ["failed", "pending", "never"],
  ["cancelled", "succeeded", "never"],
  [null, "running", "done"],
  [null, "pending", "later"],
  ["succeeded", null, "done"],
  ["running", null, "later"],
])("from %s to %s the data flows: %s", (from, to, expected) => {
  expect(flow(from, to)).toBe(expected);
});
