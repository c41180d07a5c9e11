// Noticing that the kernel is gone. A widget model is told when its comm is closed and, by the
// notebook's widget manager, when a restart cuts it off; a shutdown only shows on the notebook's session.

import type { Model } from "./protocol";

interface Signal<Value> {
  connect(slot: (sender: unknown, value: Value) => void): void;
  disconnect(slot: (sender: unknown, value: Value) => void): void;
}

interface Session {
  statusChanged?: Signal<string>;
}

const DEAD = new Set(["restarting", "autorestarting", "terminating", "dead"]);

/** Call `gone` when the kernel that made this model can no longer answer. */
export function watchKernel(model: Model, signal: AbortSignal, gone: () => void): void {
  for (const event of ["comm:close", "comm_live_update"]) model.on(event, gone);
  const status = sessionOf(model)?.statusChanged;
  const listener = (_: unknown, now: string) => DEAD.has(now) && gone();
  status?.connect(listener);
  signal.addEventListener("abort", () => {
    for (const event of ["comm:close", "comm_live_update"]) model.off(event, gone);
    status?.disconnect(listener);
  });
}

/** Only notebook front ends have a session; elsewhere the model's own events must do. */
function sessionOf(model: Model): Session | undefined {
  const manager = model.widget_manager as { context?: { sessionContext?: Session } } | undefined;
  return manager?.context?.sessionContext;
}
