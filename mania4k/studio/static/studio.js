// The studio's page: which step is shown, and what every step needs: the view of the project and the player.

import { drop, fetched, listen, onView, refresh, say, send, sendOnce } from "./api.js";
import { renewed } from "./focus.js";
import { button, showJob, showJobs } from "./jobs.js";
import { showTiming, wireTiming } from "./timing.js";
import { showOrder, wireOrder } from "./order.js";
import { showWaiting, showWatch, wireWatch } from "./watch.js";
import { showEdit, wireEdit } from "./edit.js";
import { showOut, wireOut } from "./out.js";

const VIEWS = ["timing", "order", "watch", "edit", "out"];
const RETRY_MS = 3000; // after a song that did not arrive
const EMPTY_CHART = {
  name: "", stars: 0, required: 0, ratings: [], od: 8, hp: 8, notes: { gap: [], column: "", length: [] }, lines: [], aimedAt: "",
  findings: [], sections: [], curves: {}, accuracyBySkill: [], levels: [],
};

const NOTHING = { lagMs: 0, soundMarks: [], charts: [EMPTY_CHART] };

const studio = {
  app: new App({ ...NOTHING }),
  view: { project: undefined },
  nothing: NOTHING,
  shown: "timing",
  song: null, // whose sound is loaded, or on its way
  alignedBy: 0, // places of the song by which its sound was aligned
  show,
};
window.mania = studio.app;
window.studio = studio;

/** Go to a step. */
function show(name) {
  const entered = name === "edit" && studio.shown !== name;
  studio.shown = name;
  const open = Boolean(studio.view.project);
  element("start").hidden = open;
  element("tabs").hidden = !open;
  for (const view of VIEWS) element(`view-${view}`).hidden = !open || view !== name;
  for (const tab of document.querySelectorAll("#tabs button")) {
    if (tab.dataset.view === name) tab.setAttribute("aria-current", "page");
    else tab.removeAttribute("aria-current");
  }
  dispatchEvent(new Event("resize"));
  if (open && name === "watch") showWatch(studio);
  showEdit(studio, entered);
  studio.app.changed();
}

function showStart(view) {
  element("demo").hidden = !view.demo;
  element("recent").hidden = !view.projects.length;
  renewed(element("projects"), () => view.projects.map((name) => make("li", {},
    button(name.replace(/\.studio$/, ""), () => sendOnce("open", { name })))));
}

/** The song is decoded when another project is opened, and aligned once the studio has analysed it. */
async function loadSong(view) {
  const song = view.project && view.state.song ? view.project : null;
  if (song === studio.song) {
    alignSound();
    return;
  }
  studio.song = song;
  const wanted = (studio.loading = {}); // what is wanted last is taken
  const bytes = await fetched("song");
  if (studio.loading !== wanted) return;
  if (!bytes) {
    studio.song = null;
    setTimeout(() => { if (studio.loading === wanted) loadSong(studio.view); }, RETRY_MS);
    return;
  }
  const sound = await decodeSong(bytes).catch(() => null);
  if (studio.loading !== wanted) return;
  if (!sound) {
    say("Your browser cannot play this song; it is mapped all the same.");
    return;
  }
  studio.app.hear(sound);
  alignSound();
  showTiming(studio);
}

/** No song, and from its beginning on. */
function silence() {
  const { clock } = studio.app, { sound } = clock;
  studio.song = studio.loading = null;
  studio.alignedBy = 0;
  clock.pause();
  clock.attach(null);
  clock.seek(0);
  if (sound && sound.context) sound.context.close();
}

/** Put the sound where the studio's analysis has it. */
function alignSound() {
  const { sound } = studio.app.clock, marks = (studio.view.analysis || {}).marks || [];
  if (!sound || !marks.length || studio.alignedBy > 0) return;
  studio.alignedBy = marks.length;
  studio.app.hear(new BufferSound(sound.buffer, shiftOf(sound.buffer, marks), sound.context));
  showTiming(studio);
}

/** Nothing of the project before is left in the player and the steps. */
function forget() {
  silence();
  studio.app.renew({ ...NOTHING });
  dispatchEvent(new Event("opened"));
}

onView((view) => {
  const opened = view.project !== studio.view.project;
  studio.view = view;
  if (opened) forget();
  element("undo").hidden = element("redo").hidden = element("close").hidden = !view.project;
  document.body.classList.toggle("empty", Boolean(view.project) && !view.state.difficulties.length);
  if (view.project) {
    element("title").textContent = view.state.metadata.title_unicode || view.project.replace(/\.studio$/, "");
    element("subtitle").textContent = view.state.metadata.artist_unicode || "";
    for (const [id, what] of [["undo", view.undo], ["redo", view.redo]]) {
      element(id).disabled = !what;
      element(id).title = what ? `${id} ${what}` : "";
    }
    if (view.analysis.lag_ms !== undefined && studio.app.data.charts[0] && !studio.app.data.charts[0].id) studio.app.data.lagMs = view.analysis.lag_ms;
    showJobs(view.jobs);
    showTiming(studio);
    showOrder(studio);
    showOut(studio);
    showWatch(studio);
    showEdit(studio);
  } else {
    element("title").textContent = "Studio";
    element("subtitle").textContent = "an osu!mania 4K mapper on your own computer";
    showJobs([]);
    showStart(view);
  }
  loadSong(view);
  if (opened) show(view.project && view.state.difficulties.length ? "watch" : "timing");
  document.body.classList.add("ready");
});

/** Files may be dropped anywhere. */
function wireDrop() {
  addEventListener("dragover", (event) => { event.preventDefault(); document.body.classList.add("dropping"); });
  addEventListener("dragleave", () => document.body.classList.remove("dropping"));
  addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("dropping");
    if (event.dataTransfer.files.length) drop(event.dataTransfer.files[0]);
  });
  for (const id of ["file", "background-file"]) {
    element(id).addEventListener("change", ({ target }) => { if (target.files.length) drop(target.files[0]); target.value = ""; });
  }
}

function wireHeader() {
  element("demo").addEventListener("click", () => sendOnce("demo"));
  element("close").addEventListener("click", () => sendOnce("close"));
  element("undo").addEventListener("click", () => send("undo"));
  element("redo").addEventListener("click", () => send("redo"));
  for (const tab of document.querySelectorAll("[data-view]")) tab.addEventListener("click", () => show(tab.dataset.view));
  addEventListener("keydown", (event) => {
    if (!(event.ctrlKey || event.metaKey) || event.altKey || event.target.matches("input, textarea")) return;
    const key = event.key.toLowerCase();
    const name = key === "y" || (key === "z" && event.shiftKey) ? "redo" : key === "z" ? "undo" : null;
    if (!name) return;
    event.preventDefault();
    send(name);
  });
}

wireDrop();
wireHeader();
wireTiming(studio);
wireOrder(studio);
wireWatch(studio);
wireEdit(studio);
wireOut(studio);
listen((job) => {
  if (!studio.view.project) return;
  studio.view.jobs = [...studio.view.jobs.filter((one) => one.id !== job.id), job];
  showJob(job);
  showWaiting(studio);
});
refresh();
