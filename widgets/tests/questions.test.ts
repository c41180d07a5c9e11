import { afterEach, beforeEach, expect, test } from "vitest";
import { addSlot, head, openPage, run, settled, type Page } from "./kernel";
import type { Question } from "../src/protocol";

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

function question(changes: Partial<Question> = {}): Question {
  const unknown = { tool: null, arguments: [], why: null, field: null, until: null, answer: null, by: null, answered_at: null };
  return { id: "7", node: "polish/revise", path: "desk › polish › revise", text: "Publish?", choices: ["yes", "no"], asked_at: 1_000, ...unknown, ...changes };
}

async function show(...questions: Question[]): Promise<void> {
  addSlot();
  await settled();
  const asking = head({ ended_at: null, questions });
  page.model.tell({ type: "snapshot", view: "a", data: run({ head: asking }), seq: 0, now: 1_027.2 });
  await settled();
}

async function patch(...questions: Question[]): Promise<void> {
  page.model.tell({ type: "patch", views: { a: { seq: ++seq, head: head({ ended_at: null, questions }) } }, now: 1_030 });
  await settled();
}

const cards = () => [...document.querySelectorAll<HTMLElement>('[role="group"]')];
const button = (label: string, card = cards()[0]!) => [...card.querySelectorAll("button")].find((one) => one.textContent === label)!;
const box = () => document.querySelector<HTMLTextAreaElement>('[aria-label="Answer"]')!;
const answers = () => page.model.sent.filter(({ type }) => type === "answer");

test("a question stands between the head and the tabs, with its choices as buttons, the first the main one", async () => {
  await show(question({ why: "It is Friday." }));
  const [card] = cards();
  expect(card!.getAttribute("aria-label")).toBe("Question: revise");
  expect(card!.textContent).toMatch(/^waitingreviseasked 27\.\d s ago/);
  expect(card!.textContent).toContain("Publish?");
  expect(card!.textContent).toContain("Why: It is Friday.");
  expect([...card!.querySelectorAll("button")].map((one) => [one.textContent, one.className])).toEqual([["yes", "main"], ["no", ""]]);
  const order = [...document.querySelectorAll(".head, .ask, [role=tablist]")].map((part) => part.className);
  expect(order.slice(0, 3)).toEqual(["head", "ask", "tabs"]);
});

test("what is asked about a tool shows its arguments whole", async () => {
  await show(question({ tool: "issue_refund", arguments: [["order_id", "8841"]], text: "Refund?" }));
  expect(cards()[0]!.getAttribute("aria-label")).toBe("Approval: issue_refund");
  expect(cards()[0]!.textContent).toContain("asked by revise");
  expect(cards()[0]!.textContent).toContain("order_id 8841");
});

test("a choice is sent once, and none can be made again", async () => {
  await show(question());
  button("no").click();
  button("no").click();
  button("yes").click();
  expect(answers()).toEqual([{ type: "answer", view: "a", question: "7", value: "no" }]);
  expect([...cards()[0]!.querySelectorAll("button")].every((one) => one.disabled)).toBe(true);
});

test("what was answered, here or elsewhere, is one line without an enabled button", async () => {
  await show(question());
  button("yes").focus();
  await patch(question({ answer: "yes", by: "Ana", answered_at: 1_020 }));
  const [card] = cards();
  expect(card!.className).toBe("ask answered");
  expect(card!.querySelector(".heading")!.textContent).toBe("answeredrevisePublish?yesby Ana, 20.0 s");
  expect([...card!.querySelectorAll("button")].every((one) => one.disabled)).toBe(true);
  expect(document.activeElement).toBe(card);
});

test("a free answer is typed; Enter sends it and Shift+Enter does not", async () => {
  await show(question({ choices: [], field: "int" }));
  box().value = "3";
  const press = (shiftKey: boolean) => box().dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", shiftKey, bubbles: true, cancelable: true }));
  press(true);
  expect(answers()).toEqual([]);
  press(false);
  expect(answers()).toEqual([{ type: "answer", view: "a", question: "7", value: "3" }]);
  expect(box().disabled && button("Answer").disabled).toBe(true);
});

test("an answer that does not fit is told about, and can be given again", async () => {
  await show(question({ choices: [], field: "int" }));
  page.model.tell({ type: "refused", view: "a", question: "7", message: "somebody else's" });
  expect(document.querySelector<HTMLElement>("[role=alert]")!.hidden).toBe(true);
  box().value = "many";
  button("Answer").click();
  page.model.tell({ type: "refused", view: "a", question: "7", message: "'many' is no answer" });
  expect(cards()[0]!.querySelector("[role=alert]")!.textContent).toBe("'many' is no answer");
  expect(box().value).toBe("many");
  button("Answer").click();
  expect(answers()).toHaveLength(2);
});

test("what somebody is typing stays when more is asked", async () => {
  await show(question({ choices: [], field: "str" }));
  box().focus();
  box().value = "half a sent";
  const there = box();
  await patch(question({ choices: [], field: "str" }), question({ id: "9", text: "And now?" }));
  expect(cards()).toHaveLength(2);
  expect(box()).toBe(there);
  expect(document.activeElement).toBe(there);
  expect(document.querySelector(".asks > [aria-live]")!.textContent).toBe("revise asks: And now?");
});

test("a question that was taken back is gone, and nobody answers a run that has ended", async () => {
  await show(question(), question({ id: "9" }));
  await patch(question());
  expect(cards()).toHaveLength(1);
  page.model.tell({ type: "patch", views: { a: { seq: ++seq, head: head({ status: "failed", questions: [question()] }) } } });
  await settled();
  expect(button("yes").disabled).toBe(true);
});

test("without a kernel nobody can be answered", async () => {
  await show(question({ choices: ["yes"], field: "str" }));
  page.model.emit("comm:close");
  expect(button("yes").disabled && box().disabled).toBe(true);
});

test("hostile words of a question are text", async () => {
  const evil = '<img src=x onerror="window.hurt = 1">';
  await show(question({ text: evil, choices: [evil], why: evil, tool: evil, arguments: [[evil, evil]], node: evil, field: evil }));
  page.model.tell({ type: "refused", view: "a", question: "7", message: evil });
  expect(document.querySelectorAll("img")).toHaveLength(0);
});
