// The shell: views, the collection, the theme.

import { get, session, Failure } from "./api.js";
import { fill, h, icon, visible } from "./dom.js";
import { searchView } from "./search.js";
import { reviewView } from "./review.js";
import { collectionsView } from "./collections.js";
import { qualityView } from "./quality.js";

const VIEWS = {
  search: ["Search", searchView], review: ["Review", reviewView],
  collections: ["Collections", collectionsView], quality: ["Quality", qualityView],
};
const THEMES = ["auto", "light", "dark"];

const main = document.getElementById("main");
const picker = document.getElementById("collection");
export const app = { collections: [], collection: null, leave: null };

function showTheme() {
  const chosen = localStorage.getItem("theme") ?? "auto";
  if (chosen === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = chosen;
  const button = document.getElementById("theme");
  fill(button, icon(chosen));
  button.setAttribute("aria-label", `Theme: ${chosen}`);
  button.title = `Theme: ${chosen}`;
}

function nextTheme() {
  const at = THEMES.indexOf(localStorage.getItem("theme") ?? "auto");
  localStorage.setItem("theme", THEMES[(at + 1) % THEMES.length]);
  showTheme();
}

export async function loadCollections() {
  app.collections = (await get("collections")).collections;
  const wanted = app.collection?.name ?? localStorage.getItem("collection") ?? session.collection;
  const names = app.collections.map((each) => each.name);
  const chosen = [wanted, session.collection].find((each) => names.includes(each))
    ?? [...app.collections].sort((a, b) => b.stats.items - a.stats.items)[0]?.name;
  app.collection = app.collections.find((each) => each.name === chosen) ?? null;
  fill(picker, app.collections.map((each) =>
    h("option", { value: each.name, selected: each.name === chosen }, visible(each.name))));
  if (!names.length) fill(picker, h("option", { value: "" }, "no collection yet"));
  picker.disabled = !names.length;
}

export function choose(name) {
  app.collection = app.collections.find((each) => each.name === name) ?? app.collection;
  picker.value = name;
  localStorage.setItem("collection", name);
  show();
}

function asked() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  return { view: path in VIEWS ? path : "search", parameters: new URLSearchParams(query ?? "") };
}

export function show() {
  const { view, parameters } = asked();
  app.leave?.();
  app.leave = null;
  document.title = `${VIEWS[view][0]} · Lookalike`;
  fill(document.getElementById("views"), Object.entries(VIEWS).map(([key, [title]]) =>
    h("a", { href: `#/${key}`, "aria-current": key === view ? "page" : null }, title)));
  const place = h("div", { class: `view ${view}` });
  fill(main, place);
  app.leave = VIEWS[view][1](place, parameters) ?? null;
}

async function start() {
  showTheme();
  document.getElementById("theme").addEventListener("click", nextTheme);
  picker.addEventListener("change", () => choose(picker.value));
  try {
    Object.assign(session, await get("session"));
    document.body.classList.toggle("read-only", session.read_only);
    await loadCollections();
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    fill(main, h("p", { class: "empty" }, visible(error.message)));
    return;
  }
  addEventListener("hashchange", show);
  show();
}

start();
