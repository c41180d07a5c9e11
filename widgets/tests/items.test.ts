import { beforeEach, expect, test } from "vitest";
import { Inspector } from "../src/inspector";
import type { Details, Item } from "../src/protocol";

const item = (number: number, changes: Partial<Item> = {}): Item => ({ item: number, status: "succeeded", input: `in ${number}`, output: `out\n${number}`, error: null, seconds: 0.5, ...changes });
const many = (count: number) => Array.from({ length: count }, (_, index) => item(index + 1));

function details(items: Item[], total = items.length, changes: Partial<Details> = {}): Details {
  const nothing = { before: 3, reason: null, input: { type: "list[File]", text: "[]" }, output: null, prompt: null, reply: null, tools: [], attempts: [], facts: [], error: null };
  return { node: "read", title: "read", kind: "each", status: "running", path: "desk › read", ...nothing, items, items_total: total, ...changes };
}

let inspector: Inspector;
beforeEach(() => {
  inspector = new Inspector(() => undefined);
  document.body.replaceChildren(inspector.root);
});

const rows = () => [...inspector.root.querySelectorAll("tbody tr")];
const chosen = () => inspector.root.querySelector('[aria-selected="true"]')!.textContent;
const opener = (row: number) => inspector.root.querySelectorAll<HTMLElement>("tbody button")[row]!;

test("a fan-out shows its items first, each on one line", () => {
  inspector.show(details([item(1), item(2, { status: "failed", output: null, error: "no\nimage" })]));
  expect(chosen()).toBe("Items 2");
  expect(rows().map((row) => [...row.children].map((cell) => cell.textContent))).toEqual([
    ["1", "succeeded", "500 ms", "in 1", "out 1"],
    ["2", "failed", "500 ms", "in 2", "no image"],
  ]);
  expect(rows()[1]!.querySelector(".status .glyph")).not.toBeNull();
});

test("says how many of them it shows", () => {
  const said = () => inspector.root.querySelector<HTMLElement>(".items-count")!;
  inspector.show(details(many(24)));
  expect(said().hidden).toBe(true);
  inspector.show(details(many(200), 10_000));
  expect(said().textContent).toBe("first 200 of 10,000");
  inspector.show(details([...many(200), item(700, { status: "failed" }), item(1_400, { status: "failed" })], 10_000));
  expect(said().textContent).toBe("first 200 of 10,000, and 2 failed");
});

test("a row opens to its whole text, and stays open while others change", () => {
  inspector.show(details(many(3)));
  const [first] = rows();
  opener(1).click();
  expect(opener(1).getAttribute("aria-expanded")).toBe("true");
  expect([...rows()[2]!.querySelectorAll("pre")].map((text) => text.textContent)).toEqual(["in 2", "out\n2"]);
  inspector.show(details([item(1), item(2, { output: "other" }), item(3), item(4)]));
  expect(rows()[0]).toBe(first);
  expect(rows()).toHaveLength(5);
  expect([...rows()[2]!.querySelectorAll("pre")].map((text) => text.textContent)).toEqual(["in 2", "other"]);
  opener(1).click();
  expect(rows()).toHaveLength(4);
});

test("focus stays where it is while the items come in", () => {
  inspector.show(details(many(3)));
  opener(2).focus();
  inspector.show(details([...many(2), item(3, { output: "late" })]));
  expect(document.activeElement).toBe(opener(2));
});

test("the chosen tab stays, until another fan-out is selected", () => {
  inspector.show(details(many(2)));
  [...inspector.root.querySelectorAll<HTMLElement>("[role=tab]")].find((tab) => tab.textContent === "Input")!.click();
  inspector.show(details(many(3)));
  expect(chosen()).toBe("Input");
  inspector.show(details([], 0, { node: "plan", title: "plan" }));
  expect(chosen()).toBe("Input");
  inspector.show(details(many(3)));
  expect(chosen()).toBe("Items 3");
});

test("what an item holds is text", () => {
  const evil = '<img src=x onerror="window.hurt = 1">';
  inspector.show(details([item(1, { input: evil, output: evil })]));
  opener(0).click();
  expect(inspector.root.querySelector("img")).toBeNull();
  expect(rows()[1]!.querySelector("pre")!.textContent).toBe(evil);
});
