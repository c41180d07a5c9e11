// There is no layout without a browser; pages here are 900 pixels wide, so that graphs are arranged.
Object.defineProperty(HTMLElement.prototype, "clientWidth", { get: () => 900 });
