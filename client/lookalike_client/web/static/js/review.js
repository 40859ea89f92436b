// Reviewing duplicates: one group after another, one pair at a time, by the keyboard.

import { app } from "./app.js";
import { attempt, finish, get, post, session } from "./api.js";
import { bytes, dialog, fill, h, icon, name, plural, score, toast, typing, visible, whole } from "./dom.js";
import { MODES, Sight, differences, picturesOf } from "./sight.js";
import { acceptAbove, keysDialog, lastStep } from "./review-dialogs.js";

const KINDS = [
  ["byte_identical", "equal files", true], ["pixel_identical", "equal pixels", true],
  ["copy", "copies: resized, cropped, recoloured …", true], ["unverified", "near, and not compared", true],
  ["similar", "only similar: other shots of the same", false],
];
export const REASONS = {
  reviewed: "was decided", whole_file: "others are cut short", resolution: "most pixels", lossless: "without loss",
  file_size: "largest file", sharpness: "sharpest", metadata: "most metadata", oldest: "oldest",
};
const TAGS = { keeper: ["keep", "good"], kept: ["keep", "good"], duplicate: ["duplicate", "bad"], different: ["differs", ""], ignored: ["–", ""], open: ["?", ""] };

export function reviewView(place) {
  if (!app.collection) {
    fill(place, h("p", { class: "empty" }, "There is no collection yet."));
    return () => {};
  }
  const review = new Review(place, app.collection);
  review.start();
  return () => review.close();
}

class Review {
  constructor(place, collection) {
    this.place = place;
    this.collection = collection.name;
    this.calibrated = collection.calibration?.threshold;
    this.stop = new AbortController();
    this.mode = "side";
    this.busy = false;
    this.key = `undo ${collection.uid}`;
    this.stack = JSON.parse(sessionStorage.getItem(this.key) ?? "[]");
    addEventListener("keydown", (event) => this.pressed(event), { signal: this.stop.signal });
  }

  close() {
    this.stop.abort();
    this.sight?.close();
  }

  async start() {
    const said = await attempt(() => get("review", { collection: this.collection }, this.stop.signal));
    if (!said) return;
    if (said.state === "running") this.follow(said.task);
    else if (said.state === "done") this.enter(said.task, said.review);
    else this.setup();
  }

  setup() {
    this.id = null;
    const threshold = h("input", { type: "number", min: 0.01, max: 1, step: "any", placeholder: this.calibrated ? `${score(this.calibrated)}, as calibrated` : "such as 0.8", value: this.calibrated ? "" : "0.8" });
    const expression = h("input", { type: "text", placeholder: "all items", spellcheck: false });
    const kinds = KINDS.map(([key, title, on]) => [key, h("input", { type: "checkbox", checked: on }), title]);
    const begin = async () => {
      const said = await attempt(() => post("review/start", {
        collection: this.collection, expression: expression.value,
        threshold: threshold.value === "" ? null : Number(threshold.value),
        kinds: kinds.filter(([, box]) => box.checked).map(([key]) => key),
      }));
      if (said) this.follow(said.task);
    };
    fill(this.place, h("div", { class: "page setup" }, h("h1", {}, "Find duplicates"),
      h("p", { class: "muted" }, "Looks for items that show the same picture, and goes through them with you. Nothing is deleted before you have seen, at the end, what would go; files are never touched."),
      h("form", { class: "panel stack", onsubmit: (event) => { event.preventDefault(); begin(); } },
        h("label", { class: "field" }, h("span", {}, "Least score of two near items"), threshold),
        this.calibrated ? null : h("p", { class: "muted small" }, "It depends on the model and the pictures: calibrate it under Quality, or try one."),
        h("fieldset", { class: "kinds" }, h("legend", {}, "What makes a group"),
          kinds.map(([, box, title]) => h("label", { class: "check" }, box, title))),
        h("label", { class: "field" }, h("span", {}, "Only items that meet this filter"), expression),
        h("div", { class: "row end" }, h("button", { class: "main", type: "submit" }, "Look for duplicates")))));
  }

  async follow(task) {
    const bar = h("progress", { "aria-label": "Looking for duplicates" });
    const text = h("p", { class: "muted num", role: "status" }, "waiting");
    fill(this.place, h("div", { class: "page setup" }, h("h1", {}, "Looking for duplicates …"),
      h("div", { class: "panel stack" }, bar, text, h("div", { class: "row end" },
        h("button", { type: "button", onclick: async () => { await attempt(() => post(`task/${task}/stop`)); this.setup(); } }, "Stop")))));
    const said = await attempt(() => finish(task, (each) => {
      if (each.total) { bar.max = each.total; bar.value = each.done; }
      fill(text, each.total ? `${each.stage} · ${whole(each.done)} of ${whole(each.total)}` : each.stage);
    }, this.stop.signal));
    if (this.stop.signal.aborted) return;
    if (!said) { this.setup(); return; }
    const latest = await attempt(() => get("review", { collection: this.collection }, this.stop.signal));
    if (latest?.state === "done") this.enter(latest.task, latest.review);
  }

  async enter(task, progress) {
    this.id = task;
    this.progress = progress;
    if (!progress.groups) {
      fill(this.place, h("div", { class: "page setup" }, h("h1", {}, "No duplicates"),
        h("p", { class: "muted" }, `None of ${plural(progress.items, "item")} shows the same picture as another, at a score of ${score(progress.threshold)}.`),
        h("div", {}, h("button", { type: "button", onclick: () => this.setup() }, "Look again"))));
      return;
    }
    this.build();
    if (progress.first_open === null) await this.open(0);
    else await this.open(progress.first_open);
  }

  build() {
    this.bar = h("progress", { "aria-label": "Groups that are decided" });
    this.count = h("span", { class: "num small" });
    this.stage = h("div", { class: "stage" });
    const step = (by, title, which) => h("button", { type: "button", class: "icon", title, "aria-label": title, onclick: () => this.open(this.number + by) }, icon(which));
    this.undoButton = h("button", { type: "button", class: "quiet", onclick: () => this.undo() }, icon("undo"), "Undo");
    const act = (key, title, run, kind = "") => h("button", { type: "button", class: kind, onclick: run, disabled: session.read_only, data: { act: key } }, title, h("kbd", { "aria-hidden": "true" }, key));
    this.decide = h("div", { class: "decide", role: "toolbar", "aria-label": "Decide" },
      act("D", "Duplicate", () => this.verdict("duplicate"), "main"), act("N", "Not a duplicate", () => this.verdict("different")),
      act("K", "Keep this one", () => this.keep()), act("A", "All duplicates", () => this.all()),
      h("button", { type: "button", onclick: () => this.skip(), data: { act: "S" } }, "Skip", h("kbd", { "aria-hidden": "true" }, "S")));
    fill(this.place, h("div", { class: "rail", role: "toolbar", "aria-label": "Review" }, step(-1, "Group before", "left"), this.count, step(1, "Next group", "right"), this.bar, this.undoButton,
      h("button", { type: "button", disabled: session.read_only, onclick: () => acceptAbove(this) }, "Accept above …"),
      h("button", { type: "button", onclick: () => lastStep(this) }, "Finish …"),
      h("button", { type: "button", class: "icon quiet top-keys", title: "Keys", "aria-label": "Keys", onclick: keysDialog }, icon("help")),
      h("button", { type: "button", class: "quiet", onclick: () => this.setup() }, "New search")),
    this.stage, this.decide);
  }

  async open(number, place) {
    if (number < 0 || number >= this.progress.groups) return;
    const answer = await attempt(() => get("review/groups", { review: this.id, first: number }, this.stop.signal));
    if (!answer?.groups.length) return;
    this.progress = answer.review;
    this.show(answer.groups[0], place);
    picturesOf(this.collection, this.id, this.group.members);
  }

  show(group, place) {
    const fresh = group.number !== this.number;
    this.group = group;
    this.number = group.number;
    const open = group.members.findIndex((each) => each.standing === "open");
    const others = group.members.findIndex((each, at) => at !== group.keeper);
    this.candidate = place ?? (open >= 0 ? open : !fresh && this.candidate !== group.keeper && this.candidate < group.members.length ? this.candidate : others);
    this.draw();
  }

  draw() {
    const { group, progress } = this;
    this.bar.max = progress.groups;
    this.bar.value = progress.done;
    fill(this.count, `Group ${whole(this.number + 1)} of ${whole(progress.groups)} · ${whole(progress.done)} decided`);
    this.undoButton.disabled = !this.stack.length || session.read_only;
    const keeper = group.members[group.keeper], other = group.members[this.candidate];
    this.sight?.close();
    this.sight = new Sight(this.collection, this.id, this.mode);
    const why = group.keeper === group.suggested ? group.reasons.map((each) => REASONS[each] ?? each).join(", ") : "you chose it";
    const mode = ([key, title]) => h("button", { type: "button", "aria-pressed": String(this.mode === key), onclick: () => { this.mode = key; this.draw(); } }, title);
    const head = (member, tag, more) => h("header", {}, h("span", { class: `tag ${tag === "Keep" ? "good" : ""}` }, tag), name(member.id), more && h("span", { class: "muted small" }, more));
    const place = `${this.candidate + 1 - (this.candidate > group.keeper ? 1 : 0)} of ${group.members.length - 1}`;
    fill(this.stage,
      h("div", { class: "row ends" }, h("h1", { class: "sr" }, `Group ${this.number + 1}`),
        h("div", { class: "modes", role: "group", "aria-label": "How to compare" }, MODES.map(mode)),
        h("span", { class: "muted small" }, other.kind || keeper.kind ? `${(other.kind ?? keeper.kind).replaceAll("_", " ")} · score ${score(other.kind ? other.score : keeper.score)}` : "")),
      this.sight.draw(keeper, other, head(keeper, "Keep", why), head(other, TAGS[other.standing][0] === "?" ? `Candidate ${place}` : TAGS[other.standing][0], "")),
      group.members.length > 2 ? h("div", { class: "members", role: "group", "aria-label": "The group" }, group.members.map((each, at) => this.member(each, at))) : null,
      h("div", { class: "panel scroll" }, differences(keeper, other)),
      group.left_out ? h("p", { class: "muted small" }, `${whole(group.left_out)} more are not listed.`) : null);
  }

  member(member, at) {
    const [title, kind] = TAGS[member.standing];
    const select = () => { if (at !== this.group.keeper) { this.candidate = at; this.draw(); } };
    return h("button", {
      type: "button", class: `member ${member.gone ? "gone" : ""}`, "aria-current": at === this.candidate ? "true" : null,
      "aria-label": `${visible(member.id)}: ${member.standing}`, title: `${visible(member.id)} · ${bytes(member.size_bytes)}`, onclick: select,
    }, this.sight.image(member, ""), h("span", { class: `tag ${kind}`, "aria-hidden": "true" }, title));
  }

  get pair() {
    return [this.group.members[this.group.keeper], this.group.members[this.candidate]];
  }

  verdict(verdict) {
    const [keeper, other] = this.pair;
    const decisions = [{ id: keeper.id, other_id: other.id, verdict }];
    if (other.standing === "kept") decisions.push({ id: other.id, verdict: "undecided" });
    return this.save(decisions);
  }

  // The candidate takes the place of what was kept, which is its duplicate then.
  keep() {
    const [keeper, other] = this.pair;
    const decisions = [{ id: other.id, verdict: "keep" }, { id: keeper.id, other_id: other.id, verdict: "duplicate" }];
    if (this.group.members.some((each) => each.id === keeper.id)) decisions.push({ id: keeper.id, verdict: "undecided" });
    return this.save(decisions);
  }

  all() {
    const keeper = this.group.members[this.group.keeper];
    const open = this.group.members.filter((each) => each.standing === "open");
    return open.length ? this.save(open.map((each) => ({ id: keeper.id, other_id: each.id, verdict: "duplicate" }))) : this.skip();
  }

  async save(decisions) {
    if (this.busy || session.read_only) return;
    this.busy = true;
    const number = this.number;
    const answer = await attempt(() => post("review/decide", { review: this.id, decisions }));
    this.busy = false;
    if (!answer) return;
    this.remember({ number, place: this.candidate, undo: answer.undo });
    this.progress = answer.review;
    const now = answer.groups.find((each) => each.number === number);
    if (!now || now.done) await this.ahead();
    else this.show(now);
  }

  remember(step) {
    this.stack = [...this.stack.slice(-199), step];
    sessionStorage.setItem(this.key, JSON.stringify(this.stack));
  }

  async undo() {
    const step = this.stack.at(-1);
    if (!step || this.busy || session.read_only) return;
    this.busy = true;
    const answer = await attempt(async () => {
      let last;
      for (let at = 0; at < step.undo.length; at += 1000)
        last = await post("review/decide", { review: this.id, decisions: step.undo.slice(at, at + 1000) });
      return last;
    });
    this.busy = false;
    if (!answer) return;
    this.stack = this.stack.slice(0, -1);
    sessionStorage.setItem(this.key, JSON.stringify(this.stack));
    this.progress = answer.review;
    toast(plural(step.undo.length, "decision") + " taken back");
    await this.open(Math.min(step.number, this.progress.groups - 1), step.place);
  }

  skip() {
    const { members, keeper } = this.group;
    const next = members.findIndex((each, at) => at > this.candidate && at !== keeper && each.standing === "open");
    if (next >= 0) { this.candidate = next; this.draw(); }
    else if (this.number + 1 < this.progress.groups) return this.open(this.number + 1);
    else toast("That was the last group.");
    return undefined;
  }

  // To the next group that is open, after this one or from the start.
  async ahead() {
    if (this.progress.first_open === null) {
      await this.open(this.number);
      toast("All groups are decided.");
      lastStep(this);
      return;
    }
    for (let first = this.number + 1; first < this.progress.groups; first += 20) {
      const answer = await attempt(() => get("review/groups", { review: this.id, first, limit: 20 }, this.stop.signal));
      if (!answer) return;
      const open = answer.groups.find((each) => !each.done);
      if (open) { this.show(open); picturesOf(this.collection, this.id, open.members); return; }
    }
    await this.open(this.progress.first_open);
  }

  pressed(event) {
    if (!this.id || !this.group || document.querySelector("dialog[open]")) return;
    if ((event.ctrlKey || event.metaKey) && event.key === "z" && event.target.tagName !== "INPUT") { event.preventDefault(); this.undo(); return; }
    if (typing(event)) return;
    const slide = event.target instanceof HTMLInputElement && event.target.type === "range";
    const onButton = event.target instanceof HTMLButtonElement;
    const keys = {
      d: () => this.verdict("duplicate"), n: () => this.verdict("different"), k: () => this.keep(), a: () => this.all(), s: () => this.skip(),
      u: () => this.undo(), f: () => this.sight.flick(), "?": keysDialog,
      ArrowLeft: slide ? null : () => this.open(this.number - 1), ArrowRight: slide ? null : () => this.open(this.number + 1),
      " ": onButton ? null : () => this.skip(),
    };
    MODES.forEach(([key], at) => { keys[String(at + 1)] = () => { this.mode = key; this.draw(); }; });
    const run = keys[event.key];
    if (!run) return;
    event.preventDefault();
    run();
  }
}
