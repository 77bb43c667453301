// Work in progress: a bar for each job, with a button that cancels it or goes on with it.

import { sendOnce } from "./api.js";

const SHOWN = ["waiting", "running", "failed", "unfinished"];
const jobs = new Map();
const items = new Map(); // job -> {open, node, words, bar, percent}: kept while its buttons stay, with their focus

export function showJobs(all) {
  jobs.clear();
  for (const job of all) jobs.set(job.id, job);
  draw();
}

export function showJob(job) {
  const before = jobs.get(job.id);
  jobs.set(job.id, job);
  if (job.status === "done" && before && before.status !== "done") element("live").textContent = `Done: ${job.what}`;
  draw();
}

function draw() {
  const shown = [...jobs.values()].filter((job) => SHOWN.includes(job.status));
  for (const [id, { node }] of items) {
    if (shown.some((job) => job.id === id)) continue;
    node.remove();
    items.delete(id);
  }
  for (const job of shown) {
    const known = items.get(job.id);
    if (!known || known.open !== isOpen(job)) {
      const made = item(job), focused = known && known.node.contains(document.activeElement);
      if (known) known.node.replaceWith(made.node);
      else element("jobs").append(made.node);
      items.set(job.id, made);
      if (focused) made.node.querySelector("button").focus({ preventScroll: true });
    }
    const { words, bar, percent } = items.get(job.id);
    words.className = job.status;
    words.textContent = { waiting: `${job.what} (waits)`, running: job.what, failed: `${job.what}: ${job.error}`, unfinished: `${job.what}: not finished` }[job.status];
    bar.value = job.share;
    percent.textContent = `${Math.round(job.share * 100)} %`;
  }
}

function isOpen(job) {
  return job.status === "waiting" || job.status === "running";
}

function item(job) {
  const open = isOpen(job), words = make("span"), bar = make("progress", { max: 1, "aria-label": job.what }), percent = make("span");
  const parts = open ? [bar, percent] : [button("Go on", () => sendOnce("again", { job: job.id }))];
  parts.push(button(open ? "Cancel" : "Forget", () => sendOnce("cancel", { job: job.id })));
  return { open, node: make("li", { "data-job": job.id }, words, ...parts), words, bar, percent };
}

export function button(words, act, className = "") {
  const node = make("button", { type: "button", text: words, className });
  node.addEventListener("click", act);
  return node;
}
