// Flows with parts: where groups lie, what stands on them, and what their edges say.

import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { links, passing } from "../src/edge";
import { Field } from "../src/field";
import { sentence } from "../src/group";
import { arrange, type Arrow, type Box, type Direction, type Layout } from "../src/layout";
import { Nest } from "../src/nest";
import type { GraphGroup, NodeState } from "../src/protocol";
import { neighbor } from "../src/steps";
import { rank } from "../src/ranks";
import { addSlot, desk, head, node, openPage, run, settled, type Page } from "./kernel";

const graph = desk();
const ids = graph.nodes.map(({ id }) => id);
const nest = new Nest(ids, graph.groups);
const box = (id: string): Box => ({ id, width: 100, height: 48 });
const group = (id: string, kind: string, nodes: string[], parent: string | null = null): GraphGroup => ({ id, title: id, kind, nodes, parent });
const arrow = (source: string | null, target: string | null): Arrow => ({ source, target, label: 0 });

const place = (direction: Direction, around: Nest, arrows: Arrow[], boxes = ids.map(box)): Promise<Layout> =>
  arrange([{ direction, boxes }], arrows, 900, { nest: around, frames: new Map([...around.groups.keys()].map((id) => [id, 120])), even: true });
const deskArrows = graph.edges.map(({ source, target, when }) => ({ source, target, label: when ? 40 : 0, isReturn: when === "again" }));

/** Every group holds what is in it and nothing else. */
function expectNested({ boxes, groups }: Layout, around: Nest): void {
  for (const { id, nodes } of around.groups.values()) {
    const { x, y, width, height } = groups.get(id)!;
    for (const box of boxes.values()) {
      const isInside = box.x >= x - 0.5 && box.y >= y - 0.5 && box.x + box.width <= x + width + 0.5 && box.y + box.height <= y + height + 0.5;
      const isOutside = box.x >= x + width || box.y >= y + height || box.x + box.width <= x || box.y + box.height <= y;
      expect(nodes.includes(box.id) ? isInside : isOutside, `${box.id} and ${id}`).toBe(true);
    }
  }
}

// ---------- layout ----------

describe.each<Direction>(["LR", "TB"])("%s", (direction) => {
  test("groups lie around their nodes, with room for the words on top", async () => {
    const layout = await place(direction, nest, deskArrows);
    expectNested(layout, nest);
    const [race, first] = [layout.groups.get("race")!, Math.min(layout.boxes.get("race/a")!.y, layout.boxes.get("race/b")!.y)];
    expect(first - race.y).toBeGreaterThanOrEqual(30);
  });

  test("small races and loops stand one below the other, a loop in its order", async () => {
    const { boxes } = await place(direction, nest, deskArrows);
    const at = (id: string) => boxes.get(id)!;
    expect(Math.abs(at("race/a").x - at("race/b").x)).toBeLessThan(20);
    expect(at("polish/revise").y).toBeLessThan(at("polish/critic").y);
    expect(Math.abs(at("polish/revise").x - at("polish/critic").x)).toBeLessThan(20);
  });

  test("edges to and from a group end at its border", async () => {
    const layout = await place(direction, nest, deskArrows);
    const [{ x, y, width, height }, index] = [layout.groups.get("race")!, graph.edges.findIndex(({ target }) => target === "race")];
    const [tipX, tipY] = layout.arrows[index]!.tip.slice(1).split(/[ L]/).map(Number) as [number, number];
    const across = [Math.abs(tipX - x), Math.abs(tipX - x - width), Math.abs(tipY - y), Math.abs(tipY - y - height)];
    expect(Math.min(...across)).toBeLessThan(1);
  });

  test("groups nest, and what follows a group comes after all of it", async () => {
    const around = new Nest(["a", "b", "c", "d", "e"], [group("in", "parallel", ["c", "d"], "out"), group("out", "pipeline", ["b", "c", "d"])]);
    const arrows = [arrow("a", "out"), arrow("b", "in"), arrow("out", "e")];
    const boxes = ["a", "b", "c", "d", "e"].map(box);
    const layout = await place(direction, around, arrows, boxes);
    expectNested(layout, around);
    expect(Object.fromEntries(rank(boxes, arrows, around, direction).depth)).toEqual({ a: 0, b: 1, c: 2, d: 2, e: 3 });
    expect(layout.groups.get("in")!.x).toBeGreaterThan(layout.groups.get("out")!.x);
  });

  test("a group may send to what is in it, from a dot of its own", async () => {
    const around = new Nest(["a", "b", "c"], [group("g", "branch", ["b", "c"])]);
    const layout = await place(direction, around, [arrow("a", "g"), arrow("g", "b"), arrow("g", "c")], ["a", "b", "c"].map(box));
    expectNested(layout, around);
    expect(layout.arrows.map(({ ends }) => ends.length)).toEqual([0, 1, 1]);
    expect(layout.arrows.every(({ line, tip }) => line !== "" && tip !== "")).toBe(true);
  });

  test("thirty groups are placed", async () => {
    const groups = Array.from({ length: 30 }, (_, i) => group(`g${i}`, ["race", "loop", "chain"][i % 3]!, [0, 1, 2].map((part) => `g${i}/${part}`)));
    const nodes = groups.flatMap(({ nodes }) => nodes);
    const arrows = groups.flatMap(({ id, kind, nodes: [a, b, c] }, i) => [
      ...(i < 3 ? [] : [arrow(`g${i - 3}`, id)]),
      ...(kind === "race" ? [] : [arrow(a!, b!), arrow(b!, c!)]),
      ...(kind === "loop" ? [{ ...arrow(c!, a!), isReturn: true }] : []),
    ]);
    const around = new Nest(nodes, groups);
    const layout = await place(direction, around, arrows, nodes.map(box));
    expectNested(layout, around);
    expect(layout.arrows.every(({ tip }) => tip !== "")).toBe(true);
  });
});

/** A flow of nested parts, the same for the same seed. */
function grown(seed: number): { around: Nest; nodes: string[]; arrows: Arrow[] } {
  let state = seed;
  const pick = (most: number) => ((state = (state * 1_664_525 + 1_013_904_223) >>> 0), Math.floor((state / 2 ** 32) * most));
  const [nodes, groups, arrows]: [string[], GraphGroup[], Arrow[]] = [[], [], []];
  const grow = (id: string, height: number, parent: string | null): string => {
    if (height === 0 || pick(5) < 2) return nodes[nodes.push(id) - 1]!;
    const kind = ["race", "loop", "branch", "pipeline"][pick(4)]!;
    const made = group(id, kind, [], parent);
    const [start, parts] = [nodes.length, Array.from({ length: groups.push(made) && 1 + pick(4) }, (_, i) => grow(`${id}/${i}`, height - 1, id))];
    made.nodes = nodes.slice(start);
    if (kind === "loop" || kind === "pipeline") for (const [i, part] of parts.slice(1).entries()) arrows.push(arrow(parts[i]!, part));
    if (kind === "loop") arrows.push({ ...arrow(parts.at(-1)!, parts[0]!), isReturn: true });
    if (kind === "branch") for (const part of parts) arrows.push(arrow(id, part));
    return id;
  };
  const units = Array.from({ length: 2 + pick(6) }, (_, i) => grow(`u${i}`, pick(4), null));
  for (const [i, unit] of units.slice(1).entries()) arrows.push({ ...arrow(units[pick(i + 1)]!, unit), label: pick(2) * 40 });
  return { around: new Nest(nodes, groups), nodes, arrows };
}

test.each(Array.from({ length: 25 }, (_, seed) => seed + 1))("whatever nests, each group holds what is in it (%i)", async (seed) => {
  const { around, nodes, arrows } = grown(seed);
  for (const direction of ["LR", "TB"] as const) {
    const layout = await place(direction, around, arrows, nodes.map(box));
    expectNested(layout, around);
    expect(layout.arrows.every(({ line, tip }) => line !== "" && tip !== "")).toBe(true);
  }
});

test.each<[Direction, "x" | "y"]>([["LR", "y"], ["TB", "x"]])("nodes without edges stand in the order they are given (%s)", async (direction, along) => {
  const { boxes } = await place(direction, new Nest([]), [], ["a", "b", "c"].map(box));
  const [a, b, c] = ["a", "b", "c"].map((id) => boxes.get(id)![along]);
  expect(a).toBeLessThan(b!);
  expect(b).toBeLessThan(c!);
});

test("only the gap that holds a label is widened", async () => {
  const boxes = ["a", "b", "c"].map(box);
  const layout = await place("LR", new Nest([]), [{ ...arrow("a", "b"), label: 100 }, arrow("b", "c")], boxes);
  const [a, b, c] = boxes.map(({ id }) => layout.boxes.get(id)!.x) as [number, number, number];
  expect([Math.round(b - a - 100), Math.round(c - b - 100)]).toEqual([120, 60]);
});

test("groups that make no sense are left out or taken as they can be", () => {
  const odd = new Nest(["a"], [group("empty", "race", []), group("ghost", "race", ["x"]), group("one", "chain", ["a"], "two"), group("two", "chain", ["a"], "one")]);
  expect([...odd.groups.keys()].sort()).toEqual(["one", "two"]);
  expect(odd.home("a")).not.toBeNull();
  expect([...odd.groups.values()].filter(({ id }) => odd.home(id) === null)).toHaveLength(1);
});

// ---------- words ----------

test.each<[string, Partial<GraphGroup>, Partial<NodeState> | null, string]>([
  ["race", { note: "first success wins" }, null, "race: first success wins"],
  ["loop", { note: "at most 4 times" }, null, "loop: at most 4 times"],
  ["loop", { note: "at most 4 times" }, { progress: [2, 4] }, "loop: iteration 2 of 4"],
  ["loop", {}, { progress: [2, 0] }, "loop: iteration 2"],
  ["loop", { note: "at most 4 times" }, { progress: null }, "loop: at most 4 times"],
  ["pipeline", { title: "polish", note: "3 steps" }, null, "polish · pipeline, 3 steps"],
  ["branch", { title: "by kind" }, null, "by kind · branch"],
])("a %s with %j in %j is told as %s", (kind, about, state, told) => {
  expect(sentence({ ...group("g", kind, ["a"]), ...about }, state && node("g", "running", state))).toBe(told);
});

test("an edge says on what it is taken, else what it carries; a loop's way back says nothing", () => {
  const labels = (inRun: boolean) => links(graph.edges, new Set(ids), nest, inRun).map(({ label }) => label);
  expect(labels(false).filter((label) => label === "Text")).toHaveLength(graph.edges.length - 3);
  expect(labels(true).filter(Boolean)).toEqual(["refund", "complaint"]);
});

test.each<[NodeState["status"], [number, number], string]>([
  ["running", [1, 4], "later"],
  ["succeeded", [1, 4], "never"],
  ["succeeded", [3, 4], "done"],
])("the way back of a loop that is %s at %j: %s", (status, progress, told) => {
  const back = links(graph.edges, new Set(ids), nest, true).find(({ loop }) => loop)!;
  const states = new Map([["polish", node("polish", status, { progress })], ["polish/critic", node("polish/critic", "running")]]);
  expect(passing(back, nest, (id) => states.get(id) ?? null)).toBe(told);
});

test("data goes into a group once, however long the group works", () => {
  const into = links(graph.edges, new Set(ids), nest, true).find(({ edge }) => edge.target === "polish")!;
  const states = new Map([["race", node("race", "succeeded")], ["polish", node("polish", "running")], ["polish/revise", node("polish/revise", "running")]]);
  const told = () => passing(into, nest, (id) => states.get(id) ?? null);
  expect(told()).toBe("now");
  states.set("polish/revise", node("polish/revise", "succeeded"));
  expect(told()).toBe("done");
});

// ---------- keyboard ----------

test("arrow keys walk into groups, through them and out again", async () => {
  const layout = await place("TB", nest, deskArrows);
  const step = (from: string, way: "up" | "down") => neighbor(from, way, layout, graph.edges, nest);
  expect(step("race/b", "down")).toBe("polish/revise");
  expect(step("polish/revise", "down")).toBe("polish/critic");
  expect(step("polish/critic", "down")).toBe("send");
  expect(step("polish/critic", "up")).toBe("polish/revise");
  expect(step("polish/revise", "up")).toBe("race/b");
  const wide = await place("LR", nest, deskArrows);
  expect(neighbor("polish/revise", "down", wide, graph.edges, nest)).toBe("polish/critic");
  expect(neighbor("polish/critic", "right", wide, graph.edges, nest)).toBe("send");
});

// ---------- as painted ----------

let page: Page;
beforeEach(() => (page = openPage()));
afterEach(() => {
  page.leave.abort();
  document.body.replaceChildren();
});

async function show(states: NodeState[]): Promise<void> {
  const nodes = Object.fromEntries([...ids.map((id) => node(id)), ...states].map((state) => [state.id, state]));
  addSlot();
  await settled();
  page.model.tell({ type: "snapshot", view: "a", data: run({ head: head(), graph, nodes }), seq: 0 });
  await settled();
}

const patch = async (seq: number, nodes: NodeState[]) => {
  page.model.tell({ type: "patch", views: { a: { seq, nodes } } });
  await settled();
};
const painted = (id: string) => document.querySelector<SVGElement>(`[data-group="${id}"]`)!;
const pips = () => [...painted("polish").querySelectorAll("circle")].map((pip) => pip.getAttribute("class"));

test("groups are named with their status and are no buttons", async () => {
  await show([node("race", "succeeded"), node("polish", "running", { progress: [2, 4] })]);
  expect(painted("race").getAttribute("role")).toBe("group");
  expect(painted("race").getAttribute("aria-label")).toBe("draft: succeeded");
  expect(painted("race").hasAttribute("tabindex")).toBe(false);
  expect(painted("polish").textContent).toBe("loop: iteration 2 of 4");
});

test("pips follow the iterations", async () => {
  await show([node("polish", "running", { progress: [1, 4] })]);
  expect(pips()).toEqual(["pip now", "pip", "pip", "pip"]);
  await patch(1, [node("polish", "running", { progress: [3, 4] })]);
  expect(pips()).toEqual(["pip done", "pip done", "pip now", "pip"]);
  expect(painted("polish").textContent).toBe("loop: iteration 3 of 4");
  await patch(2, [node("polish", "succeeded", { progress: [3, 4] })]);
  expect(pips()).toEqual(["pip done", "pip done", "pip done", "pip"]);
});

test("a loop keeps room for its iterations from before the first one", async () => {
  await show([node("polish")]);
  expect(painted("polish").textContent).toBe("loop: at most 4 times");
  await patch(1, [node("polish", "running", { progress: [1, 4] })]);
  expect(painted("polish").textContent).toBe("loop: iteration 1 of 4");
  expect(pips()).toHaveLength(4);
});

test("more than twelve iterations are told in words only", async () => {
  await show([node("polish", "running", { progress: [7, 40] })]);
  expect(pips()).toEqual([]);
  expect(painted("polish").textContent).toBe("loop: iteration 7 of 40");
});

test("the way not taken is dotted, the taken one solid", async () => {
  await show([node("triage", "succeeded"), node("route", "succeeded"), node("refund", "succeeded"), node("complaint", "skipped")]);
  const flows = [...document.querySelectorAll(".edge[data-flow]")].map((edge) => edge.getAttribute("data-flow"));
  const flowOf = (source: string, target: string) => flows[graph.edges.findIndex((edge) => edge.source === source && edge.target === target)];
  expect([flowOf("route", "refund"), flowOf("route", "complaint"), flowOf("complaint", "send")]).toEqual(["done", "never", "never"]);
  expect([...document.querySelectorAll(".dag .when")].map((label) => label.textContent)).toEqual(["refund", "complaint"]);
});

test("hostile names of groups are text", async () => {
  const evil = '<img src=x onerror="window.hurt = 1">"] ; x -> y';
  addSlot();
  await settled();
  const hostile = { ...graph, groups: graph.groups!.map((group) => ({ ...group, title: evil, note: evil })) };
  page.model.tell({ type: "snapshot", view: "a", data: run({ graph: hostile, nodes: {} }), seq: 0 });
  await settled();
  expect(document.querySelectorAll("img, [onerror]")).toHaveLength(0);
  expect(painted("race").getAttribute("aria-label")).toBe(`${evil}: pending`);
});

test("the tools above a graph have room when a group's frame reaches under them, too", () => {
  const layout = (groups: Layout["groups"]): Layout => ({ direction: "LR", width: 880, height: 90, boxes: new Map(), groups, arrows: [] });
  const field = new Field(document.createElementNS("http://www.w3.org/2000/svg", "svg"), () => []);
  field.hold(layout(new Map([["loop", { x: 700, y: 4, width: 180, height: 80 }]])), 900, true);
  expect(field.root.classList.contains("is-crowded")).toBe(true);
  field.hold(layout(new Map([["loop", { x: 100, y: 4, width: 180, height: 80 }]])), 900, true);
  expect(field.root.classList.contains("is-crowded")).toBe(false);
});
