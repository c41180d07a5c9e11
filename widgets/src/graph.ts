// The graph of a flow or of a run: Graphviz places it, or the kernel a large one; this paints, and a change of status
// repaints one node.

import { bundled, type Bundle, type Strand } from "./bundle";
import { set, svg } from "./dom";
import { labelOf, labelWidth, links, linksAt, passing, shownBy, type Link } from "./edge";
import { Field } from "./field";
import { captionWidth, GroupShape } from "./group";
import { arrange, MARGIN, type Direction, type Draft, type Layout, type Point, type Size } from "./layout";
import { Ruler } from "./measure";
import { Nest } from "./nest";
import { NodeShape, size } from "./node";
import { unpack } from "./places";
import type { Graph, GraphNode, NodeState, Places } from "./protocol";
import { isLive } from "./status";
import { neighbor, type Step } from "./steps";

export type NodeStates = ReadonlyMap<string, NodeState>;

export interface GraphOptions {
  /** The reader chose a node, or let go of it. */
  onSelect(node: string | null): void;
  now(): number;
}

const STEPS: Record<string, Step> = { ArrowRight: "right", ArrowLeft: "left", ArrowUp: "up", ArrowDown: "down" };
const CROWD = 8;
// So many edges of a large graph are painted together: few enough that those out of sight need not be painted.
const BUNDLE = 50;

export class GraphView {
  readonly root: HTMLElement;
  readonly #options: GraphOptions;
  readonly #svg = svg("svg", { class: "dag", role: "figure" });
  readonly #field = new Field(this.#svg, (text) => this.#found(text));
  readonly #shapes = new Map<string, NodeShape>();
  readonly #groups = new Map<string, GroupShape>();
  /** What to repaint when a node or a group changes. */
  readonly #edges = new Map<string, { link: Link; strand: Strand }[]>();
  #bundles: Bundle[] = [];
  readonly #sight: IntersectionObserver;
  #graph: Graph = { name: "", kind: "", nodes: [], edges: [] };
  /** Of a large graph, which is not drawn in full everywhere at once. */
  #places: Places | null = null;
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
  show(graph: Graph, states: NodeStates | null, places: Places | null = null): void {
    const known = graph.nodes === this.#graph.nodes && graph.edges === this.#graph.edges;
    const same = this.#layout !== null && (known || JSON.stringify(graph) === JSON.stringify(this.#graph));
    this.#states = states;
    if (same) return this.repaint([...graph.nodes.map(({ id }) => id), ...this.#groups.keys()]);
    this.#take(graph, places);
    void this.#arrange();
  }

  #take(graph: Graph, places: Places | null): void {
    const ids = graph.nodes.map(({ id }) => id);
    const inRun = this.#states !== null;
    this.#graph = graph;
    this.#places = places;
    this.#shapes.clear();
    this.#groups.clear();
    this.#sight.disconnect();
    this.#nest = new Nest(ids, graph.groups);
    this.#links = places ? linksAt(places.arrows, graph.edges, this.#nest, inRun) : links(graph.edges, new Set(ids), this.#nest, inRun);
  }

  /** Paint the nodes and groups that changed and the edges that touch them. */
  repaint(ids: Iterable<string>): void {
    const changed = new Set(ids);
    for (const id of changed) {
      this.#shapes.get(id)?.show(this.#state(id), this.#options.now());
      this.#groups.get(id)?.show(this.#state(id));
      for (const { link, strand } of this.#edges.get(id) ?? []) strand.show(this.#passing(link));
    }
    for (const bundle of this.#bundles) bundle.paint();
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
    const layout = this.#places ? unpack(this.#places, this.#graph, this.#nest) : await this.#place(room, ruler);
    if (turn !== this.#turn) return;
    this.#room = room;
    this.#layout = layout;
    this.#paint(layout, ruler);
  }

  #place(room: number, ruler: Ruler): Promise<Layout> {
    const arrows = this.#links.map((link) => ({ ...link.edge, label: labelWidth(link, ruler), isReturn: link.loop !== null }));
    const frames = new Map([...this.#nest.groups.values()].map((group) => [group.id, captionWidth(group, this.#state(group.id), ruler)]));
    return arrange(this.#drafts(ruler), arrows, room, { nest: this.#nest, frames, even: this.#states !== null });
  }

  /** In a run left to right with every reason first; then left to right, then top down, with what must be said. */
  #drafts(ruler: Ruler): Draft[] {
    const boxes = (direction: Direction, full: boolean) => this.#graph.nodes.map((node) => this.#size(node, direction, full, ruler));
    const draft = (direction: Direction, full: boolean) => ({ direction, boxes: boxes(direction, full) });
    return [...(this.#states ? [draft("LR", true)] : []), draft("LR", false), draft("TB", false)];
  }

  #size(node: GraphNode, direction: Direction, full: boolean, ruler: Ruler): ReturnType<typeof size> {
    const race = this.#nest.home(node.id)?.kind === "race";
    return size(node, this.#state(node.id), { direction, full, race }, this.#options.now(), ruler);
  }

  #paint(layout: Layout, ruler: Ruler): void {
    const groups = [...layout.groups.keys()].map((id) => this.#drawGroup(id, layout, ruler));
    this.#drawEdges(layout);
    const ends = layout.arrows.flatMap((arrow) => arrow.ends).map(({ x, y }) => svg("circle", { class: "end", cx: x, cy: y, r: 2.5 }));
    const labels = this.#links.map((link, index) => labelOf(link, layout.arrows[index]!)).filter((label) => label !== null);
    const opening = this.#places ? this.#field.opening(layout, this.#room) : null;
    const nodes = this.#graph.nodes.map((node) => this.#drawNode(node, layout, ruler, opening));
    const focused = this.#svg.contains(document.activeElement) ? (document.activeElement as SVGElement) : null;
    this.#svg.replaceChildren(...groups, ...this.#bundles.map(({ root }) => root), ...ends, ...labels, ...nodes);
    focused?.focus({ preventScroll: true });
    set(this.#svg, { "aria-label": `Graph of ${this.#graph.name}`, viewBox: viewBox(layout) });
    this.#calm();
    this.#field.hold(layout, this.#room, this.#states !== null);
    if (opening) this.#field.scroller.scrollTo({ left: opening.x, top: opening.y, behavior: "instant" });
  }

  #drawGroup(id: string, layout: Layout, ruler: Ruler): SVGElement {
    const shape = this.#groups.get(id) ?? new GroupShape(this.#nest.groups.get(id)!, ruler);
    this.#groups.set(id, shape);
    shape.place(layout.groups.get(id)!);
    shape.show(this.#state(id));
    return shape.root;
  }

  #drawEdges({ arrows }: Layout): void {
    this.#bundles = bundled(arrows, this.#places ? BUNDLE : 1);
    this.#edges.clear();
    for (const [index, strand] of this.#bundles.flatMap(({ strands }) => strands).entries()) {
      const link = this.#links[index]!;
      strand.show(this.#passing(link));
      for (const id of shownBy(link, this.#nest)) this.#watch(id, link, strand);
    }
    for (const bundle of this.#bundles) bundle.paint();
  }

  #watch(id: string, link: Link, strand: Strand): void {
    const watched = this.#edges.get(id);
    if (watched) watched.push({ link, strand });
    else this.#edges.set(id, [{ link, strand }]);
  }

  #drawNode(node: GraphNode, layout: Layout, ruler: Ruler, opening: (Point & Size) | null): SVGElement {
    const { id } = node;
    const box = layout.boxes.get(id)!;
    const shape = this.#shapes.get(id) ?? new NodeShape(node, ruler);
    this.#shapes.set(id, shape);
    shape.place(box, layout.direction, this.#state(id));
    shape.show(this.#state(id), this.#options.now());
    shape.press(id === this.#selected);
    shape.detail(!opening || overlap(box, opening), this.#state(id), this.#options.now());
    if (this.#places) this.#sight.observe(shape.root);
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
    if (this.#places) return false;
    const now = this.#options.now();
    for (const id of ids) if (this.#states?.has(id) && this.#shapes.get(id)?.isOutgrown(this.#state(id)!, now)) return true;
    return false;
  }

  #resized(): void {
    const room = this.root.clientWidth;
    const layout = this.#layout;
    if (this.#places && layout) return this.#field.resize(room);
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

function overlap(one: Point & Size, two: Point & Size): boolean {
  return one.x < two.x + two.width && two.x < one.x + one.width && one.y < two.y + two.height && two.y < one.y + one.height;
}

function viewBox({ width, height }: Layout): string {
  return `${-MARGIN} ${-MARGIN} ${width + 2 * MARGIN} ${height + 2 * MARGIN}`;
}
