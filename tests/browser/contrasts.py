"""How well every text below an element stands out from its ground: a function for the page."""

CONTRASTS = """root => {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const rgb = color => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data]; };
  const linear = v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => .2126 * linear(r / 255) + .7152 * linear(g / 255) + .0722 * linear(b / 255);
  const ground = node => { for (; node; node = node.parentElement) {
    const box = node.matches?.('.node') ? getComputedStyle(node.querySelector('.box')).fill : null;
    const color = rgb(box ?? getComputedStyle(node).backgroundColor); if (color[3] === 255) return color; }
    return [255, 255, 255, 255]; };
  const found = []; const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) { const node = walker.currentNode, owner = node.parentElement;
    if (!node.textContent.trim() || !owner.getClientRects().length || owner.closest('.hidden')) continue;
    const style = getComputedStyle(owner), svg = owner instanceof SVGElement;
    const [a, b] = [light(rgb(svg ? style.fill : style.color)), light(ground(owner))];
    found.push([node.textContent.trim().slice(0, 40), (Math.max(a, b) + .05) / (Math.min(a, b) + .05)]); }
  return found; }"""
