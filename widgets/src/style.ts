import css from "./quire.css";
import parts from "./parts.css";
import chat from "./chat.css";
import sessions from "./sessions.css";

const ID = "quire-style";

/** Put the look into the page, once. */
export function injectStyle(): void {
  if (document.getElementById(ID)) return;
  const style = document.createElement("style");
  style.id = ID;
  // The notebook styles whatever HTML a cell shows: striped tables, padded code, margins. Saying our
  // class three times outweighs that and leaves the order among our own rules as it is.
  style.textContent = (css + parts + sessions + chat).replace(/\.quire(?![\w-])/g, ".quire.quire.quire");
  document.head.append(style);
}
