// Elements from values. Text is always text: nothing here, or anywhere, parses HTML.

const SVG = "http://www.w3.org/2000/svg";

// What has no form of its own, or turns the order of what follows: shown by its number.
const HIDDEN = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\ufff0-\ufffb]/gu;

export function visible(text) {
  return String(text).replace(HIDDEN, (found) =>
    `⟨U+${found.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`);
}

// A name chosen by others, kept from changing the order of what is around it.
export function name(text) {
  return h("bdi", {}, visible(text));
}

export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key === "class") element.className = value;
    else if (key === "data") Object.assign(element.dataset, value);
    else if (key in element && !key.startsWith("aria") && key !== "list" && key !== "form") element[key] = value;
    else element.setAttribute(key, value === true ? "" : value);
  }
  put(element, children);
  return element;
}

export function put(element, ...children) {
  for (const child of children.flat(Infinity)) {
    if (child === undefined || child === null || child === false) continue;
    element.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return element;
}

export function fill(element, ...children) {
  element.replaceChildren();
  return put(element, ...children);
}

const ICONS = {
  plus: "M12 5v14M5 12h14", minus: "M5 12h14", close: "M6 6l12 12M18 6L6 18",
  search: "M10.5 17a6.5 6.5 0 1 0 0-13 6.5 6.5 0 0 0 0 13zM20 20l-4.8-4.8",
  upload: "M12 16V4M7 9l5-5 5 5M4 20h16", more: "M6 12h.01M12 12h.01M18 12h.01",
  filter: "M4 6h16M7 12h10M10 18h4", compare: "M12 4v16M4 6h5v12H4zM15 6h5v12h-5z",
  undo: "M8 5L4 9l4 4M4 9h10a6 6 0 0 1 0 12h-3", check: "M5 12.5l4.5 4.5L19 7.5",
  left: "M15 5l-7 7 7 7", right: "M9 5l7 7-7 7", explain: "M12 3v4M12 17v4M3 12h4M17 12h4M12 9a3 3 0 1 0 0 6 3 3 0 0 0 0-6z",
  auto: "M12 4a8 8 0 1 0 0 16zM12 4a8 8 0 0 1 0 16", light: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2v2M12 20v2M2 12h2M20 12h2M5 5l1.4 1.4M17.6 17.6L19 19M5 19l1.4-1.4M17.6 6.4L19 5",
  dark: "M20 14.5A8.5 8.5 0 0 1 9.5 4 8.5 8.5 0 1 0 20 14.5z", help: "M9.5 9a2.5 2.5 0 1 1 3.6 2.3c-.8.4-1.1.9-1.1 1.7M12 17h.01",
};

export function icon(which) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", ICONS[which]);
  svg.append(path);
  return svg;
}

export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return put(element, ...children);
}

export function toast(text, bad = false) {
  const shown = h("p", { class: bad ? "bad" : "" }, visible(text));
  const place = document.getElementById("toasts");
  place.append(shown);
  while (place.children.length > 3) place.firstChild.remove();
  setTimeout(() => shown.remove(), bad ? 9000 : 4000);
}

// A dialog that is gone once it is closed; the focus goes back by itself.
export function dialog(title, content, { wide = false, drawer = false, onclose } = {}) {
  const close = h("button", { class: "icon quiet", type: "button", "aria-label": "Close", onclick: () => box.close() }, icon("close"));
  const box = h("dialog", { class: drawer ? "drawer" : wide ? "wide" : "", "aria-label": title },
    h("div", { class: "inside" }, h("div", { class: "row ends" }, h("h2", {}, title), close), content));
  box.addEventListener("click", (event) => { if (event.target === box) box.close(); });
  box.addEventListener("close", () => { box.remove(); onclose?.(); });
  document.body.append(box);
  box.showModal();
  return box;
}

export function bytes(count) {
  if (!count) return "0 B";
  const units = ["B", "KB", "MB", "GB", "TB"];
  const power = Math.min(Math.floor(Math.log10(count) / 3), 4);
  return `${(count / 1000 ** power).toFixed(power && count / 1000 ** power < 10 ? 1 : 0)} ${units[power]}`;
}

export const whole = (count) => Number(count).toLocaleString("en");
export const score = (value) => value.toFixed(3);
export const plural = (count, one, many = `${one}s`) => `${whole(count)} ${count === 1 ? one : many}`;

// Whether keys belong to a place where people type.
export function typing(event) {
  const at = event.target;
  return event.ctrlKey || event.metaKey || event.altKey
    || (at instanceof HTMLElement && (at.isContentEditable || /^(SELECT|TEXTAREA)$/.test(at.tagName)
      || (at.tagName === "INPUT" && !/^(checkbox|radio|range|button)$/.test(at.type))));
}
