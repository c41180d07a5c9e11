// What a node of the graph says about itself, and how much room it takes for that.

import { expect, test } from "vitest";
import { Cells } from "../src/cells";
import { Ruler } from "../src/measure";
import { size, type Look } from "../src/node";
import type { NodeState } from "../src/protocol";
import { fitting } from "../src/second";
import { node } from "./kernel";

const ruler = new Ruler(document.body);
const LOOK: Look = { direction: "TB", full: false, race: false };
const titled = (kind = "agent") => ({ id: "n", title: "n", kind, note: "offline" });
const INSET = 44;

/** The second line in a box of the size that the node asked for before it began. */
function line(state: NodeState, look = LOOK, now = 0, kind = "agent"): string {
  const { width } = size(titled(kind), node("n"), look, now, ruler);
  return state.status + fitting(state, now, ruler, width - INSET);
}

test.each([
  [0.504, "succeeded · 504 ms"],
  [0.999, "succeeded · 999 ms"],
  [59.9, "succeeded · 59.9 s"],
])("a node that took %d s had room for it all along", (seconds, told) => {
  expect(line(node("n", "succeeded", { started_at: 0, ended_at: seconds }))).toBe(told);
});

test("so had a fan-out for its items, and a runner of a race for its place", () => {
  expect(line(node("n", "running", { progress: [9_999, 10_000] }), LOOK, 0, "each")).toBe("running · 9,999 of 10,000");
  const lost = node("n", "cancelled", { reason: "lost", started_at: 0, ended_at: 2.6 });
  expect(line(lost, { ...LOOK, race: true })).toBe("cancelled · lost, 2.6 s");
});

test.each<[Partial<NodeState> & Pick<NodeState, "status">, string]>([
  [{ status: "running", attempt: 2, started_at: 0 }, "running · 1.3 s, attempt 2"],
  [{ status: "waiting", reason: "retry 2 in 1.5 s", started_at: 0 }, "waiting · retry 2 in 1.5 s"],
  [{ status: "waiting", reason: "for you", started_at: 0 }, "waiting · for you, 1.3 s"],
  [{ status: "succeeded", reason: "won", started_at: 0, ended_at: 2.6 }, "succeeded · won, 2.6 s"],
  [{ status: "succeeded", reason: "kept from an earlier run" }, "succeeded · kept from an earlier run"],
  [{ status: "succeeded", reason: "by backup", started_at: 0, ended_at: 1, attempt: 3 }, "succeeded · by backup, 1.0 s, attempt 3"],
  [{ status: "skipped", reason: "triage said refund" }, "skipped · triage said refund"],
  [{ status: "failed", started_at: 0, ended_at: 3.1, attempt: 3 }, "failed · 3.1 s, attempt 3"],
  [{ status: "running", progress: [17, 24] }, "running · 17 of 24"],
  [{ status: "running", progress: [17, 0] }, "running · 17 so far"],
  [{ status: "pending", reason: "needs 3 more" }, "pending · needs 3 more"],
])("%j with room reads %s", (changes, told) => {
  const state = node("n", changes.status, changes);
  expect(state.status + fitting(state, 1.3, ruler, 1_000)).toBe(told);
});

test.each<[Partial<NodeState> & Pick<NodeState, "status">, string]>([
  [{ status: "running", attempt: 2, started_at: 0 }, "running · attempt 2"],
  [{ status: "waiting", reason: "retry 2 in 1.5 s", started_at: 0 }, "waiting · retry 2"],
  [{ status: "waiting", reason: "for you", started_at: 0 }, "waiting · 1.3 s"],
  [{ status: "succeeded", reason: "kept from an earlier run" }, "succeeded · reused"],
  [{ status: "succeeded", started_at: 0, ended_at: 1, attempt: 3 }, "succeeded · 1.0 s"],
  [{ status: "skipped", reason: "triage" }, "skipped · triage"],
  [{ status: "pending", reason: "waits for a long list of things" }, "pending"],
])("%j in a narrow node reads %s", (changes, told) => expect(line(node("n", changes.status, changes), LOOK, 1.3)).toBe(told));

test("only a reason is cut, and the time behind it stays whole", () => {
  const state = node("n", "failed", { reason: "the server said no and then hung up", started_at: 0, ended_at: 3.1 });
  expect(state.status + fitting(state, 0, ruler, 220)).toMatch(/^failed · the server said.*…, 3\.1 s$/);
});

test("left to right there is room for what is known", () => {
  const state = node("n", "skipped", { reason: "triage said refund" });
  const { width } = size(titled(), state, { direction: "LR", full: true, race: false }, 0, ruler);
  expect(state.status + fitting(state, 0, ruler, width - INSET)).toBe("skipped · triage said refund");
});

// ---------- fan-outs ----------

const looks = ({ root }: Cells) => [...root.children].map((cell) => cell.getAttribute("class"));

test("a cell for each item, and one that is under way", () => {
  const cells = new Cells();
  cells.show(node("n", "running", { progress: [1, 4] }), 12, 136);
  expect(looks(cells)).toEqual(["item done", "item now", "item", "item"]);
  const [first] = cells.root.children;
  cells.show(node("n", "running", { progress: [2, 4, 2] }), 12, 136);
  expect(looks(cells)).toEqual(["item done", "item done", "item now", "item now"]);
  expect(cells.root.children[0]).toBe(first);
  cells.show(node("n", "failed", { progress: [3, 4] }), 12, 136);
  expect(looks(cells)).toEqual(["item done", "item done", "item done", "item"]);
});

test("48 items have cells, more have a bar", () => {
  const cells = new Cells();
  cells.show(node("n", "running", { progress: [0, 48] }), 12, 136);
  expect(looks(cells)).toHaveLength(48);
  cells.show(node("n", "running", { progress: [5_000, 10_000] }), 12, 136);
  expect(looks(cells)).toEqual(["item", "item done", "item now"]);
  expect(cells.root.children[1]!.getAttribute("width")).toBe("68");
});

test("a fan-out has its height from the start, before anyone knows how many items there are", () => {
  expect(size(titled("each"), node("n"), LOOK, 0, ruler).height).toBe(66);
  expect(size(titled("each"), null, LOOK, 0, ruler).height).toBe(48);
});
