// How well the collection does: reports, recall and drift over time, and a map.

import { app } from "./app.js";
import { address, attempt, finish, get, post, session } from "./api.js";
import { fill, h, icon, name, plural, score, visible, whole } from "./dom.js";
import { trend } from "./charts.js";
import { SimilarityMap } from "./map.js";

export function qualityView(place) {
  if (!app.collection) {
    fill(place, h("p", { class: "empty" }, "There is no collection yet."));
    return () => {};
  }
  const view = new Quality(place, app.collection);
  view.start();
  return () => view.close();
}

class Quality {
  constructor(place, collection) {
    this.place = place;
    this.collection = collection;
    this.stop = new AbortController();
    this.report = h("section", { class: "stack", hidden: true, "aria-label": "Report" });
    this.recall = h("div", {});
    this.fields = [];
  }

  close() {
    this.stop.abort();
    this.map?.close();
  }

  async start() {
    fill(this.place, h("div", { class: "page" }, h("h1", {}, "Quality of ", name(this.collection.name)), h("p", { class: "muted" }, "Reading the fields …")));
    const found = await attempt(() => get("fields", { collection: this.collection.name }, this.stop.signal));
    if (this.stop.signal.aborted) return;
    this.fields = (found?.fields ?? []).filter((each) => each.kind !== "number").map((each) => each.path);
    fill(this.place, h("div", { class: "page" }, h("h1", {}, "Quality of ", name(this.collection.name)),
      h("div", { class: "tiles" }, this.evaluation(), this.calibration(), this.recalling(), this.drift()), this.report, this.mapping()));
    this.drawRecall();
  }

  choice(empty) {
    return h("select", {}, empty ? h("option", { value: "" }, empty) : null, this.fields.map((each) => h("option", { value: each }, visible(each))));
  }

  card(title, text, ...controls) {
    return h("section", { class: "panel stack", "aria-label": title }, h("h2", {}, title), h("p", { class: "muted small" }, text), controls);
  }

  // A button that starts an analysis and shows how far it is.
  runner(title, body, done) {
    const bar = h("progress", { hidden: true, "aria-label": title });
    const said = h("p", { class: "muted small num", role: "status" });
    const button = h("button", {
      type: "button", class: "main", onclick: async () => {
        button.disabled = true;
        bar.hidden = false;
        await attempt(async () => {
          const task = await post("analysis", { collection: this.collection.name, ...body() });
          const ended = await finish(task.task, (each) => {
            if (each.total) { bar.max = each.total; bar.value = each.done; }
            fill(said, each.state === "running" ? `${each.stage}${each.total ? ` · ${whole(each.done)} of ${whole(each.total)}` : ""}` : "");
          }, this.stop.signal);
          await done(ended);
        });
        button.disabled = false;
        bar.hidden = true;
      },
    }, title);
    return [h("div", { class: "row" }, button), bar, said];
  }

  show(title, path) {
    this.report.hidden = false;
    fill(this.report, h("div", { class: "row ends" }, h("h2", {}, title), h("button", { type: "button", class: "icon quiet", "aria-label": "Close the report", onclick: () => { this.report.hidden = true; } }, icon("close"))),
      h("iframe", { class: "report", title, src: address(path.split("?")[0], Object.fromEntries(new URLSearchParams(path.split("?")[1] ?? ""))) }));
    this.report.scrollIntoView({ behavior: "smooth" });
  }

  evaluation() {
    const label = this.choice();
    if (!this.fields.length) return this.card("Evaluation", "Needs a metadata field that says which items are alike: there is none.");
    return this.card("Evaluation", "How well searches retrieve what a label calls alike: precision, recall, and the scores of both kinds of pairs.",
      h("label", { class: "field" }, h("span", {}, "Label"), label),
      this.runner("Evaluate", () => ({ kind: "evaluate", label_field: label.value }), (ended) => this.show("Evaluation", `report/${ended.task}`)));
  }

  calibration() {
    const label = this.choice("pairs decided in reviews");
    const precision = h("input", { type: "number", min: 0.5, max: 1, step: 0.001, value: 0.99 });
    const keep = h("input", { type: "checkbox", disabled: session.read_only });
    const kept = this.collection.calibration;
    return this.card("Calibration", kept ? `Kept now: ${score(kept.threshold)}. The score from which on two pictures count as alike.` : "Finds the score from which on two pictures count as alike.",
      h("label", { class: "field" }, h("span", {}, "What is alike"), label),
      h("label", { class: "field" }, h("span", {}, "Precision of at least"), precision),
      h("label", { class: "check small" }, keep, "Keep it with the collection"),
      this.runner("Calibrate", () => ({ kind: "calibrate", label_field: label.value, precision: Number(precision.value), keep: keep.checked }), (ended) => this.show("Calibration", `report/${ended.task}`)));
  }

  recalling() {
    return this.card("Recall", "Which share of the true neighbours the graph finds, measured against a scan of everything.", this.recall,
      this.runner("Measure", () => ({ kind: "recall", seed: Math.floor(Math.random() * 2 ** 31) }), () => this.drawRecall()));
  }

  async drawRecall() {
    const found = await attempt(() => get("recalls", { collection: this.collection.name }, this.stop.signal));
    if (!found) return;
    const points = found.recalls.map((each) => ({ at: new Date(each.time), value: each.recall }));
    const last = found.recalls.at(-1);
    fill(this.recall, !last ? h("p", { class: "muted small" }, "Not measured since this server started.") : [
      trend(points, "Recall over time"),
      h("p", { class: "small num" }, `Last: ${(last.recall * 100).toFixed(2)} % of the ${last.limit} nearest, over ${plural(last.queries, "query", "queries")}; ${plural(last.self_misses, "item")} did not find itself; ${(last.median_s * 1e3).toFixed(1)} ms, a scan ${(last.median_exact_s * 1e3).toFixed(1)} ms.`),
    ]);
  }

  drift() {
    return this.card("Drift", "Whether the queries by image or vector are what they were. The service watches them all the time.",
      h("div", { class: "row" }, h("button", { type: "button", class: "main", onclick: () => this.show("Drift of queries", `report/drift?${new URLSearchParams({ collection: this.collection.name })}`) }, "Show")));
  }

  mapping() {
    const field = this.choice("one colour");
    const place = h("div", {});
    const draw = async (button) => {
      button.disabled = true;
      const found = await attempt(() => get("map", { collection: this.collection.name, field: field.value, limit: 1500 }, this.stop.signal));
      button.disabled = false;
      if (!found || this.stop.signal.aborted) return;
      this.map?.close();
      this.map = new SimilarityMap(place, this.collection.name, found);
    };
    return h("section", { class: "panel stack", "aria-label": "Map" }, h("h2", {}, "Map"),
      h("p", { class: "muted small" }, "Up to 1,500 items, in the two directions in which they differ most. What lies together looks alike; what looks alike may still lie apart."),
      h("div", { class: "row" }, h("label", { class: "field" }, h("span", {}, "Coloured by"), field), h("button", { type: "button", class: "main", onclick: (event) => draw(event.currentTarget) }, "Draw")), place);
  }
}
