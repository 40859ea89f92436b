// Items as points of a plane.

import { picture } from "./api.js";
import { fill, h, name, visible, whole } from "./dom.js";

// Twelve tones that differ in light and dark; what is rarer shares the last.
const COLOURS = ["#1b9e77", "#d95f02", "#7570b3", "#e7298a", "#66a61e", "#c99700", "#a6761d", "#3b8fd6", "#b04a4a", "#4aa8a0", "#9a5bd0", "#7f8783"];
const NEAR_PX = 14;

export class SimilarityMap {
  constructor(place, collection, { points, share }) {
    this.collection = collection;
    this.points = points;
    const counts = new Map();
    for (const each of points) if (each.label !== null) counts.set(each.label, (counts.get(each.label) ?? 0) + 1);
    const labels = [...counts].sort((a, b) => b[1] - a[1]).map(([label]) => label);
    this.colours = new Map(labels.map((label, at) => [label, COLOURS[Math.min(at, COLOURS.length - 1)]]));
    this.canvas = h("canvas", { role: "img", "aria-label": `Map of ${points.length} items` });
    this.peek = h("div", { class: "peek", hidden: true });
    fill(place, h("div", { class: "stack" }, h("div", { class: "map" }, this.canvas, this.peek),
      labels.length ? h("ul", { class: "legend" }, labels.slice(0, COLOURS.length).map((label, at) => {
        const dot = h("i", {});
        dot.style.background = COLOURS[at];
        const last = at === COLOURS.length - 1 && labels.length > COLOURS.length;
        return h("li", {}, dot, last ? "others" : name(label), h("span", { class: "muted" }, ` ${last ? "" : whole(counts.get(label))}`));
      })) : null,
      h("p", { class: "muted small" }, `These two directions show ${(share * 100).toFixed(0)} % of how the items differ. Point at one to see it; click to search from it.`)));
    this.canvas.addEventListener("pointermove", (event) => this.point(event));
    this.canvas.addEventListener("pointerleave", () => { this.peek.hidden = true; });
    this.canvas.addEventListener("click", (event) => {
      const found = this.nearest(event);
      if (found) location.hash = `#/search?${new URLSearchParams({ id: found.id })}`;
    });
    this.resized = new ResizeObserver(() => this.draw());
    this.resized.observe(this.canvas);
  }

  close() {
    this.resized.disconnect();
  }

  draw() {
    const ratio = devicePixelRatio, wide = this.canvas.clientWidth, tall = this.canvas.clientHeight;
    this.canvas.width = wide * ratio;
    this.canvas.height = tall * ratio;
    const context = this.canvas.getContext("2d");
    context.scale(ratio, ratio);
    context.globalAlpha = 0.8;
    for (const each of this.points) {
      each.px = wide / 2 + each.x * (wide / 2 - 16);
      each.py = tall / 2 - each.y * (tall / 2 - 16);
      context.fillStyle = this.colours.get(each.label) ?? COLOURS[0];
      context.beginPath();
      context.arc(each.px, each.py, 4, 0, 7);
      context.fill();
    }
  }

  nearest(event) {
    const rect = this.canvas.getBoundingClientRect();
    const [x, y] = [event.clientX - rect.left, event.clientY - rect.top];
    let best = null, least = NEAR_PX ** 2;
    for (const each of this.points) {
      const off = (each.px - x) ** 2 + (each.py - y) ** 2;
      if (off < least) [best, least] = [each, off];
    }
    return best;
  }

  point(event) {
    const found = this.nearest(event);
    this.peek.hidden = !found;
    if (!found || found === this.last) return;
    this.last = found;
    fill(this.peek, found.pictured ? h("img", { src: picture(this.collection, found), alt: "" }) : null, name(found.id), found.label !== null ? h("div", { class: "muted" }, visible(found.label)) : null);
    this.peek.style.left = `${Math.min(found.px + 14, this.canvas.clientWidth - 160)}px`;
    this.peek.style.top = `${Math.min(found.py + 14, this.canvas.clientHeight - 150)}px`;
  }
}
