import { afterEach, beforeEach, expect, test } from "vitest";
import { addSlot, message, openPage, settled, type Page } from "./kernel";
import type { ChatAsk, ChatHead, ChatPatch } from "../src/chatting";
import type { Message, Patch } from "../src/protocol";

let page: Page;
let seq: number;

beforeEach(() => {
  page = openPage();
  seq = 0;
});
afterEach(() => {
  page.leave.abort();
  document.body.replaceChildren();
});

function head(changes: Partial<ChatHead> = {}): ChatHead {
  const spent = { tokens: 1_204, cost_usd: 0.0109, unpriced: false, simulated: false };
  const turn = { status: null, reason: null, error: null, questions: [] };
  return { name: "guide", model: "gpt-4o-mini", session: "trip", branches: ["main"], branch: "main", ...spent, ...turn, ...changes };
}

const yours = (id: string, text: string, changes: Partial<Message> = {}) => message(id, text, { sender: "you", role: "person", at: null, tokens: null, edit: true, ...changes });
const theirs = (id: string, text: string, changes: Partial<Message> = {}) => message(id, text, { sender: "guide", at: null, ...changes });
const talk = () => [yours("1", "Where to?"), theirs("2", "Kyoto."), yours("3", "When?"), theirs("4", "In April.")];

async function show(changes: Partial<ChatHead> = {}, messages = talk()): Promise<void> {
  addSlot();
  await settled();
  page.model.tell({ type: "snapshot", view: "a", data: { kind: "chat", head: head(changes), messages }, seq: 0 });
  await settled();
}

async function patch(changes: ChatPatch & Pick<Patch, "messages">): Promise<void> {
  page.model.tell({ type: "patch", views: { a: { seq: ++seq, ...changes } } });
  await settled();
}

const asks = (): (ChatAsk & { by: string })[] => page.model.sent.flatMap((sent) => (sent.type === "chat" ? [sent.ask] : []));
const find = <E extends Element = HTMLElement>(selector: string) => document.querySelector<E>(selector)!;
const box = () => find<HTMLTextAreaElement>('[aria-label="Message"]');
const named = (name: string) => [...document.querySelectorAll("button")].find((button) => button.textContent === name || button.getAttribute("aria-label") === name)!;
const said = () => [...document.querySelectorAll("article")].map((article) => [...article.querySelectorAll("p")].map((line) => line.textContent).join(" "));

async function answer(refusal: string | null = null): Promise<void> {
  const { by, ask } = asks().at(-1)!;
  page.model.tell({ type: "chat", view: "a", said: { by, ask, ...(refusal === null ? { said: "done" } : { said: "refused", message: refusal, remedy: "Wait." }) } });
  await settled();
}

function write(field: HTMLTextAreaElement | HTMLInputElement, text: string): void {
  field.value = text;
  field.dispatchEvent(new Event("input", { bubbles: true }));
}

function press(element: Element, key: string, more: KeyboardEventInit = {}): boolean {
  return element.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true, ...more }));
}

test("the head tells who, with what, where and how much", async () => {
  await show();
  expect(find("[role=region]").getAttribute("aria-label")).toBe("Chat with guide");
  expect(find(".sub").textContent).toBe("agentgpt-4o-minisession trip");
  expect([...document.querySelectorAll("dd")].map((value) => value.textContent)).toEqual(["1,204", "$0.0109"]);
  expect(find("[role=log]").getAttribute("aria-label")).toBe("Conversation of guide");
  expect(said()).toEqual(["Where to?", "Kyoto.", "When?", "In April."]);
  expect(find(".counts").textContent).toContain("4 messages");
  expect(document.querySelectorAll("article time")).toHaveLength(0);
});

test("Enter sends, Shift+Enter does not, and nothing is sent twice or empty", async () => {
  await show();
  press(box(), "Enter");
  expect(asks()).toEqual([]);
  expect(named("Send").disabled).toBe(true);
  write(box(), "  And Nara?\n");
  expect(press(box(), "Enter", { shiftKey: true })).toBe(true);
  expect(asks()).toEqual([]);
  expect(press(box(), "Enter")).toBe(false);
  press(box(), "Enter");
  expect(asks()).toMatchObject([{ ask: "send", text: "And Nara?" }]);
  expect(box().value).toBe("");
});

test("what is refused comes back into the box, unless something else is in it", async () => {
  await show();
  write(box(), "one");
  press(box(), "Enter");
  await answer("A turn goes on.");
  expect(box().value).toBe("one");
  expect(find("[role=alert].refusal:not([hidden])").textContent).toBe("A turn goes on. Wait.");
  press(box(), "Enter");
  write(box(), "two");
  await answer("A turn goes on.");
  expect(box().value).toBe("two");
  press(box(), "Enter");
  await answer();
  expect(document.querySelectorAll(".refusal:not([hidden])")).toHaveLength(0);
});

test("while a turn goes on it is stopped, and the next message is written", async () => {
  await show();
  await patch({ chat: head({ status: "running" }), messages: [yours("5", "Go"), theirs("6", "I", { writing: true })] });
  expect(find("[role=status]").textContent).toBe("running");
  write(box(), "next");
  press(box(), "Enter");
  expect(asks()).toEqual([]);
  expect(named("Send").disabled).toBe(true);
  const article = document.querySelectorAll("article")[5];
  await patch({ messages: [{ id: "6", append: [0, " go."] }] });
  expect(said().at(-1)).toBe("I go.");
  expect(document.querySelectorAll("article")[5]).toBe(article);
  named("Stop").click();
  expect(page.model.asked().at(-1)).toBe("stop");
  expect(named("Stop").disabled).toBe(true);
  await patch({ chat: head(), messages: [theirs("6", "I go.")] });
  expect(named("Stop").hidden).toBe(true);
  expect(box().value).toBe("next");
  expect(named("Send").disabled).toBe(false);
});

test("a turn that came to nothing says why, and is tried again", async () => {
  const error = { type: "ProviderError", path: "guide", message: "It broke.", remedy: "Wait a minute.", traceback: "private" };
  await show({ status: "failed", error }, [...talk(), yours("5", "Go")]);
  expect(find(".trouble").textContent).toBe("ProviderError It broke.Wait a minute.Try again");
  named("Try again").click();
  expect(asks()).toMatchObject([{ ask: "again" }]);
  await patch({ chat: head({ status: "cancelled", reason: "stopped by you" }) });
  expect(find(".trouble").textContent).toBe("cancelled · stopped by youTry again");
  await patch({ chat: head() });
  expect(find(".trouble").hidden).toBe(true);
});

test("a message is said in other words, and goes on where it was", async () => {
  await show();
  const edits = document.querySelectorAll<HTMLButtonElement>("[aria-label=Edit]");
  expect(edits).toHaveLength(2);
  edits[1]!.click();
  const field = find<HTMLTextAreaElement>('[aria-label="In other words"]');
  expect(field.value).toBe("When?");
  expect(document.activeElement).toBe(field);
  press(field, "Escape");
  expect(document.querySelectorAll(".reword")).toHaveLength(0);
  expect(document.activeElement).toBe(edits[1]);
  edits[1]!.click();
  write(find(".reword textarea"), "Why?");
  press(find(".reword textarea"), "Enter");
  expect(asks()).toMatchObject([{ ask: "edit", message: "3", text: "Why?" }]);
  await answer("A turn goes on.");
  expect(find(".reword .refusal").textContent).toBe("A turn goes on. Wait.");
  named("Ask anew").click();
  await answer();
  await patch({ chat: head({ branches: ["main", "edit 1"], branch: "edit 1" }), keep: 2, messages: [yours("5", "Why?"), theirs("6", "Spring.")] });
  expect(said()).toEqual(["Where to?", "Kyoto.", "Why?", "Spring."]);
  expect(document.querySelectorAll(".reword")).toHaveLength(0);
  expect(document.activeElement).toBe(box());
});

test("branches are tabs, and going on with one is asked for", async () => {
  await show({ branches: ["main", "edit 1", "edit 2"], branch: "edit 1" });
  const tabs = [...document.querySelectorAll<HTMLButtonElement>("[role=tab]")];
  expect(tabs.map((tab) => tab.getAttribute("aria-selected"))).toEqual(["false", "true", "false"]);
  tabs[1]!.focus();
  press(tabs[1]!, "ArrowLeft");
  expect(document.activeElement).toBe(tabs[0]);
  expect(asks()).toEqual([]);
  tabs[0]!.click();
  tabs[1]!.click();
  expect(asks()).toMatchObject([{ ask: "switch", branch: "main" }]);
  await patch({ chat: head({ branches: ["main", "edit 1", "edit 2"], branch: "main" }), keep: 2 });
  expect(said()).toEqual(["Where to?", "Kyoto."]);
  expect(find(".counts").textContent).toContain("2 messages");
  await patch({ chat: head({ branches: ["main", "edit 1"], branch: "main", status: "running" }) });
  named("edit 1").click();
  expect(asks()).toHaveLength(1);
});

test("a place gets a name, is a mark, and is gone back to", async () => {
  await show();
  named("Checkpoint").click();
  const field = find<HTMLInputElement>('[aria-label="Name of this place"]');
  const form = field.form!;
  form.requestSubmit();
  expect(find(".naming .refusal").textContent).toBe("It needs a name.");
  field.value = "outline";
  form.requestSubmit();
  expect(asks()).toMatchObject([{ ask: "checkpoint", name: "outline" }]);
  await answer();
  expect(form.hidden).toBe(true);
  await patch({ messages: [theirs("4", "In April.", { marks: ["outline"] })] });
  expect(find(".mark").textContent).toBe("checkpoint outlineRestore");
  named("Restore outline").click();
  expect(asks().at(-1)).toMatchObject({ ask: "restore", name: "outline" });
});

test("in an empty chat there is nothing to name and nothing to count", async () => {
  await show({ tokens: null, cost_usd: null }, []);
  expect(find(".empty").hidden).toBe(false);
  expect(find("[role=log]").hidden).toBe(true);
  expect(find(".counts").textContent).not.toContain("message");
  expect(named("Checkpoint").disabled).toBe(true);
  expect([...document.querySelectorAll("dd")].map((value) => value.textContent)).toEqual(["–", "–"]);
  await patch({ chat: head(), messages: [yours("1", "<b>Hi</b>")] });
  expect(said()).toEqual(["<b>Hi</b>"]);
  expect(named("Checkpoint").disabled).toBe(false);
});

test("questions of the turn are answered in the chat", async () => {
  const question = { id: "q", node: "book", path: "guide › book", text: "Book?", tool: null, arguments: [], why: null, choices: ["yes", "no"], field: null, asked_at: 1, until: null, answer: null, by: null, answered_at: null };
  await show({ status: "waiting", questions: [question] });
  named("yes").click();
  expect(page.model.sent.at(-1)).toMatchObject({ type: "answer", question: "q", value: "yes" });
});

test("no key leaves the chat, and without a kernel the conversation stays", async () => {
  await show();
  let heard = 0;
  document.body.addEventListener("keydown", () => heard++);
  press(named("Edit"), "d");
  press(box(), "Enter");
  expect(heard).toBe(0);
  page.model.emit("comm:close");
  await settled();
  expect(find("[role=note]").textContent).toContain("The kernel is gone.");
  expect(said()).toHaveLength(4);
  expect(find<HTMLElement>(".box").hidden).toBe(true);
  expect(find(".quire").classList).toContain("is-gone"); // nothing can be done any more
});
