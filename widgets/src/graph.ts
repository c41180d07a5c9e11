// The graph of a flow or of a run: Graphviz places, this paints, and a change of status repaints one node.

import { set, svg } from "./dom";
import { EdgeShape, labelWidth, links, passing, shownBy, type Link } from "./edge";
import { Field } from "./field";
import { captionWidth, GroupShape } from "./group";
import { arrange, MARGIN, type Direction, type Draft, type Layout } from "./layout";
import { Ruler } from "./measure";
import { Nest } from "./nest";
import { NodeShape, size } from "./node";
import type { Graph, GraphNode, NodeState } from "./protocol";
import { isLive } from "./status";
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
  readonly #groups = new Map<string, GroupShape>();
  /** What to repaint when a node or a group changes. */
  readonly #edges = new Map<string, { link: Link; shape: EdgeShape }[]>();
  readonly #sight: IntersectionObserver;
  #graph: Graph = { name: "", kind: "", nodes: [], edges: [] };
  #nest = new Nest([]);
  #links: Link[] = [];
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
    if (!same) this.#take(graph);
    if (same && this.#layout) this.repaint([...graph.nodes.map(({ id }) => id), ...this.#groups.keys()]);
    else void this.#arrange();
  }

  #take({ nodes, groups, edges }: Graph): void {
    const ids = nodes.map(({ id }) => id);
    this.#shapes.clear();
    this.#groups.clear();
    this.#nest = new Nest(ids, groups);
    const known = links(edges, new Set(ids), this.#nest, this.#states !== null);
    // A thousand types side by side can't be read, and placing them would take as long as all the rest.
    this.#links = nodes.length > FEW ? known.map((link) => (link.isType ? { ...link, label: "" } : link)) : known;
  }

  /** Paint the nodes and groups that changed and the edges that touch them. */
  repaint(ids: Iterable<string>): void {
    const changed = new Set(ids);
    for (const id of changed) {
      this.#shapes.get(id)?.show(this.#state(id), this.#options.now());
      this.#groups.get(id)?.show(this.#state(id));
      for (const { link, shape } of this.#edges.get(id) ?? []) shape.show(this.#passing(link));
    }
    this.#calm();
    if (this.#isOutgrown(changed)) void this.#arrange();
  }

  /** A turning arc repaints its surroundings in every frame; a crowd of them turns in steps. */
  #calm(): void {
    let running = 0;
    for (const { status } of this.#states?.values() ?? []) if (status === "running") running++;
    this.root.classList.toggle("is-busy", running > CROWD);
  }

  /** Time has passed: only what is under way says something new. */
  tick(): void {
    const live = [...this.#shapes].filter(([id]) => isMoving(this.#state(id)));
    for (const [id, shape] of live) shape.tell(this.#state(id), this.#options.now());
    if (this.#isOutgrown(live.map(([id]) => id))) void this.#arrange();
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
    const arrows = this.#links.map((link) => ({ ...link.edge, label: labelWidth(link, ruler), isReturn: link.loop !== null }));
    const frames = new Map([...this.#nest.groups.values()].map((group) => [group.id, captionWidth(group, this.#state(group.id), ruler)]));
    const layout = await arrange(this.#drafts(ruler), arrows, room, { nest: this.#nest, frames, even: this.#states !== null });
    if (turn !== this.#turn) return;
    this.#room = room;
    this.#layout = layout;
    this.#paint(layout, ruler);
  }

  /** In a run left to right with every reason first; then left to right, then top down, with what must be said. */
  #drafts(ruler: Ruler): Draft[] {
    const boxes = (direction: Direction, full: boolean) => this.#graph.nodes.map((node) => this.#size(node, direction, full, ruler));
    const draft = (direction: Direction, full: boolean) => ({ direction, boxes: boxes(direction, full) });
    const wide = this.#states && this.#graph.nodes.length <= FEW ? [draft("LR", true), draft("LR", false)] : [draft("LR", false)];
    return [...wide, draft("TB", false)];
  }

  #size(node: GraphNode, direction: Direction, full: boolean, ruler: Ruler): ReturnType<typeof size> {
    const race = this.#nest.home(node.id)?.kind === "race";
    return size(node, this.#state(node.id), { direction, full, race }, this.#options.now(), ruler);
  }

  #paint(layout: Layout, ruler: Ruler): void {
    const groups = [...this.#nest.groups.values()].map((group) => this.#drawGroup(group.id, layout, ruler));
    const edges = this.#drawEdges(layout);
    const ends = layout.arrows.flatMap((arrow) => arrow.ends).map(({ x, y }) => svg("circle", { class: "end", cx: x, cy: y, r: 2.5 }));
    const labels = edges.map(({ label }) => label).filter((label) => label !== null);
    const nodes = this.#graph.nodes.map((node) => this.#drawNode(node, layout, ruler));
    const focused = this.#svg.contains(document.activeElement) ? (document.activeElement as SVGElement) : null;
    this.#svg.replaceChildren(...groups, ...edges.map(({ root }) => root), ...ends, ...labels, ...nodes);
    focused?.focus({ preventScroll: true });
    set(this.#svg, { "aria-label": `Graph of ${this.#graph.name}`, viewBox: viewBox(layout) });
    this.#calm();
    this.#field.hold(layout, this.#room, this.#states !== null);
  }

  #drawGroup(id: string, layout: Layout, ruler: Ruler): SVGElement {
    const shape = this.#groups.get(id) ?? new GroupShape(this.#nest.groups.get(id)!, ruler);
    this.#groups.set(id, shape);
    shape.place(layout.groups.get(id)!);
    shape.show(this.#state(id));
    return shape.root;
  }

  #drawEdges({ arrows }: Layout): EdgeShape[] {
    this.#edges.clear();
    return this.#links.map((link, index) => {
      const shape = new EdgeShape(link, arrows[index]!);
      shape.show(this.#passing(link));
      for (const id of shownBy(link, this.#nest)) this.#watch(id, link, shape);
      return shape;
    });
  }

  #watch(id: string, link: Link, shape: EdgeShape): void {
    const watched = this.#edges.get(id);
    if (watched) watched.push({ link, shape });
    else this.#edges.set(id, [{ link, shape }]);
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

  #state(id: string): NodeState | null {
    return this.#states?.get(id) ?? null;
  }

  #passing(link: Link): string {
    return this.#states ? passing(link, this.#nest, (id) => this.#state(id)) : "done";
  }

  /** A node that has more to say than it has room for needs a larger box than the one it was given. */
  #isOutgrown(ids: Iterable<string>): boolean {
    const now = this.#options.now();
    for (const id of ids) if (this.#states?.has(id) && this.#shapes.get(id)?.isOutgrown(this.#state(id)!, now)) return true;
    return false;
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
    else if (step) this.#shapes.get(neighbor(id, step, this.#layout, this.#graph.edges, this.#nest) ?? id)?.root.focus();
    else return;
    event.preventDefault();
  }
}

/** Says something new as time passes. */
function isMoving(state: NodeState | null): boolean {
  return state?.started_at != null && isLive(state.status);
}

function viewBox({ width, height }: Layout): string {
  return `${-MARGIN} ${-MARGIN} ${width + 2 * MARGIN} ${height + 2 * MARGIN}`;
}
