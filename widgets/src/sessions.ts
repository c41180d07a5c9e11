// The browser of sessions: which there are, the branches of one, one message of it, and going on from there.

import type { Answer, Ask, Branch, SessionRow, SessionsSnapshot, Tree } from "./browsing";
import { html, say } from "./dom";
import { kernelGone } from "./notice";
import { SessionList } from "./sessions-list";
import { PlacePanel } from "./sessions-place";
import { BranchTree } from "./sessions-tree";
import type { Host, View } from "./view";
import * as words from "./words";

const TICK = 5;
const COLUMNS: [name: string, kind: string][] = [["branch", ""], ["forked at", ""], ["messages", "num"], ["cost", "num"], ["last message", ""]];

let made = 0;

interface Chosen {
  branch: string;
  message: number;
}

export class SessionsView implements View<SessionsSnapshot> {
  readonly root = html("section", { class: "quire", role: "region", "aria-label": "Sessions" });
  readonly #panes = html("div", { class: "sb" });
  readonly #host: Host;
  /** All pages hear every answer; each takes its own. */
  readonly #me = `${Date.now().toString(36)}-${++made}`;
  readonly #list: SessionList;
  readonly #name = html("h2", { class: "cut" });
  readonly #spent = html("span", { class: "soft spent" });
  readonly #chat: HTMLButtonElement;
  readonly #tree = new BranchTree((branch, message) => this.#chooseSpot({ branch, message }));
  readonly #place: PlacePanel;
  readonly #table = html("tbody");
  readonly #empty = html("div", { class: "empty" });
  #state!: SessionsSnapshot;
  #shown: Tree | null = null;
  #session = "";
  #chosen: Chosen | null = null;
  /** Whether the chosen place is the newest because it is the newest: then it stays so. */
  #follows = true;
  #ticked = 0;

  constructor(host: Host) {
    this.#host = host;
    this.#list = new SessionList({ onChoose: (session) => this.#choose(session), onFind: (text) => this.#ask({ ask: "find", words: text }), now: () => host.now() });
    this.#place = new PlacePanel({
      onRestore: () => this.#ask({ ask: "restore", ...this.#spot() }),
      onFork: (into) => this.#ask({ ask: "fork", ...this.#spot(), into }),
      onCheckpoint: (name) => this.#ask({ ask: "checkpoint", session: this.#session, name }),
      unused: (session) => unused(session, this.#state.rows),
    });
    this.#chat = html("button", { type: "button", onclick: () => host.chat(this.#session) }, "Open chat");
    const head = html("header", { class: "row wrap sb-head" }, this.#name, this.#spent, html("span", { class: "grow" }), this.#chat);
    const main = html("div", { class: "main-pane" }, head, this.#tree.root, this.#place.root, branchTable(this.#table));
    this.#panes.append(this.#list.root, main);
    this.root.append(this.#panes, this.#empty);
  }

  show(state: SessionsSnapshot): void {
    this.#state = state;
    this.#panes.classList.toggle("is-alone", state.only !== null);
    this.#list.root.hidden = state.only !== null || state.rows.length === 0;
    this.#panes.hidden = state.rows.length === 0;
    this.#empty.hidden = state.rows.length > 0;
    if (state.rows.length === 0) this.#empty.replaceChildren(...nothing(state));
    this.update();
  }

  /** The list has changed; of the session that is looked at, the tree is asked for again if it has. */
  update(): void {
    const { rows, tree } = this.#state;
    if (this.#panes.hidden !== (rows.length === 0)) return this.show(this.#state);
    const row = rows.find(({ session }) => session === this.#session) ?? rows[0];
    this.#list.show(rows, row?.session ?? "");
    if (!row) return;
    if (row.session !== this.#session) this.#begin(row.session);
    if (tree?.session === row.session && tree.seq === row.seq) this.#paint(tree);
    else if (this.#shown?.session !== row.session || this.#shown.seq !== row.seq) this.#ask({ ask: "tree", session: row.session });
  }

  tick(): void {
    if (this.#host.now() - this.#ticked < TICK) return;
    this.#ticked = this.#host.now();
    this.#list.tick();
  }

  hear(answer: Answer): void {
    if (answer.by !== this.#me) return;
    if (answer.said === "found") this.#list.found(answer.words, answer.sessions);
    else if (answer.said === "tree" && answer.tree.session === this.#session) this.#paint(answer.tree);
    else if (answer.said === "place" && answer.place && this.#isChosen(answer.place)) this.#place.show(answer.place, this.#shown!);
    else if (answer.said === "refused") this.#place.refused(answer.message, answer.remedy);
    else if (answer.said === "done") this.#done(answer.ask, answer.session);
  }

  forked(refusal?: string): void {
    if (refusal !== undefined) this.#place.refused(refusal, null);
  }

  close(): void {
    this.#place.close();
    this.#chat.hidden = true;
    this.root.prepend(kernelGone("These are the sessions as last seen. What is kept is safe.", "quire.views.sessions()"));
  }

  // ---------- choosing ----------

  #choose(session: string): void {
    if (session === this.#session) return;
    this.#begin(session);
    this.#list.show(this.#state.rows, session);
    this.#ask({ ask: "tree", session });
  }

  #begin(session: string): void {
    this.#session = session;
    this.#chosen = null;
    this.#follows = true;
    this.root.setAttribute("aria-label", this.#state.only === null ? "Sessions" : `Session ${session}`);
  }

  #chooseSpot(chosen: Chosen): void {
    this.#chosen = chosen;
    const newest = this.#shown && newestOf(this.#shown);
    this.#follows = newest?.branch === chosen.branch && newest.message === chosen.message;
    this.#paintTable();
    this.#ask({ ask: "place", ...this.#spot() });
  }

  #spot(): { session: string; branch: string; message: number } {
    return { session: this.#session, ...this.#chosen! };
  }

  #isChosen({ session, branch, message }: { session: string; branch: string; message: number }): boolean {
    return session === this.#session && branch === this.#chosen?.branch && message === this.#chosen.message;
  }

  #ask(ask: Ask): void {
    this.#host.ask({ ...ask, by: this.#me });
  }

  // ---------- painting ----------

  #paint(tree: Tree): void {
    if (this.#shown?.session === tree.session && this.#shown.seq === tree.seq && this.#chosen) return;
    this.#shown = tree;
    say(this.#name, tree.session);
    say(this.#spent, spent(tree));
    this.#chat.hidden = !tree.chat;
    this.#tree.show(tree);
    const isThere = tree.branches.some(({ branch, last }) => branch === this.#chosen?.branch && this.#chosen.message <= last);
    if (this.#follows || !isThere) this.#chosen = newestOf(tree);
    this.#paintTable();
    if (!this.#chosen) return this.#place.hide();
    this.#tree.choose(this.#chosen.branch, this.#chosen.message);
    if (this.#follows) this.#tree.toEnd();
    this.#ask({ ask: "place", ...this.#spot() });
  }

  #paintTable(): void {
    const { branches = [] } = this.#shown ?? {};
    this.#table.replaceChildren(...branches.map((branch) => branchRow(branch, branch.branch === this.#chosen?.branch, branch.branch === this.#shown!.head)));
  }

  #done(asked: Ask["ask"], session: string): void {
    if (asked === "fork" && this.#state.only === null) {
      this.#place.done("");
      this.#choose(session);
    } else {
      const told = { restore: "The session goes on from here: its next turn is the first of a new branch.", fork: `${session} goes on from here, a session of its own.` };
      this.#place.done(told[asked as keyof typeof told] ?? "");
      this.#ask({ ask: "tree", session: this.#session });
    }
  }
}

function newestOf({ branches, head }: Tree): Chosen | null {
  const going = branches.find(({ branch }) => branch === head);
  if (!going || going.last < 1) return null;
  if (going.last >= going.first) return { branch: head, message: going.last };
  // Nothing was said on it yet: the newest message is the one that it begins at.
  return going.origin && going.first > 1 ? { branch: going.origin.name, message: going.last } : null;
}

function spent({ tokens, cost_usd, turns, simulated, checkpoints }: Tree): string {
  const points = checkpoints.length > 0 ? words.count(checkpoints.length, "checkpoint") : "";
  return [`${words.tokens(tokens)} tokens`, words.cost(cost_usd, turns, simulated), points].filter(Boolean).join(", ");
}

function branchTable(body: HTMLElement): HTMLElement {
  const names = COLUMNS.map(([name, kind]) => html("th", { scope: "col", class: kind }, name));
  return html("div", { class: "panel rows" }, html("table", {}, html("thead", {}, html("tr", {}, ...names)), body));
}

function branchRow({ branch, origin, messages, cost_usd, turns, simulated, says }: Branch, chosen: boolean, head: boolean): HTMLElement {
  return html(
    "tr",
    { "aria-selected": chosen ? "true" : null },
    html("td", { class: "cut" }, head ? html("b", {}, branch) : branch),
    html("td", { class: origin ? "cut" : "soft" }, origin ? `${origin.name}, ${origin.message}` : "–"),
    html("td", { class: "num" }, words.whole(messages)),
    html("td", { class: "num" }, words.cost(cost_usd, turns, simulated)),
    html("td", { class: "cut lm" }, says),
  );
}

function nothing({ only }: SessionsSnapshot): HTMLElement[] {
  const [missing, name] = only === null ? ["No session is kept here yet.", "trip"] : [`There is no session ${only}.`, only];
  return [html("p", {}, missing), html("code", {}, `await agent.execute("Hello.", session="${name}")`)];
}

/** `trip 2`, or the next one that is free. */
function unused(session: string, rows: SessionRow[]): string {
  const taken = new Set(rows.map((row) => row.session));
  for (let number = 2; ; number++) if (!taken.has(`${session} ${number}`)) return `${session} ${number}`;
}
