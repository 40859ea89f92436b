// Uploading pictures and folders: each is sent by itself, and its outcome told as it comes.

import { app } from "./app.js";
import { attempt, Failure, follow, post, send } from "./api.js";
import { fill, h, icon, name, plural, toast, visible, whole } from "./dom.js";

const AT_ONCE = 4;
const MOST_SHOWN = 200;
const CLUTTER = /(^|\/)(\.|__MACOSX\/|@eaDir\/|Thumbs\.db$|desktop\.ini$)/;

// Files of a drop, folders with all that is in them, each with its path.
async function dropped(items) {
  const found = [];
  async function walk(entry, path) {
    if (entry.isFile) {
      const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
      found.push([path + entry.name, file]);
      return;
    }
    const reader = entry.createReader();
    for (;;) {
      const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
      if (!some.length) return;
      for (const each of some) await walk(each, `${path}${entry.name}/`);
    }
  }
  const entries = [...items].map((each) => each.webkitGetAsEntry?.()).filter(Boolean);
  for (const entry of entries) await walk(entry, "");
  return found;
}

export class Uploader {
  constructor(done) {
    this.done = done;
    this.running = null;
    const chosen = (event) => { this.add([...event.target.files].map((file) => [file.webkitRelativePath || file.name, file])); event.target.value = ""; };
    this.files = h("input", { type: "file", multiple: true, class: "sr", tabIndex: -1, "aria-label": "Files to upload", onchange: chosen });
    this.folder = h("input", { type: "file", multiple: true, class: "sr", tabIndex: -1, "aria-label": "Folder to upload", onchange: chosen });
    this.folder.webkitdirectory = true;
    this.target = h("input", { type: "text", value: app.collection?.name ?? "images", list: "names", spellcheck: false });
    this.state = h("div", { class: "stack", hidden: true });
    const drop = h("div", { class: "drop" },
      h("p", {}, "Drop pictures or a folder here"),
      h("div", { class: "row" }, h("button", { type: "button", class: "main", onclick: () => this.folder.click() }, icon("upload"), "Choose a folder"), h("button", { type: "button", onclick: () => this.files.click() }, "Choose files")),
      h("p", { class: "muted small" }, "The id of a picture is its path. One that is there already under its id is replaced."));
    drop.addEventListener("dragover", (event) => { event.preventDefault(); drop.classList.add("over"); });
    drop.addEventListener("dragleave", () => drop.classList.remove("over"));
    drop.addEventListener("drop", async (event) => {
      event.preventDefault();
      drop.classList.remove("over");
      this.add(await dropped(event.dataTransfer.items));
    });
    this.box = h("section", { class: "panel stack", "aria-labelledby": "upload" }, h("h2", { id: "upload" }, "Upload"),
      h("label", { class: "field" }, h("span", {}, "To the collection; a new name makes one"), this.target), drop, this.files, this.folder, this.state);
  }

  close() {
    this.running?.stop.abort();
  }

  async add(named) {
    const files = named.filter(([path]) => !CLUTTER.test(path));
    if (!files.length) { toast("There is no file in that."); return; }
    if (this.running) { toast("Wait until what is under way has ended."); return; }
    const collection = this.target.value.trim();
    const run = (this.running = { stop: new AbortController(), total: files.length, sent: 0, stored: 0, failed: [], started: performance.now(), bytes: 0 });
    this.draw(run);
    await attempt(() => this.upload(run, collection, files));
    this.running = null;
    run.ended = true;
    this.draw(run);
    this.done();
  }

  async upload(run, collection, files) {
    if (!app.collections.some((each) => each.name === collection || each.aliases.includes(collection)))
      await post("collections/create", { name: collection });
    const { job } = await post("job");
    run.outcomes = this.watch(run, job);
    const queue = files.values();
    await Promise.all(Array.from({ length: AT_ONCE }, async () => {
      for (const [path, file] of queue) {
        if (run.stop.signal.aborted) return;
        await this.one(run, collection, job, path, file);
        this.draw(run);
      }
    }));
    run.allSent = true;
    await run.outcomes;
  }

  async one(run, collection, job, path, file) {
    for (let tries = 0; ; tries++) {
      try {
        await send("upload", { collection, job, id: path }, file, run.stop.signal);
        run.sent++;
        run.bytes += file.size;
        return;
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        if (error.status === 429 && tries < 50) { // the queue is full: more slowly
          await new Promise((resolve) => setTimeout(resolve, (error.retryDelay ?? 1) * 1000));
          continue;
        }
        run.failed.push([path, error.message]);
        return;
      }
    }
  }

  // Follows the job until all that was sent has ended; what is told ends whenever nothing waits.
  async watch(run, job) {
    let cursor = "";
    const ended = () => run.allSent && run.stored + run.late >= run.sent;
    run.late = 0;
    while (!ended() && !run.stop.signal.aborted) {
      if (run.sent) {
        await follow("outcomes", { job, cursor }, (event) => {
          if (event.end) return;
          cursor = event.cursor;
          const { result } = event;
          if (result.error) { run.late++; run.failed.push([result.id, result.error.message]); }
          else if (result.status === "rejected_duplicate") { run.late++; run.failed.push([result.id, `looks like ${result.near_duplicate?.id ?? "another"}, and the collection takes no near-duplicates`]); }
          else run.stored++;
          this.draw(run);
        }, run.stop.signal);
      }
      await new Promise((resolve) => setTimeout(resolve, 150));
    }
  }

  draw(run) {
    if (run.drawn && !run.ended) return;
    run.drawn = true;
    requestAnimationFrame(() => { run.drawn = false; this.paint(run); });
  }

  paint(run) {
    const seconds = (performance.now() - run.started) / 1000;
    run.seconds = run.ended ? (run.seconds ?? seconds) : seconds;
    const over = run.stored + run.failed.length;
    const left = over > 4 && !run.ended ? ` · about ${Math.ceil((run.total - over) / (over / seconds))} s left` : "";
    this.state.hidden = false;
    fill(this.state,
      h("progress", { max: run.total, value: over, "aria-label": "Pictures that are stored or failed" }),
      h("p", { class: "num", role: "status" }, run.ended ? `${plural(run.stored, "picture")} stored, ${whole(run.failed.length)} failed` : `${whole(over)} of ${whole(run.total)} · ${(run.stored / seconds).toFixed(1)} a second${left}`),
      h("div", { class: "tally" }, [["chosen", run.total], ["sent", run.sent], ["can be found", run.stored], ["failed", run.failed.length]].map(([title, value]) => h("div", {}, h("b", {}, whole(value)), h("span", {}, title)))),
      run.failed.length ? h("div", { class: "scroll failed", tabIndex: 0, role: "region", "aria-label": "Files that failed" }, h("table", {}, h("tbody", {}, run.failed.slice(0, MOST_SHOWN).map(([path, why]) => h("tr", {}, h("td", {}, name(path)), h("td", {}, visible(why))))))) : null,
      run.ended ? null : h("div", { class: "row end" }, h("button", { type: "button", onclick: () => run.stop.abort() }, "Stop")));
  }
}
