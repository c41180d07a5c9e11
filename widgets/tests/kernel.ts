// Stand-ins for the other end of the line: a model that records what it is asked, and things to send.

import type { FlowSnapshot, FromKernel, Graph, Head, Message, NodeState, RunSnapshot, Status, ToKernel } from "../src/protocol";
import { Screen } from "../src/screen";

type Listener = (message: FromKernel) => void;

export class FakeModel {
  readonly sent: ToKernel[] = [];
  readonly #listeners = new Map<string, Set<Listener>>();

  get(): string {
    return "key";
  }

  send(message: ToKernel): void {
    this.sent.push(message);
  }

  on(event: string, listener: Listener): void {
    this.#listeners.set(event, (this.#listeners.get(event) ?? new Set()).add(listener));
  }

  off(event: string, listener: Listener): void {
    this.#listeners.get(event)?.delete(listener);
  }

  emit(event: string, message?: FromKernel): void {
    for (const listener of this.#listeners.get(event) ?? []) listener(message as FromKernel);
  }

  tell(message: FromKernel): void {
    this.emit("msg:custom", message);
  }

  /** The kinds of requests sent so far. */
  asked(): string[] {
    return this.sent.map(({ type }) => type);
  }
}

export interface Page {
  model: FakeModel;
  leave: AbortController;
}

/** A page with a screen on it. */
export function openPage(): Page {
  const model = new FakeModel();
  const leave = new AbortController();
  new Screen(model as never, leave.signal);
  return { model, leave };
}

/** Put a slot into the document, as a cell's output does. */
export function addSlot(view = "a", key = "key"): HTMLElement {
  const slot = document.createElement("div");
  slot.className = "quire-slot";
  slot.dataset["quire"] = `${key}/${view}`;
  slot.append(Object.assign(document.createElement("p"), { textContent: "a still picture" }));
  document.body.append(slot);
  return slot;
}

/** Let observers, layouts and frames come to rest. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setTimeout(resolve, 20));
}

export function head(changes: Partial<Head> = {}): Head {
  return {
    name: "desk",
    kind: "pipeline",
    run: "01abc",
    short: "1abc",
    status: "running",
    simulated: false,
    replayed: false,
    started_at: 1_000,
    ended_at: 1_002,
    input_tokens: 40,
    output_tokens: 21,
    cost_usd: 0.032,
    unpriced_calls: 0,
    model_calls: 2,
    done: 1,
    total: 3,
    error: null,
    reason: null,
    questions: [],
    ...changes,
  };
}

export function node(id: string, status: Status = "pending", changes: Partial<NodeState> = {}): NodeState {
  const unknown = { reason: null, started_at: null, ended_at: null, tokens: null, cost_usd: null, progress: null };
  return { id, status, attempt: 1, calls: 0, simulated: false, ...unknown, ...changes };
}

export function message(id: string, text: string, changes: Partial<Message> = {}): Message {
  const about = { sender: "writer", role: "agent" as const, note: "agent", at: 1, tokens: 3, writing: false, simulated: false, error: null };
  return { id, ...about, parts: [{ type: "text", text }], ...changes };
}

/** question -> plan -> write -> page, with a side way from plan to check. */
export function graph(): Graph {
  const titled = (id: string) => ({ id, title: id, kind: "step", note: "python", input: "Question", output: "Outline" });
  const edge = (source: string | null, target: string | null) => ({ source, target, label: "Outline" });
  const edges = [edge(null, "plan"), edge("plan", "write"), edge("plan", "check"), edge("write", null)];
  return { name: "desk", kind: "pipeline", nodes: ["plan", "write", "check"].map(titled), edges };
}

export function run(changes: Partial<RunSnapshot> = {}): RunSnapshot {
  const nodes = { plan: node("plan", "succeeded"), write: node("write", "running"), check: node("check") };
  return { kind: "run", head: head(), graph: graph(), nodes, messages: [message("m1", "Hello")], ...changes };
}

export function flow(): FlowSnapshot {
  const about = { input: "Question", output: "Page", example: "desk.start(…)", checks: "3 steps, no cycle" };
  return { kind: "flow", head: { name: "desk", kind: "pipeline", ...about }, graph: graph() };
}

/** A support desk: a race into a loop, a route of two ways, and a fan-out. */
export function desk(): Graph {
  const kinds: Record<string, string> = { read: "each", route: "branch" };
  const titled = (id: string) => ({ id, title: id.split("/").at(-1)!, kind: kinds[id] ?? "agent", note: "offline" });
  const edge = (source: string | null, target: string | null, when: string | null = null) => ({ source, target, label: "Text", when });
  return {
    name: "desk",
    kind: "process",
    nodes: ["triage", "route", "read", "race/a", "race/b", "refund", "complaint", "polish/revise", "polish/critic", "send"].map(titled),
    groups: [
      { id: "race", title: "draft", kind: "race", note: "first success wins", nodes: ["race/a", "race/b"], parent: null },
      { id: "polish", title: "polish", kind: "loop", note: "at most 4 times", nodes: ["polish/revise", "polish/critic"], parent: null },
    ],
    edges: [
      ...["route", "read", "race"].map((part) => edge("triage", part)),
      ...["refund", "complaint"].flatMap((way) => [edge("route", way, way), edge(way, "send")]),
      ...[edge("race", "polish"), edge("polish/revise", "polish/critic"), edge("polish/critic", "polish/revise", "again")],
      ...[edge("read", "send"), edge("polish", "send")],
    ],
  };
}
