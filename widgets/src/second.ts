// The second line of a node in a run: the status word, then as much of what is worth knowing as there is room for.

import type { Ruler } from "./measure";
import type { NodeState } from "./protocol";
import { elapsed } from "./status";
import * as words from "./words";

// Room that every node keeps for its own end, so that a status seldom moves the graph: these are the widest usual times.
const USUAL = ["59.9 s", "999 ms"];
const MANY_ITEMS = 10_000;
const FEWEST_LETTERS = 10;

interface Beside {
  reason: string | null;
  /** How far it is, or how long it took; never cut. */
  measure: string | null;
  attempt: string | null;
}

export function beside(state: NodeState, now: number): Beside {
  const { status, reason, progress } = state;
  const time = elapsed(state.started_at, state.ended_at, now);
  const isTimeless = status === "skipped" || status === "pending" || shorter(reason) !== reason;
  const spent = time === null || isTimeless ? null : words.seconds(time);
  const far = progress && status !== "succeeded" && status !== "pending" ? counted(progress) : null;
  return { reason, measure: far ?? spent, attempt: state.attempt > 1 ? `attempt ${state.attempt}` : null };
}

/** `17 of 24`; while nobody knows how many there will be, `17 so far`. */
function counted([done, total]: [number, number, number?]): string | null {
  if (total > 0) return `${words.whole(done)} of ${words.whole(total)}`;
  return done > 0 ? `${words.whole(done)} so far` : null;
}

/** What stands beside the status word: the fullest that fits. Only a reason may be cut, and only if enough of it is left. */
export function fitting(state: NodeState, now: number, ruler: Ruler, room: number): string {
  const known = beside(state, now);
  const fits = (line: string) => ruler.width(state.status + line, "small") <= room;
  const cut = () => shortened(known, ruler, room - ruler.width(state.status, "small"));
  return tellings(state, known).find(fits) ?? cut() ?? joined(known.measure);
}

/** Ways to say it whole, from the fullest to the barest. */
function tellings({ status }: NodeState, { reason, measure, attempt }: Beside): string[] {
  if (reason !== null) return [joined(reason, measure, attempt), joined(reason, measure), joined(shorter(reason), measure)];
  // While it is not over, or if it went wrong, how often it was tried says more than how long it took.
  const brief = attempt && status !== "succeeded" ? [joined(attempt)] : [];
  return [joined(measure, attempt), ...brief, joined(measure)];
}

/** Two things the kernel says in a sentence can be said in a word or two; both make the time beside them pointless. */
function shorter(reason: string | null): string | null {
  if (reason === "kept from an earlier run") return "reused";
  return reason?.match(/^(retry \d+) in /)?.[1] ?? reason;
}

function shortened({ reason, measure }: Beside, ruler: Ruler, room: number): string | null {
  if (reason === null || shorter(reason) !== reason) return null;
  const rest = measure ? `, ${measure}` : "";
  const cut = ruler.cut(` · ${reason}`, "small", room - ruler.width(rest, "small"));
  return cut.length > FEWEST_LETTERS + 3 ? cut + rest : null;
}

function joined(...parts: (string | null)[]): string {
  const said = parts.filter(Boolean).join(", ");
  return said && ` · ${said}`;
}

/** The line that a node must always have room for. */
export function barest(state: NodeState, now: number): string {
  return state.status + joined(beside(state, now).measure);
}

export interface Needs {
  /** Room for the reason and the attempt that are known now. */
  full: boolean;
  fanOut: boolean;
  race: boolean;
}

/** How wide the line may become. */
export function reserved(state: NodeState, now: number, ruler: Ruler, { full, fanOut, race }: Needs): number {
  const { reason, attempt, measure } = beside(state, now);
  const time = widest(USUAL, ruler);
  const total = words.whole(state.progress?.[1] || MANY_ITEMS);
  const lines = [
    `succeeded${joined(race ? "won" : null, time)}`,
    `running${joined("attempt 2")}`,
    barest(state, now),
    ...(fanOut ? [`running${joined(`${total} of ${total}`)}`] : []),
    ...(full ? [state.status + joined(reason, measure && widest([measure, time], ruler), attempt)] : []),
  ];
  return Math.max(...lines.map((line) => ruler.width(line, "small")));
}

function widest(lines: string[], ruler: Ruler): string {
  return lines.reduce((one, other) => (ruler.width(other, "small") > ruler.width(one, "small") ? other : one));
}
