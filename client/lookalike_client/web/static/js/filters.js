// Conditions on metadata, from the fields that the items have.

import { attempt, get } from "./api.js";
import { fill, h, name, visible, whole } from "./dom.js";

const TIME = /^\d{4}-\d\d-\d\d/;

export class Filters {
  constructor(collection, changed) {
    this.collection = collection;
    this.changed = changed;
    this.chosen = new Map();
    this.expression = "";
    this.box = h("div", { class: "stack" }, h("p", { class: "muted" }, "Reading the fields …"));
    this.loaded = attempt(() => this.load());
  }

  async load() {
    const { fields } = await get("fields", { collection: this.collection });
    fill(this.box,
      fields.length ? fields.map((field) => this.control(field)) : h("p", { class: "muted" }, "The items have no metadata."),
      this.text());
  }

  body() {
    return { conditions: [...this.chosen.values()], expression: this.expression };
  }

  get count() {
    return this.chosen.size + (this.expression ? 1 : 0);
  }

  clear() {
    this.chosen.clear();
    this.expression = "";
    for (const input of this.box.querySelectorAll("input, textarea")) {
      if (input.type === "checkbox") input.checked = false;
      else input.value = "";
    }
    this.changed();
  }

  set(field, condition) {
    if (condition) this.chosen.set(field, { field, ...condition });
    else this.chosen.delete(field);
    this.changed();
  }

  text() {
    return h("label", { class: "field" }, h("span", {}, "As an expression"),
      h("textarea", {
        rows: 2, placeholder: 'kind = "original" and taken >= @2024-01-01', spellcheck: false,
        onchange: (event) => { this.expression = event.target.value.trim(); this.changed(); },
      }));
  }

  control(field) {
    const few = field.values.length && field.values.length === field.different;
    if (field.kind === "number" || TIME.test(field.values[0]?.[0] ?? "")) return this.range(field);
    if (few) return this.list(field);
    return h("label", { class: "field" }, h("span", {}, name(field.path)),
      h("input", {
        type: "search", placeholder: "contains …",
        onchange: (event) => this.set(field.path, event.target.value ? { op: "contains", value: event.target.value } : null),
      }));
  }

  list(field) {
    const chosen = new Set();
    return h("details", { class: "facet", open: field.values.length <= 8 },
      h("summary", {}, name(field.path)),
      h("fieldset", {}, h("legend", { class: "sr" }, visible(field.path)),
        field.values.map(([value, count]) => h("label", { class: "check" },
          h("input", {
            type: "checkbox",
            onchange: (event) => {
              if (event.target.checked) chosen.add(value);
              else chosen.delete(value);
              this.set(field.path, chosen.size ? { op: "in", values: [...chosen] } : null);
            },
          }),
          h("span", { class: "grow wrap" }, name(value === "" ? "(empty)" : value)), h("span", { class: "muted small num" }, whole(count))))));
  }

  range(field) {
    const time = field.kind !== "number";
    const bounds = { at_least: "", at_most: "" };
    const read = (text) => (text === "" ? "" : time ? { time: text } : Number(text));
    const bound = (which, title) => h("input", {
      type: time ? "date" : "number", step: "any", "aria-label": `${visible(field.path)}: ${title}`, placeholder: title, class: "grow",
      onchange: (event) => {
        bounds[which] = read(event.target.value);
        this.set(field.path, bounds.at_least !== "" || bounds.at_most !== "" ? { op: "range", ...bounds } : null);
      },
    });
    return h("fieldset", { class: "field" }, h("legend", {}, name(field.path)),
      h("div", { class: "row bounds" }, bound("at_least", "from"), bound("at_most", "to")));
  }
}
