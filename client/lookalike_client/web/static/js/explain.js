// How a query was answered.

import { h, whole } from "./dom.js";

const KINDS = {
  exact: "Every item was compared exactly.",
  exact_filtered: "Every item that meets the filter was compared exactly.",
  graph: "Candidates came from the graph and were compared exactly.",
  graph_filtered: "Candidates that meet the filter came from the graph and were compared exactly.",
  exact_fallback: "The graph gave too few, so every item was compared exactly.",
  compact: "There is no graph yet: all items were compared in compact form, the best of them exactly.",
  compact_filtered: "What meets the filter was compared in compact form, the best of it exactly.",
  compact_fallback: "The graph was no use here: compared in compact form, the best exactly.",
};
const STEPS = [["embed_s", "embed"], ["filter_s", "filter"], ["wait_s", "wait"], ["search_s", "search"]];

export function explained(answer, searching) {
  if (!searching) return h("p", { class: "panel muted" }, "Search for something to see how it is answered.");
  const plan = answer?.plan;
  if (!plan) return h("p", { class: "panel muted" }, "Asking …");
  const inside = STEPS.reduce((sum, [key]) => sum + plan[key] * 1e3, 0);
  const steps = [...STEPS.map(([key, title]) => [title, plan[key] * 1e3]),
    ["service", Math.max(0, answer.took_ms - inside)], ["page", Math.max(0, answer.seen_ms - answer.took_ms)]];
  const total = steps.reduce((sum, [, ms]) => sum + ms, 0) || 1;
  const facts = [
    ["Items", whole(plan.items)], ["Meet the filter", whole(plan.filter_matches)],
    ["Candidates", whole(plan.candidates)], ["Expansion", plan.expansion_search || "–"],
    ["Shared the call", whole(plan.gathered_queries)],
  ];
  return h("section", { class: "panel stack explain", "aria-label": "How this was answered" },
    h("p", {}, KINDS[plan.kind] ?? plan.kind),
    h("dl", { class: "facts" }, facts.map(([key, value]) => h("div", {}, h("dt", {}, key), h("dd", { class: "num" }, value)))),
    h("div", { class: "times", role: "img", "aria-label": steps.map(([title, ms]) => `${title} ${ms.toFixed(1)} ms`).join(", ") },
      steps.map(([title, ms], at) => {
        const part = h("span", { class: `step s${at}`, title: `${title}: ${ms.toFixed(2)} ms` });
        part.style.flexGrow = String(Math.max(ms / total, 0.004));
        return part;
      })),
    h("ul", { class: "row small muted", "aria-hidden": "true" }, steps.map(([title, ms], at) => h("li", { class: `key s${at}` }, `${title} ${ms.toFixed(1)} ms`))),
    plan.filter_remarks.map((each) => h("p", { class: "note" }, each)),
    plan.ranked_candidates ? h("p", { class: "muted small" }, `Ranked among ${whole(plan.ranked_candidates)} candidates${plan.ranking_complete ? "" : "; more candidates may change the order"}.`) : null);
}
