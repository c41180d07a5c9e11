// The graph of a flow or of a run: Graphviz places, this paints, and a change of status repaints one node.

import { html, say, set, svg } from "./dom";
import { icon, type Icon } from "./icons";
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
const ZOOM = 1.25;
// Below this the pictures of the narrow layout hold; a graph that fits there needs no tools.
const NARROW = 720;
const TOOLS = { width: 140, height: 28 };

export class GraphView {
  readonly root: HTMLElement;
  readonly #options: GraphOptions;
  readonly #field = html("div", { class: "field" });
  readonly #svg = svg("svg", { class: "dag", role: "figure" });
  readonly #tools: HTMLElement;
  readonly #matches = html("span", { class: "soft small", "aria-live": "polite" });
  readonly #shapes = new Map<string, NodeShape>();
  #edges: { edge: GraphEdge; root: SVGGElement }[] = [];
  #graph: Graph = { name: "", kind: "", nodes: [], edges: [] };
  #states: NodeStates | null = null;
  #layout: Layout | null = null;
  #room = 0;
  #zoom = 1;
  #turn = 0;
  #selected: string | null = null;

  constructor(options: GraphOptions) {
    this.#options = options;
    this.#tools = this.#makeTools();
    this.#field.append(this.#svg);
    this.root = html("div", { class: "graph" }, this.#field, this.#tools);
    this.#svg.addEventListener("click", (event) => this.#press(event.target));
    this.#svg.addEventListener("keydown", (event) => this.#key(event));
    this.#field.addEventListener("pointerdown", (event) => this.#pan(event));
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
    for (const id of changed) this.#shapes.get(id)?.show(this.#state(id), this.#options.now());
    for (const { edge, root } of this.#edges)
      if (changed.has(edge.source ?? "") || changed.has(edge.target ?? "")) set(root, { "data-flow": this.#flow(edge) });
    if (this.#outgrown(changed)) void this.#arrange();
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
    const edges = this.#visibleEdges();
    this.#edges = edges.map((edge, index) => ({ edge, root: this.#drawEdge(edge, layout.arrows[index]!) }));
    const ends = layout.arrows.flatMap((arrow) => arrow.ends).map(({ x, y }) => svg("circle", { class: "end", cx: x, cy: y, r: 2.5 }));
    const nodes = this.#graph.nodes.map((node) => this.#drawNode(node, layout, ruler));
    const focused = this.#svg.contains(document.activeElement) ? (document.activeElement as SVGElement) : null;
    this.#svg.replaceChildren(...this.#edges.map(({ root }) => root), ...ends, ...nodes);
    focused?.focus({ preventScroll: true });
    set(this.#svg, { "aria-label": `Graph of ${this.#graph.name}`, viewBox: viewBox(layout) });
    set(this.root, { "data-direction": layout.direction });
    this.#scale(1);
  }

  #drawNode(node: GraphNode, layout: Layout, ruler: Ruler): SVGElement {
    const { id } = node;
    const shape = this.#shapes.get(id) ?? new NodeShape(node, ruler);
    this.#shapes.set(id, shape);
    shape.place(layout.boxes.get(id)!, layout.direction, this.#state(id));
    shape.show(this.#state(id), this.#options.now());
    shape.press(id === this.#selected);
    return shape.root;
  }

  #drawEdge(edge: GraphEdge, placed: PlacedArrow): SVGGElement {
    const { x, y } = placed.label;
    const label = !this.#states && edge.label ? svg("text", { class: "mono", x, y: y + 4, "text-anchor": "middle" }, edge.label) : null;
    const tip = svg("path", { class: "tip", d: placed.tip });
    return svg("g", { class: "edge", "data-flow": this.#flow(edge) }, svg("path", { d: placed.line }), tip, label);
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

  // ---------- zoom, pan, search ----------

  #makeTools(): HTMLElement {
    const tool = (name: string, symbol: Icon, onclick: () => void) =>
      html("button", { type: "button", class: "icon", "aria-label": name, onclick }, icon(symbol));
    const find = html("input", { type: "search", placeholder: "Find a node", "aria-label": "Find a node", hidden: true });
    find.addEventListener("input", () => this.#find(find.value));
    find.addEventListener("keydown", (event) => event.key === "Enter" && this.#found(find.value)[0]?.root.focus());
    const toggle = () => {
      find.hidden = !find.hidden;
      if (find.hidden) this.#find("");
      else find.focus();
    };
    return html(
      "div",
      { class: "tools" },
      this.#matches,
      find,
      tool("Find a node", "search", toggle),
      tool("Zoom out", "minus", () => this.#scale(this.#zoom / ZOOM)),
      tool("Zoom in", "plus", () => this.#scale(this.#zoom * ZOOM)),
      tool("Fit", "fit", () => this.#fit()),
    );
  }

  #scale(zoom: number): void {
    if (!this.#layout) return;
    this.#zoom = Math.min(4, Math.max(0.05, zoom));
    const [width, height] = [this.#layout.width + 2 * MARGIN, this.#layout.height + 2 * MARGIN];
    set(this.#svg, { width: width * this.#zoom, height: height * this.#zoom });
    const overflows = width * this.#zoom > this.#field.clientWidth || height * this.#zoom > this.#field.clientHeight + 1;
    this.#field.classList.toggle("is-larger", overflows);
    this.root.classList.toggle("is-crowded", isCrowded(this.#layout, this.#field.clientWidth));
    this.root.classList.toggle("with-tools", overflows || (this.#states !== null && this.#field.clientWidth > NARROW));
  }

  #fit(): void {
    if (!this.#layout) return;
    const { clientWidth, clientHeight } = this.#field;
    const { width, height } = this.#layout;
    this.#scale(Math.min(1, clientWidth / (width + 2 * MARGIN), clientHeight / (height + 2 * MARGIN) || 1));
  }

  #found(text: string): NodeShape[] {
    const wanted = text.trim().toLowerCase();
    const nodes = wanted ? this.#graph.nodes.filter((node) => node.title.toLowerCase().includes(wanted)) : [];
    return nodes.map((node) => this.#shapes.get(node.id)!).filter(Boolean);
  }

  #find(text: string): void {
    const found = new Set(this.#found(text));
    for (const shape of this.#shapes.values()) shape.root.classList.toggle("is-aside", text.trim() !== "" && !found.has(shape));
    say(this.#matches, text.trim() ? `${found.size} of ${this.#graph.nodes.length}` : "");
    [...found][0]?.root.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  /** Drag the ground to move a graph that is larger than its field. */
  #pan(event: PointerEvent): void {
    if (!this.#field.classList.contains("is-larger") || (event.target as Element).closest(".node")) return;
    const field = this.#field;
    const start = { x: event.clientX + field.scrollLeft, y: event.clientY + field.scrollTop };
    const move = (now: PointerEvent) => field.scrollTo(start.x - now.clientX, start.y - now.clientY);
    field.setPointerCapture(event.pointerId);
    field.addEventListener("pointermove", move);
    field.addEventListener("lostpointercapture", () => field.removeEventListener("pointermove", move), { once: true });
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

/** Something stands where the tools do, in the upper right corner. */
function isCrowded(layout: Layout, room: number): boolean {
  const right = (room + layout.width) / 2 - TOOLS.width;
  return [...layout.boxes.values()].some((box) => box.y < TOOLS.height && box.x + box.width > right);
}

function viewBox({ width, height }: Layout): string {
  return `${-MARGIN} ${-MARGIN} ${width + 2 * MARGIN} ${height + 2 * MARGIN}`;
}
