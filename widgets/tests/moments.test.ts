import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { addSlot, head, message, node, openPage, run, settled, type Page } from "./kernel";
import type { Details, Past, RunSnapshot } from "../src/protocol";

let page: Page;

beforeEach(() => (page = openPage()));
afterEach(() => {
  page.leave.abort();
  document.body.replaceChildren();
});

// Events at 0, 1 and 2 seconds of a run that began at 1,000 by the kernel's clock.
const LIVE = { ended_at: null, started_at: 1_000 };
const before: Past = { head: head({ ...LIVE, done: 0 }), nodes: { plan: node("plan", "running"), write: node("write"), check: node("check") }, messages: [] };

async function show(changes: Partial<RunSnapshot> = {}): Promise<void> {
  addSlot();
  await settled();
  const data = run({ head: head(LIVE), ticks: { times: [0, 1_000, 1_000], marks: [] }, forkable: true, ...changes });
  page.model.tell({ type: "snapshot", view: "a", data, seq: 0, now: 1_005 });
  await vi.waitFor(() => expect(document.querySelector("[data-node]")).not.toBeNull(), 3_000);
}

const find = <E extends HTMLElement>(selector: string) => document.querySelector<E>(selector)!;
const press = (target: Element, key: string) => target.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
const slider = () => find('[role="slider"]');
const status = (id: string) => find(`[data-node="${id}"]`).dataset["status"];
const asked = (kind: string) => page.model.sent.filter(({ type }) => type === kind);
const answer = async (seq: number, data = before) => {
  page.model.tell({ type: "moment", view: "a", seq, data });
  await settled();
};

test("a past moment moves every view, and says that it is one", async () => {
  await show();
  expect(status("plan")).toBe("succeeded");
  press(slider(), "Home");
  expect(asked("moment")).toEqual([{ type: "moment", view: "a", seq: 1 }]);
  await answer(1);
  expect(status("plan")).toBe("running");
  expect(find(".sub").textContent).toContain("0 of 3 nodes done");
  expect(find(".title-row").textContent).toContain("at 0.0 s");
  expect(find(".stat dd").textContent).toBe("0 ms");
  [...document.querySelectorAll<HTMLElement>("[role=tab]")].find((tab) => tab.textContent === "Conversation")!.click();
  expect(document.querySelectorAll("article")).toHaveLength(0);
  press(slider(), "End");
  await settled();
  expect(status("plan")).toBe("succeeded");
  expect(document.querySelectorAll("article")).toHaveLength(1);
  expect(find(".title-row").textContent).not.toContain("at 0.0 s");
});

test("while the past is shown, the run goes on beneath", async () => {
  await show();
  press(slider(), "Home");
  await answer(1);
  const patch = { seq: 1, head: head({ ...LIVE, done: 3 }), nodes: [node("check", "failed")], messages: [message("m2", "More")], ticks: { times: [500], marks: [] } };
  page.model.tell({ type: "patch", views: { a: patch }, now: 1_006 });
  await settled();
  expect(status("check")).toBe("pending");
  expect(find(".stat dd").textContent).toBe("0 ms");
  expect(find<HTMLElement>('[aria-label="Stop run"]').hidden).toBe(false);
  press(slider(), "Escape");
  await settled();
  expect(status("check")).toBe("failed");
  expect(find(".sub").textContent).toContain("3 of 3 nodes done");
});

test("one moment is asked for at a time, and the last one wins", async () => {
  await show();
  for (const key of ["ArrowLeft", "ArrowLeft", "ArrowLeft"]) press(slider(), key);
  expect(asked("moment").map((sent) => "seq" in sent && sent.seq)).toEqual([3]);
  await answer(3);
  expect(asked("moment").map((sent) => "seq" in sent && sent.seq)).toEqual([3, 1]);
  await answer(2); // asked for by another page
  await answer(1);
  expect(status("plan")).toBe("running");
});

test("an answer that comes when the reader is back is not shown", async () => {
  await show();
  press(slider(), "Home");
  press(slider(), "End");
  await answer(1);
  expect(status("plan")).toBe("succeeded");
});

test("the selected node is shown as it was then", async () => {
  await show();
  press(find('[data-node="plan"]'), "Enter");
  press(slider(), "Home");
  await answer(1);
  expect(page.model.sent.at(-1)).toEqual({ type: "inspect", view: "a", node: "plan", seq: 1 });
  const nothing = { input: null, output: null, prompt: null, reply: null, tools: [], attempts: [], facts: [], error: null, reason: null };
  const details: Details = { node: "plan", title: "plan", kind: "step", status: "running", before: 7, path: "plan", ...nothing };
  page.model.tell({ type: "details", view: "a", node: "plan", seq: null, details: { ...details, title: "late" } });
  page.model.tell({ type: "details", view: "a", node: "plan", seq: 1, details });
  expect(find(".inspector h3").textContent).toBe("plan");
  const moment = [...document.querySelectorAll<HTMLElement>(".scrub button")].find((one) => one.textContent === "Fork from here")!;
  expect(moment.hidden).toBe(true); // from here is from the node
  find<HTMLElement>("[role=tab]:nth-child(2)").click();
  expect(moment.hidden).toBe(false);
  find<HTMLElement>("[role=tab]:nth-child(1)").click();
  const fork = [...document.querySelectorAll<HTMLButtonElement>(".inspector button")].find((one) => one.textContent === "Fork from here")!;
  fork.click();
  fork.click();
  expect(asked("fork")).toEqual([{ type: "fork", view: "a", seq: 7 }]);
  page.model.tell({ type: "forked", view: "a", fork: "b" });
  expect(fork.disabled).toBe(false);
});

test("where only the person's code knows what was run, the line to type is shown", async () => {
  await show({ forkable: false });
  press(find('[data-node="plan"]'), "Enter");
  const nothing = { input: null, output: null, prompt: null, reply: null, tools: [], attempts: [], facts: [], error: null, reason: null };
  const details: Details = { node: "plan", title: "plan", kind: "step", status: "running", before: 7, path: "plan", ...nothing };
  page.model.tell({ type: "details", view: "a", node: "plan", seq: null, details });
  expect(find(".inspector").textContent).toContain('desk.fork("01abc", at=7)');
  expect(find<HTMLElement>(".inspector-title button").hidden).toBe(true);
});

test("a fork may begin with another output of a node", async () => {
  await show();
  press(find('[data-node="plan"]'), "Enter");
  const nothing = { input: null, prompt: null, reply: null, tools: [], attempts: [], facts: [], error: null, reason: null };
  const details: Details = { node: "plan", title: "plan", kind: "step", status: "succeeded", before: 7, path: "plan", ...nothing, output: { type: "str", text: "given" } };
  const tell = (change: object) => page.model.tell({ type: "details", view: "a", node: "plan", seq: null, details: { ...details, ...change } });
  const button = (label: string) => [...document.querySelectorAll<HTMLButtonElement>(".inspector button")].find((one) => one.textContent === label)!;
  tell({ status: "running" });
  expect(button("Edit output").hidden).toBe(true);
  tell({});
  button("Edit output").click();
  const box = find<HTMLTextAreaElement>('[aria-label="Output of plan"]');
  expect(box.value).toBe("given");
  box.value = "written";
  tell({ facts: [["time", "1 s"]] });
  expect(box.value).toBe("written");
  expect(button("Edit output").hidden).toBe(true);
  button("Fork with this output").click();
  expect(asked("fork")).toEqual([{ type: "fork", view: "a", node: "plan", output: "written" }]);
  page.model.tell({ type: "refused", view: "a", message: "It does not fit." });
  expect(find(".inspector > [role=alert]").textContent).toBe("It does not fit.");
  expect(find<HTMLElement>(".scrub [role=alert]").hidden).toBe(true);
  button("Fork with this output").click();
  page.model.tell({ type: "forked", view: "a", fork: "b" });
  expect(find<HTMLElement>(".rewrite").hidden).toBe(true);
  expect(button("Edit output").hidden).toBe(false);
  button("Edit output").click();
  page.model.emit("comm:close");
  expect(find<HTMLElement>(".rewrite").hidden).toBe(true);
  expect(button("Edit output").hidden).toBe(true);
});

test("a fork is shown to the reader who asked for it", async () => {
  await show();
  press(slider(), "Home");
  await answer(1);
  [...document.querySelectorAll<HTMLElement>(".scrub button")].find((one) => one.textContent === "Fork from here")!.click();
  expect(asked("fork")).toEqual([{ type: "fork", view: "a", seq: 1 }]);
  page.model.tell({ type: "forked", view: "a", fork: "b" });
  const slot = document.createElement("div");
  Object.assign(slot, { className: "quire-slot", scrollIntoView: () => (slot.dataset["seen"] = "yes") });
  slot.dataset["quire"] = "key/b";
  document.body.append(slot);
  await settled();
  expect(slot.dataset["seen"]).toBe("yes");
});

test("without a kernel the last moment is shown, and the bar is still", async () => {
  await show();
  press(slider(), "Home");
  await answer(1);
  page.model.emit("comm:close");
  await settled();
  expect(status("plan")).toBe("succeeded");
  expect(slider().getAttribute("aria-disabled")).toBe("true");
});

test("a part of a run alone has no bar", async () => {
  await show({ kind: "graph", ticks: undefined as never });
  expect(find<HTMLElement>(".scrub").hidden).toBe(true);
});
