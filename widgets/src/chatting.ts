// What the kernel and the page say to each other about a chat.

import type { Failure, Message, Question, Status } from "./protocol";

export interface ChatHead {
  /** The agent. */
  name: string;
  model: string;
  session: string;
  /** Of the session, with those of the turn. */
  tokens: number | null;
  cost_usd: number | null;
  /** Something is not in `cost_usd`, because nobody knows what it cost. */
  unpriced: boolean;
  simulated: boolean;
  branches: string[];
  /** The one that goes on. */
  branch: string;
  /** How the turn is that goes on or has come to nothing; none if there is no such turn. */
  status: Status | null;
  reason: string | null;
  error: Failure | null;
  questions: Question[];
}

export interface ChatSnapshot {
  kind: "chat";
  head: ChatHead;
  messages: Message[];
}

/** What changed; of the messages that were there, so many stay, and those that are new follow. */
export interface ChatPatch {
  chat?: ChatHead;
  keep?: number;
}

export type ChatAsk =
  | { ask: "send"; text: string }
  | { ask: "edit"; message: string; text: string }
  | { ask: "again" }
  | { ask: "switch"; branch: string }
  | { ask: "restore" | "checkpoint"; name: string };

/** `by` is whoever asked: the answer goes to all pages. A turn is "done" once it has begun. */
export type ChatAnswer = { by: string; ask: ChatAsk["ask"] } & ({ said: "done" } | { said: "refused"; message: string; remedy: string | null });
