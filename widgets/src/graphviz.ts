// Graphviz, compiled to WebAssembly and carried inside the bundle; started once per page.

import { instance, type Viz } from "@viz-js/viz";

let engine: Promise<Viz> | undefined;

function start(): Promise<Viz> {
  return (engine ??= instance());
}

/** Start the engine and practise whenever the page is idle: the browser compiles better what has run often. */
export function warmUp(rounds = 8): void {
  if (rounds === 0 || !("requestIdleCallback" in globalThis)) return;
  requestIdleCallback(() => void place(PRACTICE).then(() => warmUp(rounds - 1)), { timeout: 1_000 });
}

const PRACTICE = `digraph { ${Array.from({ length: 60 }, (_, n) => `n${n >> 1} -> n${n + 1}`).join(" ")} }`;

/** What Graphviz says of a placed graph, as far as we read it; y grows downward. */
export interface Plan {
  bb: string;
  objects?: { name: string; pos?: string; bb?: string }[];
  edges?: { pos?: string; lp?: string }[];
}

/** Place a graph written in DOT. */
export async function place(dot: string): Promise<Plan> {
  const viz = await start();
  return JSON.parse(viz.renderString(dot, { format: "json0", yInvert: true })) as Plan;
}
