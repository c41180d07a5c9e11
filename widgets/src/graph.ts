// The graph of a flow or of a run: Graphviz places, this paints, and a change of status repaints one node.

import { set, svg } from "./dom";
import { Field } from "./field";
import { arrange, depths, MARGIN, type Arrow, type Box, type Layout, type PlacedArrow } from "./layout";
import { Ruler } from "./measure";
import { NodeShape, size } from "./node";
import type { Graph, GraphEdge, GraphNode, NodeState } from "./protocol";
import { flow, isLive } from "./status";
import { neighbor, type Step } from "./steps";

export type NodeStates = ReadonlyMap<string, NodeState>;

export interface GraphOptions {
  /** The reader chose a node, or let go of it. */
  onSelect(node: string | null): void;
  now(): number;
}

const STEPS: Record<string, Step> = { ArrowRight: "right", ArrowLeft: "left", ArrowUp: "up", ArrowDown: "down" };
// From here on a graph is too large to be drawn in full everywhere at once.
const FEW = 200;
const CROWD = 8;

export class GraphView {
  readonly root: HTMLElement;
  readonly #options: GraphOptions;
  readonly #svg = svg("svg", { class: "dag", role: "figure" });
  readonly #field = new Field(this.#svg, (text) => this.#found(text));
  readonly #shapes = new Map<string, NodeShape>();
  readonly #edges = new Map<string, { edge: GraphEdge; root: SVGGElement }[]>();
  readonly #sight: IntersectionObserver;
  #graph: Graph = { name: "", kind: "", nodes: [], edges: [] };
  #states: NodeStates | null = null;
  #layout: Layout | null = null;
  #room = 0;
  #turn = 0;
  #selected: string | null = null;

  constructor(options: GraphOptions) {
    this.#options = options;
    this.root = this.#field.root;
    this.#svg.addEventListener("click", (event) => this.#press(event.target));
    this.#svg.addEventListener("keydown", (event) => this.#key(event));
    this.#sight = new IntersectionObserver((seen) => this.#see(seen), { root: this.#field.scroller, rootMargin: "200px" });
    new ResizeObserver(() => this.#resized()).observe(this.root);
  }

  get selected(): string | null {
    return this.#selected;
  }

  /** Show a graph; before a run there are no states and the edges carry their types. */
  show(graph: Graph, states: NodeStates | null): void {
    const same = JSON.stringify(graph) === JSON.stringify(this.#graph);
    this.#graph = graph;
    this.#states = states;
    if (!same) this.#shapes.clear();
    if (same && this.#layout) this.repaint(graph.nodes.map((node) => node.id));
    else void this.#arrange();
  }

  /** Paint the nodes that changed and the edges that touch them. */
  repaint(ids: Iterable<string>): void {
    const changed = new Set(ids);
    for (const id of changed) {
      this.#shapes.get(id)?.show(this.#state(id), this.#options.now());
      for (const { edge, root } of this.#edges.get(id) ?? []) set(root, { "data-flow": this.#flow(edge) });
    }
    this.#calm();
    if (this.#outgrown(changed)) void this.#arrange();
  }

  /** A turning arc repaints its surroundings in every frame; a crowd of them turns in steps. */
  #calm(): void {
    let running = 0;
    for (const { status } of this.#states?.values() ?? []) if (status === "running") running++;
    this.root.classList.toggle("is-busy", running > CROWD);
  }

  /** Time has passed: only what is under way says something new. */
  tick(): void {
    for (const [id, shape] of this.#shapes) {
      const state = this.#state(id);
      if (state?.started_at != null && isLive(state.status)) shape.tell(state, this.#options.now());
    }
  }

  select(id: string | null): void {
    this.#shapes.get(this.#selected ?? "")?.press(false);
    this.#selected = id;
    this.#shapes.get(id ?? "")?.press(true);
    this.#options.onSelect(id);
  }

  // ---------- layout and painting ----------

  /** Lay out for the room there is; a graph that cannot be seen yet waits until it can. */
  async #arrange(): Promise<void> {
    const room = this.root.clientWidth;
    const turn = ++this.#turn;
    if (room === 0) return;
    const ruler = new Ruler(this.root);
    const arrows = this.#arrows(ruler);
    const sizes = (direction: "LR" | "TB") => this.#graph.nodes.map((node) => size(node, this.#state(node.id), direction, ruler));
    const wide = this.#states ? evened(sizes("LR"), arrows) : sizes("LR");
    const layout = await arrange(wide, sizes("TB"), arrows, room);
    if (turn !== this.#turn) return;
    this.#room = room;
    this.#layout = layout;
    this.#paint(layout, ruler);
  }

  /** In a run the nodes say what was made; the open ends and their types belong to the flow's own card. */
  #arrows(ruler: Ruler): Arrow[] {
    return this.#visibleEdges().map(({ source, target, label }) => ({
      source,
      target,
      label: this.#states || !label ? 0 : ruler.width(label, "code"),
    }));
  }

  #visibleEdges(): GraphEdge[] {
    const known = new Set(this.#graph.nodes.map((node) => node.id));
    const ends = ({ source, target }: GraphEdge) => [source, target].filter((end) => end !== null);
    return this.#graph.edges.filter((edge) => ends(edge).every((end) => known.has(end)) && ends(edge).length > (this.#states ? 1 : 0));
  }

  #paint(layout: Layout, ruler: Ruler): void {
    this.#edges.clear();
    const edges = this.#visibleEdges().map((edge, index) => this.#drawEdge(edge, layout.arrows[index]!));
    const ends = layout.arrows.flatMap((arrow) => arrow.ends).map(({ x, y }) => svg("circle", { class: "end", cx: x, cy: y, r: 2.5 }));
    const nodes = this.#graph.nodes.map((node) => this.#drawNode(node, layout, ruler));
    const focused = this.#svg.contains(document.activeElement) ? (document.activeElement as SVGElement) : null;
    this.#svg.replaceChildren(...edges, ...ends, ...nodes);
    focused?.focus({ preventScroll: true });
    set(this.#svg, { "aria-label": `Graph of ${this.#graph.name}`, viewBox: viewBox(layout) });
    this.#calm();
    this.#field.hold(layout, this.#room, this.#states !== null);
  }

  #drawNode(node: GraphNode, layout: Layout, ruler: Ruler): SVGElement {
    const { id } = node;
    const shape = this.#shapes.get(id) ?? new NodeShape(node, ruler);
    this.#shapes.set(id, shape);
    shape.place(layout.boxes.get(id)!, layout.direction, this.#state(id));
    shape.show(this.#state(id), this.#options.now());
    shape.press(id === this.#selected);
    if (this.#graph.nodes.length <= FEW) shape.detail(true, this.#state(id), this.#options.now());
    else this.#sight.observe(shape.root);
    return shape.root;
  }

  /** In a large graph only the nodes in sight are drawn in full. */
  #see(seen: IntersectionObserverEntry[]): void {
    for (const { target, isIntersecting } of seen) {
      const id = (target as SVGElement).dataset["node"] ?? "";
      this.#shapes.get(id)?.detail(isIntersecting, this.#state(id), this.#options.now());
    }
  }

  #drawEdge(edge: GraphEdge, placed: PlacedArrow): SVGGElement {
    const { x, y } = placed.label;
    const label = !this.#states && edge.label ? svg("text", { class: "mono", x, y: y + 4, "text-anchor": "middle" }, edge.label) : null;
    const tip = svg("path", { class: "tip", d: placed.tip });
    const root = svg("g", { class: "edge", "data-flow": this.#flow(edge) }, svg("path", { d: placed.line }), tip, label);
    for (const end of [edge.source, edge.target]) if (end !== null) this.#edges.set(end, [...(this.#edges.get(end) ?? []), { edge, root }]);
    return root;
  }

  #state(id: string | null): NodeState | null {
    return (id !== null && this.#states?.get(id)) || null;
  }

  #flow(edge: GraphEdge): string {
    return this.#states ? flow(this.#state(edge.source), this.#state(edge.target)) : "done";
  }

  /** A fan-out that shows its items needs a taller box than the one it was given. */
  #outgrown(ids: Set<string>): boolean {
    return [...ids].some((id) => this.#state(id)?.progress != null && (this.#layout?.boxes.get(id)?.height ?? 66) < 66);
  }

  #resized(): void {
    const room = this.root.clientWidth;
    const layout = this.#layout;
    const stillFits = layout?.direction === "LR" ? layout.width + 2 * MARGIN <= room : room <= this.#room;
    if (room > 0 && !(layout && stillFits)) void this.#arrange();
  }

  #found(text: string): SVGElement[] {
    const wanted = text.trim().toLowerCase();
    const nodes = wanted ? this.#graph.nodes.filter((node) => node.title.toLowerCase().includes(wanted)) : [];
    const found = new Set(nodes.map((node) => this.#shapes.get(node.id)?.root).filter((root) => root !== undefined));
    for (const { root } of this.#shapes.values()) root.classList.toggle("is-found", found.has(root));
    return [...found];
  }

  // ---------- choosing a node ----------

  #press(target: EventTarget | null): void {
    const id = (target as Element | null)?.closest<SVGElement>(".node")?.dataset["node"];
    if (id !== undefined) this.select(id === this.#selected ? null : id);
  }

  #key(event: KeyboardEvent): void {
    const id = (event.target as Element).closest<SVGElement>(".node")?.dataset["node"];
    const step = STEPS[event.key];
    if (id === undefined || !this.#layout) return;
    if (event.key === "Enter" || event.key === " ") this.#press(event.target);
    else if (event.key === "Escape") this.select(null);
    else if (step) this.#shapes.get(neighbor(id, step, this.#layout, this.#visibleEdges()) ?? id)?.root.focus();
    else return;
    event.preventDefault();
  }
}

/** One width a column, so that a run reads as a table of stages. */
function evened(boxes: Box[], arrows: Arrow[]): Box[] {
  const { depth } = depths(boxes, arrows);
  const widest = new Map<number, number>();
  for (const box of boxes) widest.set(depth.get(box.id)!, Math.max(widest.get(depth.get(box.id)!) ?? 0, box.width));
  return boxes.map((box) => ({ ...box, width: widest.get(depth.get(box.id)!)! }));
}

function viewBox({ width, height }: Layout): string {
  return `${-MARGIN} ${-MARGIN} ${width + 2 * MARGIN} ${height + 2 * MARGIN}`;
}
