// The field that a graph lies in: it scrolls when the graph is larger, and has the tools to zoom, fit and search.

import { html, say, set } from "./dom";
import { icon, type Icon } from "./icons";
import { MARGIN, type Layout, type Point, type Size } from "./layout";
import * as words from "./words";

const ZOOM = { step: 1.25, least: 0.05, most: 4 };
// Below this the pictures of the narrow layout hold; a graph that fits there needs no tools.
const NARROW = 720;
const TOOLS = { width: 140, height: 28 };

export class Field {
  readonly root: HTMLElement;
  readonly scroller: HTMLElement;
  readonly #picture: SVGSVGElement;
  readonly #search: (text: string) => SVGElement[];
  readonly #matches = html("span", { class: "soft small", "aria-live": "polite" });
  #size = { width: 0, height: 0 };
  #room = 0;
  #zoom = 1;
  #tooled = false;

  /** `search` marks the nodes whose names hold a text, and returns them. */
  constructor(picture: SVGSVGElement, search: (text: string) => SVGElement[]) {
    this.#picture = picture;
    this.#search = search;
    this.scroller = html("div", { class: "field" }, picture);
    this.scroller.addEventListener("pointerdown", (event) => this.#pan(event));
    this.root = html("div", { class: "graph" }, this.scroller, this.#tools());
  }

  /** Hold a new layout at scale 1; in a run there are tools wherever there is room for them. */
  hold(layout: Layout, room: number, inRun: boolean): void {
    this.#size = { width: layout.width + 2 * MARGIN, height: layout.height + 2 * MARGIN };
    this.#room = room;
    this.#tooled = inRun && room > NARROW;
    this.root.classList.toggle("is-crowded", isCrowded(layout, room));
    this.#scale(1);
  }

  /** There is more or less room than before; what is shown stays where it is. */
  resize(room: number): void {
    this.#room = room;
    this.#scale(this.#zoom);
  }

  /** The part of a large layout that is looked at first: where it begins, in the middle if there is room around that. */
  opening({ boxes, direction, ...layout }: Layout, room: number): Point & Size {
    const along = direction === "LR" ? "x" : "y";
    const first = [...boxes.values()].reduce((one, other) => (other[along] < one[along] ? other : one));
    const [width, height] = [room, tallest()];
    const middle = (start: number, size: number, seen: number, whole: number) =>
      Math.max(0, Math.min(start + size / 2 + MARGIN - seen / 2, whole + 2 * MARGIN - seen));
    return { x: middle(first.x, first.width, width, layout.width), y: middle(first.y, first.height, height, layout.height), width, height };
  }

  // ---------- zoom and pan ----------

  /** Works with known sizes only: asking the page for one would cost a layout of the whole graph. */
  #scale(zoom: number): void {
    this.#zoom = Math.min(ZOOM.most, Math.max(ZOOM.least, zoom));
    const [width, height] = [this.#size.width * this.#zoom, this.#size.height * this.#zoom];
    const overflows = width > this.#room || height > tallest();
    set(this.#picture, { width, height });
    this.scroller.style.maxHeight = `${tallest()}px`;
    this.scroller.classList.toggle("is-larger", overflows);
    this.root.classList.toggle("with-tools", overflows || this.#tooled || this.#zoom !== 1);
  }

  #fit(): void {
    this.#scale(Math.min(1, this.#room / this.#size.width, tallest() / this.#size.height));
  }

  /** Drag the ground to move a graph that is larger than its field. */
  #pan(event: PointerEvent): void {
    const field = this.scroller;
    if (!field.classList.contains("is-larger") || (event.target as Element).closest(".node")) return;
    const start = { x: event.clientX + field.scrollLeft, y: event.clientY + field.scrollTop };
    const move = (now: PointerEvent) => field.scrollTo(start.x - now.clientX, start.y - now.clientY);
    field.setPointerCapture(event.pointerId);
    field.addEventListener("pointermove", move);
    field.addEventListener("lostpointercapture", () => field.removeEventListener("pointermove", move), { once: true });
  }

  // ---------- tools ----------

  #tools(): HTMLElement {
    const find = this.#finder();
    return html(
      "div",
      { class: "tools" },
      this.#matches,
      find,
      tool("Find a node", "search", () => this.#open(find)),
      tool("Zoom out", "minus", () => this.#scale(this.#zoom / ZOOM.step)),
      tool("Zoom in", "plus", () => this.#scale(this.#zoom * ZOOM.step)),
      tool("Fit", "fit", () => this.#fit()),
    );
  }

  #finder(): HTMLInputElement {
    const find = html("input", { type: "search", placeholder: "Find a node", "aria-label": "Name of a node", hidden: true });
    find.addEventListener("input", () => this.#find(find.value));
    find.addEventListener("keydown", (event) => event.key === "Enter" && this.#search(find.value)[0]?.focus());
    return find;
  }

  #open(find: HTMLInputElement): void {
    find.hidden = !find.hidden;
    if (find.hidden) this.#find("");
    else find.focus();
  }

  #find(text: string): void {
    const found = this.#search(text);
    say(this.#matches, text.trim() ? words.count(found.length, "match", "matches") : "");
    found[0]?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }
}

function tool(name: string, symbol: Icon, onclick: () => void): HTMLElement {
  return html("button", { type: "button", class: "icon", "aria-label": name, onclick }, icon(symbol));
}

/** A graph higher than this scrolls in its field. */
function tallest(): number {
  return Math.min(960, innerHeight * 0.8);
}

/** Something stands where the tools do, in the upper right corner. */
function isCrowded(layout: Layout, room: number): boolean {
  const right = (room + layout.width) / 2 - TOOLS.width;
  return [...layout.boxes.values(), ...layout.groups.values()].some((box) => box.y < TOOLS.height && box.x + box.width > right);
}
