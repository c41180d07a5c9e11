// A file in the conversation: a small picture that came with the view, or its name, what it is and how large.

import { html } from "./dom";
import type { FilePart } from "./protocol";
import * as words from "./words";

export function fileCard(file: FilePart): HTMLElement {
  const name = [file.name, file.media_type].filter(Boolean).join(", ");
  const beside = [file.name && file.media_type, file.size !== null && words.size(file.size), file.url].filter(Boolean).join(", ");
  const caption = [html("code", { class: "cut" }, file.name ?? file.media_type), html("span", { class: "soft small cut" }, beside)];
  if (file.picture === null) return html("p", { class: "file row" }, ...caption);
  const picture = html("img", { src: file.picture, alt: name, decoding: "async" });
  return html("figure", { class: "file" }, picture, html("figcaption", { class: "row" }, ...caption));
}
