// Work in progress: a bar for each job, with a button that cancels it or goes on with it.

import { send } from "./api.js";

const SHOWN = ["waiting", "running", "failed", "unfinished"];
const jobs = new Map();
const items = new Map(); // job -> {status, node, bar, percent}: kept while the status stays, so that buttons keep the focus

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
    if (!known || known.status !== job.status) {
      const made = item(job);
      if (known) known.node.replaceWith(made.node);
      else element("jobs").append(made.node);
      items.set(job.id, made);
    }
    const { bar, percent } = items.get(job.id);
    bar.value = job.share;
    percent.textContent = `${Math.round(job.share * 100)} %`;
  }
}

function item(job) {
  const open = job.status === "waiting" || job.status === "running";
  const words = { waiting: `${job.what} (waits)`, running: job.what, failed: `${job.what}: ${job.error}`, unfinished: `${job.what}: not finished` };
  const bar = make("progress", { max: 1, "aria-label": job.what }), percent = make("span");
  const parts = [make("span", { className: job.status, text: words[job.status] })];
  if (open) parts.push(bar, percent);
  else parts.push(button("Go on", () => send("again", { job: job.id })));
  parts.push(button(open ? "Cancel" : "Forget", () => send("cancel", { job: job.id })));
  return { status: job.status, node: make("li", { "data-job": job.id }, ...parts), bar, percent };
}

export function button(words, act, className = "") {
  const node = make("button", { type: "button", text: words, className });
  node.addEventListener("click", act);
  return node;
}
