// Collections, what is under way, what failed, and uploading.

import { app, choose, loadCollections } from "./app.js";
import { attempt, get, post, session } from "./api.js";
import { bytes, fill, h, name, plural, score, toast, visible, whole } from "./dom.js";
import { Uploader } from "./upload.js";

const EVERY_MS = 2500;

export function collectionsView(place) {
  const stop = new AbortController();
  const uploader = session.read_only ? null : new Uploader(() => refresh());
  const cards = h("div", { class: "cards" });
  const queue = h("section", { class: "panel stack", "aria-labelledby": "queue" });
  const failures = h("section", { class: "panel stack", "aria-labelledby": "failures" });
  fill(place, h("div", { class: "page" }, h("div", { class: "row ends" }, h("h1", {}, "Collections"),
    h("a", { class: "button", href: "/api" }, "JSON API")), cards, uploader?.box, queue, failures));

  async function refresh() {
    await attempt(loadCollections);
    if (stop.signal.aborted) return;
    drawCards();
    await drawFailures();
  }

  function drawCards() {
    fill(cards, app.collections.length ? app.collections.map(card)
      : h("p", { class: "empty" }, "None yet. Upload some pictures below, or run ", h("code", {}, "lookalike index DIR --thumbnails"), "."));
  }

  function card(each) {
    const { stats } = each;
    const trouble = stats.store_damage || (stats.last_build_error && `The last build failed: ${stats.last_build_error}`);
    const thumbnails = h("input", {
      type: "checkbox", checked: each.thumbnail_side_px > 0, disabled: session.read_only || !each.model_fingerprint,
      onchange: async (event) => {
        if (await attempt(() => post("collections/update", { collection: each.name, thumbnails: event.target.checked })))
          toast(event.target.checked ? "Pictures that are submitted from now on are kept small." : "No more small pictures are made.");
        refresh();
      },
    });
    const facts = [
      ["Model", each.model_fingerprint ? each.model_fingerprint.slice(0, 12) : "vectors of your own"],
      ["Dimensions", whole(each.dimension)], ["Preset", each.index.preset],
      ["Graph", stats.segments ? `${plural(stats.segments, "segment")}${stats.building ? ", building" : ""}` : stats.building ? "building" : "none yet"],
      ["Compared one by one", whole(stats.unindexed_vectors)], ["On disk", bytes(stats.disk_bytes)],
      ["Near-duplicates", each.duplicates.policy], ["Calibrated", each.calibration ? score(each.calibration.threshold) : "no"],
      ...(each.aliases.length ? [["Aliases", each.aliases.join(", ")]] : []),
    ];
    const chosen = each.name === app.collection?.name;
    return h("section", { class: `panel card ${chosen ? "chosen" : ""}`, "aria-label": visible(each.name) },
      h("div", { class: "row ends" }, h("h2", { class: "grow" }, name(each.name)), chosen ? h("span", { class: "tag good" }, "shown") : null),
      h("p", {}, h("span", { class: "big num" }, whole(stats.items)), h("span", { class: "muted" }, stats.items === 1 ? " item" : " items")),
      trouble ? h("p", { class: "note" }, visible(trouble)) : null,
      h("dl", {}, facts.map(([key, value]) => [h("dt", {}, key), h("dd", { class: "num" }, visible(value))])),
      h("label", { class: "check small" }, thumbnails, "Keep a small picture of each image"),
      h("div", { class: "row" }, h("button", { type: "button", onclick: () => { choose(each.name); location.hash = "#/search"; } }, "Look at it"),
        h("button", { type: "button", class: "quiet", onclick: () => { choose(each.name); location.hash = "#/review"; } }, "Review")));
  }

  async function drawQueue() {
    const status = await get("status", {}, stop.signal).catch(() => null);
    if (stop.signal.aborted) return;
    const stages = (worker) => Object.entries(worker.stage_s).map(([stage, s]) => `${stage} ${(s * 1e3).toFixed(0)} ms`).join(" · ");
    fill(queue, h("h2", { id: "queue" }, "Ingestion"), !status ? h("p", { class: "muted" }, "Its state cannot be read now.") : [
      h("div", { class: "tally" }, [
        ["waiting", status.queue_depth], ["under work", status.pending], ["failures", status.failures], ["lost", status.lost],
        ["a second", status.workers.reduce((sum, each) => sum + each.rate_per_second, 0).toFixed(1)],
        ["oldest", status.oldest_age_s === null ? "–" : `${Math.round(status.oldest_age_s)} s`],
      ].map(([title, value]) => h("div", {}, h("b", {}, typeof value === "number" ? whole(value) : value), h("span", {}, title)))),
      h("div", {}, h("progress", { max: status.max_queue_bytes || 1, value: status.queue_bytes, "aria-label": "Room in the queue that is taken" }),
        h("p", { class: "muted small num" }, `${bytes(status.queue_bytes)} of ${bytes(status.max_queue_bytes)} of the queue`)),
      status.warnings.map((each) => h("p", { class: "note" }, visible(each))),
      status.workers.length ? h("div", { class: "scroll" }, h("table", {}, h("thead", {}, h("tr", {}, ["Worker", "State", "Finished", "Failed", "A second", "Mean times"].map((each) => h("th", { scope: "col" }, each)))),
        h("tbody", {}, status.workers.map((each) => h("tr", {}, h("td", {}, name(each.name)), h("td", {}, each.paused_reason ? h("span", { class: "warn-text" }, visible(each.paused_reason)) : "works"),
          h("td", {}, whole(each.finished)), h("td", {}, whole(each.failed)), h("td", {}, each.rate_per_second.toFixed(1)), h("td", { class: "muted" }, stages(each)))))))
        : h("p", { class: "note" }, "No worker gave a sign of life lately: nothing that waits is worked on."),
    ]);
  }

  async function drawFailures() {
    const found = await attempt(() => get("failures", {}, stop.signal));
    if (!found || stop.signal.aborted) return;
    const retry = async (ids, accept = false) => {
      const done = await attempt(() => post("failures/retry", { failure_ids: ids, accept_duplicates: accept }));
      if (!done) return;
      toast(`${plural(done.retried, "item")} queued again${done.missing_failure_ids.length ? `; of ${done.missing_failure_ids.length} no image was kept` : ""}`);
      setTimeout(refresh, 800);
    };
    const line = (each) => h("tr", {}, h("td", {}, name(each.id)), h("td", {}, visible(each.error.message), each.near_duplicate ? [" ", name(each.near_duplicate.id)] : null),
      h("td", { class: "muted" }, each.error.reason.toLowerCase().replaceAll("_", " ")), h("td", { class: "muted" }, each.fail_time ? new Date(each.fail_time).toLocaleString() : ""),
      h("td", { class: "right" }, session.read_only ? null : h("button", { type: "button", "aria-label": `Try ${visible(each.id)} again`, onclick: () => retry([each.failure_id], each.error.reason === "DUPLICATE_REJECTED") }, each.error.reason === "DUPLICATE_REJECTED" ? "Store all the same" : "Try again")));
    fill(failures, h("div", { class: "row ends" }, h("h2", { id: "failures" }, "Failures"),
      found.failures.length && !session.read_only ? h("button", { type: "button", onclick: () => retry(found.failures.map((each) => each.failure_id)) }, `Try ${found.more ? "these" : "all"} again`) : null),
    found.failures.length ? h("div", { class: "scroll failed", tabIndex: 0, role: "region", "aria-label": "Failures" }, h("table", {}, h("thead", {}, h("tr", {}, ["Id", "What to change", "Reason", "When", ""].map((each) => h("th", { scope: "col" }, each || h("span", { class: "sr" }, "Actions"))))), h("tbody", {}, found.failures.map(line))))
      : h("p", { class: "muted" }, "None: all that was submitted is stored or still waits."),
    found.more ? h("p", { class: "muted small" }, "These are the newest.") : null);
  }

  refresh();
  drawQueue();
  const timer = setInterval(drawQueue, EVERY_MS);
  return () => { stop.abort(); clearInterval(timer); uploader?.close(); };
}
