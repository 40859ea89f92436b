// One item by itself, and several side by side.

import { attempt, get, picture } from "./api.js";
import { bytes, dialog, fill, h, name, score, visible } from "./dom.js";

const FACTS = [
  ["Size", (facts) => facts.width_px && `${facts.width_px} × ${facts.height_px}`],
  ["File", (facts) => facts.size_bytes && `${facts.format} · ${bytes(facts.size_bytes)}`],
  ["Sharpness", (facts) => facts.sharpness?.toFixed(0)],
  ["Remarks", (facts) => [facts.truncated && "file lacks its end", facts.blank && "shows next to nothing"].filter(Boolean).join(", ")],
];

function rows(value, path = "") {
  if (value !== null && typeof value === "object" && !Array.isArray(value))
    return Object.entries(value).flatMap(([key, each]) => rows(each, path ? `${path}.${key}` : key));
  return [[path, typeof value === "string" ? value : JSON.stringify(value)]];
}

function table(pairs) {
  return h("div", { class: "scroll" }, h("table", {}, h("tbody", {}, pairs.map(([key, value]) =>
    h("tr", {}, h("th", { scope: "row" }, name(key)), h("td", {}, name(value)))))));
}

function shown(collection, hit, kind = "shown") {
  return hit.pictured === false ? h("div", { class: "unpictured" }, "no picture")
    : h("img", { class: kind, src: picture(collection, hit), alt: `Picture of ${visible(hit.id)}` });
}

export async function details(collection, hit, actions) {
  const item = await attempt(() => get("item", { collection, id: hit.id }));
  if (!item) return;
  const facts = item.facts ? FACTS.map(([key, of]) => [key, of(item.facts)]).filter(([, value]) => value) : [];
  if (hit.score !== undefined) facts.unshift(["Score", String(hit.score)]);
  if (item.update_time) facts.push(["Stored", new Date(item.update_time).toLocaleString()]);
  if (item.near_duplicate_of) facts.push(["Near-duplicate of", item.near_duplicate_of]);
  const metadata = rows(item.metadata).filter(([key]) => key);
  const box = dialog("Item", h("div", { class: "stack" },
    shown(collection, item), h("h3", { class: "wrap" }, name(item.id)),
    h("div", { class: "row" }, actions.map(([title, run, kind]) =>
      h("button", { type: "button", class: kind, onclick: () => { box.close(); run(); } }, title))),
    table(facts), h("h3", {}, "Metadata"),
    metadata.length ? table(metadata) : h("p", { class: "muted" }, "none")), { drawer: true });
}

export async function compare(collection, hits) {
  const items = await attempt(() => Promise.all(hits.map((hit) => get("item", { collection, id: hit.id }))));
  if (!items) return;
  const keys = [...new Set(items.flatMap((each) => rows(each.metadata).map(([key]) => key)))].filter(Boolean);
  const line = (title, of) => {
    const cells = items.map(of);
    const differ = new Set(cells).size > 1;
    return h("tr", { class: differ ? "differ" : "" }, h("th", { scope: "row" }, name(title)),
      cells.map((each) => h("td", {}, name(each || "–"))));
  };
  dialog("Side by side", h("div", { class: "scroll" }, h("table", { class: "compare" },
    h("thead", {}, h("tr", {}, h("td", {}), items.map((each, at) => h("th", { scope: "col" },
      shown(collection, each), name(each.id), hits[at].score === undefined ? null : h("div", { class: "num muted" }, score(hits[at].score)))))),
    h("tbody", {},
      FACTS.map(([title, of]) => line(title, (each) => (each.facts ? String(of(each.facts) ?? "") : ""))),
      keys.map((key) => line(key, (each) => rows(each.metadata).find(([own]) => own === key)?.[1] ?? ""))))), { wide: true });
}

// The items that are to be compared: a small bar at the foot of the window.
export class Tray {
  constructor(collection) {
    this.collection = collection;
    this.hits = [];
    this.bar = h("div", { class: "tray", hidden: true, role: "region", "aria-label": "To compare" });
  }

  toggle(hit) {
    const at = this.hits.findIndex((each) => each.id === hit.id);
    if (at >= 0) this.hits.splice(at, 1);
    else this.hits = [...this.hits.slice(-3), hit];
    this.draw();
  }

  draw() {
    this.bar.hidden = !this.hits.length;
    fill(this.bar, this.hits.map((hit) => h("button", {
      type: "button", class: "chip", title: `Take out ${visible(hit.id)}`, "aria-label": `Take out ${visible(hit.id)}`, onclick: () => this.toggle(hit),
    }, shown(this.collection, hit, "thumb"))),
    h("button", { type: "button", class: "main", disabled: this.hits.length < 2, onclick: () => compare(this.collection, this.hits) }, `Compare ${this.hits.length}`));
  }
}
