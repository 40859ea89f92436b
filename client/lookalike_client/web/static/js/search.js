// Searching: by a picture, by a stored item, by what is marked as near and as far.

import { app } from "./app.js";
import { address, attempt, picture, post, send } from "./api.js";
import { fill, h, icon, plural, score, toast, typing, visible, whole } from "./dom.js";
import { Filters } from "./filters.js";
import { Grid } from "./grid.js";
import { Tray, details } from "./items.js";
import { explained } from "./explain.js";

const FIRST = 60;
const NEXT = 200;
const MOST = 10_000;

export function searchView(place, parameters) {
  if (!app.collection) {
    fill(place, h("p", { class: "empty" }, "There is no collection yet: ", h("a", { href: "#/collections" }, "upload some pictures"), "."));
    return () => {};
  }
  const search = new Search(place, app.collection);
  search.start(parameters);
  return () => search.close();
}

class Search {
  constructor(place, collection) {
    this.collection = collection.name;
    this.items = collection.stats.items;
    // What is looked for: { id, version } or { picture, url }, each with a mark of 1 or -1.
    this.examples = [];
    this.hits = [];
    this.least = 0;
    this.token = "";
    this.groupBy = "";
    this.diverse = false;
    this.answer = null;
    this.loading = null;
    this.filters = new Filters(this.collection, () => { this.drawFilters(); this.run(); });
    this.tray = new Tray(this.collection);
    this.build(place);
    this.grid = new Grid(this.results, this.collection, {
      open: (hit) => this.from(hit), details: (hit) => this.details(hit),
      mark: (hit, sign) => this.mark(hit, sign), compare: (hit) => this.tray.toggle(hit),
    }, () => this.more());
    this.listen();
  }

  build(place) {
    this.file = h("input", { type: "file", accept: "image/*", class: "sr", tabIndex: -1, "aria-hidden": "true", onchange: () => this.take(this.file.files[0]) });
    this.strip = h("div", { class: "strip" });
    this.slider = h("input", {
      type: "range", min: 0, max: 1, step: 0.001, value: 0, id: "least",
      oninput: () => { this.least = Number(this.slider.value); this.cut(); },
    });
    this.leastOut = h("output", { class: "num", htmlFor: "least" }, "any");
    this.filterButton = h("button", { type: "button", "aria-expanded": "false", "aria-controls": "filters", onclick: () => this.toggleFilters() }, icon("filter"), h("span", {}, "Filters"));
    this.groups = h("select", { "aria-label": "Group by", onchange: () => { this.groupBy = this.groups.value; this.run(); } }, h("option", { value: "" }, "no groups"));
    this.diversity = h("button", { type: "button", "aria-pressed": "false", title: "Prefer results that differ from one another", onclick: () => { this.diverse = !this.diverse; this.diversity.setAttribute("aria-pressed", this.diverse); this.run(); } }, "Diverse");
    this.explainButton = h("button", { type: "button", "aria-pressed": "false", onclick: () => this.toggleExplain() }, icon("explain"), "Explain");
    this.status = h("p", { class: "muted small", role: "status" });
    this.explainBox = h("div", { hidden: true });
    this.results = h("div", {});
    this.aside = h("aside", { id: "filters", class: "filters panel", hidden: true, "aria-label": "Filters" },
      h("div", { class: "row ends" }, h("h2", {}, "Filters"), h("button", { type: "button", class: "quiet", onclick: () => this.filters.clear() }, "Clear")), this.filters.box);
    this.filters.loaded.then(() => this.groupChoices());
    fill(place, this.file,
      h("section", { class: "query", "aria-label": "What to look for" }, this.strip,
        h("div", { class: "tools" },
          h("label", { class: "least", htmlFor: "least" }, h("span", { class: "row ends small" }, h("span", { class: "muted" }, "At least"), this.leastOut), this.slider),
          this.filterButton, h("label", { class: "pick" }, h("span", { class: "sr" }, "Group by"), this.groups), this.diversity, this.explainButton)),
      h("div", { class: "body" }, this.aside, h("div", { class: "found" }, this.status, this.explainBox, this.results)),
      this.tray.bar);
    this.place = place;
  }

  groupChoices() {
    const named = [...this.filters.box.querySelectorAll("details.facet > summary")].map((each) => each.textContent);
    fill(this.groups, h("option", { value: "" }, "no groups"), named.map((each) => h("option", { value: each }, `by ${each}`)));
  }

  listen() {
    this.stop = new AbortController();
    const options = { signal: this.stop.signal };
    addEventListener("paste", (event) => {
      const file = [...event.clipboardData.files].find((each) => each.type.startsWith("image/"));
      if (file) this.take(file);
    }, options);
    addEventListener("dragover", (event) => { event.preventDefault(); this.place.classList.add("dropping"); }, options);
    addEventListener("dragleave", (event) => { if (!event.relatedTarget) this.place.classList.remove("dropping"); }, options);
    addEventListener("drop", (event) => {
      event.preventDefault();
      this.place.classList.remove("dropping");
      if (event.dataTransfer.files.length) this.take(event.dataTransfer.files[0]);
    }, options);
    addEventListener("keydown", (event) => {
      if (typing(event) || document.querySelector("dialog[open]")) return;
      if (event.key === "u") this.file.click();
      else if (event.key === "f") this.toggleFilters();
      else if (event.key === "e") this.toggleExplain();
      else if (event.key === "Escape" && this.examples.length) this.clear();
      else return;
      event.preventDefault();
    }, options);
  }

  close() {
    this.stop.abort();
    this.loading?.abort();
    this.grid.close();
  }

  start(parameters) {
    const id = parameters.get("id");
    this.examples = id ? [{ id, sign: 1, pictured: true }] : [];
    this.drawStrip();
    this.run();
  }

  async take(file) {
    if (!file) return;
    fill(this.status, "Looking at the picture …");
    const made = await attempt(() => send("query-picture", { collection: this.collection }, file));
    this.file.value = "";
    if (!made) { this.say(); return; }
    this.examples = [{ picture: made.picture, url: URL.createObjectURL(file), name: file.name, sign: 1 }];
    this.drawStrip();
    await this.run();
  }

  from(hit) {
    this.examples = [{ ...hit, sign: 1 }];
    history.pushState(null, "", `#/search?${new URLSearchParams({ id: hit.id })}`);
    this.drawStrip();
    scrollTo(0, 0);
    this.run();
  }

  mark(hit, sign) {
    const at = this.examples.findIndex((each) => each.id === hit.id);
    const before = at >= 0 ? this.examples.splice(at, 1)[0].sign : 0;
    if (before !== sign) this.examples.push({ ...hit, sign });
    this.drawStrip();
    if (this.examples.some((each) => each.sign > 0) || !this.examples.length) this.run();
    else toast("Mark something as near, too: what is only far says nothing to look for.");
  }

  clear() {
    this.examples = [];
    history.pushState(null, "", "#/search");
    this.drawStrip();
    this.run();
  }

  details(hit) {
    details(this.collection, hit, [
      ["Search from it", () => this.from(hit), "main"], ["More like this", () => this.mark(hit, 1)],
      ["Less like this", () => this.mark(hit, -1)], ["Compare", () => this.tray.toggle(hit)],
    ]);
  }

  drawStrip() {
    const chip = (each) => h("div", { class: `chip ${each.sign > 0 ? "positive" : "negative"}` },
      each.url || each.pictured !== false
        ? h("img", { class: "thumb", src: each.url ?? picture(this.collection, each), alt: `${each.sign > 0 ? "Near" : "Far from"}: ${visible(each.id ?? each.name)}` })
        : h("span", { class: "unpictured" }, visible(each.id)),
      h("span", { class: "sign", "aria-hidden": "true" }, each.sign > 0 ? "+" : "−"),
      h("button", { type: "button", class: "icon out", "aria-label": `Take out ${visible(each.id ?? each.name)}`, onclick: () => { this.examples = this.examples.filter((other) => other !== each); this.drawStrip(); this.run(); } }, icon("close")));
    const choose = h("button", { type: "button", class: this.examples.length ? "" : "main", onclick: () => this.file.click() }, icon("upload"), this.examples.length ? "Another picture" : "Choose a picture");
    fill(this.strip, this.examples.length
      ? [this.examples.map(chip), choose, h("button", { type: "button", class: "quiet", onclick: () => this.clear() }, "Clear")]
      : [choose, h("p", { class: "muted hint" }, "or drop or paste one anywhere, or pick one below")]);
    this.grid?.mark(new Map(this.examples.filter((each) => each.id).map((each) => [each.id, each.sign])));
  }

  drawFilters() {
    fill(this.filterButton, icon("filter"), h("span", {}, this.filters.count ? `Filters · ${this.filters.count}` : "Filters"));
  }

  toggleFilters() {
    this.aside.hidden = !this.aside.hidden;
    this.filterButton.setAttribute("aria-expanded", !this.aside.hidden);
  }

  toggleExplain() {
    this.explainBox.hidden = !this.explainBox.hidden;
    this.explainButton.setAttribute("aria-pressed", !this.explainBox.hidden);
    if (!this.explainBox.hidden && this.answer && !this.answer.plan) this.run();
    else this.drawExplain();
  }

  asked() {
    const wanted = (sign) => this.examples.filter((each) => each.sign === sign)
      .map((each) => (each.picture ? { picture: each.picture } : { id: each.id }));
    return {
      collection: this.collection, positives: wanted(1), negatives: wanted(-1), ...this.filters.body(),
      group_by: this.groupBy, diversity: this.diverse ? 0.3 : 0, explain: !this.explainBox.hidden,
    };
  }

  get searching() {
    return this.examples.some((each) => each.sign > 0);
  }

  async run() {
    this.loading?.abort();
    const loading = (this.loading = new AbortController());
    this.place.setAttribute("aria-busy", "true");
    const started = performance.now();
    const searched = this.searching;
    const answer = await attempt(() => post(searched ? "search" : "browse", { ...this.asked(), limit: FIRST }, loading.signal));
    if (loading.signal.aborted) return;
    this.place.removeAttribute("aria-busy");
    this.loading = null;
    if (!answer) { this.say(); return; }
    this.answer = { ...answer, searched, seen_ms: performance.now() - started };
    this.token = answer.next_page_token;
    this.hits = answer.groups ? answer.groups.flatMap((each) => each.hits) : answer.hits;
    this.cut();
    this.drawExplain();
  }

  async more() {
    if (this.loading || !this.token || this.hits.length >= MOST) return;
    if (this.hits.length > this.cutAt) return; // the slider hides what comes next
    const loading = (this.loading = new AbortController());
    const answer = await attempt(() => post(this.searching ? "search" : "browse", { ...this.asked(), explain: false, limit: NEXT, page_token: this.token }, loading.signal));
    if (loading.signal.aborted) return;
    this.loading = null;
    if (!answer) { this.token = ""; return; }
    this.token = answer.next_page_token;
    this.hits.push(...answer.hits);
    this.cut(true);
  }

  // Shows what the slider lets through: hits come best first, so that is a beginning of them.
  cut(keep = false) {
    const scored = this.answer?.searched;
    fill(this.leastOut, this.least > 0 ? score(this.least) : "any");
    const ordered = scored && !this.answer?.groups && !this.diverse;
    let shown = this.hits;
    if (scored && this.least > 0) shown = this.hits.filter((each) => each.score >= this.least);
    this.cutAt = ordered ? shown.length : this.hits.length;
    this.slider.disabled = !scored;
    this.grid.total = this.token ? -1 : shown.length;
    this.grid.set(shown, { keep });
    this.say(shown.length);
    this.results.querySelector(".empty")?.remove();
    if (!shown.length) this.results.append(h("p", { class: "empty" }, this.hits.length ? "Nothing is as near as that: move the slider." : this.items ? "Nothing meets this." : "The collection is empty."));
  }

  say(count) {
    const answer = this.answer;
    if (!answer) { fill(this.status); return; }
    const cutShort = this.token && this.cutAt === this.hits.length;
    const many = cutShort ? `${whole(count)}+ results` : plural(count ?? 0, "result");
    fill(this.status, answer.searched
      ? [many, answer.groups ? ` in ${plural(answer.groups.length, "group")}` : "", ` · ${answer.took_ms} ms`]
      : [this.filters.count ? `${many.replace("result", "item")}` : `${plural(this.items, "item")}`, ", by id"]);
  }

  drawExplain() {
    if (!this.explainBox.hidden) fill(this.explainBox, explained(this.answer, this.answer?.searched));
  }
}
