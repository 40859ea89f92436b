// A justified grid of many pictures: only the rows near the window are in the page.

import { picture } from "./api.js";
import { fill, h, icon, name, score, visible } from "./dom.js";

const GAP = 6;
// Rows above and below the window that are kept, in windows.
const AHEAD = 1;

export class Grid {
  // `on` holds what tiles do: open, details, mark(hit, 1 | -1), compare; `more` loads further hits.
  constructor(place, collection, on, more) {
    this.place = place;
    this.collection = collection;
    this.on = on;
    this.more = more;
    this.hits = [];
    this.rows = [];
    this.shown = new Map();
    this.at = 0;
    this.marks = new Map();
    this.total = null;
    this.list = h("ul", { class: "grid", "aria-label": "Results", onkeydown: (event) => this.key(event) });
    fill(place, this.list);
    this.draw = this.draw.bind(this);
    this.resized = new ResizeObserver(() => { if (this.width !== this.list.clientWidth) this.layOut(); });
    this.resized.observe(this.list);
    addEventListener("scroll", this.draw, { passive: true });
  }

  close() {
    removeEventListener("scroll", this.draw);
    this.resized.disconnect();
  }

  set(hits, { keep = false } = {}) {
    if (!keep) this.at = 0;
    this.hits = hits;
    this.at = Math.min(this.at, Math.max(0, hits.length - 1));
    this.layOut();
  }

  mark(marks) {
    this.marks = marks;
    for (const [index, tile] of this.shown) this.dress(tile, this.hits[index]);
  }

  layOut() {
    this.width = this.list.clientWidth;
    const tall = this.width < 640 ? 118 : 196;
    this.rows = [];
    let row = [], wide = 0, top = 0;
    const end = (justified) => {
      const room = this.width - GAP * (row.length - 1);
      const height = justified ? Math.min(room / wide, tall * 1.6) : Math.min(tall, room / wide);
      let left = 0;
      for (const each of row) {
        each.width = Math.min(each.ratio * height, this.width);
        each.left = left;
        left += each.width + GAP;
      }
      this.rows.push({ top, height: Math.round(height), tiles: row });
      top += Math.round(height) + GAP;
      row = [];
      wide = 0;
    };
    this.hits.forEach((hit, index) => {
      // What is longer than that is cut: a panorama would have a row to itself.
      const ratio = hit.width && hit.height ? Math.min(Math.max(hit.width / hit.height, 0.5), 2.6) : 1;
      row.push({ index, ratio });
      wide += ratio;
      if (wide * tall + GAP * (row.length - 1) >= this.width) end(true);
    });
    if (row.length) end(false);
    this.list.style.height = `${top}px`;
    for (const tile of this.shown.values()) tile.remove();
    this.shown.clear();
    this.draw();
  }

  draw() {
    const rect = this.list.getBoundingClientRect();
    const from = -rect.top - AHEAD * innerHeight, to = -rect.top + (1 + AHEAD) * innerHeight;
    const wanted = new Map();
    for (let number = this.firstRow(from); number < this.rows.length && this.rows[number].top < to; number++)
      for (const tile of this.rows[number].tiles) wanted.set(tile.index, [this.rows[number], tile]);
    for (const [index, element] of this.shown) {
      if (!wanted.has(index) && !element.contains(document.activeElement)) {
        element.remove();
        this.shown.delete(index);
      }
    }
    for (const [index, [row, tile]] of wanted) if (!this.shown.has(index)) this.add(index, row, tile);
    if (this.rows.length && this.rows.at(-1).top < to + innerHeight) this.more?.();
  }

  firstRow(y) {
    let low = 0, high = this.rows.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.rows[middle].top + this.rows[middle].height < y) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  add(index, row, at) {
    const hit = this.hits[index];
    const label = hit.score === undefined ? visible(hit.id) : `${visible(hit.id)}, score ${score(hit.score)}`;
    const act = (what, title, mark, run) => h("button", {
      class: `icon act ${what}`, type: "button", tabIndex: -1, title, "aria-label": `${title}: ${visible(hit.id)}`, onclick: run,
    }, icon(mark));
    const tile = h("li", { class: "tile", "aria-posinset": index + 1, "aria-setsize": this.total ?? this.hits.length },
      h("button", {
        class: "open", type: "button", tabIndex: index === this.at ? 0 : -1, "aria-label": label, data: { index },
        title: visible(hit.id), onclick: () => this.on.open(hit), onfocus: () => this.reach(index),
      }, hit.pictured === false || hit.pictured === undefined
        ? h("span", { class: "unpictured" }, name(hit.id))
        : h("img", { src: picture(this.collection, hit), alt: "", decoding: "async", draggable: false })),
      h("div", { class: "cap", "aria-hidden": "true" },
        hit.score === undefined ? null : h("b", { class: "num" }, score(hit.score)), name(hit.id)),
      h("div", { class: "acts" },
        this.on.mark && act("pos", "More like this", "plus", () => this.on.mark(hit, 1)),
        this.on.mark && act("neg", "Less like this", "minus", () => this.on.mark(hit, -1)),
        this.on.compare && act("cmp", "Compare", "compare", () => this.on.compare(hit)),
        this.on.details && act("det", "Details", "more", () => this.on.details(hit))));
    tile.style.transform = `translate(${at.left}px, ${row.top}px)`;
    tile.style.width = `${at.width}px`;
    tile.style.height = `${row.height}px`;
    this.dress(tile, hit);
    // In the order of the hits, so that the Tab key and a screen reader go by it.
    const next = [...this.list.children].find((each) => Number(each.firstChild.dataset.index) > index);
    this.list.insertBefore(tile, next ?? null);
    this.shown.set(index, tile);
  }

  dress(tile, hit) {
    const mark = this.marks.get(hit.id);
    tile.classList.toggle("positive", mark === 1);
    tile.classList.toggle("negative", mark === -1);
  }

  reach(index) {
    const before = this.shown.get(this.at)?.firstChild;
    if (before) before.tabIndex = -1;
    this.at = index;
    const now = this.shown.get(index)?.firstChild;
    if (now) now.tabIndex = 0;
  }

  focus(index) {
    if (index < 0 || index >= this.hits.length) return;
    const row = this.rows.find((each) => index <= each.tiles.at(-1).index);
    const top = this.list.getBoundingClientRect().top + row.top;
    if (top < 130) scrollBy(0, top - 130);
    else if (top + row.height > innerHeight - 20) scrollBy(0, top + row.height - innerHeight + 20);
    this.draw();
    this.reach(index);
    this.shown.get(index)?.firstChild.focus({ preventScroll: true });
  }

  // The tile above or below that is nearest in the middle.
  vertical(step) {
    const number = this.rows.findIndex((each) => this.at <= each.tiles.at(-1).index);
    const row = this.rows[number + step];
    if (!row) return;
    const own = this.rows[number].tiles.find((each) => each.index === this.at);
    const middle = own.left + own.width / 2;
    const off = (tile) => Math.abs(tile.left + tile.width / 2 - middle);
    this.focus(row.tiles.reduce((best, each) => (off(each) < off(best) ? each : best)).index);
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || !this.hits.length) return;
    const hit = this.hits[this.at];
    const keys = {
      ArrowRight: () => this.focus(this.at + 1), ArrowLeft: () => this.focus(this.at - 1),
      ArrowDown: () => this.vertical(1), ArrowUp: () => this.vertical(-1),
      Home: () => this.focus(0), End: () => this.focus(this.hits.length - 1),
      "+": () => this.on.mark?.(hit, 1), "=": () => this.on.mark?.(hit, 1), "-": () => this.on.mark?.(hit, -1),
      c: () => this.on.compare?.(hit), d: () => this.on.details?.(hit),
    };
    if (!keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  }
}
