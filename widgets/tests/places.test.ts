// A large graph: the kernel says where everything is, and only what is in sight is drawn in full.

import { afterEach, beforeEach, expect, test } from "vitest";
import { bundled } from "../src/bundle";
import type { ArrowPlace, FlowSnapshot, Graph, NodeState, Places } from "../src/protocol";
import { addSlot, flow, graph, head, node, openPage, run, settled, type Page } from "./kernel";

const COUNT = 120;
const ids = Array.from({ length: COUNT }, (_, index) => `n${index}`);
const left = (index: number) => index * 160;

/** A chain that is entered and left, in a group, with a word on the way to the second node. */
function chain(): Graph {
  const ends = [null, ...ids, null];
  const edges = ends.slice(1).map((target, index) => ({ source: ends[index]!, target, label: "Text", when: target === "n1" ? "yes" : null }));
  const group = { id: "all", title: "all", kind: "pipeline", note: null, nodes: ids, parent: null };
  return { ...graph(), nodes: ids.map((id) => ({ id, title: id, kind: "step", note: "python" })), edges, groups: [group] };
}

function places(): Places {
  const arrow = (edge: number): ArrowPlace => {
    const [x, to] = [left(edge) - 60, left(edge)];
    const dots: [number, number][] = edge === 0 ? [[x, 24]] : edge === COUNT ? [[to, 24]] : [];
    return { edge, label: edge === 1 ? "yes" : "", at: edge === 1 ? [x + 30, 24] : [], points: [x, 24, x + 30, 24, x + 30, 24, to, 24], dots };
  };
  const boxes = Object.fromEntries(ids.map((id, index) => [id, [left(index), 0, 100, 48]])) as Places["boxes"];
  const arrows = Array.from({ length: COUNT + 1 }, (_, index) => arrow(index));
  return { direction: "LR", width: left(COUNT), height: 48, boxes: { ...boxes, all: [-20, -20, left(COUNT), 90] }, arrows };
}

let page: Page;

beforeEach(() => {
  page = openPage();
});
afterEach(() => {
  page.leave.abort();
  document.body.replaceChildren();
});

async function open(): Promise<void> {
  addSlot();
  await settled();
}

const shape = (id: string) => document.querySelector<SVGElement>(`[data-node="${id}"]`)!;
const flows = () => [...document.querySelectorAll(".edge[data-flow]")].map((edge) => edge.getAttribute("data-flow"));
const card = (): FlowSnapshot => ({ ...flow(), graph: chain(), places: places() });
const inRun = (states: NodeState[]) => {
  const nodes = Object.fromEntries([...ids.map((id) => node(id)), ...states].map((state) => [state.id, state]));
  const arrows = places().arrows.slice(1, COUNT);
  return run({ graph: chain(), nodes, places: { ...places(), arrows }, head: head({ total: COUNT }) });
};

test("it is painted at once, where the kernel has placed it", async () => {
  await open();
  page.model.tell({ type: "snapshot", view: "a", data: card(), seq: 0 });
  expect(document.querySelectorAll(".node")).toHaveLength(COUNT);
  expect(shape("n3").getAttribute("transform")).toBe("translate(480 0)");
  expect(document.querySelector(".group")!.getAttribute("transform")).toBe("translate(-20 -20)");
  expect([...document.querySelectorAll("circle.end")].map((dot) => dot.getAttribute("cx"))).toEqual(["-60", "19200"]);
  expect([...document.querySelectorAll(".edge text")].map(({ textContent }) => textContent)).toEqual(["yes"]);
});

test("a line ends within its head", async () => {
  await open();
  page.model.tell({ type: "snapshot", view: "a", data: card(), seq: 0 });
  const [line, tip] = [...document.querySelectorAll(".edge path")].map((path) => path.getAttribute("d")!);
  expect(line).toMatch(/^M-60 24C-30 24 -30 24 -7 24L-7 24M100 24/);
  expect(tip).toMatch(/^M0 24L-7 27L-7 21ZM160 24/);
});

test("what is in sight is drawn in full, the rest as frames with names", async () => {
  await open();
  page.model.tell({ type: "snapshot", view: "a", data: card(), seq: 0 });
  expect(shape("n1").textContent).toBe("n1steppython");
  expect(shape("n80").textContent).toBe("n80");
});

test("it is looked at where it begins", async () => {
  await open();
  const low = places();
  for (const box of Object.values(low.boxes)) box[1] += 4_000;
  page.model.tell({ type: "snapshot", view: "a", data: { ...card(), places: { ...low, height: 9_000 } }, seq: 0 });
  const { scrollTop, scrollLeft } = document.querySelector(".field")!;
  const seen = Math.min(960, innerHeight * 0.8);
  expect([scrollLeft, scrollTop]).toEqual([0, 4_000 + 24 + 8 - seen / 2]);
  expect([shape("n1").textContent, shape("n80").textContent]).toEqual(["n1steppython", "n80"]);
});

test("groups of which the kernel made nothing are left out", async () => {
  await open();
  const lost = { id: "lost", title: "lost", kind: "race", nodes: ["n1"], parent: null };
  const graph = chain();
  page.model.tell({ type: "snapshot", view: "a", data: { ...card(), graph: { ...graph, groups: [...graph.groups!, lost] } }, seq: 0 });
  expect(document.querySelectorAll(".group")).toHaveLength(1);
  expect(document.querySelectorAll(".node")).toHaveLength(COUNT);
});

test("lines whose data flows alike are painted together, and part when it does not", async () => {
  await open();
  page.model.tell({ type: "snapshot", view: "a", data: inRun([]), seq: 0 });
  expect(flows()).toEqual(["later", "later", "later"]);
  const [before] = [...document.querySelectorAll(".edge path")].map((path) => path.getAttribute("d")!);
  page.model.tell({ type: "patch", views: { a: { seq: 1, nodes: [node("n0", "succeeded"), node("n1", "running")] } } });
  await settled();
  expect(flows()).toEqual(["later", "now", "later", "later"]);
  const [rest, , now] = [...document.querySelectorAll(".edge path")].map((path) => path.getAttribute("d")!);
  expect(now! + rest!).toBe(before);
  expect(shape("n1").getAttribute("data-status")).toBe("running");
});

test("all edges are in a bundle, in their order", () => {
  const arrows = Array.from({ length: 7 }, (_, index) => ({ line: `M${index}`, tip: "", label: { x: 0, y: 0 }, ends: [] }));
  const bundles = bundled(arrows, 3);
  expect(bundles.map(({ strands }) => strands.length)).toEqual([3, 3, 1]);
  expect(bundles.flatMap(({ strands }) => strands.map(({ arrow }) => arrow.line)).join("")).toBe("M0M1M2M3M4M5M6");
});
