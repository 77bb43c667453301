// Talking with the server: one change at a time, in the order they were made, each for the revision it was made on.

import { asWav, DECODED_HERE } from "./wav.js";

let revision = 0;
let queue = Promise.resolve();
const watchers = [];

/** Called with the new view after every change. */
export function onView(watcher) {
  watchers.push(watcher);
}

export function say(words) {
  const message = document.getElementById("message");
  message.textContent = words;
  message.hidden = !words;
}

function take(view) {
  revision = view.revision;
  for (const watcher of watchers) watcher(view);
}

async function answerOf(response) {
  const answer = await response.json().catch(() => ({ error: `the studio answered ${response.status}` }));
  if (!response.ok) throw new Error(answer.error || `the studio answered ${response.status}`);
  return answer;
}

/** Ask for a change; resolves to whether it was made. Errors are shown. */
export function send(name, values = {}) {
  queue = queue.then(async () => {
    try {
      say("");
      const body = JSON.stringify({ base: revision, ...values });
      take(await answerOf(await fetch(`do/${name}`, { method: "POST", body })));
      return true;
    } catch (error) {
      say(error.message);
      if (name !== "close") await takeView();
      return false;
    }
  });
  return queue;
}

async function takeView() {
  const view = await read("view");
  if (view) take(view);
}

/** Read something; null (and a word) where that fails. */
export async function read(address) {
  try {
    return await answerOf(await fetch(address));
  } catch (error) {
    say(error.message);
    return null;
  }
}

/** Send a file that was dropped or chosen; what only browsers can decode goes as wav. */
export async function drop(original) {
  say(`${original.name} is read …`);
  try {
    const file = DECODED_HERE.test(original.name) ? await asWav(original) : original;
    const headers = { "X-File-Name": encodeURIComponent(file.name) };
    await answerOf(await fetch("drop", { method: "POST", body: file, headers }));
    say("");
    await refresh();
  } catch (error) {
    say(error.message);
  }
}

/** Read the view in turn with the changes: one that came late would put an older revision over a newer one. */
export function refresh() {
  queue = queue.then(takeView);
  return queue;
}

/** Hear of what other tabs and the jobs do. */
export function listen(onJob) {
  const events = new EventSource("events");
  let waiting = false;
  events.onmessage = ({ data }) => {
    const event = JSON.parse(data);
    if (event.kind === "job") onJob(event.job);
    if (event.kind !== "state" || waiting) return;
    waiting = true; // several changes at once are read once
    setTimeout(() => { waiting = false; refresh(); }, 30);
  };
  events.onerror = () => say("The studio does not answer. Is it still running? Nothing is lost.");
  events.onopen = () => say("");
}
