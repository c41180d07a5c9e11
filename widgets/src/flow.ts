// The card of a flow that has not run: its graph with the types on the edges, and what each node is made of.

import { html } from "./dom";
import { GraphView } from "./graph";
import { cardHead } from "./head";
import { nodeFacts } from "./inspector";
import { kernelGone } from "./notice";
import type { FlowSnapshot } from "./protocol";
import { showStatus, statusMark } from "./status";
import type { Host, View } from "./view";

export class FlowView implements View<FlowSnapshot> {
  readonly root = html("section", { class: "quire", role: "region" });
  readonly #graph: GraphView;
  readonly #inspector = html("section", { class: "panel sunk", "aria-label": "Inspector", hidden: true });
  #flow!: FlowSnapshot;

  constructor(host: Host) {
    this.#graph = new GraphView({ onSelect: (node) => this.#select(node), now: () => host.now() });
    this.#graph.root.classList.add("pg");
  }

  show(flow: FlowSnapshot): void {
    this.#flow = flow;
    const { name, kind } = flow.head;
    this.root.setAttribute("aria-label", `${kind.charAt(0).toUpperCase()}${kind.slice(1)} ${name}`);
    this.root.replaceChildren(flowHead(flow), this.#graph.root, this.#inspector, checks(flow));
    this.#graph.show({ ...flow.graph, name }, null, flow.places);
    this.#select(this.#graph.selected);
  }

  close(): void {
    this.root.prepend(kernelGone(`This is the ${this.#flow.head.kind} as last seen.`, ""));
  }

  #select(id: string | null): void {
    const node = this.#flow.graph.nodes.find((node) => node.id === id);
    this.#inspector.hidden = !node;
    if (node) this.#inspector.replaceChildren(...nodeFacts(node));
  }
}

function flowHead({ head }: FlowSnapshot): HTMLElement {
  const status = statusMark("pending");
  showStatus(status, "pending", "not run yet");
  const types = html("span", { class: "mono" }, `${head.input} → ${head.output}`);
  return cardHead([html("h2", {}, head.name), status], [html("span", {}, head.kind), types], []);
}

function checks({ head }: FlowSnapshot): HTMLElement {
  const passed = statusMark("succeeded");
  showStatus(passed, "succeeded", "checks passed");
  return html(
    "footer",
    { class: "panel row wrap checks" },
    passed,
    html("span", { class: "soft" }, head.checks),
    html("span", { class: "grow" }),
    html("code", { class: "soft" }, head.example),
  );
}
