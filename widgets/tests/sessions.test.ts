import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { addSlot, openPage, settled, type Page } from "./kernel";
import type { Answer, Ask, Branch, PlaceDetails, SessionRow, SessionsSnapshot, Tree } from "../src/browsing";
import { ago } from "../src/sessions-list";

let page: Page;

beforeEach(() => {
  page = openPage();
});
afterEach(() => {
  page.leave.abort();
  document.body.replaceChildren();
});

const NOW = Date.now() / 1000;

function row(session: string, changes: Partial<SessionRow> = {}): SessionRow {
  const about = { agent: "guide", turns: 3, branches: 1, checkpoints: 0, tokens: 10, cost_usd: 0.01, simulated: false };
  return { session, last_at: NOW - 1600, seq: 3, ...about, ...changes };
}

function branch(name: string, changes: Partial<Branch> = {}): Branch {
  const about = { origin: null, first: 1, last: 6, going: 6, hidden: 0, messages: 6, turns: 3, cost_usd: 0.01, simulated: false };
  return { branch: name, says: "Good.", ...about, ...changes };
}

/** main with six messages, left at the fourth for `calm`, which has two more and goes on. */
function tree(changes: Partial<Tree> = {}): Tree {
  const main = branch("main", { going: 4 });
  const calm = branch("calm", { origin: { name: "main", message: 4 }, first: 5, last: 6, messages: 2 });
  const about = { seq: 3, head: "calm", tokens: 8204, cost_usd: 0.0109, turns: 4, simulated: false };
  return { session: "trip", ...about, branches: [main, calm], checkpoints: [{ name: "outline", branch: "main", message: 2 }], forks: [], ...changes };
}

function place(branch: string, message: number, changes: Partial<PlaceDetails> = {}): PlaceDetails {
  const about = { sender: "guide", role: "agent" as const, left_out: 0, files: [], calls: 0, tokens: 96, simulated: false, at: NOW };
  return { session: "trip", branch, message, text: "Good.", hidden: false, said_in: null, newest: false, ...about, ...changes };
}

async function show(changes: Partial<SessionsSnapshot> = {}): Promise<void> {
  addSlot();
  await settled();
  const data: SessionsSnapshot = { kind: "sessions", only: null, rows: [row("trip"), row("notes", { last_at: NOW - 90_000 })], tree: tree(), ...changes };
  page.model.tell({ type: "snapshot", view: "a", data, seq: 0 });
  await settled();
}

const asks = (): (Ask & { by: string })[] => page.model.sent.flatMap((message) => (message.type === "sessions" ? [message.ask] : []));
const lastAsk = () => asks().at(-1)!;

type Said = Answer extends infer One ? (One extends Answer ? Omit<One, "by" | "ask"> : never) : never;

async function answer(said: Said): Promise<void> {
  page.model.tell({ type: "sessions", view: "a", said: { ...said, by: lastAsk().by, ask: lastAsk().ask } as Answer });
  await settled();
}

const find = <E extends Element = HTMLElement>(selector: string) => document.querySelector<E>(selector)!;
const spot = (name: string) => find<SVGGElement>(`[aria-label="${name}"]`);
const named = (name: string) => [...document.querySelectorAll("button")].find((button) => button.textContent === name)!;
const press = (element: Element, key: string) => element.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
const click = (element: Element) => element.dispatchEvent(new MouseEvent("click", { bubbles: true }));
const shown = () => [...document.querySelectorAll<HTMLElement>(".sessions > li")].filter((item) => !item.hidden).map((item) => item.querySelector("b")!.textContent);

test.each([
  [30, "now"],
  [26 * 60, "26 m ago"],
  [2.5 * 3600, "2 h ago"],
  [30 * 3600, "yesterday"],
  [3 * 86_400, "3 days ago"],
])("%s seconds are %s", (seconds, said) => expect(ago(seconds)).toBe(said));

test("the list answers without opening: who, how much, when", async () => {
  await show();
  expect(find("[role=region]").getAttribute("aria-label")).toBe("Sessions");
  expect([...document.querySelectorAll(".sess")].map((button) => button.textContent)).toEqual([
    "trip26 m agoguide, 3 turns, 1 branch",
    "notesyesterdayguide, 3 turns, 1 branch",
  ]);
  expect(find(".sess[aria-current]").textContent).toContain("trip");
  expect(find(".spent").textContent).toBe("8,204 tokens, $0.0109, 1 checkpoint");
});

test("names are found at once, what was said when the kernel has looked", async () => {
  await show();
  const search = find<HTMLInputElement>('[aria-label="Find a session"]');
  search.value = " NOT";
  search.dispatchEvent(new Event("input"));
  expect(shown()).toEqual(["notes"]);
  await vi.waitFor(() => expect(lastAsk()).toMatchObject({ ask: "find", words: "not" }));
  await answer({ said: "found", words: "not", sessions: ["trip"] });
  expect(shown()).toEqual(["trip", "notes"]);
  search.value = "nothing of that kind";
  search.dispatchEvent(new Event("input"));
  expect(shown()).toEqual([]);
  expect(find(".none").hidden).toBe(false);
  press(search, "Escape");
  expect(shown()).toEqual(["trip", "notes"]);
});

test("a chat is opened where the agent is", async () => {
  await show({ tree: tree({ chat: true }) });
  named("Open chat").click();
  expect(page.model.sent.at(-1)).toEqual({ type: "talk", view: "a", session: "trip" });
  page.model.tell({ type: "refused", view: "a", message: "Nobody here goes on." });
  await settled();
  expect(find("[role=alert].told").textContent).toBe("Nobody here goes on.");
  click(document.querySelectorAll(".sess")[1]!);
  await answer({ said: "tree", tree: tree({ session: "notes" }) });
  expect(named("Open chat").hidden).toBe(true);
});

test("another session is asked for once it is chosen, and its newest place is looked at", async () => {
  await show();
  click(document.querySelectorAll(".sess")[1]!);
  expect(lastAsk()).toMatchObject({ ask: "tree", session: "notes" });
  await answer({ said: "tree", tree: tree({ session: "notes", head: "main", branches: [branch("main")], checkpoints: [] }) });
  expect(find("[role=figure]").getAttribute("aria-label")).toBe("Branches of notes");
  expect(lastAsk()).toMatchObject({ ask: "place", session: "notes", branch: "main", message: 6 });
});

test("the tree shows what goes on, what was left, what is hidden, and the checkpoints", async () => {
  const [main, calm] = tree().branches as [Branch, Branch];
  await show({ tree: tree({ branches: [main, { ...calm, hidden: 2 }] }) });
  const look = (name: string) => spot(name).children[1]!.getAttribute("class");
  expect([1, 2, 3, 4, 5, 6].map((message) => look(`main, message ${message}`))).toEqual(["tn cur hid", "tn cur hid", "tn cur", "tn cur", "tn", "tn hd"]);
  expect([5, 6].map((message) => look(`calm, message ${message}`))).toEqual(["tn cur", "tn cur hd"]);
  expect(spot("main, message 1").getAttribute("aria-description")).toBe("hidden from models");
  expect(find(".flag").textContent).toBe("outline");
  expect(spot("calm, message 6").getAttribute("aria-pressed")).toBe("true");
});

test("a branch on which nothing was said yet shows where it will go on", async () => {
  const [main, calm] = tree().branches as [Branch, Branch];
  await show({ tree: tree({ branches: [main, { ...calm, last: 4, going: 4, messages: 0, turns: 0 }] }) });
  expect(document.querySelectorAll(".nx")).toHaveLength(1);
  expect(lastAsk()).toMatchObject({ ask: "place", branch: "main", message: 4 });
});

test("arrow keys walk the tree, Enter looks", async () => {
  await show();
  const figure = find("[role=figure]");
  const walk = (...keys: string[]) => keys.forEach((key) => press(figure, key));
  walk("ArrowLeft", "ArrowLeft"); // from the sixth message of calm to the fourth, which main shows
  expect(document.activeElement).toBe(spot("main, message 4"));
  walk("Home", "ArrowRight", "ArrowDown");
  expect(document.activeElement).toBe(spot("calm, message 5"));
  walk("ArrowUp");
  expect(document.activeElement).toBe(spot("main, message 5"));
  walk("Enter");
  expect(lastAsk()).toMatchObject({ ask: "place", branch: "main", message: 5 });
});

test("a place tells who said what, as text, and what is there", async () => {
  await show({ tree: tree({ forks: [{ name: "rail", branch: "main", message: 4 }] }) });
  click(spot("main, message 4"));
  await answer({ said: "place", place: place("main", 4, { text: "<img src=x>", calls: 3, hidden: true }) });
  expect(find(".place h3").textContent).toBe("main, message 4");
  expect(find(".words").textContent).toBe("<img src=x>");
  expect(find(".words img")).toBeNull();
  const facts = [...find(".facts-row").children].map((fact) => fact.textContent);
  expect(facts).toEqual(["calm forks here", "rail forks here, a session of its own", "3 tool calls", "96 tokens", "hidden from models: a summary stands for it"]);
  expect(named("Checkpoint").hidden).toBe(true);
});

test("a fork asks for a name, and what is refused stays to be mended", async () => {
  await show();
  click(spot("main, message 4"));
  await answer({ said: "place", place: place("main", 4) });
  named("Fork from here").click();
  const field = find<HTMLInputElement>('[aria-label="New session"]');
  expect(field.value).toBe("trip 2");
  field.value = "notes";
  find<HTMLFormElement>(".naming").requestSubmit();
  expect(lastAsk()).toMatchObject({ ask: "fork", session: "trip", branch: "main", message: 4, into: "notes" });
  await answer({ said: "refused", message: "There is one already.", remedy: "Take another name." });
  expect(find("[role=alert]").textContent).toBe("There is one already. Take another name.");
  expect(find(".naming").hidden).toBe(false);
  field.value = "rail";
  find<HTMLFormElement>(".naming").requestSubmit();
  await answer({ said: "done", session: "rail" });
  expect(lastAsk()).toMatchObject({ ask: "tree", session: "rail" });
  press(field, "Escape");
  expect(find(".naming").hidden).toBe(true);
});

test("a restore is sent for the place that is looked at; where the session goes on already there is nothing to restore", async () => {
  await show();
  await answer({ said: "place", place: place("calm", 6, { newest: true }) });
  expect(named("Restore").disabled).toBe(true);
  expect(named("Checkpoint").hidden).toBe(false);
  click(spot("main, message 2"));
  await answer({ said: "place", place: place("main", 2) });
  named("Restore").click();
  expect(lastAsk()).toMatchObject({ ask: "restore", branch: "main", message: 2 });
  await answer({ said: "done", session: "trip" });
  expect(find(".told").textContent).toContain("goes on from here");
  expect(lastAsk()).toMatchObject({ ask: "tree", session: "trip" });
});

test("a turn that is added moves its session up, and the newest place is followed", async () => {
  await show();
  page.model.tell({ type: "patch", views: { a: { seq: 1, rows: [row("notes", { last_at: NOW, seq: 9 })], gone: [] } } });
  await settled();
  expect(shown()).toEqual(["notes", "trip"]);
  expect(find(".sess[aria-current]").textContent).toContain("trip");
  page.model.tell({ type: "patch", views: { a: { seq: 2, rows: [row("trip", { seq: 4 })], gone: ["notes"] } } });
  await settled();
  expect(shown()).toEqual(["trip"]);
  expect(lastAsk()).toMatchObject({ ask: "tree", session: "trip" });
  const [main, calm] = tree().branches as [Branch, Branch];
  await answer({ said: "tree", tree: tree({ seq: 4, branches: [main, { ...calm, last: 8, going: 8 }] }) });
  expect(lastAsk()).toMatchObject({ ask: "place", branch: "calm", message: 8 });
});

test("a place that was chosen stays chosen when there is news", async () => {
  await show();
  click(spot("main, message 2"));
  page.model.tell({ type: "patch", views: { a: { seq: 1, rows: [row("trip", { seq: 4 })] } } });
  await settled();
  await answer({ said: "tree", tree: tree({ seq: 4 }) });
  expect(spot("main, message 2").getAttribute("aria-pressed")).toBe("true");
});

test("of a long session only the dots in sight are made", async () => {
  await show({ tree: tree({ head: "main", branches: [branch("main", { last: 2000, going: 2000 })], checkpoints: [] }) });
  expect(document.querySelectorAll(".spot").length).toBeLessThan(200);
  expect(spot("main, message 2000")).not.toBeNull();
  press(find("[role=figure]"), "ArrowLeft");
  expect(document.activeElement).toBe(spot("main, message 1999"));
});

test("answers to another page's questions are not taken", async () => {
  await show();
  page.model.tell({ type: "sessions", view: "a", said: { by: "somebody", ask: "restore", said: "refused", message: "No.", remedy: null } });
  await settled();
  expect(document.querySelector("[role=alert]")).toBeNull();
});

test("where nothing is kept, the line to type is shown", async () => {
  await show({ rows: [], tree: null });
  expect(find(".empty").textContent).toBe('No session is kept here yet.await agent.execute("Hello.", session="trip")');
  expect(find<HTMLElement>(".sb").hidden).toBe(true);
  page.model.tell({ type: "patch", views: { a: { seq: 1, rows: [row("trip")] } } });
  await settled();
  expect(find<HTMLElement>(".empty").hidden).toBe(true);
  expect(lastAsk()).toMatchObject({ ask: "tree", session: "trip" });
});

test("one session alone has no list, and tells of a fork in place", async () => {
  await show({ only: "trip", rows: [row("trip")] });
  expect(find("[role=region]").getAttribute("aria-label")).toBe("Session trip");
  expect(find<HTMLElement>(".side").hidden).toBe(true);
  await answer({ said: "place", place: place("calm", 6, { newest: true }) });
  named("Fork from here").click();
  find<HTMLFormElement>(".naming").requestSubmit();
  await answer({ said: "done", session: "trip 2" });
  expect(find(".told").textContent).toBe("trip 2 goes on from here, a session of its own.");
});

test("when the kernel is gone, what was seen stays and nothing can be asked for", async () => {
  await show();
  await answer({ said: "place", place: place("calm", 6) });
  page.model.emit("comm:close");
  expect(find("[role=note]").textContent).toContain("The kernel is gone.");
  expect(named("Fork from here").hidden).toBe(true);
  expect(find(".words").textContent).toBe("Good.");
});
