// The view of a run: the answer first (how it stands), then the graph or the conversation, then the selected node.

import { Conversation } from "./conversation";
import { html } from "./dom";
import { failurePanel } from "./failure";
import type { RunState } from "./feed";
import { GraphView } from "./graph";
import { RunHead } from "./head";
import { Inspector } from "./inspector";
import { kernelGone } from "./notice";
import type { Details } from "./protocol";
import { elapsed } from "./status";
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
  readonly #failure = html("div", { class: "panel", hidden: true });
  readonly #tabs = new Tabs("Views of the run", (id) => this.#turn(id));
  readonly #graph: GraphView;
  readonly #inspector = new Inspector();
  readonly #conversation = new Conversation();
  readonly #graphPage: HTMLElement;
  #state!: RunState;
  #inspected = -Infinity;
  #touched = false;
  #failed = "";

  constructor(host: Host, kind: RunState["kind"]) {
    this.#host = host;
    this.#kind = kind;
    this.#head = new RunHead(() => host.stop());
    this.#graph = new GraphView({ onSelect: (node) => this.#select(node), now: () => host.now() });
    this.#graphPage = html("div", {}, this.#graph.root, this.#inspector.root);
    this.root = html("section", { class: "quire", role: "region" }, this.#head.root, this.#failure, ...this.#pages());
  }

  show(state: RunState): void {
    this.#state = state;
    this.root.setAttribute("aria-label", `Run ${state.head.name}`);
    if (this.#kind === "run") this.#offer();
    this.#showHead();
    if (state.graph) this.#graph.show({ ...state.graph, name: state.head.name }, state.nodes, state.places);
    this.#converse();
    this.#ask();
  }

  update({ head, nodes, messages }: Change): void {
    if (head) this.#showHead();
    if (nodes.size > 0) this.#graph.repaint(nodes);
    if (messages.size > 0 && !this.#conversation.root.hidden) this.#conversation.update(this.#state.messages, messages);
    if (nodes.has(this.#graph.selected ?? "")) this.#touched = true;
  }

  tick(): void {
    const now = this.#host.now();
    this.#head.tick(this.#state.head, now);
    this.#graph.tick();
    if (this.#touched && now - this.#inspected >= INSPECT_EVERY) this.#ask();
  }

  inspect(details: Details): void {
    if (details.node === this.#graph.selected) this.#inspector.show(details);
  }

  close(): void {
    const { started_at, ended_at } = this.#state.head;
    const at = elapsed(started_at, ended_at, this.#host.now());
    const seen = at === null ? "This is the run as last seen." : `This is the run as last seen, at ${words.seconds(at)}.`;
    this.#head.close();
    this.root.prepend(kernelGone(`${seen} What is recorded is safe.`, "quire.runs()"));
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
  }

  /** A conversation that nobody looks at is not painted; it catches up when its tab is opened. */
  #converse(): void {
    if (!this.#conversation.root.hidden) this.#conversation.show(this.#state.head.name, this.#state.messages);
  }

  #showHead(): void {
    const { head } = this.#state;
    this.#head.show(head, this.#host.now());
    const failed = JSON.stringify(head.error);
    if (failed === this.#failed) return;
    this.#failed = failed;
    this.#failure.hidden = head.error === null;
    this.#failure.replaceChildren(...(head.error ? [failurePanel(head.error)] : []));
  }

  #select(node: string | null): void {
    this.#inspector.hide();
    if (node !== null) this.#ask();
  }

  #ask(): void {
    this.#touched = false;
    this.#inspected = this.#host.now();
    if (this.#graph.selected !== null) this.#host.inspect(this.#graph.selected);
  }
}
