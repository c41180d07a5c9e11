// The view of a run: the answer first (how it stands), then the graph or the conversation, then the selected node.

import { Conversation } from "./conversation";
import { html } from "./dom";
import { failurePanel } from "./failure";
import { pastOf, type RunState } from "./feed";
import { GraphView } from "./graph";
import { RunHead } from "./head";
import { Inspector } from "./inspector";
import { kernelGone } from "./notice";
import type { Details, Past } from "./protocol";
import { Questions } from "./questions";
import { Scrub, type Place } from "./scrub";
import { elapsed, isLive } from "./status";
import { Tabs } from "./tabs";
import type { Change, Host, View } from "./view";
import * as words from "./words";

// A node that works changes many times a second; what the inspector shows of it need not.
const INSPECT_EVERY = 0.5;

export class RunView implements View<RunState> {
  readonly root: HTMLElement;
  readonly #host: Host;
  readonly #kind: RunState["kind"];
  readonly #head: RunHead;
  readonly #questions: Questions;
  readonly #failure = html("div", { class: "panel", hidden: true });
  readonly #tabs = new Tabs("Views of the run", (id) => this.#turn(id));
  readonly #graph: GraphView;
  readonly #inspector: Inspector;
  readonly #conversation = new Conversation();
  readonly #graphPage: HTMLElement;
  readonly #scrub: Scrub;
  /** As it is now, also while the reader looks at the past. */
  #now!: RunState;
  /** The past moment that is shown, and the one that the reader wants. */
  #past: (Place & { state: RunState }) | null = null;
  #wanted: Place | null = null;
  #asked: number | null = null;
  #passing = false;
  #gone = false;
  #inspected = -Infinity;
  #touched = false;
  #failed = "";

  constructor(host: Host, kind: RunState["kind"]) {
    this.#host = host;
    this.#kind = kind;
    this.#head = new RunHead(() => host.stop());
    this.#graph = new GraphView({ onSelect: (node) => this.#select(node), now: () => this.#time() });
    this.#inspector = new Inspector((from) => host.fork(from));
    this.#questions = new Questions((question, value) => host.answer(question, value));
    this.#scrub = new Scrub({ onMove: (place) => this.#move(place), onFork: (seq) => host.fork(seq) });
    this.#graphPage = html("div", {}, this.#graph.root, this.#inspector.root);
    const parts = [this.#head.root, this.#questions.root, this.#failure, ...this.#pages(), this.#scrub.root];
    this.root = html("section", { class: "quire", role: "region" }, ...parts);
  }

  show(state: RunState): void {
    this.#now = state;
    this.root.setAttribute("aria-label", `Run ${state.head.name}`);
    if (this.#kind === "run") this.#offer();
    this.#inspector.know(state.head, state.forkable);
    this.#paint();
    // What was asked for before may have been lost.
    if (this.#wanted) this.#askFor(this.#wanted.seq);
  }

  update({ head, nodes, messages }: Change): void {
    if (this.#past) return this.#showHead();
    if (head) this.#showHead();
    if (nodes.size > 0) this.#graph.repaint(nodes);
    if (messages.size > 0 && !this.#conversation.root.hidden) this.#conversation.update(this.#now.messages, messages);
    if (nodes.has(this.#graph.selected ?? "")) this.#touched = true;
  }

  tick(): void {
    this.#showScrub();
    if (this.#past) return this.#showPassing();
    const now = this.#time();
    this.#head.tick(this.#now.head, now);
    this.#questions.tick(now);
    this.#graph.tick();
    if (this.#touched && now - this.#inspected >= INSPECT_EVERY) this.#ask();
  }

  inspect(details: Details, seq: number | null): void {
    if (details.node !== this.#graph.selected || seq !== (this.#past?.seq ?? null)) return;
    this.#inspector.show(details, seq !== null);
    this.#showScrub();
  }

  moment(seq: number, past: Past): void {
    if (seq !== this.#asked || !this.#wanted) return;
    this.#asked = null;
    this.#past = { ...this.#wanted, seq, state: pastOf(past, this.#now, this.#past?.state ?? null) };
    this.#paint();
    if (this.#wanted.seq !== seq) this.#askFor(this.#wanted.seq);
  }

  refuse(question: string, message: string): void {
    this.#questions.refuse(question, message);
  }

  forked(refusal?: string): void {
    if (!this.#inspector.forked(refusal)) this.#scrub.forked(refusal);
  }

  close(): void {
    this.#gone = true;
    this.#scrub.close();
    this.#inspector.close();
    this.#move(null);
    this.#showHead();
    const at = this.#length();
    const seen = at === null ? "This is the run as last seen." : `This is the run as last seen, at ${words.seconds(at)}.`;
    this.#head.close();
    this.root.prepend(kernelGone(`${seen} What is recorded is safe.`, "quire.runs()"));
  }

  // ---------- moments ----------

  get #state(): RunState {
    return this.#past?.state ?? this.#now;
  }

  /** The kernel's clock, or where it stood at the past moment. */
  #time(): number {
    return this.#past ? (this.#past.state.head.started_at ?? 0) + this.#past.at : this.#host.now();
  }

  #length(): number | null {
    return elapsed(this.#now.head.started_at, this.#now.head.ended_at, this.#host.now());
  }

  /** One moment is asked for at a time; where the reader has gone meanwhile comes next. */
  #move(place: Place | null): void {
    this.#wanted = place;
    if (place === null) this.#return();
    else if (place.seq !== this.#past?.seq) this.#asked ?? this.#askFor(place.seq);
    else {
      this.#past = { ...this.#past, ...place };
      this.#passing = true;
    }
  }

  #askFor(seq: number): void {
    this.#asked = seq;
    this.#host.moment(seq);
  }

  #return(): void {
    this.#asked = null;
    if (this.#past === null) return;
    this.#past = null;
    this.#paint();
  }

  /** Between two events only time passes: as often as it does in the present. */
  #showPassing(): void {
    if (!this.#passing) return;
    this.#passing = false;
    this.#showHead();
    this.#graph.tick();
  }

  #paint(): void {
    const { head, graph, nodes, places } = this.#state;
    this.root.classList.toggle("is-past", this.#past !== null);
    this.#showHead();
    this.#showScrub();
    if (graph) this.#graph.show({ ...graph, name: head.name }, nodes, places);
    this.#converse();
    this.#ask();
  }

  /** From here means from the selected node, if there is one, and not from the moment. */
  #showScrub(): void {
    const { timeline, head, forkable } = this.#now;
    const fromNode = !this.#graphPage.hidden && this.#inspector.forks;
    if (timeline) this.#scrub.show(timeline, this.#length() ?? 0, isLive(head.status), forkable && !fromNode);
  }

  // ---------- parts ----------

  #pages(): HTMLElement[] {
    if (this.#kind === "graph") return [html("div", { class: "alone" }, this.#graphPage)];
    if (this.#kind === "conversation") return [html("div", { class: "alone" }, this.#conversation.root)];
    this.#tabs.panel.append(this.#graphPage, this.#conversation.root);
    return [this.#tabs.root, this.#tabs.panel];
  }

  #offer(): void {
    this.#tabs.offer(
      [
        { id: "graph", label: "Graph" },
        { id: "conversation", label: "Conversation" },
      ],
      "graph",
    );
  }

  #turn(id: string): void {
    this.#graphPage.hidden = id !== "graph";
    this.#conversation.root.hidden = id !== "conversation";
    this.#converse();
    this.#showScrub();
  }

  /** A conversation that nobody looks at is not painted; it catches up when its tab is opened. */
  #converse(): void {
    if (!this.#conversation.root.hidden) this.#conversation.show(this.#state.head.name, this.#state.messages);
  }

  #showHead(): void {
    const { head } = this.#state;
    const isOpen = this.#past === null && !this.#gone && isLive(head.status);
    this.#questions.show(head.questions, { now: this.#time(), open: isOpen });
    this.#head.show(head, this.#time(), this.#past && { at: this.#past.at, live: isLive(this.#now.head.status) });
    const failed = JSON.stringify(head.error);
    if (failed === this.#failed) return;
    this.#failed = failed;
    this.#failure.hidden = head.error === null;
    this.#failure.replaceChildren(...(head.error ? [failurePanel(head.error)] : []));
  }

  #select(node: string | null): void {
    this.#inspector.hide();
    this.#showScrub();
    if (node !== null) this.#ask();
  }

  #ask(): void {
    this.#touched = false;
    this.#inspected = this.#host.now();
    if (this.#graph.selected !== null) this.#host.inspect(this.#graph.selected, this.#past?.seq);
  }
}
