// What a benchmark sees of a page: when a cell begins, when a view's data arrives, when its graph is painted, and every piece of a reply.
// Installed before the page's own scripts run.
(() => {
  const watch = { began: 0, arrived: [], painted: [], frames: [], latencies: [], pieces: "" };
  window.watch = watch;

  // The kernel's socket: this listener is its first, so it hears of the data before JupyterLab reads it.
  const snapshot = /"type": ?"snapshot"/;
  window.WebSocket = class extends WebSocket {
    constructor(...address) {
      super(...address);
      this.addEventListener("message", ({ data }) => {
        const now = performance.now();
        if (snapshot.test(typeof data === "string" ? data : new TextDecoder().decode(data))) watch.arrived.push(now);
      });
    }
  };

  // A task of a channel that is posted while a frame is made runs right after that frame was painted.
  const afterPaint = (look) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = look;
    requestAnimationFrame(() => port2.postMessage(null));
  };

  const isGraph = ({ target, addedNodes }) => addedNodes.length > 0 && target instanceof Element && target.matches("section.quire svg.dag");
  new MutationObserver((records) => {
    const drawn = records.filter(isGraph).map(({ target }) => target.querySelectorAll(".node").length);
    if (drawn.length > 0) afterPaint(() => watch.painted.push({ at: performance.now(), nodes: Math.max(...drawn) }));
  }).observe(document, { childList: true, subtree: true });

  /** Read the last message at every frame: its pieces say when they were made, in milliseconds, in base 36. */
  watch.follow = (modulus) => {
    const frame = (now) => {
      watch.frames.push(now);
      afterPaint(() => {
        const shown = [...document.querySelectorAll("section.quire article.msg")].pop()?.querySelector("p, pre")?.textContent ?? "";
        if (!shown.startsWith(watch.pieces)) return;
        const whole = shown.slice(0, shown.lastIndexOf(" ") + 1);
        const now = Date.now() % modulus;
        for (const piece of whole.slice(watch.pieces.length).split(" ").filter(Boolean))
          watch.latencies.push({ frame: watch.frames.length, ms: (now - parseInt(piece, 36) + modulus) % modulus });
        watch.pieces = whole;
      });
      if (watch.following) requestAnimationFrame(frame);
    };
    watch.following = true;
    requestAnimationFrame(frame);
  };
})();
