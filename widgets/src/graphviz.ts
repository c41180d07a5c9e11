// Graphviz, compiled to WebAssembly and carried inside the bundle; started once per page.

import { instance, type Viz } from "@viz-js/viz";

let engine: Promise<Viz> | undefined;

function start(): Promise<Viz> {
  return (engine ??= instance());
}

/** Start the engine while the page is idle, and try it once: what has run before runs at twice the speed. */
export function warmUp(): void {
  if ("requestIdleCallback" in globalThis) requestIdleCallback(() => void place(PRACTICE), { timeout: 1_000 });
}

const PRACTICE = `digraph { splines=polyline ${Array.from({ length: 60 }, (_, n) => `n${n >> 1} -> n${n + 1}`).join(" ")} }`;

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
