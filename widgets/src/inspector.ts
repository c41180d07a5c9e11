// What is known of the selected node: before a run its facts, in a run what went in and came out.

import { callCard } from "./call";
import { html, say, set, type Child } from "./dom";
import { failurePanel } from "./failure";
import { icon } from "./icons";
import { ItemTable } from "./items";
import { Rewrite } from "./rewrite";
import type { Details, Fields, GraphNode, Head, TypeFacts, Value } from "./protocol";
import { statusMark } from "./status";
import { Tabs } from "./tabs";
import * as words from "./words";

const PROSE = new Set(["str", "text", ""]);

type Page = { id: string; label: string; content: () => Child[] };

/** The inspector of a run. It keeps the chosen tab from node to node; of a fan-out the items come first. */
export class Inspector {
  readonly root: HTMLElement;
  readonly #title = html("div", { class: "row wrap inspector-title" });
  readonly #failure = html("div", { class: "inspector-failure" });
  readonly #tabs = new Tabs("Details", (id) => this.#turn(id));
  readonly #facts = html("div");
  readonly #body = html("div", {}, this.#tabs.panel, this.#facts);
  #items = new ItemTable();
  #pages: Page[] = [];
  #node = "";
  #shown = "";
  readonly #fork: HTMLButtonElement;
  readonly #rewrite: Rewrite;
  readonly #code = html("code", { class: "small soft" });
  readonly #refusal = html("p", { class: "bad small refusal", role: "alert", hidden: true });
  #isAsking = false;
  #past = false;
  #details: Details | null = null;
  #before: number | null = null;
  #run: Head | null = null;
  #forkable = false;

  /** A fork is wanted from a place in the log, or with another output of a node. */
  constructor(onFork: (from: number | { node: string; output: string }) => void) {
    const ask = (from: Parameters<typeof onFork>[0]) => {
      this.#isAsking = true;
      this.#fork.disabled = true;
      this.#refusal.hidden = true;
      onFork(from);
    };
    this.#fork = html("button", { type: "button", onclick: () => this.#before !== null && ask(this.#before) }, icon("fork"), "Fork from here");
    this.#rewrite = new Rewrite((output) => ask({ node: this.#node, output }));
    const parts = [this.#title, this.#refusal, this.#rewrite.root, this.#failure, this.#tabs.root, this.#body];
    this.root = html("section", { class: "panel sunk inspector", "aria-label": "Inspector", hidden: true }, ...parts);
  }

  /** What stays the same stays in the page: a node that works is shown many times, and the reader may be inside. */
  show(details: Details, past = false): void {
    this.#past = past;
    const text = JSON.stringify([details, past]);
    if (text === this.#shown && !this.root.hidden) return;
    this.#shown = text;
    this.root.hidden = false;
    this.#title.replaceChildren(...title(details), html("span", { class: "grow" }), this.#rewrite.button, this.#fork, this.#code);
    if (details.node !== this.#node) this.#leave();
    this.#details = details;
    this.#before = details.before;
    this.#allow();
    this.#failure.replaceChildren(...(details.error ? [failurePanel(details.error)] : []));
    this.#facts.replaceChildren(...(details.facts.length > 0 ? [factList(details.facts)] : []));
    this.#offer(details);
  }

  /** Whether what it shows can be forked from. */
  get forks(): boolean {
    return !this.root.hidden && !this.#fork.hidden;
  }

  hide(): void {
    this.root.hidden = true;
    this.#leave();
  }

  /** What was begun for another node is over. */
  #leave(): void {
    this.#rewrite.close();
    this.#refusal.hidden = true;
  }

  /** Which run it is, and whether the kernel can run it again. */
  know(run: Head, forkable: boolean): void {
    this.#run = run;
    this.#forkable = forkable;
    this.#allow();
  }

  /** The run that was asked for is there, or cannot be, and why; false if it was not asked for here. */
  forked(refusal = ""): boolean {
    if (!this.#isAsking) return false;
    this.#isAsking = false;
    this.#fork.disabled = false;
    this.#refusal.hidden = refusal === "";
    say(this.#refusal, refusal);
    this.#rewrite.forked(refusal !== "");
    return true;
  }

  /** Nobody can be asked any more. */
  close(): void {
    this.#forkable = false;
    this.#run = null;
    this.#allow();
  }

  /** Where only the person's own code knows what was run, the line to type. */
  #allow(): void {
    const before = this.#before;
    this.#fork.hidden = before === null || !this.#forkable;
    this.#fork.disabled = this.#isAsking;
    if (this.#details) this.#rewrite.show(this.#details, this.#forkable && !this.#past);
    this.#code.hidden = before === null || this.#forkable || this.#run === null;
    say(this.#code, this.#run ? `${variable(this.#run)}.fork("${this.#run.run}", at=${before})` : "");
  }

  #offer(details: Details): void {
    const isOther = details.node !== this.#node;
    this.#node = details.node;
    if (isOther) this.#items = new ItemTable();
    this.#pages = [...this.#itemPage(details), ...pagesOf(details)];
    set(this.#tabs.root, { "aria-label": details.title, hidden: this.#pages.length === 0 });
    set(this.#body, { class: this.#pages.length === 0 ? "one" : details.facts.length > 0 ? "two" : "one" });
    this.#tabs.offer(this.#pages, "output");
    if (isOther && details.items?.length) this.#tabs.choose("items");
    else this.#turn(this.#tabs.chosen);
  }

  #itemPage({ items = [], items_total = 0 }: Details): Page[] {
    if (items.length === 0) return [];
    const content = () => {
      this.#items.show(items, items_total);
      return [this.#items.root];
    };
    return [{ id: "items", label: `Items ${words.whole(Math.max(items_total, items.length))}`, content }];
  }

  #turn(id: string): void {
    const content = (this.#pages.find((page) => page.id === id)?.content() ?? []) as Node[];
    // Taking a part out and putting it back would lose what is scrolled and focused in it.
    if (content.length !== 1 || content[0] !== this.#tabs.panel.firstChild) this.#tabs.panel.replaceChildren(...content);
    set(this.#body, { "data-page": id });
  }
}

/** What the person may have called it. */
function variable({ name, kind }: Head): string {
  return /^\w+$/.test(name) ? name : kind;
}

function title({ title, status, path, reason }: Details): HTMLElement[] {
  const trail = path.split(" › ").slice(0, -1).join(" › ");
  const beside = [reason, trail].filter(Boolean).map((text) => html("span", { class: "soft" }, text));
  return [html("h3", {}, title), statusMark(status), ...beside];
}

/** Only the tabs that have something to show. */
function pagesOf({ input, output, reply, prompt, tools, attempts }: Details): Page[] {
  const said = reply !== null && reply !== output?.text ? reply : null;
  const pages: (Page | false)[] = [
    input !== null && { id: "input", label: "Input", content: () => [value("Input", input)] },
    (output !== null || said !== null) && {
      id: "output",
      label: "Output",
      content: () => [output && value("Output", output), said !== null && value("Reply", { type: "", text: said })].filter(Boolean),
    },
    prompt !== null && prompt.length > 0 && {
      id: "prompt",
      label: "Prompt",
      content: () => prompt.map(({ role, text }) => value(role, { type: "", text })),
    },
    tools.length > 0 && { id: "tools", label: `Tools ${tools.length}`, content: () => tools.map(toolCard) },
    attempts.length > 1 && { id: "attempts", label: `Attempts ${attempts.length}`, content: () => [attemptList(attempts)] },
  ];
  return pages.filter((page) => page !== false);
}

function value(label: string, { type, text }: Value): HTMLElement {
  return html(
    "div",
    { class: "value" },
    html("p", { class: "soft small" }, label, " ", html("span", { class: "mono small" }, type)),
    html(PROSE.has(type) ? "p" : "pre", { class: "prose" }, text),
  );
}

function toolCard(tool: Details["tools"][number]): HTMLElement {
  return callCard({ ...tool, status: tool.error !== null ? "failed" : tool.result !== null ? "succeeded" : "running" });
}

function attemptList(attempts: Details["attempts"]): HTMLElement {
  const rows = attempts.flatMap(({ attempt, status, seconds, error }) => [
    html("dt", {}, `attempt ${attempt}`),
    html(
      "dd",
      {},
      html("span", { class: status === "failed" ? "bad" : "" }, status),
      seconds === null ? null : ` after ${words.seconds(seconds)}`,
      error && ": ",
      error && html("code", {}, error),
    ),
  ]);
  return html("dl", { class: "facts" }, ...rows);
}

export function factList(facts: Fields, kind = ""): HTMLElement {
  return html("dl", { class: `facts ${kind}` }, ...facts.flatMap(([label, text]) => [html("dt", {}, label), html("dd", {}, text)]));
}

// ---------- before a run ----------

/** What a node of a flow is made of: its facts, what it takes and what it gives. */
export function nodeFacts(node: GraphNode): HTMLElement[] {
  const { facts } = node;
  const takes = facts?.in ?? [];
  const signature = `${takes.length > 1 ? `(${takes.map(({ type }) => type).join(", ")})` : (node.input ?? "")} → ${node.output ?? ""}`;
  const columns = [
    plainFacts(node),
    html("div", {}, takes.length > 0 && html("p", { class: "soft small" }, "in"), ...takes.map(schema)),
    html("div", {}, facts?.out ? html("p", { class: "soft small" }, "out") : null, facts?.out ? schema(facts.out) : null),
  ];
  return [
    html("div", { class: "row wrap" }, html("h3", {}, node.title), html("span", { class: "soft" }, node.kind), html("code", { class: "soft" }, signature)),
    html("div", { class: "insp" }, ...columns),
  ];
}

function plainFacts({ facts }: GraphNode): HTMLElement {
  const tools = (facts?.tools ?? []).flatMap((tool, index) => [index > 0 ? ", " : null, html("code", {}, tool)]);
  const rows: [string, Child[]][] = [
    ["model", [facts?.model ?? null]],
    ["instructions", [facts?.instructions ?? null]],
    ["tools", tools],
    ["limits", [facts?.limits ?? null]],
  ];
  const known = rows.filter(([, content]) => content.some(Boolean));
  return html("dl", { class: "facts" }, ...known.flatMap(([label, content]) => [html("dt", {}, label), html("dd", {}, ...content)]));
}

function schema({ type, fields }: TypeFacts): HTMLElement {
  return html("div", {}, html("p", {}, html("code", {}, html("b", {}, type))), fields.length > 0 && factList(fields, "mono schema"));
}
