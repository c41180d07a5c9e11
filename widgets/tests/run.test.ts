import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { addSlot, flow, head, message, node, openPage, run, settled, type Page } from "./kernel";
import type { Details, Snapshot } from "../src/protocol";

let page: Page;
let seq = 0;

beforeEach(() => {
  page = openPage();
  seq = 0;
});
afterEach(() => {
  page.leave.abort();
  document.body.replaceChildren();
});

async function show(data: Snapshot): Promise<void> {
  addSlot();
  await settled();
  page.model.tell({ type: "snapshot", view: "a", data, seq: 0 });
  await settled();
}

async function patch(changes: object): Promise<void> {
  page.model.tell({ type: "patch", views: { a: { seq: ++seq, ...changes } } });
  await settled();
}

const find = <E extends HTMLElement>(selector: string) => document.querySelector<E>(selector)!;
const tab = (name: string) => [...document.querySelectorAll<HTMLElement>("[role=tab]")].find((tab) => tab.textContent === name)!;
const press = (element: Element, key: string) => element.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));

const DETAILS: Details = {
  node: "write",
  title: "write",
  kind: "step",
  status: "running",
  before: 4,
  path: "desk › write",
  reason: null,
  input: { type: "Question", text: "{}" },
  output: null,
  prompt: null,
  reply: null,
  tools: [],
  attempts: [],
  facts: [["model", "offline"]],
  error: null,
};

// ---------- head ----------

test("the head answers first: how it stands, how far, how long, how much", async () => {
  await show(run());
  expect(find("[role=status]").textContent).toBe("running");
  expect(find(".sub").textContent).toBe("pipelinerun 1abc1 of 3 nodes done");
  expect([...document.querySelectorAll(".stat")].map((stat) => stat.textContent)).toEqual(["elapsed2.0 s", "tokens61", "cost$0.0320"]);
});

test.each([
  [{ simulated: true, cost_usd: 0 }, "$0 simulated"],
  [{ cost_usd: null, unpriced_calls: 2 }, "unpriced"],
  [{ cost_usd: 0.01, unpriced_calls: 1 }, "$0.0100 and 1 call unpriced"],
  [{ cost_usd: null, model_calls: 0 }, "–"],
])("the cost of %j reads %s", async (changes, printed) => {
  await show(run({ head: head(changes) }));
  expect([...document.querySelectorAll(".stat dd")].pop()!.textContent).toBe(printed);
});

test("Stop is sent once, and is gone when the run has ended", async () => {
  await show(run());
  const stop = find<HTMLButtonElement>('[aria-label="Stop run"]');
  stop.click();
  stop.click();
  expect(page.model.asked().filter((type) => type === "stop")).toHaveLength(1);
  await patch({ head: head({ status: "cancelled" }) });
  expect(stop.hidden).toBe(true);
});

test("a failure shows class, path, traceback and remedy", async () => {
  const error = { type: "ValueError", path: "desk › write", message: "no", remedy: "Set `strict=False`.", traceback: "  cell 1\nValueError: no" };
  await show(run({ head: head({ status: "failed", error }) }));
  expect(find(".err").textContent).toBe("ValueError in desk › write  cell 1\nValueError: noSet strict=False.");
  expect(find(".err code").textContent).toBe("strict=False");
});

// ---------- keyboard ----------

test("no key reaches the notebook", async () => {
  await show(run());
  const notebook = vi.fn();
  document.addEventListener("keydown", notebook);
  for (const key of ["b", "d", "ArrowRight", "Enter"]) press(find(".node"), key);
  document.removeEventListener("keydown", notebook);
  expect(notebook).not.toHaveBeenCalled();
});

test("arrow keys move between tabs", async () => {
  await show(run());
  tab("Graph").focus();
  press(tab("Graph"), "ArrowRight");
  expect(tab("Conversation").getAttribute("aria-selected")).toBe("true");
  expect(document.activeElement).toBe(tab("Conversation"));
  press(tab("Conversation"), "ArrowRight");
  expect(tab("Graph").getAttribute("aria-selected")).toBe("true");
});

test("arrow keys walk along the edges, Enter selects and Escape lets go", async () => {
  await show(run());
  const [plan, write] = [find('[data-node="plan"]'), find('[data-node="write"]')];
  plan.focus();
  press(plan, "ArrowRight");
  press(document.activeElement!, "ArrowDown");
  expect(["write", "check"]).toContain((document.activeElement as HTMLElement).dataset["node"]);
  press(write, "Enter");
  expect(write.getAttribute("aria-pressed")).toBe("true");
  expect(page.model.sent.at(-1)).toEqual({ type: "inspect", view: "a", node: "write" });
  press(write, "Escape");
  expect(write.getAttribute("aria-pressed")).toBe("false");
});

// ---------- inspector ----------

test("the inspector offers only tabs that have content", async () => {
  await show(run());
  press(find('[data-node="write"]'), " ");
  page.model.tell({ type: "details", view: "a", node: "write", seq: null, details: DETAILS });
  const inspector = find('[aria-label="Inspector"]');
  expect(inspector.hidden).toBe(false);
  expect([...inspector.querySelectorAll("[role=tab]")].map((tab) => tab.textContent)).toEqual(["Input"]);
  expect(inspector.textContent).toContain("modeloffline");
});

test("a selected node that changes is asked about again, but not at every change", async () => {
  await show(run());
  press(find('[data-node="write"]'), "Enter");
  for (let i = 0; i < 5; i++) await patch({ nodes: [node("write", "running", { calls: i })] });
  const asked = () => page.model.asked().filter((type) => type === "inspect").length;
  expect(asked()).toBe(1);
  await vi.waitFor(() => expect(asked()).toBe(2), 1_000);
});

test("before a run the inspector tells what a node is made of", async () => {
  await show(flow());
  press(find('[data-node="write"]'), "Enter");
  expect(find('[aria-label="Inspector"]').textContent).toContain("writestepQuestion → Outline");
  expect(find(".checks").textContent).toContain("checks passed");
  expect(page.model.asked()).toEqual(["open"]);
});

// ---------- conversation ----------

async function converse(messages = [message("m1", "Hello")]): Promise<void> {
  await show(run({ messages }));
  tab("Conversation").click();
  await settled();
}

test("sender and role are always there", async () => {
  await converse();
  expect(find("[role=log]").getAttribute("aria-label")).toBe("Conversation of desk");
  expect(find("article").getAttribute("aria-label")).toBe("writer");
  expect(find("article header").textContent).toBe("writeragent3 tokens1.0 s");
});

test("a growing message grows in the text node that it has", async () => {
  await converse([message("m1", "Hel", { writing: true })]);
  const [article, text] = [find("article"), find("article p").firstChild!];
  await patch({ messages: [{ id: "m1", append: [0, "lo, "] }, { id: "m1", append: [0, "you"] }] });
  expect(find("article")).toBe(article);
  expect(find("article p").firstChild).toBe(text);
  expect(text.textContent).toBe("Hello, you");
  expect(find(".caret").previousSibling).toBe(text);
});

test("a finished message loses its caret; what the reader opened stays open", async () => {
  const call = { type: "call" as const, id: "c", tool: "find", arguments: '{"a": 1}', result: null, error: null, status: "running" as const, seconds: null };
  await converse([message("m1", "", { writing: true, parts: [call] })]);
  expect(find("summary").textContent).toContain("find(a=1)");
  find<HTMLDetailsElement>("details").open = true;
  await patch({ messages: [message("m1", "", { parts: [{ ...call, status: "succeeded", result: "ok", seconds: 0.1 }] })] });
  expect(find(".caret")).toBeNull();
  expect(find<HTMLDetailsElement>("details").open).toBe(true);
  expect(find("details").textContent).toContain("resultok");
});

test("a long conversation is drawn to its last message", async () => {
  await converse(Array.from({ length: 500 }, (_, i) => message(`m${i}`, `text ${i}`)));
  await vi.waitFor(() => expect(document.querySelectorAll("article")).toHaveLength(500), 2_000);
  expect([...document.querySelectorAll("article p")].map((p) => p.textContent)).toEqual(Array.from({ length: 500 }, (_, i) => `text ${i}`));
});

// ---------- what a model may write ----------

test("hostile text is text, wherever it stands", async () => {
  const evil = '<script>window.hurt = 1</script><img src=x onerror="window.hurt = 1"><a href="javascript:window.hurt = 1">x</a>';
  const call = { type: "call" as const, id: evil, tool: evil, arguments: evil, result: evil, error: evil, status: "failed" as const, seconds: 1 };
  const thinking = { type: "thinking" as const, text: evil, seconds: 1, tokens: 1 };
  const parts = [{ type: "text" as const, text: evil }, { type: "data" as const, text: evil }, thinking, call];
  const error = { type: evil, path: evil, message: evil, remedy: evil, traceback: evil };
  const data = run({
    head: head({ name: evil, error, reason: evil }),
    nodes: { plan: node("plan", "skipped", { reason: evil }) },
    messages: [message(evil, evil, { sender: evil, note: evil, error: evil, parts })],
  });
  data.graph!.nodes[0]!.title = evil;
  data.graph!.edges[1]!.label = evil;
  await show(data);
  tab("Conversation").click();
  press(find('[data-node="plan"]'), "Enter");
  const value = { type: evil, text: evil };
  page.model.tell({ type: "details", view: "a", node: "plan", seq: null, details: { ...DETAILS, node: "plan", input: value, output: value, error, path: evil } });
  await settled();
  expect(document.body.querySelectorAll("script, img, a, iframe, [onerror]")).toHaveLength(0);
  expect("hurt" in window).toBe(false);
  expect(find("article p").textContent).toBe(evil);
});
