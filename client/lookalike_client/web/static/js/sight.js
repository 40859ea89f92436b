// Two pictures made comparable: side by side, under a slider, in turns, by their difference.

import { address } from "./api.js";
import { bytes, fill, h, name, score, visible, whole } from "./dom.js";

export const MODES = [["side", "Side by side"], ["slider", "Slider"], ["flicker", "Flicker"], ["difference", "Difference"]];
const TURN_MS = 550;

const source = (collection, review, member) => address("picture", { collection, id: member.id, v: review });

// Fetches what is needed next.
export function picturesOf(collection, review, members) {
  for (const member of members.slice(0, 8)) new Image().src = source(collection, review, member);
}

export class Sight {
  constructor(collection, review, mode) {
    this.collection = collection;
    this.review = review;
    this.mode = mode;
    this.timer = null;
  }

  close() {
    clearInterval(this.timer);
  }

  image(member, alt = `Picture of ${visible(member.id)}`) {
    const missing = () => image.replaceWith(h("span", { class: "unpictured" }, "no picture is stored"));
    const image = h("img", { src: source(this.collection, this.review, member), alt, onerror: missing, draggable: false });
    return image;
  }

  draw(keeper, other, left, right) {
    const side = (kind, head, member) => h("section", { class: `side ${kind}`, "aria-label": kind === "keep" ? "Kept" : "Candidate" }, head, h("div", { class: "sight" }, this.image(member)));
    if (this.mode === "side") return h("div", { class: "pair" }, side("keep", left, keeper), side("", right, other));
    const heads = h("div", { class: "pair" }, h("div", { class: "side keep" }, left), h("div", { class: "side" }, right));
    const one = { slider: () => this.slider(keeper, other), flicker: () => this.flicker(keeper, other), difference: () => this.difference(keeper, other) }[this.mode]();
    return h("div", { class: "stack" }, heads, h("div", { class: "pair over" }, one));
  }

  slider(keeper, other) {
    const above = h("div", { class: "layer" }, this.image(keeper));
    const edge = h("div", { class: "edge" });
    const set = (value) => {
      above.style.clipPath = `inset(0 ${100 - value}% 0 0)`;
      edge.style.left = `${value}%`;
    };
    set(50);
    return h("div", { class: "stack" }, h("div", { class: "sight" }, this.image(other), above, edge),
      h("input", { type: "range", min: 0, max: 100, value: 50, "aria-label": "Left: kept. Right: candidate", oninput: (event) => set(event.target.value) }));
  }

  flicker(keeper, other) {
    const above = h("div", { class: "layer" }, this.image(keeper));
    const which = h("span", { class: "which" }, "Keep");
    this.flick = () => {
      above.hidden = !above.hidden;
      fill(which, above.hidden ? "Candidate" : "Keep");
    };
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const play = h("button", {
      type: "button", "aria-pressed": String(!calm), onclick: () => {
        const on = play.getAttribute("aria-pressed") !== "true";
        play.setAttribute("aria-pressed", String(on));
        clearInterval(this.timer);
        if (on) this.timer = setInterval(this.flick, TURN_MS);
      },
    }, "In turns");
    if (!calm) this.timer = setInterval(this.flick, TURN_MS);
    return h("div", { class: "stack" }, h("div", { class: "sight" }, this.image(other), above, which),
      h("div", { class: "row" }, play, h("button", { type: "button", onclick: () => this.flick() }, "The other one", h("kbd", { "aria-hidden": "true" }, "F"))));
  }

  flick() {}

  difference(keeper, other) {
    const canvas = h("canvas", { width: 256, height: 256, role: "img", "aria-label": "Where the two differ: bright is different" });
    const said = h("p", { class: "muted small", role: "status" }, "Bright is different.");
    const images = [keeper, other].map((each) => Object.assign(new Image(), { src: source(this.collection, this.review, each) }));
    Promise.all(images.map((each) => each.decode())).then(() => {
      const [first] = images;
      canvas.width = first.naturalWidth;
      canvas.height = first.naturalHeight;
      const context = canvas.getContext("2d", { willReadFrequently: true });
      const pixels = images.map((each) => {
        context.drawImage(each, 0, 0, canvas.width, canvas.height);
        return context.getImageData(0, 0, canvas.width, canvas.height);
      });
      const [a, b] = pixels;
      let sum = 0;
      for (let at = 0; at < a.data.length; at += 4) {
        for (let channel = 0; channel < 3; channel++) {
          const off = Math.abs(a.data[at + channel] - b.data[at + channel]);
          sum += off;
          a.data[at + channel] = Math.min(255, off * 3);
        }
      }
      context.putImageData(a, 0, 0);
      fill(said, `Bright is different, three times as strong as it is. On average ${(sum / (a.data.length * 0.75)).toFixed(1)} of 255, both stretched to one form.`);
    }).catch(() => fill(said, "One of them has no picture."));
    return h("div", { class: "stack" }, h("div", { class: "sight" }, canvas), said);
  }
}

export function differences(keeper, other) {
  const better = (a, b) => (a > b ? [1, 0] : b > a ? [0, 1] : [0, 0]);
  const row = (title, of, text) => {
    const [a, b] = [of(keeper), of(other)];
    const [left, right] = better(a, b);
    const cell = (member, value, wins) => h("td", {}, h("span", { class: wins ? "better" : "" }, value ? text(member) : "–"));
    return h("tr", { class: a === b ? "same" : "" }, h("th", { scope: "row" }, title), cell(keeper, a, left), cell(other, b, right));
  };
  const told = other.kind ? other : keeper;
  return h("table", { class: "diff" },
    h("thead", { class: "sr" }, h("tr", {}, h("td", {}), h("th", { scope: "col" }, "Keep"), h("th", { scope: "col" }, "Candidate"))),
    h("tbody", {},
      row("Size", (each) => each.width_px * each.height_px, (each) => `${each.width_px} × ${each.height_px} · ${(each.width_px * each.height_px / 1e6).toFixed(2)} MP`),
      row("File", (each) => each.size_bytes, (each) => `${bytes(each.size_bytes)} · ${each.format}`),
      row("Sharpness", (each) => Math.round(each.sharpness), (each) => whole(Math.round(each.sharpness))),
      told.agreement ? h("tr", {}, h("th", { scope: "row" }, "Same structure"), h("td", { colSpan: 2 }, `${Math.round(told.agreement * 100)} % · score ${score(told.score)}`)) : null));
}
