import { afterEach, beforeEach, expect, test } from "vitest";
import { addSlot, message, openPage, run, settled, type Page } from "./kernel";
import type { Call, FilePart, Part } from "../src/protocol";

let page: Page;

beforeEach(() => {
  page = openPage();
});
afterEach(() => {
  page.leave.abort();
  document.body.replaceChildren();
});

async function show(...parts: Part[]): Promise<HTMLElement> {
  addSlot();
  await settled();
  const data = { ...run(), kind: "conversation" as const, messages: [message("1", "", { parts })] };
  page.model.tell({ type: "snapshot", view: "a", data, seq: 0 });
  await settled();
  return document.querySelector<HTMLElement>("article")!;
}

const PICTURE = "data:image/png;base64,iVBORw0KGgo=";
const CAT: FilePart = { type: "file", name: "cat.png", media_type: "image/png", size: 34_560, url: null, picture: PICTURE };
const REPORT: FilePart = { ...CAT, name: "report.pdf", media_type: "application/pdf", size: 1_240_000, picture: null };
const CALL: Call = {
  type: "call",
  id: "c1",
  tool: "plot",
  arguments: "{}",
  result: "[file 1: cat.png, image/png]",
  error: null,
  status: "succeeded",
  seconds: 0.1,
};

// ---------- files ----------

test("a small picture is seen, with its name, what it is and how large", async () => {
  const article = await show({ type: "text", text: "What is this?" }, CAT);
  const picture = article.querySelector("img")!;
  expect(picture.getAttribute("src")).toBe(PICTURE);
  expect(picture.alt).toBe("cat.png, image/png");
  expect(article.querySelector("figcaption")!.textContent).toBe("cat.pngimage/png, 35 kB");
});

test("any other file is named; one that is elsewhere says where, and is not loaded from there", async () => {
  const far = { ...CAT, name: null, size: null, url: "https://example.org/cat.png", picture: null };
  const article = await show(REPORT, far);
  expect([...article.querySelectorAll(".file")].map((file) => file.textContent)).toEqual([
    "report.pdfapplication/pdf, 1.2 MB",
    "image/pnghttps://example.org/cat.png",
  ]);
  expect(article.querySelector("img, a")).toBeNull();
});

test("what a tool gave stands below its card, and is seen while that is folded", async () => {
  const article = await show({ ...CALL, files: [CAT, REPORT] }, { type: "text", text: "Done." });
  const card = article.querySelector("details.call")!;
  expect((card as HTMLDetailsElement).open).toBe(false);
  expect(card.querySelector("img")).toBeNull();
  expect([...article.querySelectorAll(".file code")].map((name) => name.textContent)).toEqual(["cat.png", "report.pdf"]);
});

test("names are text, never markup", async () => {
  const article = await show({ ...CAT, name: "<img src=x onerror=alert(1)>", picture: null });
  expect(article.querySelector("img")).toBeNull();
  expect(article.querySelector("code")!.textContent).toBe("<img src=x onerror=alert(1)>");
});
