// Work in progress: a bar for each job, with a button that cancels it or goes on with it.

import { send } from "./api.js";

const SHOWN = ["waiting", "running", "failed", "unfinished"];
const jobs = new Map();

export function showJobs(all) {
  jobs.clear();
  for (const job of all) jobs.set(job.id, job);
  draw();
}

export function showJob(job) {
  jobs.set(job.id, job);
  draw();
}

function draw() {
  const shown = [...jobs.values()].filter((job) => SHOWN.includes(job.status));
  document.getElementById("jobs").replaceChildren(...shown.map(item));
}

function item(job) {
  const open = job.status === "waiting" || job.status === "running";
  const words = { waiting: `${job.what} (waits)`, running: job.what, failed: `${job.what}: ${job.error}`, unfinished: `${job.what}: not finished` };
  const parts = [make("span", { className: job.status, text: words[job.status] })];
  if (open) parts.push(make("progress", { max: 1, value: job.share, "aria-label": job.what }), make("span", { text: `${Math.round(job.share * 100)} %` }));
  else parts.push(button("Go on", () => send("again", { job: job.id })));
  parts.push(button(open ? "Cancel" : "Forget", () => send("cancel", { job: job.id })));
  return make("li", { "data-job": job.id }, ...parts);
}

export function button(words, act, className = "") {
  const node = make("button", { type: "button", text: words, className });
  node.addEventListener("click", act);
  return node;
}
