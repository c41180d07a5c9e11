// What the kernel and the browser of sessions say to each other; the shapes are made by `quire.views.browsing`.

/** One session in the list. */
export interface SessionRow {
  session: string;
  agent: string | null;
  /** Seconds since the epoch, by the kernel's clock. */
  last_at: number;
  turns: number;
  branches: number;
  checkpoints: number;
  /** How long its stream is: another number means that something is new. */
  seq: number;
  tokens: number | null;
  cost_usd: number | null;
  simulated: boolean;
}

/** One row of the tree. Messages of a branch are numbered from 1, those it shares with other branches too. */
export interface Branch {
  branch: string;
  /** Of the branch, or of the other session, where it begins, and the last message that belongs to both. */
  origin: { name: string; message: number } | null;
  /** The first message that no row above shows, and the last one; `first - 1` if nothing was said on it yet. */
  first: number;
  last: number;
  /** Messages up to this number belong to the branch that goes on. */
  going: number;
  /** Of messages up to this number models are told by a summary. */
  hidden: number;
  messages: number;
  turns: number;
  cost_usd: number | null;
  simulated: boolean;
  says: string;
}

/** A checkpoint, or a session that goes on from a place. */
export interface Mark {
  name: string;
  branch: string;
  message: number;
}

export interface Tree {
  session: string;
  seq: number;
  /** The branch that goes on. */
  head: string;
  tokens: number | null;
  cost_usd: number | null;
  turns: number;
  simulated: boolean;
  branches: Branch[];
  checkpoints: Mark[];
  forks: Mark[];
  /** Whether the agent that answered last is here, to be talked with. */
  chat?: boolean;
}

/** One message, sent when the reader selects it. */
export interface PlaceDetails {
  session: string;
  branch: string;
  message: number;
  sender: string;
  role: "person" | "agent";
  text: string;
  /** Characters of a very long text that are not in `text`. */
  left_out: number;
  files: string[];
  calls: number;
  tokens: number | null;
  simulated: boolean;
  at: number;
  /** Models are not shown it any more, because a summary stands for it. */
  hidden: boolean;
  /** The session in which it was said, if that is another one. */
  said_in: string | null;
  /** The session goes on right after it. */
  newest: boolean;
}

export interface SessionsSnapshot {
  kind: "sessions";
  /** The one session that is looked at, without a list. */
  only: string | null;
  /** The one that was used last first. */
  rows: SessionRow[];
  /** Of the first one. */
  tree: Tree | null;
}

/** What changed in the list. */
export interface SessionsPatch {
  rows?: SessionRow[];
  gone?: string[];
}

/** A place in a tree. */
export interface Spot {
  session: string;
  branch: string;
  message: number;
}

export type Ask =
  | { ask: "tree"; session: string }
  | ({ ask: "place" | "restore" } & Spot)
  | ({ ask: "fork"; into: string } & Spot)
  | { ask: "checkpoint"; session: string; name: string }
  | { ask: "find"; words: string };

/** `by` is whoever asked: the answer goes to all pages. */
export type Answer = { by: string; ask: Ask["ask"] } & (
  | { said: "tree"; tree: Tree }
  | { said: "place"; place: PlaceDetails | null }
  | { said: "found"; words: string; sessions: string[] }
  // The session that goes on now: after a fork, the new one.
  | { said: "done"; session: string }
  | { said: "refused"; message: string; remedy: string | null }
);

/** Bring a list up to date. */
export function merged(state: SessionsSnapshot, { rows = [], gone = [] }: SessionsPatch): void {
  const known = new Map(state.rows.map((row) => [row.session, row]));
  for (const row of rows) known.set(row.session, row);
  for (const session of gone) known.delete(session);
  state.rows = [...known.values()].sort((one, other) => other.last_at - one.last_at);
}
