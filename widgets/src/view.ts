// What a view is to the page that holds it, and what it may ask in return.

import type { Answer, Ask } from "./browsing";
import type { ChatAnswer, ChatAsk } from "./chatting";
import type { Details, Past } from "./protocol";

/** What changed since the last painting. */
export interface Change {
  head: boolean;
  nodes: Set<string>;
  messages: Set<string>;
}

export interface View<State> {
  readonly root: HTMLElement;
  /** Paint everything; what the reader opened, chose and scrolled to stays. */
  show(state: State): void;
  /** Paint what changed. */
  update?(change: Change): void;
  /** Time has passed. */
  tick?(): void;
  /** What was asked for with `inspect`. */
  inspect?(details: Details, seq: number | null): void;
  /** What was asked for with `moment`. */
  moment?(seq: number, past: Past): void;
  /** What was asked for with `fork` or `chat` is there, or cannot be, and why. */
  forked?(refusal?: string): void;
  /** The answer to something that was asked for with `ask`, by this view or by another one. */
  hear?(said: Answer): void;
  /** The answer to something that was asked for with `talk`, by this view or by another one. */
  told?(said: ChatAnswer): void;
  /** An answer to a question does not fit, and why. */
  refuse?(question: string, message: string): void;
  /** The kernel is gone: say so, and keep what is shown. */
  close(): void;
}

/** What a view may ask of the kernel. */
export interface Host {
  stop(): void;
  /** A node now, or after the first `seq` events. */
  inspect(node: string, seq?: number): void;
  /** The run after its first `seq` events. */
  moment(seq: number): void;
  /** Another run, from a place in the log on, or with another output of a node. */
  fork(from: number | { node: string; output: string }): void;
  /** Something about sessions. */
  ask(ask: Ask & { by: string }): void;
  /** A chat in a session. */
  chat(session: string): void;
  /** Something in a chat. */
  talk(ask: ChatAsk & { by: string }): void;
  /** The answer to a question of the run. */
  answer(question: string, value: string): void;
  /** The kernel's clock, in seconds. */
  now(): number;
}
