// What a review asks in between: accept many at once, and what goes at the end.

import { address, attempt, get, picture, post, session } from "./api.js";
import { bytes, dialog, fill, h, name, plural, toast, whole } from "./dom.js";

const MOST_ROWS = 200;

export function keysDialog() {
  const keys = [
    ["D", "the candidate is a duplicate of what is kept"], ["N", "it is not: the two are never asked about again"],
    ["K", "keep the candidate instead"], ["A", "all that is open in the group are duplicates"], ["S", "skip: decide later"],
    ["U", "take back the last decision"], ["← →", "group before, next group"], ["1 – 4", "ways to compare"], ["F", "flicker by hand"],
  ];
  dialog("Keys", h("table", {}, h("tbody", {}, keys.map(([key, text]) => h("tr", {}, h("th", { scope: "row" }, h("kbd", {}, key)), h("td", {}, text))))));
}

export function acceptAbove(review) {
  const above = h("input", { type: "range", min: 0.5, max: 1, step: 0.001, value: 0.95, id: "above", oninput: () => count() });
  const value = h("output", { class: "num", htmlFor: "above" });
  const kinds = [["byte_identical", "equal files"], ["pixel_identical", "equal pixels"], ["copy", "copies"]].map(([key, title]) => [key, h("input", { type: "checkbox", onchange: () => count() }), title]);
  const said = h("p", { role: "status", class: "num" });
  const go = h("button", { type: "button", class: "main", onclick: () => accept() });
  const asked = () => ({ review: review.id, above: Number(above.value), kinds: kinds.filter(([, box]) => box.checked).map(([key]) => key) });
  let turn = 0;
  async function count() {
    const own = ++turn;
    fill(value, Number(above.value).toFixed(3));
    const found = await attempt(() => post("review/accept", { ...asked(), count: true }));
    if (own !== turn || !found) return;
    fill(said, found.pairs ? `${plural(found.pairs, "open pair")} would be taken for duplicates.` : "No open pair is as near as that.");
    fill(go, `Accept ${whole(found.pairs)}`);
    go.disabled = !found.pairs;
  }
  async function accept() {
    go.disabled = true;
    const done = await attempt(() => post("review/accept", asked()));
    if (!done) { go.disabled = false; return; }
    box.close();
    review.remember({ number: review.number, place: undefined, undo: done.undo });
    review.progress = done.review;
    toast(`${plural(done.pairs, "pair")} accepted; Undo takes all of them back`);
    await review.ahead();
  }
  const box = dialog("Accept above a score", h("div", { class: "stack" },
    h("p", { class: "muted" }, "Takes the candidates of open groups for duplicates of what is kept. Decisions that you made stay."),
    h("label", { class: "field", htmlFor: "above" }, h("span", { class: "row ends" }, "Score of at least", value), above),
    h("fieldset", { class: "row" }, h("legend", {}, "Whatever the score, also"), kinds.map(([, own, title]) => h("label", { class: "check" }, own, title))),
    said, h("div", { class: "row end" }, go)));
  count();
}

export async function lastStep(review) {
  const leaving = await attempt(() => get("review/leaving", { review: review.id }));
  if (!leaving) return;
  if (!leaving.count) {
    dialog("Nothing would go", h("p", {}, "No item is decided to be a duplicate of one that is kept."));
    return;
  }
  const merge = h("input", { type: "checkbox" });
  const go = h("button", { type: "button", class: "danger", disabled: session.read_only, onclick: () => remove() }, `Delete ${plural(leaving.count, "item")} from the index`);
  const thumb = (id) => {
    const image = h("img", { src: picture(review.collection, { id, version: review.id }), alt: "", loading: "lazy", onerror: () => image.replaceWith(h("span", { class: "unpictured" })) });
    return image;
  };
  async function remove() {
    go.disabled = true;
    const done = await attempt(() => post("review/delete", { review: review.id, digest: leaving.digest, merge_metadata: merge.checked }));
    box.close();
    if (!done) return;
    review.stack = [];
    sessionStorage.removeItem(review.key);
    review.progress = done.review;
    toast(`${plural(done.deleted, "item")} deleted from the index${done.spared ? `; ${whole(done.spared)} spared, since what was to be kept is gone` : ""}`);
    await review.open(review.number);
  }
  const box = dialog(`${plural(leaving.count, "item")} would go`, h("div", { class: "stack" },
    h("p", {}, `These leave the index (their files hold ${bytes(leaving.bytes)}). Of each the item that is named beside it stays. Files are not touched: save the list to move or delete them yourself.`),
    h("div", { class: "leaving", tabIndex: 0, role: "region", "aria-label": "What would go" }, h("table", {}, h("thead", {}, h("tr", {}, h("th", { colSpan: 2 }, "Goes"), h("th", { colSpan: 2 }, "Stays"))),
      h("tbody", {}, leaving.items.slice(0, MOST_ROWS).map((each) => h("tr", {}, h("td", {}, thumb(each.id)), h("td", {}, name(each.id)), h("td", {}, thumb(each.keeper)), h("td", { class: "muted" }, name(each.keeper))))))),
    leaving.count > MOST_ROWS ? h("p", { class: "muted small" }, `… and ${whole(leaving.count - MOST_ROWS)} more, all in the list.`) : null,
    h("label", { class: "check" }, merge, "Give what stays the metadata that it lacks and that what goes has"),
    h("div", { class: "row ends" }, h("a", { class: "button", href: address("review/leaving.txt", { review: review.id }), download: "duplicates.txt" }, "Save the list"),
      h("div", { class: "row" }, h("button", { type: "button", onclick: () => box.close() }, "Not yet"), go))), { wide: true });
}
