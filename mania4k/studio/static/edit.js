// The step "Edit": notes by hand on a snapped grid, with the review's remarks and the players' accuracy following.

import { read, send } from "./api.js";
import { drawRoll, placesOf, ROLL, snapped, stepOf } from "./roll.js";

const NEAR_REMARK_MS = 3000; // remarks this near are listed
const HOLD_PX = 14; // a drag upwards of so much makes a hold
const state = { id: null, digest: null, notes: [], selected: new Set(), ghost: null, press: null, box: null, copied: [] };

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

/** Read the notes of the chosen difficulty, if they are other than those shown. */
export async function showEdit(studio) {
  if (!studio.view.project) return;
  const { difficulties } = studio.view.state, select = element("edit-difficulty");
  if (!difficulties.some((one) => one.id === state.id)) state.id = studio.app.chart.id || (difficulties[0] || {}).id;
  select.replaceChildren(...difficulties.map((one) => make("option", { value: one.id, text: one.name })));
  select.value = state.id || "";
  if (element("view-edit").hidden) return;
  const one = difficulty(studio);
  if (one && one.chart !== state.digest) {
    const digest = one.chart, notes = await read(`notes/${digest}`);
    if (!notes) return;
    state.digest = digest;
    const before = new Set([...state.selected].map(String));
    state.notes = notes;
    state.selected = new Set(notes.filter((note) => before.has(String(note))));
  }
  const index = studio.app.charts.findIndex((chart) => chart.id === state.id);
  if (index >= 0 && studio.app.chart.id !== state.id) studio.app.showChart(index);
  showRemarks(studio);
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
  const done = await send("edit", { id: state.id, remove, add });
  element("edit-words").textContent = done ? `${add.length} placed, ${remove.length} removed` : "not possible there";
  await showEdit(studio);
}

function noteAt(event, places) {
  const column = places.column(event.offsetX), ms = places.ms(event.offsetY), reach = ROLL.note / 2 / ROLL.perMs;
  return state.notes.find((note) => note[1] === column && ms >= note[0] - reach && ms <= (note[2] ?? note[0]) + reach);
}

/** Mouse: place, hold, move, delete, select. */
function wireMouse(studio) {
  const canvas = element("roll");
  const places = () => placesOf(canvas, studio.app.nowMs);
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
    else state.press = { note, y: event.offsetY, ms: snapped(lines(studio), divisor(), here.ms(event.offsetY)), column: here.column(event.offsetX) };
    if (state.press && !note) state.ghost = [state.press.ms, state.press.column, null];
  });
  canvas.addEventListener("pointermove", (event) => {
    const here = places();
    if (state.box) Object.assign(state.box, { toX: event.offsetX, toY: event.offsetY });
    if (!state.press) return;
    const ms = snapped(lines(studio), divisor(), here.ms(event.offsetY)), { press } = state;
    if (press.note) {
      const by = ms - snapped(lines(studio), divisor(), here.ms(press.y));
      state.ghost = [press.note[0] + by, here.column(event.offsetX), press.note[2] === null ? null : press.note[2] + by];
    } else state.ghost = [press.ms, press.column, press.y - event.offsetY > HOLD_PX && ms > press.ms ? ms : null];
  });
  canvas.addEventListener("pointerup", () => {
    const { press, ghost, box } = state;
    state.press = state.ghost = state.box = null;
    if (box) select(places(), box);
    else if (press && press.note && !ghost) state.selected = new Set([press.note]);
    else if (press && ghost && !(press.note && String(press.note) === String(ghost))) change(studio, press.note ? [press.note] : [], [ghost]);
  });
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    move(studio, event.deltaY < 0 ? 1 : -1);
  }, { passive: false });
}

function select({ ms, column }, { x, y, toX, toY }) {
  const [from, until] = [ms(Math.max(y, toY)), ms(Math.min(y, toY))];
  const [low, high] = [column(Math.min(x, toX)), column(Math.max(x, toX))];
  state.selected = new Set(state.notes.filter((note) => note[0] >= from && note[0] <= until && note[1] >= low && note[1] <= high));
  element("edit-words").textContent = `${state.selected.size} selected`;
}

function move(studio, steps) {
  const grid = lines(studio), here = snapped(grid, divisor(), studio.app.nowMs);
  studio.app.seekChart(snapped(grid, divisor(), here + steps * stepOf(grid, divisor(), here)));
}

function place(studio, column, isHold) {
  const grid = lines(studio), ms = snapped(grid, divisor(), studio.app.nowMs);
  const there = state.notes.find((note) => note[1] === column && Math.abs(note[0] - ms) <= 1);
  if (there) change(studio, [there], []);
  else change(studio, [], [[ms, column, isHold ? Math.round(ms + stepOf(grid, 1, ms)) : null]]);
}

function mirror(studio) {
  const chosen = [...state.selected];
  change(studio, chosen, chosen.map(([ms, column, end]) => [ms, KEYS - 1 - column, end]));
}

function paste(studio) {
  if (!state.copied.length) return;
  const by = snapped(lines(studio), divisor(), studio.app.nowMs) - Math.min(...state.copied.map((note) => note[0]));
  const taken = new Set(state.notes.map((note) => `${note[0]} ${note[1]}`));
  change(studio, [], state.copied.map(([ms, column, end]) => [ms + by, column, end === null ? null : end + by])
    .filter((note) => !taken.has(`${note[0]} ${note[1]}`)));
}

/** Keys, while the roll's step is shown; before the player's own shortcuts. */
function wireKeys(studio) {
  addEventListener("keydown", (event) => {
    if (element("view-edit").hidden || !studio.view.project || event.target.matches("select, input")) return;
    const column = ["Digit1", "Digit2", "Digit3", "Digit4"].indexOf(event.code);
    const key = event.key.toLowerCase(), control = event.ctrlKey || event.metaKey;
    if (column >= 0 && !control) place(studio, column, event.shiftKey);
    else if (key === "arrowup" || key === "arrowdown") move(studio, key === "arrowup" ? 1 : -1);
    else if (key === "delete" || key === "backspace") change(studio, [...state.selected], []);
    else if (key === "m" && !control) mirror(studio);
    else if (key === "c" && control) state.copied = [...state.selected];
    else if (key === "v" && control) paste(studio);
    else if (key === "a" && control) state.selected = new Set(state.notes);
    else return;
    event.preventDefault();
    event.stopImmediatePropagation();
  }, { capture: true });
}

function follow(studio) {
  requestAnimationFrame(() => follow(studio));
  if (element("view-edit").hidden || !studio.view.project) return;
  const one = difficulty(studio), { chart } = studio.app;
  drawRoll(element("roll"), studio.app.theme, {
    ...state, lines: lines(studio), divisor: divisor(), nowMs: studio.app.nowMs, locks: one ? one.locks : [],
    findings: chart.id === state.id ? chart.findings.filter((finding) => !finding.whole && finding.severity !== "praise") : [],
  });
  setText("edit-play", studio.app.clock.playing ? "Pause" : "Play");
  showRemarks(studio);
}

export function wireEdit(studio) {
  wireMouse(studio);
  wireKeys(studio);
  element("edit-difficulty").addEventListener("change", ({ target }) => { state.id = target.value; state.digest = null; showEdit(studio); });
  element("edit-play").addEventListener("click", () => studio.app.toggle());
  element("edit-mirror").addEventListener("click", () => mirror(studio));
  element("edit-delete").addEventListener("click", () => change(studio, [...state.selected], []));
  addEventListener("charts", () => showEdit(studio));
  requestAnimationFrame(() => follow(studio));
}
