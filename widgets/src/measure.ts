// How wide text will be in the reader's own font, before it is painted.

export type Font = "title" | "small" | "code";

const SHAPES: Record<Font, string> = { title: "600 13px", small: "400 11px", code: "400 11px" };
// Only where there is no canvas (a test without a browser): wide enough never to overlap.
const GUESS: Record<Font, number> = { title: 7.6, small: 6.1, code: 6.7 };

/** Measures text in the fonts that an element inherits. */
export class Ruler {
  readonly #pen = document.createElement("canvas").getContext("2d");
  readonly #fonts: Record<Font, string>;
  readonly #known = new Map<string, number>();

  constructor(element: Element) {
    const style = getComputedStyle(element);
    const sans = style.fontFamily || "sans-serif";
    const mono = style.getPropertyValue("--q-mono") || "monospace";
    this.#fonts = { title: `${SHAPES.title} ${sans}`, small: `${SHAPES.small} ${sans}`, code: `${SHAPES.code} ${mono}` };
  }

  width(text: string, font: Font): number {
    const key = `${font} ${text}`;
    const width = this.#known.get(key) ?? this.#measure(text, font);
    this.#known.set(key, width);
    return width;
  }

  #measure(text: string, font: Font): number {
    if (!this.#pen) return text.length * GUESS[font];
    this.#pen.font = this.#fonts[font];
    return this.#pen.measureText(text).width;
  }

  /** The longest beginning that fits, with an ellipsis if something is left out. */
  cut(text: string, font: Font, room: number): string {
    if (this.width(text, font) <= room) return text;
    let [fits, fails] = [0, text.length];
    while (fails - fits > 1) {
      const half = (fits + fails) >> 1;
      if (this.width(`${text.slice(0, half).trimEnd()}…`, font) <= room) fits = half;
      else fails = half;
    }
    return `${text.slice(0, fits).trimEnd()}…`;
  }
}
