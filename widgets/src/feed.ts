// One followed view: its state as the kernel last told it, kept up to date by numbered patches.

import { merged, type SessionsSnapshot } from "./browsing";
import type { ChatHead } from "./chatting";
import type { AgentSnapshot, FlowSnapshot, Graph, Growth, Head, Message, NodeState, Past, Patch, Places, RunSnapshot, Snapshot } from "./protocol";
import { Timeline } from "./timeline";
import type { Change } from "./view";

export interface RunState {
  kind: RunSnapshot["kind"];
  head: Head;
  graph: Graph | null;
  places: Places | null;
  nodes: Map<string, NodeState>;
  /** In order of first appearance. */
  messages: Map<string, Message>;
  /** Of a whole run: when its events happened. */
  timeline: Timeline | null;
  forkable: boolean;
}

export interface ChatState {
  kind: "chat";
  head: ChatHead;
  /** From the first one on. */
  messages: Map<string, Message>;
}

export type State = RunState | ChatState | FlowSnapshot | AgentSnapshot | SessionsSnapshot;

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
    if (state?.kind === "sessions") return merged(state, patch), changeOf(patch);
    if (!state || !("messages" in state)) return null;
    if (state.kind === "chat") return this.#goOn(state, patch);
    if (patch.head) state.head = patch.head;
    if (patch.ticks) state.timeline?.add(patch.ticks);
    for (const node of patch.nodes ?? []) state.nodes.set(node.id, node);
    const whole = (patch.messages ?? []).every((message) => mergeMessage(state.messages, message));
    return whole ? changeOf(patch) : null;
  }

  #goOn(state: ChatState, { chat, keep, messages = [] }: Patch): Change | null {
    if (chat) state.head = chat;
    for (const id of keep === undefined ? [] : [...state.messages.keys()].slice(keep)) state.messages.delete(id);
    const whole = messages.every((message) => mergeMessage(state.messages, message));
    return whole ? { head: chat !== undefined, nodes: new Set(), messages: new Set(messages.map(({ id }) => id)) } : null;
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
  if (data.kind === "flow" || data.kind === "agent" || data.kind === "sessions") return data;
  const known = before && "messages" in before ? before.messages : null;
  if (data.kind === "chat") return { kind: data.kind, head: data.head, messages: keptOf(data.messages, known) };
  const { kind, graph = null, places = null, ticks, forkable = false } = data;
  return { kind, graph, places, ...shownOf(data, known), timeline: ticks ? new Timeline(ticks) : null, forkable };
}

/** A run as it was at a past moment; `before` is another moment, whose messages may be the same. */
export function pastOf(past: Past, now: RunState, before: RunState | null): RunState {
  return { ...now, ...shownOf(past, before?.messages ?? null) };
}

function shownOf({ head, nodes = {}, messages = [] }: Past, known: Map<string, Message> | null): Pick<RunState, "head" | "nodes" | "messages"> {
  return { head, nodes: new Map(Object.entries(nodes)), messages: keptOf(messages, known) };
}

function keptOf(messages: Message[], known: Map<string, Message> | null): Map<string, Message> {
  return new Map(messages.map((message) => [message.id, unlessSame(known?.get(message.id), message)]));
}

/** Keep the object that is already painted, so that a snapshot after a gap repaints only what was missed. */
function unlessSame(known: Message | undefined, message: Message): Message {
  return known && JSON.stringify(known) === JSON.stringify(message) ? known : message;
}
