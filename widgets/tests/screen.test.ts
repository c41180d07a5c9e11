import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { addSlot, head, message, node, openPage, run, settled, type Page } from "./kernel";

let page: Page;

beforeEach(() => (page = openPage()));
afterEach(() => {
  page.leave.abort();
  document.body.replaceChildren();
  vi.useRealTimers();
});

const views = () => [...document.querySelectorAll<HTMLElement>(".quire")];

async function show(view = "a"): Promise<HTMLElement> {
  const slot = addSlot(view);
  await settled();
  page.model.tell({ type: "snapshot", view, data: run(), seq: 0 });
  await settled();
  return slot;
}

test("a slot asks for its view, and the view takes the place of the picture", async () => {
  const slot = await show();
  expect(page.model.sent[0]).toEqual({ type: "open", view: "a" });
  expect(slot.querySelector("p")!.hidden).toBe(true);
  expect(views()[0]!.getAttribute("aria-label")).toBe("Run desk");
});

test("slots of another kernel are left alone", async () => {
  addSlot("a", "other");
  await settled();
  expect(page.model.sent).toEqual([]);
});

test("slots that are there before the model are found as well", async () => {
  page.leave.abort();
  addSlot("early");
  page = openPage();
  expect(page.model.sent).toEqual([{ type: "open", view: "early" }]);
});

test("a replaced output keeps its view", async () => {
  const slot = await show();
  const [view] = views();
  slot.remove();
  const next = addSlot();
  await settled();
  expect(next.contains(view!)).toBe(true);
  expect(page.model.asked()).toEqual(["open"]);
});

test("several slots of one view are all alive", async () => {
  await show();
  addSlot();
  await settled();
  page.model.tell({ type: "patch", views: { a: { seq: 1, head: head({ done: 2 }) } } });
  await settled();
  expect(views().map((view) => view.textContent!.includes("2 of 3 nodes done"))).toEqual([true, true]);
});

test("a snapshot meant for another page changes nothing", async () => {
  await show();
  page.model.tell({ type: "snapshot", view: "a", data: run({ head: head({ name: "else" }) }), seq: 0 });
  expect(views()[0]!.querySelector("h2")!.textContent).toBe("desk");
});

test("a gap is answered with one request for a snapshot", async () => {
  await show();
  page.model.tell({ type: "patch", views: { a: { seq: 3, head: head({ done: 3 }) } } });
  page.model.tell({ type: "patch", views: { a: { seq: 4, head: head({ done: 3 }) } } });
  expect(page.model.asked()).toEqual(["open", "resync"]);
  page.model.tell({ type: "snapshot", view: "a", data: run({ head: head({ done: 3 }) }), seq: 4 });
  page.model.tell({ type: "patch", views: { a: { seq: 5, nodes: [node("check", "failed")] } } });
  await settled();
  expect(views()[0]!.textContent).toContain("3 of 3 nodes done");
  expect(views()[0]!.querySelector('[aria-label="check: failed"]')).not.toBeNull();
});

test("text for a message that is not known is a gap too", async () => {
  await show();
  page.model.tell({ type: "patch", views: { a: { seq: 1, messages: [{ id: "unknown", append: [0, "x"] }] } } });
  expect(page.model.asked()).toEqual(["open", "resync"]);
});

test("a flood of patches is painted once a frame and nothing is lost", async () => {
  await show();
  const paints = vi.spyOn(globalThis, "requestAnimationFrame");
  for (let seq = 1; seq <= 100; seq++)
    page.model.tell({ type: "patch", views: { a: { seq, messages: [message(`n${seq}`, "more")], head: head({ done: seq, total: 200 }) } } });
  expect(paints).toHaveBeenCalledTimes(1);
  await settled();
  (document.querySelectorAll("[role=tab]")[1] as HTMLElement).click();
  await settled();
  expect(document.querySelectorAll("article")).toHaveLength(101);
  expect(page.model.asked()).toEqual(["open"]);
});

test("a view is closed a while after its last slot has gone, and opened again when it returns", async () => {
  const slot = await show();
  vi.useFakeTimers();
  slot.remove();
  await vi.advanceTimersByTimeAsync(4_900);
  expect(page.model.asked()).toEqual(["open"]);
  await vi.advanceTimersByTimeAsync(200);
  expect(page.model.asked()).toEqual(["open", "close"]);
  document.body.append(slot);
  await vi.advanceTimersByTimeAsync(50);
  expect(page.model.asked()).toEqual(["open", "close", "open"]);
  expect(views()).toHaveLength(1);
});

test("a slot that is only away for a moment stays open", async () => {
  const slot = await show();
  vi.useFakeTimers();
  slot.remove();
  await vi.advanceTimersByTimeAsync(2_000);
  document.body.append(slot);
  await vi.advanceTimersByTimeAsync(10_000);
  expect(page.model.asked()).toEqual(["open"]);
});

test.each(["comm:close", "comm_live_update"])("without a kernel the last moment stays and says so (%s)", async (event) => {
  await show();
  page.model.emit(event);
  page.model.emit(event);
  expect(document.querySelectorAll(".notice")).toHaveLength(1);
  expect(document.querySelector(".notice")!.textContent).toBe(
    "The kernel is gone.This is the run as last seen, at 2.0 s. What is recorded is safe.quire.runs()",
  );
  expect(document.querySelector<HTMLElement>('[aria-label="Stop run"]')!.hidden).toBe(true);
});
