// A chat: the branches, what was said, what goes on, and a box to say more.

import { Branches } from "./chat-branches";
import { MessageBox } from "./chat-box";
import { Rewording } from "./chat-edit";
import type { ChatAnswer, ChatAsk, ChatHead } from "./chatting";
import { Conversation } from "./conversation";
import { html, say, set } from "./dom";
import type { ChatState } from "./feed";
import { cardHead } from "./head";
import { icon } from "./icons";
import { Naming } from "./chat-naming";
import { kernelGone } from "./notice";
import type { Message } from "./protocol";
import { Questions } from "./questions";
import { isLive, showStatus, statusMark } from "./status";
import type { Change, Host, View } from "./view";
import * as words from "./words";

let made = 0;

export class ChatView implements View<ChatState> {
  readonly root = html("section", { class: "quire chat", role: "region" });
  readonly #host: Host;
  /** All pages hear every answer; each takes its own. */
  readonly #me = `${Date.now().toString(36)}-${++made}`;
  readonly #title = html("h2");
  readonly #status = statusMark("running", true);
  readonly #tag = html("span", { class: "tag" }, "simulated");
  readonly #about = html("span", { class: "mono" });
  readonly #session = html("span", { class: "cut" });
  readonly #tokens = html("dd");
  readonly #cost = html("dd");
  readonly #branches = new Branches((branch) => this.#ask({ ask: "switch", branch }));
  readonly #naming = new Naming((name) => this.#ask({ ask: "checkpoint", name }));
  readonly #conversation: Conversation;
  readonly #questions: Questions;
  readonly #trouble = html("div", { class: "trouble", role: "alert", hidden: true });
  readonly #refusal = html("p", { class: "bad refusal", role: "alert", hidden: true });
  readonly #box: MessageBox;
  #rewording: Rewording | null = null;
  #state!: ChatState;
  #troubled = "";
  #gone = false;

  constructor(host: Host) {
    this.#host = host;
    this.#conversation = new Conversation({ beside: (message) => this.#editOf(message), after: (message) => this.#marksOf(message) });
    this.#questions = new Questions((question, value) => host.answer(question, value));
    this.#box = new MessageBox({ onSend: (text) => this.#say(text), onStop: () => host.stop() });
    const stat = (label: string, value: HTMLElement) => html("div", { class: "stat" }, html("dt", {}, label), value);
    const figures = [stat("tokens", this.#tokens), stat("cost", this.#cost)];
    const head = cardHead([this.#title, this.#status, this.#tag], [html("span", {}, "agent"), this.#about, this.#session], figures);
    const { bar, root: talk } = this.#conversation;
    bar.prepend(this.#branches.root);
    bar.append(this.#naming.button);
    bar.after(this.#naming.form);
    this.root.append(head, talk, this.#questions.root, this.#trouble, this.#refusal, this.#box.root);
  }

  show(state: ChatState): void {
    this.#state = state;
    this.root.setAttribute("aria-label", `Chat with ${state.head.name}`);
    this.#showHead();
    this.#conversation.show(state.head.name, state.messages);
  }

  update({ head, messages }: Change): void {
    if (head) this.show(this.#state); // another branch may go on
    else this.#conversation.update(this.#state.messages, messages);
  }

  tick(): void {
    this.#questions.tick(this.#host.now());
  }

  refuse(question: string, message: string): void {
    this.#questions.refuse(question, message);
  }

  told(answer: ChatAnswer): void {
    if (answer.by !== this.#me) return;
    const refusal = answer.said === "refused" ? [answer.message, answer.remedy].filter(Boolean).join(" ") : null;
    if (answer.ask === "checkpoint") this.#naming.told(refusal);
    else if (answer.ask === "edit") this.#reworded(refusal);
    else {
      this.#refuse(refusal);
      if (answer.ask === "send") this.#box.told(refusal !== null);
    }
  }

  close(): void {
    this.#gone = true;
    this.#showHead();
    this.#naming.close();
    this.#rewording?.cancel();
    this.#box.root.hidden = true;
    this.root.classList.add("is-gone");
    this.root.prepend(kernelGone("This is the conversation as last seen. What was said with a memory is kept.", "agent.chat()"));
  }

  // ---------- painting ----------

  #showHead(): void {
    const { head, messages } = this.#state;
    const goes = head.status !== null && isLive(head.status) && !this.#gone;
    say(this.#title, head.name);
    this.#status.hidden = !goes;
    if (goes) showStatus(this.#status, head.status!);
    this.#tag.hidden = !head.simulated;
    say(this.#about, head.model);
    say(this.#session, `session ${head.session}`);
    say(this.#tokens, words.tokens(head.tokens));
    this.#cost.replaceChildren(...spent(head));
    const open = !goes && !this.#gone;
    this.#branches.show(head.branches, head.branch, open);
    this.#naming.allow(open && messages.size > 0);
    this.#box.show(head.name, goes);
    this.#questions.show(head.questions, { now: this.#host.now(), open: goes });
    this.root.classList.toggle("is-going", goes);
    if (goes) this.#refuse(null);
    this.#showTrouble(head);
  }

  /** A turn that has come to nothing: why, and that it can be tried again. */
  #showTrouble(head: ChatHead): void {
    const isOver = head.status !== null && !isLive(head.status);
    const troubled = isOver ? JSON.stringify([head.status, head.reason, head.error]) : "";
    if (troubled === this.#troubled) return;
    this.#troubled = troubled;
    this.#trouble.hidden = !isOver;
    if (!isOver) return this.#trouble.replaceChildren();
    const again = html("button", { type: "button", onclick: () => this.#ask({ ask: "again" }) }, "Try again");
    this.#trouble.classList.toggle("is-bad", head.error !== null);
    this.#trouble.replaceChildren(html("div", { class: "grow" }, ...reasons(head)), again);
  }

  #refuse(refusal: string | null): void {
    this.#refusal.hidden = refusal === null;
    say(this.#refusal, refusal ?? "");
  }

  // ---------- what is added to messages ----------

  #editOf(message: Message): HTMLElement | null {
    if (!message.edit) return null;
    const edit = html("button", { type: "button", class: "icon small edit", "aria-label": "Edit", title: "Edit" }, icon("edit"));
    edit.addEventListener("click", () => this.#reword(message, edit));
    return edit;
  }

  #reword(message: Message, button: HTMLButtonElement): void {
    this.#rewording?.cancel();
    const text = message.parts.map((part) => (part.type === "text" ? part.text : "")).join("\n\n");
    const onDone = (said: string | null) => {
      if (said === null) this.#rewording = null;
      else this.#ask({ ask: "edit", message: message.id, text: said });
    };
    this.#rewording = new Rewording(button, text, onDone);
  }

  #reworded(refusal: string | null): void {
    if (refusal !== null) return this.#rewording?.refuse(refusal);
    this.#rewording?.cancel(); // the message is on another branch now
    this.#conversation.toEnd();
    this.#box.focus();
  }

  #marksOf({ marks = [] }: Message): HTMLElement[] {
    return marks.map((name) => {
      const restore = html("button", { type: "button", class: "quiet", onclick: () => this.#ask({ ask: "restore", name }) }, "Restore");
      set(restore, { "aria-label": `Restore ${name}` });
      return html("div", { class: "row mark" }, icon("mark"), html("span", { class: "cut" }, html("span", { class: "soft" }, "checkpoint "), html("b", {}, name)), restore);
    });
  }

  #say(text: string): void {
    this.#conversation.toEnd();
    this.#ask({ ask: "send", text });
  }

  #ask(ask: ChatAsk): void {
    this.#host.talk({ ...ask, by: this.#me });
  }
}

/** Without a traceback: here nobody wrote code. */
function reasons({ status, reason, error }: ChatHead): HTMLElement[] {
  if (error === null) return [html("p", {}, html("b", {}, status ?? ""), reason ? ` · ${reason}` : null)];
  const remedy = error.remedy ? [html("p", {}, error.remedy)] : [];
  return [html("p", { class: "bad" }, html("b", {}, error.type), ` ${error.message}`), ...remedy];
}

function spent({ cost_usd, tokens, unpriced, simulated }: ChatHead): (Node | string)[] {
  if (tokens === null) return ["–"];
  if (simulated && !cost_usd) return ["$0 ", html("span", { class: "soft" }, "simulated")];
  return [words.money(cost_usd), html("span", { class: "soft" }, cost_usd !== null && unpriced ? " and more, unpriced" : "")];
}
