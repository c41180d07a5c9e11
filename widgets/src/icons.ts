// The symbols, drawn with the current text color on a 16 px square (12 px for the fold mark).

import { svg } from "./dom";
import type { Status } from "./protocol";

type Shape = [tag: "path" | "circle" | "rect", attributes: Record<string, string | number>];

const line = (width: number) => ({
  fill: "none",
  stroke: "currentColor",
  "stroke-width": width,
  "stroke-linecap": "round",
  "stroke-linejoin": "round",
});
const path = (d: string, width = 1.5): Shape => ["path", { d, ...line(width) }];
const solid = (d: string): Shape => ["path", { d, fill: "currentColor", "fill-rule": "evenodd" }];
const ring = (cx: number, cy: number, r: number, width = 1.5): Shape => ["circle", { cx, cy, r, ...line(width) }];
const dot = (cx: number, cy: number, r: number): Shape => ["circle", { cx, cy, r, fill: "currentColor" }];

const SHAPES = {
  pending: [["circle", { cx: 8, cy: 8, r: 6, fill: "none", stroke: "currentColor", "stroke-width": 1.5, "stroke-dasharray": "2.2 2.51" }]],
  running: [
    ["circle", { cx: 8, cy: 8, r: 6, ...line(1.5), opacity: 0.3 }],
    ["path", { class: "turn", d: "M8 2a6 6 0 0 1 6 6", ...line(2) }],
    dot(8, 8, 2),
  ],
  waiting: [
    solid(
      "M7.1 1.1a1.3 1.3 0 0 1 1.8 0l6 6a1.3 1.3 0 0 1 0 1.8l-6 6a1.3 1.3 0 0 1-1.8 0l-6-6a1.3 1.3 0 0 1 0-1.8z" +
        "M5.9 5.5v5h1.4v-5zM8.7 5.5v5h1.4v-5z",
    ),
  ],
  succeeded: [ring(8, 8, 6.25), path("m5.2 8.2 2 2 3.6-4.1", 1.6)],
  failed: [solid("M5.1 1h5.8L15 5.1v5.8L10.9 15H5.1L1 10.9V5.1zM6 5 5 6l2 2-2 2 1 1 2-2 2 2 1-1-2-2 2-2-1-1-2 2z")],
  skipped: [path("M2 9.5C3 5.5 9.5 3 13 8"), path("M13.6 4.2v4.3H9.4"), dot(7.6, 11.8, 1.7)],
  cancelled: [["rect", { x: 2.25, y: 2.25, width: 11.5, height: 11.5, rx: 1.5, ...line(1.5) }], path("m5.5 5.5 5 5m0-5-5 5")],
  fold: [path("m4.5 3 3 3-3 3")],
  play: [solid("M5 3v10l8-5z")],
  pause: [solid("M4 3h3v10H4zM9 3h3v10H9z")],
  mark: [solid("M4.5 2h7v12L8 11l-3.5 3z")],
  fork: [ring(4, 3.5, 1.7, 1.4), ring(12, 3.5, 1.7, 1.4), ring(4, 12.5, 1.7, 1.4), path("M4 5.2v5.6M12 5.2c0 3-3 3.3-8 3.6", 1.4)],
  stop: [["rect", { x: 4, y: 4, width: 8, height: 8, rx: 1, fill: "currentColor" }]],
  edit: [path("M3 13l.7-3L11 2.7a1.2 1.2 0 0 1 1.7 0l.6.6a1.2 1.2 0 0 1 0 1.7L6 12.3z", 1.4), path("m9.7 4 2.3 2.3", 1.4)],
  tool: [
    path(
      "M6 2.5H4.5A1.5 1.5 0 0 0 3 4v2.3c0 1-.6 1.7-1.5 1.7.9 0 1.5.7 1.5 1.7V12a1.5 1.5 0 0 0 1.5 1.5H6" +
        "m4-11h1.5A1.5 1.5 0 0 1 13 4v2.3c0 1 .6 1.7 1.5 1.7-.9 0-1.5.7-1.5 1.7V12a1.5 1.5 0 0 1-1.5 1.5H10",
      1.4,
    ),
  ],
  agent: [path("M8 1.8 13.4 5v6L8 14.2 2.6 11V5z", 1.4), dot(8, 8, 1.8)],
  person: [ring(8, 5, 2.8, 1.4), path("M2.8 14c.4-3 2.4-4.4 5.2-4.4s4.8 1.4 5.2 4.4", 1.4)],
  plus: [path("M8 3.5v9M3.5 8h9")],
  minus: [path("M3.5 8h9")],
  fit: [path("M2.5 6V2.5H6M10 2.5h3.5V6M13.5 10v3.5H10M6 13.5H2.5V10")],
  search: [ring(7, 7, 4.2), path("m10.3 10.3 3.2 3.2")],
} satisfies Record<Status | string, Shape[]>;

export type Icon = keyof typeof SHAPES;

/** Draw a symbol; it is decoration, the word beside it carries the meaning. */
export function icon(name: Icon, place: { x?: number; y?: number } = {}): SVGSVGElement {
  const side = name === "fold" ? 12 : 14;
  const shapes = SHAPES[name].map(([tag, attributes]) => svg(tag as "path", attributes));
  return svg(
    "svg",
    {
      class: name === "fold" ? "fold" : "glyph",
      viewBox: name === "fold" ? "0 0 12 12" : "0 0 16 16",
      width: side,
      height: side,
      "aria-hidden": "true",
      ...place,
    },
    ...shapes,
  );
}
