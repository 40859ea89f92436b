// A line over time.

import { svg } from "./dom.js";

export function trend(points, title) {
  const [wide, tall, left, foot] = [520, 150, 46, 20];
  const low = Math.max(0, Math.min(...points.map((each) => each.value)) - 0.01), high = 1;
  const first = points[0].at.getTime(), span = points.at(-1).at.getTime() - first || 1;
  const x = (each) => (points.length === 1 ? (left + wide) / 2 : left + ((each.at.getTime() - first) / span) * (wide - left - 12));
  const y = (value) => 10 + (1 - (value - low) / (high - low)) * (tall - foot - 16);
  const marks = [low, (low + high) / 2, high];
  return svg("svg", { viewBox: `0 0 ${wide} ${tall}`, class: "chart", role: "img", "aria-label": `${title}: ${points.map((each) => each.value.toFixed(3)).join(", ")}` },
    marks.map((value) => [svg("line", { class: "grid-line", x1: left, x2: wide, y1: y(value), y2: y(value) }), svg("text", { x: 0, y: y(value) + 4 }, value.toFixed(3))]),
    svg("path", { class: "line", d: points.map((each, at) => `${at ? "L" : "M"}${x(each).toFixed(1)} ${y(each.value).toFixed(1)}`).join("") }),
    points.map((each) => svg("circle", { cx: x(each), cy: y(each.value), r: 3.5 })),
    svg("text", { x: left, y: tall - 4 }, points[0].at.toLocaleString()));
}
