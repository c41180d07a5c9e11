// What the kernel and the page say to each other. Numbers travel raw; the reader's side formats them.

import type { Answer, Ask, SessionsPatch, SessionsSnapshot } from "./browsing";
import type { ChatAnswer, ChatAsk, ChatPatch, ChatSnapshot } from "./chatting";

export type Status = "pending" | "running" | "waiting" | "succeeded" | "failed" | "skipped" | "cancelled";

export interface Failure {
  type: string;
  path: string;
  message: string;
  remedy: string | null;
  traceback: string | null;
}

export interface Head {
  name: string;
  kind: string;
  run: string;
  short: string;
  status: Status;
  simulated: boolean;
  replayed: boolean;
  /** Seconds since the epoch, by the kernel's clock. */
  started_at: number | null;
  ended_at: number | null;
  input_tokens: number | null;
  output_tokens: number | null;
  cost_usd: number | null;
  unpriced_calls: number;
  model_calls: number;
  done: number;
  total: number;
  error: Failure | null;
  reason: string | null;
  /** The run that it was forked from. */
  source?: string;
  /** What people are asked and what they answered, the oldest first. */
  questions: Question[];
}

export interface Question {
  id: string;
  /** The node of the graph that asks. */
  node: string | null;
  /** Who asks, from the outside in. */
  path: string;
  text: string;
  /** What it is about, with the arguments as JSON. */
  tool: string | null;
  arguments: Fields;
  why: string | null;
  choices: string[];
  /** The type of a free answer; none if there are only the choices. */
  field: string | null;
  asked_at: number;
  /** When nobody needs to answer any more. */
  until: number | null;
  answer: string | null;
  by: string | null;
  answered_at: number | null;
}

export type Fields = [name: string, type: string][];

export interface TypeFacts {
  type: string;
  fields: Fields;
}

/** What is known of a node before it has run. */
export interface Facts {
  model?: string | null;
  instructions?: string | null;
  tools?: string[] | null;
  limits?: string | null;
  in?: TypeFacts[] | null;
  out?: TypeFacts | null;
}

export interface GraphNode {
  id: string;
  title: string;
  kind: string;
  /** The second line before a run: a model's name, or what the step is made of. */
  note?: string | null;
  input?: string | null;
  output?: string | null;
  facts?: Facts | null;
}

/** No source: the edge enters the flow. No target: it leaves. */
export interface GraphEdge {
  source: string | null;
  target: string | null;
  label?: string | null;
  /** On what the edge is taken: a route's word or a condition; `again` is a loop's way back. */
  when?: string | null;
}

/** A part of a flow with nodes of its own. An edge may begin or end at it, and it has a state like a node. */
export interface GraphGroup {
  id: string;
  title: string;
  kind: string;
  note?: string | null;
  /** All nodes inside, those of nested groups too. */
  nodes: string[];
  parent?: string | null;
}

export interface Graph {
  name: string;
  kind: string;
  nodes: GraphNode[];
  edges: GraphEdge[];
  groups?: GraphGroup[];
}

/** Where everything in a large graph is, in pixels: the kernel has laid it out for the saved picture. */
export interface Places {
  direction: "LR" | "TB";
  width: number;
  height: number;
  /** Of nodes and groups, by id. */
  boxes: Record<string, [left: number, top: number, width: number, height: number]>;
  arrows: ArrowPlace[];
}

export interface ArrowPlace {
  /** What it stands for, by its place among the graph's edges; the first if they are several. */
  edge: number;
  label: string;
  /** The middle of the label; empty when there is none. */
  at: Pair | [];
  /** x and y by turns: the start, then three points for each cubic stretch. */
  points: number[];
  /** The middles of its open ends. */
  dots: Pair[];
}

export type Pair = [x: number, y: number];

/** How a node of the graph fares in a run. */
export interface NodeState {
  id: string;
  status: Status;
  reason: string | null;
  started_at: number | null;
  ended_at: number | null;
  attempt: number;
  calls: number;
  tokens: number | null;
  cost_usd: number | null;
  /** Items of a fan-out, with how many are under way if that is known; the iteration of a loop and its most. */
  progress: [done: number, total: number, now?: number] | null;
  simulated: boolean;
}

export interface Call {
  type: "call";
  id: string;
  tool: string;
  arguments: string;
  result: string | null;
  error: string | null;
  status: Status;
  seconds: number | null;
  /** What it gave besides words. */
  files?: FilePart[];
}

export interface FilePart {
  type: "file";
  name: string | null;
  media_type: string;
  /** Bytes; none for a file that is somewhere else. */
  size: number | null;
  url: string | null;
  /** As a data URI, if it is a picture and small. */
  picture: string | null;
}

export interface Thinking {
  type: "thinking";
  text: string;
  seconds: number | null;
  tokens: number | null;
}

export type Part = { type: "text" | "data"; text: string } | Thinking | FilePart | Call;

export interface Message {
  id: string;
  sender: string;
  role: "person" | "agent" | "tool" | "system";
  note: string | null;
  /** Seconds since the run started; none where that says nothing. */
  at: number | null;
  tokens: number | null;
  writing: boolean;
  simulated: boolean;
  error: string | null;
  parts: Part[];
  /** In a chat: the person can say it in other words, and the checkpoints right after it. */
  edit?: boolean;
  marks?: string[];
}

export interface Growth {
  id: string;
  append: [part: number, text: string];
}

export interface RunSnapshot {
  kind: "run" | "conversation" | "graph";
  head: Head;
  graph?: Graph;
  nodes?: Record<string, NodeState>;
  messages?: Message[];
  /** Of a graph that is large. */
  places?: Places;
  /** Of a whole run. */
  ticks?: Ticks;
  /** Whether the kernel knows what was run, and can run it again. */
  forkable?: boolean;
}

/** When the events of a run happened. */
export interface Ticks {
  /** Milliseconds since the event before; 0 for the first of all. */
  times: number[];
  /** Places in the log, from 1, at which somebody was asked or something failed. */
  marks: [seq: number, kind: "waiting" | "failed"][];
}

/** How a run was after some of its events; the graph is always the same. */
export type Past = Pick<RunSnapshot, "head" | "nodes" | "messages">;

export interface FlowSnapshot {
  kind: "flow";
  head: { name: string; kind: string; input: string; output: string; example: string; checks: string };
  graph: Graph;
  /** Of a graph that is large. */
  places?: Places;
}

export interface AgentTool {
  name: string;
  takes: string;
  gives: string;
  approval: boolean;
  timeout_s: number | null;
}

export interface AgentSnapshot {
  kind: "agent";
  head: {
    name: string;
    model: string;
    input: string;
    output: string;
    simulated: boolean;
    runs: number | null;
    median_s: number | null;
    cost_per_run: number | null;
    failed: number | null;
  };
  instructions: string;
  tools: AgentTool[];
  output: { name: string; type: string }[];
  limits: Fields;
  reach: Fields;
}

export type Snapshot = RunSnapshot | FlowSnapshot | AgentSnapshot | SessionsSnapshot | ChatSnapshot;

/** What changed in one view since the batch before; `seq` counts up by one. */
export interface Patch extends SessionsPatch, ChatPatch {
  seq: number;
  head?: Head;
  nodes?: NodeState[];
  messages?: (Message | Growth)[];
  ticks?: Ticks;
}

export interface Value {
  type: string;
  text: string;
}

/** One item of a fan-out. */
export interface Item {
  item: number;
  status: Status;
  input: string;
  output: string | null;
  error: string | null;
  seconds: number | null;
}

/** Everything about one node, sent when the reader selects it. */
export interface Details {
  node: string;
  title: string;
  kind: string;
  status: Status;
  /** The place in the log just before it began, where a fork lets it run anew. */
  before: number | null;
  path: string;
  reason: string | null;
  input: Value | null;
  output: Value | null;
  prompt: { role: string; text: string }[] | null;
  reply: string | null;
  tools: { tool: string; arguments: string; result: string | null; error: string | null; seconds: number | null }[];
  attempts: { attempt: number; status: Status; seconds: number | null; error: string | null }[];
  facts: Fields;
  error: Failure | null;
  /** Only of a fan-out: the first items and the failed ones, and how many there are in all. */
  items?: Item[];
  items_total?: number;
}

export type ToKernel =
  | { type: "open" | "close" | "stop" | "resync"; view: string }
  // A node now, or after the first `seq` events; the whole run then; another run from there on, or with another output.
  | { type: "inspect"; view: string; node: string; seq?: number }
  | { type: "moment" | "fork"; view: string; seq: number }
  | { type: "fork"; view: string; node: string; output: string }
  // Words that were chosen, or text that the kernel reads as what was asked for.
  | { type: "answer"; view: string; question: string; value: string }
  | { type: "sessions"; view: string; ask: Ask & { by: string } }
  // A chat in that session, below.
  | { type: "talk"; view: string; session: string }
  | { type: "chat"; view: string; ask: ChatAsk & { by: string } };

/** `now` is the kernel's clock; with it, elapsed times are right on a page whose clock differs. */
export type FromKernel = { now?: number } & (
  | { type: "snapshot"; view: string; data: Snapshot; seq: number }
  | { type: "patch"; views: Record<string, Patch> }
  | { type: "details"; view: string; node: string; seq: number | null; details: Details }
  | { type: "moment"; view: string; seq: number; data: Past | null }
  // The run or the chat that was asked for is shown in a slot of its own.
  | { type: "forked"; view: string; fork: string }
  // What was asked for cannot be done, and why; with a question, an answer to it does not fit.
  | { type: "refused"; view: string; question?: string; message: string }
  | { type: "sessions"; view: string; said: Answer }
  | { type: "chat"; view: string; said: ChatAnswer }
  // The answer to `close`, for the other pages of this kernel: who still shows the view opens it again.
  | { type: "closed"; view: string }
);

/** The part of an anywidget model that we use. */
export interface Model {
  get(name: "key"): string;
  send(message: ToKernel): void;
  on(event: string, listener: (...values: never[]) => void): void;
  off(event: string, listener: (...values: never[]) => void): void;
  widget_manager?: unknown;
}
