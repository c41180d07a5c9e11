// A text box is as high as its text, within bounds.

import { set } from "./dom";

// Of every text box, in pixels: a line, and what is above and below them all.
const LINE = 20;
const AROUND = 8;

/** Make a box as high as what is in it, also where long lines go on below. */
export function grow(box: HTMLTextAreaElement, most: number, least = 1): void {
  const show = (lines: number) => set(box, { rows: Math.min(most, Math.max(least, lines)) });
  show(box.value.split("\n").length);
  if (box.clientHeight > 0 && box.scrollHeight > box.clientHeight) show(Math.round((box.scrollHeight - AROUND) / LINE));
}
