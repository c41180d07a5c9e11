// The card of one agent: what it is told, what it can call, what it gives back, how far it may go.

import { html } from "./dom";
import { cardHead, figure } from "./head";
import { icon } from "./icons";
import { factList } from "./inspector";
import { kernelGone } from "./notice";
import type { AgentSnapshot, AgentTool, Fields } from "./protocol";
import type { View } from "./view";
import * as words from "./words";

export class AgentView implements View<AgentSnapshot> {
  readonly root = html("section", { class: "quire", role: "region" });

  show(agent: AgentSnapshot): void {
    this.root.setAttribute("aria-label", `Agent ${agent.head.name}`);
    const output = agent.output.map(({ name, type }): [string, string] => [name, type]);
    const columns = [column("Output", output, "mono schema"), column("Limits", agent.limits), column("Reach", agent.reach)];
    const parts = [
      agentHead(agent),
      agent.instructions ? instructions(agent.instructions) : null,
      agent.tools.length > 0 ? toolTable(agent.tools) : null,
      columns.some(Boolean) ? html("div", { class: "panel sunk" }, html("div", { class: "three" }, ...columns)) : null,
    ];
    this.root.replaceChildren(...parts.filter((part) => part !== null));
  }

  close(): void {
    this.root.prepend(kernelGone("This is the agent as last seen.", ""));
  }
}

function agentHead({ head }: AgentSnapshot): HTMLElement {
  const figures = [
    head.runs === null ? null : figure("runs", words.whole(head.runs)),
    head.median_s === null ? null : figure("median time", words.seconds(head.median_s)),
    head.cost_per_run === null ? null : figure("cost per run", words.money(head.cost_per_run)),
    head.failed === null ? null : figure("failed", words.whole(head.failed)),
  ];
  const mark = html("span", { class: "row soft who" }, icon("agent"), "agent");
  const tag = head.simulated && html("span", { class: "tag" }, "simulated");
  const types = html("span", { class: "mono" }, `${head.input} → ${head.output}`);
  return cardHead([html("h2", {}, head.name), mark, tag], [html("span", {}, head.model), types], figures.filter((part) => part !== null));
}

function instructions(text: string): HTMLElement {
  return html("div", { class: "panel" }, html("p", { class: "soft small" }, "instructions"), html("p", { class: "says" }, text));
}

function toolTable(tools: AgentTool[]): HTMLElement {
  const head = html(
    "tr",
    {},
    ...["tool", "takes", "gives", "approval"].map((label) => html("th", {}, label)),
    html("th", { class: "num only-wide" }, "timeout"),
  );
  const table = html("table", {}, html("thead", {}, head), html("tbody", {}, ...tools.map(toolRow)));
  return html("div", { class: "panel tools-panel" }, table);
}

function toolRow({ name, takes, gives, approval, timeout_s }: AgentTool): HTMLElement {
  const person = html("span", { class: "ask-tag" }, icon("person"), "a person");
  return html(
    "tr",
    {},
    html("td", {}, html("code", {}, html("b", {}, name))),
    html("td", {}, html("code", {}, takes)),
    html("td", {}, html("code", {}, gives)),
    approval ? html("td", {}, person) : html("td", { class: "soft" }, "no"),
    html("td", { class: "num only-wide" }, timeout_s === null ? "–" : limit(timeout_s)),
  );
}

/** A limit that was set in whole seconds is said in whole seconds. */
function limit(seconds: number): string {
  return Number.isInteger(seconds) && seconds < 60 ? `${seconds} s` : words.seconds(seconds);
}

function column(title: string, facts: Fields, kind = ""): HTMLElement | null {
  return facts.length > 0 ? html("div", {}, html("h3", {}, title), factList(facts, kind)) : null;
}
