// An edge: what it carries or on what it is taken, and what became of its data.

import { svg } from "./dom";
import type { PlacedArrow } from "./layout";
import type { Ruler } from "./measure";
import type { Nest } from "./nest";
import type { ArrowPlace, GraphEdge, NodeState } from "./protocol";
import { flow, isLive } from "./status";

const TYPE_AIR = 8;

export interface Link {
  edge: GraphEdge;
  /** The loop that this leads back to the beginning of. */
  loop: string | null;
  label: string;
  /** The label is a type, not the word for a choice. */
  isType: boolean;
}

/** Edges with both ends in the graph. In a run the nodes say what was made, and open ends belong to the flow's own card. */
export function links(edges: GraphEdge[], nodes: Set<string>, nest: Nest, inRun: boolean): Link[] {
  const isKnown = (id: string | null) => id === null || nodes.has(id) || nest.groups.has(id);
  const isWhole = ({ source, target }: GraphEdge) => (source !== null || target !== null) && !(inRun && (source === null || target === null));
  return edges.filter((edge) => isKnown(edge.source) && isKnown(edge.target) && isWhole(edge)).map((edge) => linkOf(edge, nest, inRun));
}

/** The same of a graph that the kernel has laid out: it has chosen what to draw, and the words. */
export function linksAt(arrows: ArrowPlace[], edges: GraphEdge[], nest: Nest, inRun: boolean): Link[] {
  return arrows.map(({ edge, label }) => ({ ...linkOf(edges[edge]!, nest, inRun), label, isType: false }));
}

function linkOf(edge: GraphEdge, nest: Nest, inRun: boolean): Link {
  const loop = edge.when === "again" ? loopAround(edge, nest) : null;
  const word = loop === null ? edge.when : null;
  const type = inRun || loop !== null ? null : edge.label;
  return { edge, loop, label: word || type || "", isType: !word };
}

function loopAround({ source, target }: GraphEdge, nest: Nest): string | null {
  const loops = [...nest.groups.values()].filter(({ kind }) => kind === "loop");
  const around = (loop: string, id: string | null) => id !== null && (id === loop || nest.holds(loop, id));
  return loops.findLast(({ id }) => around(id, source) && around(id, target))?.id ?? null;
}

/** Room for a label; types stand alone on the flow's card and may have more air. */
export function labelWidth({ label, isType }: Link, ruler: Ruler): number {
  if (!label) return 0;
  return isType ? ruler.width(label, "code") + TYPE_AIR : ruler.width(label, "small");
}

/** What became of the data, as far as the states of both ends and of the loop tell. */
export function passing({ edge, loop }: Link, nest: Nest, state: (id: string) => NodeState | null): string {
  const round = loop === null ? null : state(loop);
  // A loop that has come to its end went back only if it had a second iteration.
  if (round && !isLive(round.status)) return (round.progress?.[0] ?? 1) > 1 ? "done" : "never";
  const end = (id: string | null) => (id === null ? null : (state(id)?.status ?? "pending"));
  const passed = flow(end(edge.source), end(edge.target));
  return passed === "now" && hasBegun(edge.target!, nest, state) ? "done" : passed;
}

/** A group takes its data only once, however long it works then. */
function hasBegun(target: string, nest: Nest, state: (id: string) => NodeState | null): boolean {
  const group = nest.groups.get(target);
  if (!group) return false;
  return (state(target)?.progress?.[0] ?? 1) > 1 || group.nodes.some((id) => !isLive(state(id)?.status ?? "pending"));
}

/** Whose states an edge is painted by. */
export function shownBy({ edge, loop }: Link, nest: Nest): Set<string> {
  const inside = edge.target === null ? [] : (nest.groups.get(edge.target)?.nodes ?? []);
  return new Set([edge.source, edge.target, loop, ...inside].filter((id) => id !== null));
}

/** The words of an edge, painted above all lines, so that none runs through them. */
export function labelOf({ label, isType }: Link, { label: { x, y } }: PlacedArrow): SVGElement | null {
  if (!label) return null;
  return svg("g", { class: "edge" }, svg("text", { class: isType ? "mono" : "when", x, y: y + 4, "text-anchor": "middle" }, label));
}
