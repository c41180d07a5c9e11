// One followed view: its state as the kernel last told it, kept up to date by numbered patches.

import type { AgentSnapshot, FlowSnapshot, Graph, Growth, Head, Message, NodeState, Patch, Places, RunSnapshot, Snapshot } from "./protocol";
import type { Change } from "./view";

export interface RunState {
  kind: RunSnapshot["kind"];
  head: Head;
  graph: Graph | null;
  places: Places | null;
  nodes: Map<string, NodeState>;
  /** In order of first appearance. */
  messages: Map<string, Message>;
}

export type State = RunState | FlowSnapshot | AgentSnapshot;

export class Feed {
  state: State | null = null;
  #seq = 0;
  #stale = true;

  /** Take a snapshot; false if it says nothing new, as when it was meant for another page. */
  load(data: Snapshot, seq: number): boolean {
    if (!this.#stale && seq === this.#seq) return false;
    this.state = stateOf(data, this.state);
    this.#seq = seq;
    this.#stale = false;
    return true;
  }

  /** Something may have been missed: only a snapshot will do. */
  doubt(): void {
    this.#stale = true;
  }

  /** Take a patch. "gap" is answered once, when something is missing; then only a snapshot helps. */
  apply(patch: Patch): Change | "gap" | null {
    if (this.#stale || patch.seq <= this.#seq) return null;
    const change = patch.seq === this.#seq + 1 ? this.#merge(patch) : null;
    this.#seq = patch.seq;
    this.#stale = change === null;
    return change ?? "gap";
  }

  #merge(patch: Patch): Change | null {
    const state = this.state;
    if (!state || !("messages" in state)) return null;
    if (patch.head) state.head = patch.head;
    for (const node of patch.nodes ?? []) state.nodes.set(node.id, node);
    const whole = (patch.messages ?? []).every((message) => mergeMessage(state.messages, message));
    return whole ? changeOf(patch) : null;
  }
}

function changeOf({ head, nodes = [], messages = [] }: Patch): Change {
  return { head: head !== undefined, nodes: new Set(nodes.map(({ id }) => id)), messages: new Set(messages.map(({ id }) => id)) };
}

/** A growing message stays the same object: that is how its painter knows that only text was added. */
function mergeMessage(messages: Map<string, Message>, message: Message | Growth): boolean {
  if (!("append" in message)) return messages.set(message.id, message) !== undefined;
  const [index, text] = message.append;
  const part = messages.get(message.id)?.parts[index];
  if (!part || !("text" in part)) return false;
  part.text += text;
  return true;
}

function stateOf(data: Snapshot, before: State | null): State {
  if (data.kind === "flow" || data.kind === "agent") return data;
  const known = before && "messages" in before ? before.messages : new Map<string, Message>();
  const messages = (data.messages ?? []).map((message) => [message.id, unlessSame(known.get(message.id), message)] as const);
  const nodes = new Map(Object.entries(data.nodes ?? {}));
  return { kind: data.kind, head: data.head, graph: data.graph ?? null, places: data.places ?? null, nodes, messages: new Map(messages) };
}

/** Keep the object that is already painted, so that a snapshot after a gap repaints only what was missed. */
function unlessSame(known: Message | undefined, message: Message): Message {
  return known && JSON.stringify(known) === JSON.stringify(message) ? known : message;
}
