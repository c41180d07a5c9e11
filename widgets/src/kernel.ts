// Noticing that the kernel is gone, or within reach again. A widget model is told when its comm is closed
// and, by the notebook's widget manager, when a restart cuts it off; the rest shows on the notebook's session.

import type { Model } from "./protocol";

interface Signal<Value> {
  connect(slot: (sender: unknown, value: Value) => void): void;
  disconnect(slot: (sender: unknown, value: Value) => void): void;
}

interface Session {
  statusChanged?: Signal<string>;
  connectionStatusChanged?: Signal<string>;
}

export interface Watch {
  /** The kernel that made this model can no longer answer. */
  gone(): void;
  /** The line to the kernel is up again; what was said meanwhile was not heard. */
  back(): void;
}

const DEAD = new Set(["restarting", "autorestarting", "terminating", "dead"]);

export function watchKernel(model: Model, signal: AbortSignal, { gone, back }: Watch): void {
  for (const event of ["comm:close", "comm_live_update"]) {
    model.on(event, gone);
    signal.addEventListener("abort", () => model.off(event, gone));
  }
  const session = sessionOf(model);
  listen(session?.statusChanged, signal, (status) => DEAD.has(status) && gone());
  listen(session?.connectionStatusChanged, signal, (status) => status === "connected" && back());
}

function listen(source: Signal<string> | undefined, signal: AbortSignal, hear: (value: string) => void): void {
  const slot = (_: unknown, value: string) => hear(value);
  source?.connect(slot);
  signal.addEventListener("abort", () => source?.disconnect(slot));
}

/** Only notebook front ends have a session; elsewhere the model's own events must do. */
function sessionOf(model: Model): Session | undefined {
  const manager = model.widget_manager as { context?: { sessionContext?: Session } } | undefined;
  return manager?.context?.sessionContext;
}
