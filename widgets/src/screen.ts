// The one model per kernel that brings cells to life. A cell's saved output is a still picture in a
// slot; while the kernel lives, this finds the slots that carry its key and mounts live views in them.

import { Feed } from "./feed";
import { warmUp } from "./graphviz";
import { watchKernel } from "./kernel";
import { Mount } from "./mount";
import type { FromKernel, Model, ToKernel } from "./protocol";
import { injectStyle } from "./style";
import type { Host, View } from "./view";

const SLOT = "quire-slot";
// The notebook takes outputs out of the page and puts them back while the reader scrolls.
const CLOSE_AFTER = 5_000;
const TICK = 100;

interface Followed {
  feed: Feed;
  mounts: Set<Mount>;
  closing: ReturnType<typeof setTimeout> | undefined;
}

export class Screen {
  readonly #model: Model;
  readonly #key: string;
  readonly #followed = new Map<string, Followed>();
  readonly #mounts = new WeakMap<Element, Mount>();
  readonly #changed = new Set<Mount>();
  /** Views of which a fork or a chat was asked for here, and those whose slots are on their way. */
  readonly #forking = new Set<string>();
  readonly #awaited = new Set<string>();
  #skew = 0;
  #gone = false;
  #frame = 0;

  constructor(model: Model, signal: AbortSignal) {
    this.#model = model;
    this.#key = `${model.get("key")}/`;
    const observer = new MutationObserver((records) => touchesSlots(records) && this.#settle());
    observer.observe(document.body, { childList: true, subtree: true });
    const listener = (message: FromKernel) => this.#receive(message);
    model.on("msg:custom", listener);
    const ticking = setInterval(() => this.#tick(), TICK);
    watchKernel(model, signal, { gone: () => this.#close(), back: () => this.#catchUp() });
    signal.addEventListener("abort", () => {
      observer.disconnect();
      clearInterval(ticking);
      model.off("msg:custom", listener);
    });
    this.#settle();
  }

  // ---------- slots ----------

  /** Give every slot in the document its view; views without a slot are moved before new ones are made. */
  #settle(): void {
    for (const slot of document.querySelectorAll(`.${SLOT}[data-quire]`)) {
      const id = this.#idOf(slot);
      if (id === null) continue;
      const mount = this.#mounts.get(slot);
      if (mount?.slot === slot) this.#follow(mount);
      else this.#occupy(slot, id);
    }
    for (const [id, followed] of this.#followed) this.#closeLater(id, followed);
  }

  #idOf(slot: Element): string | null {
    const address = slot.getAttribute("data-quire") ?? "";
    return address.startsWith(this.#key) ? address.slice(this.#key.length) : null;
  }

  #occupy(slot: Element, id: string): void {
    const homeless = [...(this.#followed.get(id)?.mounts ?? [])].find((mount) => !mount.isShown);
    const mount = homeless ?? new Mount(id, slot, this.#host(id));
    this.#mounts.set(slot, mount);
    if (homeless) homeless.move(slot);
    this.#follow(mount);
    if (this.#awaited.delete(id)) slot.scrollIntoView({ block: "nearest" });
  }

  /** See that the kernel sends what this mount shows. */
  #follow(mount: Mount): void {
    const followed = this.#followed.get(mount.id) ?? this.#open(mount.id);
    if (followed.mounts.has(mount)) return;
    followed.mounts.add(mount);
    if (followed.feed.state) mount.show(followed.feed.state);
  }

  #open(id: string): Followed {
    const followed: Followed = { feed: new Feed(), mounts: new Set(), closing: undefined };
    this.#followed.set(id, followed);
    this.#send({ type: "open", view: id });
    return followed;
  }

  #closeLater(id: string, followed: Followed): void {
    const shown = [...followed.mounts].some((mount) => mount.isShown);
    if (shown) {
      clearTimeout(followed.closing);
      followed.closing = undefined;
    } else followed.closing ??= setTimeout(() => this.#forget(id), CLOSE_AFTER);
  }

  /** The slot may come back later with the view still in it; then it is opened again. */
  #forget(id: string): void {
    this.#followed.delete(id);
    this.#send({ type: "close", view: id });
  }

  // ---------- the kernel ----------

  #host(id: string): Host {
    return {
      stop: () => this.#send({ type: "stop", view: id }),
      inspect: (node, seq) => this.#send({ type: "inspect", view: id, node, ...(seq === undefined ? {} : { seq }) }),
      moment: (seq) => this.#send({ type: "moment", view: id, seq }),
      fork: (from) => this.#await({ type: "fork", view: id, ...(typeof from === "number" ? { seq: from } : from) }),
      ask: (ask) => this.#send({ type: "sessions", view: id, ask }),
      chat: (session) => this.#await({ type: "talk", view: id, session }),
      talk: (ask) => this.#send({ type: "chat", view: id, ask }),
      answer: (question, value) => this.#send({ type: "answer", view: id, question, value }),
      now: () => Date.now() / 1000 - this.#skew,
    };
  }

  #send(message: ToKernel): void {
    if (!this.#gone) this.#model.send(message);
  }

  #receive(message: FromKernel): void {
    if (message.now !== undefined) this.#skew = Date.now() / 1000 - message.now;
    if (message.type === "snapshot") this.#load(message);
    else if (message.type === "closed") this.#reopen(message.view);
    else if (message.type === "patch") for (const [id, patch] of Object.entries(message.views)) this.#apply(id, patch);
    else for (const { view } of this.#followed.get(message.view)?.mounts ?? []) if (view) answer(view, message);
    // The reader who asked for something is shown where it is; those at other pages are left where they are.
    if (message.type === "forked" && this.#forking.delete(message.view)) this.#bring(message.fork);
  }

  /** Ask for something that gets a slot of its own. */
  #await(message: ToKernel): void {
    this.#forking.add(message.view);
    this.#send(message);
  }

  #bring(id: string): void {
    const shown = [...(this.#followed.get(id)?.mounts ?? [])].find((mount) => mount.isShown);
    if (shown) shown.slot.scrollIntoView({ block: "nearest" });
    else this.#awaited.add(id);
  }

  #load({ view, data, seq }: Extract<FromKernel, { type: "snapshot" }>): void {
    const followed = this.#followed.get(view);
    if (!followed?.feed.load(data, seq)) return;
    for (const mount of followed.mounts) mount.show(followed.feed.state!);
  }

  #apply(id: string, patch: Parameters<Feed["apply"]>[0]): void {
    const followed = this.#followed.get(id);
    const change = followed?.feed.apply(patch);
    if (!followed || !change) return;
    if (change === "gap") return this.#send({ type: "resync", view: id });
    for (const mount of followed.mounts) {
      mount.note(change);
      this.#changed.add(mount);
    }
    this.#frame ||= requestAnimationFrame(() => this.#paint());
  }

  /** Another page of this kernel closed a view that is still open here. */
  #reopen(id: string): void {
    const followed = this.#followed.get(id);
    if (!followed) return;
    followed.feed.doubt();
    this.#send({ type: "open", view: id });
  }

  #catchUp(): void {
    for (const [id, { feed }] of this.#followed) {
      feed.doubt();
      this.#send({ type: "resync", view: id });
    }
  }

  #close(): void {
    if (this.#gone) return;
    this.#gone = true;
    for (const { mounts } of this.#followed.values()) for (const mount of mounts) mount.view?.close();
  }

  // ---------- time ----------

  /** However many patches arrive, a frame paints once. */
  #paint(): void {
    this.#frame = 0;
    for (const mount of this.#changed) mount.paint();
    this.#changed.clear();
  }

  #tick(): void {
    if (this.#gone || document.hidden) return;
    for (const { mounts } of this.#followed.values()) for (const mount of mounts) if (mount.isShown) mount.view?.tick?.();
  }
}

/** Hand on what a view asked for. */
function answer(view: View<never>, message: Extract<FromKernel, { type: "details" | "moment" | "forked" | "refused" | "sessions" | "chat" }>): void {
  if (message.type === "details") view.inspect?.(message.details, message.seq ?? null);
  else if (message.type === "forked") view.forked?.();
  else if (message.type === "refused" && message.question !== undefined) view.refuse?.(message.question, message.message);
  else if (message.type === "refused") view.forked?.(message.message);
  else if (message.type === "sessions") view.hear?.(message.said);
  else if (message.type === "chat") view.told?.(message.said);
  else if (message.data) view.moment?.(message.seq, message.data);
}

/** Most changes of the page are not about slots; these are cheap to tell apart. */
function touchesSlots(records: MutationRecord[]): boolean {
  return records.some(({ target, addedNodes, removedNodes }) => {
    if (target instanceof Element && target.closest(".quire")) return false;
    return [...addedNodes, ...removedNodes].some((node) => node instanceof Element && holdsSlot(node));
  });
}

function holdsSlot(node: Element): boolean {
  return node.classList.contains(SLOT) || node.querySelector(`.${SLOT}`) !== null;
}

export default {
  initialize({ model, signal }: { model: Model; signal: AbortSignal }): void {
    injectStyle();
    warmUp();
    new Screen(model, signal);
  },
};
