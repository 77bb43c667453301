// Talking with the server: one change at a time, in the order they were made, each for the revision it was made on.

import { asWav, DECODED_HERE } from "./wav.js";

const LOST = "The studio does not answer. Is it still running? Nothing is lost.";

let revision = 0;
let queue = Promise.resolve();
const watchers = [];
const pressed = new Set(); // changes that count once, while they are not answered

/** Called with the new view after every change. */
export function onView(watcher) {
  watchers.push(watcher);
}

export function say(words) {
  const message = document.getElementById("message");
  message.textContent = words;
  message.hidden = !words;
}

/** The studio answers again. */
function heard() {
  if (document.getElementById("message").textContent === LOST) say("");
}

function take(view) {
  revision = view.revision;
  for (const watcher of watchers) watcher(view);
}

/** The answer to a request; throws an Error with a line for the user. */
async function answerTo(address, options) {
  return answerOf(await fetch(address, options).catch(() => { throw new Error(LOST); }));
}

async function answerOf(response) {
  const answer = await response.json().catch(() => ({ error: `the studio answered ${response.status}` }));
  if (!response.ok) throw new Error(answer.error || `the studio answered ${response.status}`);
  heard();
  return answer;
}

/** Ask for a change; resolves to whether it was made. Errors are shown. */
export function send(name, values = {}) {
  const made = queue.then(async () => {
    try {
      say("");
      const body = JSON.stringify({ base: revision, ...values });
      take(await answerTo(`do/${name}`, { method: "POST", body }));
      return true;
    } catch (error) {
      say(error.message);
      await takeView();
      return false;
    }
  });
  queue = made.catch(() => {}); // what follows is done all the same
  return made;
}

/** As `send`, for what is begun anew by every press: the second of a double click is none. */
export async function sendOnce(name, values = {}) {
  const key = name + JSON.stringify(values);
  if (pressed.has(key)) return false;
  pressed.add(key);
  return send(name, values).finally(() => pressed.delete(key));
}

async function takeView() {
  const view = await read("view");
  if (view) take(view);
}

/** Read something; null (and a word) where that fails. */
export async function read(address) {
  try {
    return await answerTo(address);
  } catch (error) {
    say(error.message);
    return null;
  }
}

/** The bytes of a file of the studio; null (and a word) where it does not come. */
export async function fetched(address) {
  try {
    const response = await fetch(address);
    if (!response.ok) await answerOf(response);
    const bytes = await response.arrayBuffer();
    heard();
    return bytes;
  } catch (error) {
    say(error instanceof TypeError ? LOST : error.message);
    return null;
  }
}

/** Send a file that was dropped or chosen; what only browsers can decode goes as wav. */
export async function drop(original) {
  say(`${original.name} is read …`);
  try {
    const file = DECODED_HERE.test(original.name) ? await asWav(original) : original;
    const headers = { "X-File-Name": encodeURIComponent(file.name) };
    await answerTo("drop", { method: "POST", body: file, headers });
    say("");
    await refresh();
  } catch (error) {
    say(error.message);
  }
}

/** Read the view in turn with the changes: one that came late would put an older revision over a newer one. */
export function refresh() {
  const taken = queue.then(takeView);
  queue = taken.catch(() => {});
  return taken;
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
  events.onerror = () => say(LOST);
  events.onopen = heard; // a state event follows
}
