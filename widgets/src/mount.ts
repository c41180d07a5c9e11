// A live view in a slot: the place in a cell's output that the notebook may move, copy or throw away.

import type { RunState, State } from "./feed";
import { AgentView } from "./agent";
import { ChatView } from "./chat";
import { FlowView } from "./flow";
import { RunView } from "./run";
import { SessionsView } from "./sessions";
import type { Change, Host, View } from "./view";

export class Mount {
  readonly id: string;
  slot: Element;
  view: View<State> | null = null;
  readonly #host: Host;
  readonly #scrolled = new Map<Element, { top: number; left: number }>();
  #focused: HTMLElement | SVGElement | null = null;
  #change: Change = nothing();
  #kind = "";

  constructor(id: string, slot: Element, host: Host) {
    this.id = id;
    this.slot = slot;
    this.#host = host;
  }

  get isShown(): boolean {
    return this.slot.isConnected;
  }

  /** Paint a whole state, making the view first if there is none of that kind yet. */
  show(state: State): void {
    if (!this.view || this.#kind !== state.kind) this.#make(state);
    this.#change = nothing();
    this.view?.show(state);
  }

  /** Remember what changed until the next frame. */
  note({ head, nodes, messages }: Change): void {
    this.#change.head ||= head;
    for (const id of nodes) this.#change.nodes.add(id);
    for (const id of messages) this.#change.messages.add(id);
  }

  paint(): void {
    const change = this.#change;
    this.#change = nothing();
    this.view?.update?.(change);
  }

  /** Move the view to another slot; what was scrolled and focused in it stays so. */
  move(slot: Element): void {
    this.slot = slot;
    if (!this.view) return;
    const focused = this.#focused;
    this.#settle(this.view.root);
    for (const [element, { top, left }] of this.#scrolled) element.scrollTo({ top, left, behavior: "instant" });
    focused?.focus({ preventScroll: true });
  }

  #make(state: State): void {
    const kept = this.view?.root;
    this.#kind = state.kind;
    this.view = viewOf(state, this.#host) as View<State>;
    this.#listen(this.view.root);
    kept?.remove();
    this.#settle(this.view.root);
  }

  /** The still picture in the slot is for readers without a kernel. */
  #settle(root: HTMLElement): void {
    for (const still of this.slot.children) if (still instanceof HTMLElement && still !== root) still.hidden = true;
    this.slot.append(root);
  }

  #listen(root: HTMLElement): void {
    // No key pressed in a view may reach the notebook, where single letters are commands.
    root.addEventListener("keydown", (event) => event.stopPropagation());
    const keep = ({ target }: Event) => {
      if (target instanceof Element && root.isConnected) this.#scrolled.set(target, { top: target.scrollTop, left: target.scrollLeft });
    };
    root.addEventListener("scroll", keep, { capture: true, passive: true });
    root.addEventListener("focusin", ({ target }) => (this.#focused = target as HTMLElement));
    root.addEventListener("focusout", () => queueMicrotask(() => root.isConnected && this.#blur(root)));
  }

  #blur(root: HTMLElement): void {
    if (!root.contains(document.activeElement)) this.#focused = null;
  }
}

function nothing(): Change {
  return { head: false, nodes: new Set(), messages: new Set() };
}

function viewOf(state: State, host: Host): View<RunState> | View<never> {
  if (state.kind === "flow") return new FlowView(host);
  if (state.kind === "agent") return new AgentView();
  if (state.kind === "sessions") return new SessionsView(host);
  if (state.kind === "chat") return new ChatView(host);
  return new RunView(host, state.kind);
}

