// Graphviz, compiled to WebAssembly and carried inside the bundle; started once per page, when first needed.

import { instance, type Viz } from "@viz-js/viz";

let engine: Promise<Viz> | undefined;

/** Start the engine ahead of the first layout, while the kernel is still answering. */
export function start(): Promise<Viz> {
  return (engine ??= instance());
}

/** What Graphviz says of a placed graph, as far as we read it; y grows downward. */
export interface Plan {
  bb: string;
  objects?: { name: string; pos?: string }[];
  edges?: { pos?: string; lp?: string }[];
}

/** Place a graph written in DOT. */
export async function place(dot: string): Promise<Plan> {
  const viz = await start();
  return JSON.parse(viz.renderString(dot, { format: "json0", yInvert: true })) as Plan;
}
