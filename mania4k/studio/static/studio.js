// The studio's page: which step is shown, and what every step needs: the view of the project and the player.

import { drop, listen, onView, refresh, say, send } from "./api.js";
import { renewed } from "./focus.js";
import { showJob, showJobs } from "./jobs.js";
import { showTiming, wireTiming } from "./timing.js";
import { showOrder, wireOrder } from "./order.js";
import { showWaiting, showWatch, wireWatch } from "./watch.js";
import { showEdit, wireEdit } from "./edit.js";
import { showOut, wireOut } from "./out.js";

const VIEWS = ["timing", "order", "watch", "edit", "out"];
const EMPTY_CHART = {
  name: "", stars: 0, required: 0, ratings: [], od: 8, hp: 8, notes: { gap: [], column: "", length: [] }, lines: [], aimedAt: "",
  findings: [], sections: [], curves: {}, accuracyBySkill: [], levels: [],
};

const studio = {
  app: new App({ lagMs: 0, soundMarks: [], charts: [EMPTY_CHART] }),
  view: { project: undefined },
  shown: "timing",
  song: null, // whose sound is loaded
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
  showEdit(studio, entered);
  studio.app.changed();
}

function showStart(view) {
  element("demo").hidden = !view.demo;
  element("recent").hidden = !view.projects.length;
  renewed(element("projects"), view.projects.map((name, index) => {
    const node = make("button", { type: "button", text: name.replace(/\.studio$/, "") });
    node.addEventListener("click", () => send("open", { index }));
    return make("li", {}, node);
  }));
}

/** The song is decoded when another project is opened, and aligned once the studio has analysed it. */
async function loadSong(view) {
  const song = view.project && view.state.song ? view.project : null;
  const marks = (view.analysis || {}).marks || [];
  if (song === studio.song) {
    const { sound } = studio.app.clock;
    if (sound && marks.length && studio.alignedBy === 0) alignSound(sound, marks);
    return;
  }
  studio.song = song;
  studio.alignedBy = 0;
  studio.app.clock.pause();
  studio.app.clock.attach(null);
  if (!song) return;
  try {
    const bytes = await (await fetch("song")).arrayBuffer();
    const sound = await decodeSong(bytes, marks);
    if (studio.song !== song) return;
    studio.alignedBy = marks.length;
    studio.app.hear(sound);
    showTiming(studio);
    loadSong(studio.view); // it may have been analysed meanwhile
  } catch {
    say("Your browser cannot play this song; it is mapped all the same.");
  }
}

function alignSound(sound, marks) {
  studio.alignedBy = marks.length;
  studio.app.hear(new BufferSound(sound.buffer, shiftOf(sound.buffer, marks), sound.context));
}

onView((view) => {
  const opened = view.project !== studio.view.project;
  studio.view = view;
  element("undo").hidden = element("redo").hidden = element("close").hidden = !view.project;
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
  element("demo").addEventListener("click", () => send("demo"));
  element("close").addEventListener("click", () => send("close"));
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
  if (studio.view.jobs) studio.view.jobs = [...studio.view.jobs.filter((one) => one.id !== job.id), job];
  showJob(job);
  if (studio.view.project) showWaiting(studio);
});
refresh();
