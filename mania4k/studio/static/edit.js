// The step "Edit": notes by hand on a snapped grid, with the review's remarks and the players' accuracy following.

import { read, send } from "./api.js";
import { offer } from "./focus.js";
import { drawRoll, placesOf, ROLL, snapped, stepOf } from "./roll.js";
import { mirrored, moved, notesWithin, pasted } from "./selection.js";

const NEAR_REMARK_MS = 3000; // remarks this near are listed
const HOLD_PX = 14; // a drag upwards of so much makes a hold
const RETRY_MS = 3000; // after notes that did not come
const NONE = { digest: null, reading: null, notes: [], selected: new Set() };
const state = {
  id: null, ...NONE, // `selected` holds notes of `notes`; `reading`: the chart whose notes are on their way
  ghosts: [], press: null, box: null, // while the mouse is down
  pending: 0, // changes that the server has not answered
  drawn: {}, // what the roll shows
  copied: [], marks: [null, null], // what Ctrl+V pastes; the ends of a stretch that is selected
};

function lines(studio) {
  const { chart } = studio.app;
  return chart.lines.length ? chart.lines : studio.view.state.timing;
}

function divisor() {
  return Number(element("snap").value);
}

function difficulty(studio) {
  return studio.view.project ? studio.view.state.difficulties.find((one) => one.id === state.id) : undefined;
}

function tell(words) {
  element("edit-words").textContent = words;
}

/** Show the chosen difficulty. `entered`: take the one that was watched. */
export async function showEdit(studio, entered = false) {
  if (!studio.view.project) return;
  const { difficulties } = studio.view.state, watched = studio.app.chart.id;
  const isThere = (id) => difficulties.some((one) => one.id === id);
  if (isThere(watched) && (entered || !isThere(state.id))) choose(watched);
  if (!isThere(state.id)) choose(difficulties.length ? difficulties[0].id : null);
  offer(element("edit-difficulty"), difficulties.map((one) => [one.id, one.name]));
  element("edit-difficulty").value = state.id || "";
  if (element("view-edit").hidden) return;
  await readNotes(studio);
  if (element("view-edit").hidden) return; // another may be watched meanwhile
  const index = studio.app.charts.findIndex((chart) => chart.id === state.id);
  if (index >= 0 && studio.app.chart.id !== state.id) studio.app.showChart(index);
  showRemarks(studio);
}

function choose(id) {
  if (id !== state.id) Object.assign(state, NONE, { id }); // the notes before are another's
}

/** Read the notes of the chosen difficulty, if they are other than those shown. */
async function readNotes(studio) {
  const digest = (difficulty(studio) || {}).chart || null;
  if (digest !== state.digest && digest !== state.reading && !state.pending) {
    state.reading = digest;
    const notes = digest ? await read(`notes/${digest}`) : [];
    if (state.reading === digest) state.reading = null;
    const isNow = ((difficulty(studio) || {}).chart || null) === digest; // else newer notes are on their way
    if (notes && isNow && !state.pending) takeNotes(digest, notes);
    if (!notes) setTimeout(() => showEdit(studio), RETRY_MS);
  }
  element("roll").dataset.chart = state.digest || ""; // what is shown, once the server has it
}

/** Notes that stay are the same objects as before: they may be selected, or under the mouse. */
function takeNotes(digest, notes) {
  const before = new Map(state.notes.map((note) => [String(note), note]));
  state.digest = digest;
  state.notes = notes.map((note) => before.get(String(note)) || note);
  const there = new Set(state.notes);
  state.selected = new Set([...state.selected].filter((note) => there.has(note)));
}

function showRemarks(studio) {
  const { chart } = studio.app, now = studio.app.nowMs;
  if (chart.id !== state.id) return;
  const near = chart.findings.filter((one) => !one.whole && one.severity !== "praise" && one.start_ms <= now + NEAR_REMARK_MS && one.end_ms >= now - NEAR_REMARK_MS);
  const key = chart.digest + near.map((one) => one.index).join();
  if (element("edit-remarks").dataset.key === key) return;
  element("edit-remarks").dataset.key = key;
  element("edit-remarks").replaceChildren(...near.map((one) => make("li", {},
    make("span", { className: `badge ${one.severity}`, text: SEVERITY_WORDS[one.severity] }), ` ${placeText(one)} ${one.reason} ${one.suggestion}`)));
  if (!near.length) element("edit-remarks").append(make("li", { className: "quiet", text: "Nothing stands out near this place." }));
  const level = chart.levels[nearestLevel(chart)];
  element("edit-accuracy").textContent = `${chart.stars.toFixed(2)}\u2605, ${chart.notes.length} notes; ${level ? `players of level ${level.level.toFixed(1)}: ${percentText(level.stable)}` : ""}`;
}

/** Send a change; what it brings is shown at once, and again as the server has it. */
async function change(studio, remove, add) {
  const one = difficulty(studio);
  if (!one || (!remove.length && !add.length)) return;
  const gone = new Set(remove);
  state.notes = [...state.notes.filter((note) => !gone.has(note)), ...add].sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  state.selected = new Set(add);
  state.digest = null;
  element("roll").dataset.chart = "";
  state.pending++;
  const done = await send("edit", { id: state.id, remove, add });
  state.pending--;
  tell(done ? `${add.length} placed, ${remove.length} removed` : "not possible there");
  await showEdit(studio);
}

function noteAt(event, places) {
  const column = places.column(event.offsetX), ms = places.ms(event.offsetY), reach = ROLL.note / 2 / ROLL.perMs;
  return state.notes.find((note) => note[1] === column && ms >= note[0] - reach && ms <= (note[2] ?? note[0]) + reach);
}

function select(notes) {
  state.selected = new Set(notes);
  tell(`${notes.length} selected`);
}

/** Mouse: place, hold, move, delete, select. */
function wireMouse(studio) {
  const canvas = element("roll");
  const places = () => placesOf(canvas, studio.app.nowMs);
  const snap = (ms) => snapped(lines(studio), divisor(), ms);
  canvas.addEventListener("contextmenu", (event) => {
    event.preventDefault();
    const note = noteAt(event, places());
    if (note) change(studio, [note], []);
  });
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    canvas.focus({ preventScroll: true });
    studio.app.clock.pause();
    const here = places(), note = noteAt(event, here);
    canvas.setPointerCapture(event.pointerId);
    if (event.shiftKey) state.box = { x: event.offsetX, y: event.offsetY, toX: event.offsetX, toY: event.offsetY };
    else state.press = { note, y: event.offsetY, ms: snap(here.ms(event.offsetY)), column: here.column(event.offsetX) };
    if (state.press && !note) state.ghosts = [[state.press.ms, state.press.column, null]];
  });
  canvas.addEventListener("pointermove", (event) => {
    const here = places();
    if (state.box) Object.assign(state.box, { toX: event.offsetX, toY: event.offsetY });
    if (!state.press) return;
    const ms = snap(here.ms(event.offsetY)), { press } = state;
    if (press.note) state.ghosts = moved(dragged(press.note), ms - snap(here.ms(press.y)), here.column(event.offsetX) - press.column);
    else state.ghosts = [[press.ms, press.column, press.y - event.offsetY > HOLD_PX && ms > press.ms ? ms : null]];
  });
  canvas.addEventListener("pointerup", () => {
    const { press, ghosts, box } = state;
    state.press = state.box = null;
    state.ghosts = [];
    if (box) selectBox(places(), box);
    else if (press && press.note && (!ghosts.length || String(ghosts) === String(dragged(press.note)))) select([press.note]);
    else if (press && ghosts.length) change(studio, press.note ? dragged(press.note) : [], ghosts);
  });
  canvas.addEventListener("pointercancel", () => {
    state.press = state.box = null;
    state.ghosts = [];
  });
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    step(studio, event.deltaY < 0 ? 1 : -1);
  }, { passive: false });
}

/** What moves with a note that is dragged: the selection it belongs to, or it alone. */
function dragged(note) {
  return state.selected.has(note) ? [...state.selected] : [note];
}

function selectBox({ ms, column }, { x, y, toX, toY }) {
  select(notesWithin(state.notes, ms(Math.max(y, toY)), ms(Math.min(y, toY)), column(Math.min(x, toX)), column(Math.max(x, toX))));
}

/** One end of a stretch is where the line is; with both, its notes are selected. */
function mark(studio, end) {
  state.marks[end] = hereOf(studio);
  const [from, until] = state.marks;
  if (from === null || until === null || until < from) {
    state.marks[1 - end] = null;
    tell(`the stretch ${end ? "ends" : "begins"} at ${clockText(state.marks[end], true)}; mark its ${end ? "beginning with [" : "end with ]"}`);
  } else select(notesWithin(state.notes, from - 1, until + 1));
}

function hereOf(studio) {
  return snapped(lines(studio), divisor(), studio.app.nowMs);
}

function step(studio, steps) {
  const grid = lines(studio), here = hereOf(studio);
  studio.app.seekChart(snapped(grid, divisor(), here + steps * stepOf(grid, divisor(), here)));
}

function place(studio, column, isHold) {
  const grid = lines(studio), ms = hereOf(studio);
  const there = state.notes.find((note) => note[1] === column && Math.abs(note[0] - ms) <= 1);
  if (there) change(studio, [there], []);
  else change(studio, [], [[ms, column, isHold ? Math.round(ms + stepOf(grid, 1, ms)) : null]]);
}

function copy() {
  state.copied = [...state.selected];
  tell(`${state.copied.length} copied`);
}

function paste(studio, asMirror) {
  const notes = pasted(asMirror ? mirrored(state.copied) : state.copied, hereOf(studio), state.notes);
  if (notes.length) change(studio, [], notes);
  else tell(state.copied.length ? "all of these notes are there already" : "nothing is copied yet: select notes, then Ctrl+C");
}

const COMMANDS = {
  mirror: (studio) => change(studio, [...state.selected], mirrored([...state.selected])),
  delete: (studio) => change(studio, [...state.selected], []),
  copy: () => copy(),
  cut: (studio) => { copy(); return change(studio, [...state.selected], []); },
  paste: (studio) => paste(studio, false),
  "paste mirrored": (studio) => paste(studio, true),
  all: () => select(state.notes),
  none: () => { state.marks = [null, null]; select([]); },
};

/** The name of the command that a key asks for. */
function commandOf(event) {
  const key = event.key.toLowerCase();
  if (event.ctrlKey || event.metaKey) return { c: "copy", x: "cut", v: event.shiftKey ? "paste mirrored" : "paste", a: "all" }[key];
  return { delete: "delete", backspace: "delete", m: "mirror", escape: "none" }[key];
}

/** Keys, while the roll's step is shown; before the player's own shortcuts. */
function wireKeys(studio) {
  addEventListener("keydown", (event) => {
    if (element("view-edit").hidden || !studio.view.project || event.target.matches("select, input")) return;
    const column = ["Digit1", "Digit2", "Digit3", "Digit4"].indexOf(event.code), control = event.ctrlKey || event.metaKey;
    const command = commandOf(event), steps = { ArrowUp: 1, ArrowDown: -1 }[event.key], end = { "[": 0, "]": 1 }[event.key];
    if (command) COMMANDS[command](studio);
    else if (column >= 0 && !control) place(studio, column, event.shiftKey);
    else if (steps) step(studio, steps);
    else if (end !== undefined) mark(studio, end);
    else return;
    event.preventDefault();
    event.stopImmediatePropagation();
  }, { capture: true });
}

function follow(studio) {
  requestAnimationFrame(() => follow(studio));
  if (element("view-edit").hidden || !studio.view.project) return;
  const one = difficulty(studio), { chart } = studio.app, roll = element("roll");
  const { notes, selected, ghosts, box } = state;
  const key = JSON.stringify([studio.app.nowMs, ghosts, box, divisor(), one && one.locks, chart.digest, roll.clientWidth, roll.clientHeight,
    document.documentElement.dataset.theme]);
  const same = key === state.drawn.key && notes === state.drawn.notes && selected === state.drawn.selected;
  if (!same) drawRoll(roll, studio.app.theme, {
    notes, selected, ghosts, box, lines: lines(studio), divisor: divisor(), nowMs: studio.app.nowMs, locks: one ? one.locks : [],
    findings: chart.id === state.id ? chart.findings.filter((finding) => !finding.whole && finding.severity !== "praise") : [],
  });
  state.drawn = { key, notes, selected };
  setText("edit-play", studio.app.clock.playing ? "Pause" : "Play");
  setText("edit-time", clockText(studio.app.nowMs, true));
  showRemarks(studio);
}

export function wireEdit(studio) {
  wireMouse(studio);
  wireKeys(studio);
  element("edit-difficulty").addEventListener("change", ({ target }) => { choose(target.value); showEdit(studio); });
  element("edit-play").addEventListener("click", () => studio.app.toggle());
  for (const name of ["copy", "cut", "paste", "mirror", "delete"]) element(`edit-${name}`).addEventListener("click", () => COMMANDS[name](studio));
  addEventListener("charts", () => showEdit(studio));
  addEventListener("opened", () => {
    choose(null);
    state.marks = [null, null];
  });
  requestAnimationFrame(() => follow(studio));
}
