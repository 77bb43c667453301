// The step "Timing": see and hear whether beats, bars and red lines are where they should be, and put them right.

import { send, sendOnce } from "./api.js";
import { doubtsOf, onsetsOf } from "./doubts.js";
import { filled, isTyped, offer, renewed } from "./focus.js";
import { button } from "./jobs.js";
import { drawWave, eachBeat, peaksOf } from "./waveform.js";

const NEAR_PX = 7; // a red line is taken hold of from so far away
const TICK_AHEAD_MS = 250; // metronome clicks are ordered this far ahead
const KEEP_TAPS_MS = 3000; // a longer pause begins the taps anew

const NUMBERS = ["bpm", "metre", "line-at"];
const MOVED_PX = 2; // a red line that is pressed is moved by more

/** What belongs to one song. */
const fresh = () => ({
  wave: null, waveOf: null, drawn: "", chosen: 0, taps: [], onsets: null, doubts: [],
  held: null, dragging: null, releasedMs: null, clickedMs: null, // while the mouse is down; where it was let go, and the first time of two
  ticked: -Infinity, // until when clicks are ordered
});
const state = { ...fresh(), ticks: null, measured: 0 };

/** Red lines on the song's clock. */
function songLines(studio) {
  const lag = studio.app.lagMs;
  const lines = (studio.view.state && studio.view.state.timing) || [];
  return lines.map(([ms, ...rest], n) => [(state.dragging && state.dragging.index === n ? state.dragging.ms : ms) + lag, ...rest]);
}

function span(studio) {
  const seconds = Number(element("wave-zoom").value), now = studio.app.clock.at();
  return { fromMs: now - seconds * 400, untilMs: now + seconds * 600 };
}

export function showTiming(studio) {
  if (!studio.view.project) return;
  const { analysis, state: set } = studio.view;
  if (!set.timing[state.chosen]) state.chosen = 0;
  const line = set.timing[state.chosen];
  showAnalysis(studio.view, Boolean(line));
  element("corrections").disabled = !line;
  offer(element("line"), set.timing.map(([ms, beat], n) => [n, `${n + 1}: ${(60000 / beat).toFixed(2)} BPM from ${clockText(ms, true)}`]));
  element("line").value = String(state.chosen);
  const values = line ? [(60000 / line[1]).toFixed(3), line[2], Math.round(line[0])] : ["", "", ""];
  NUMBERS.map(element).forEach((field, n) => { if (document.activeElement !== field) filled(field, values[n]); });
  renewed(element("candidates"), () => (analysis.candidates || []).map((one) => make("li", {}, candidate(one, line))));
  showDoubts(studio);
  draw(studio);
}

/** What is known of the beat, or how it comes to be known. */
function showAnalysis({ analysis, jobs, state: set }, isKnown) {
  const statuses = jobs.filter((job) => job.kind === "analyse").map((job) => job.status);
  const runs = statuses.some((status) => ["waiting", "running"].includes(status));
  const unknown = runs ? "The song is being analysed …" : "The song\u2019s beat is not known.";
  element("timing-words").textContent = isKnown ? wordsOf(analysis, set.timing) : unknown;
  element("analyse").hidden = isKnown || runs || statuses.some((status) => ["failed", "unfinished"].includes(status)); // these have buttons of their own
  element("candidates-words").hidden = !(analysis.candidates || []).length;
}

/** A button that takes a reading of the beat; the present one is marked. */
function candidate(one, line) {
  const node = button(`${one.bpm.toFixed(2)} BPM, ${Math.round(one.chance * 100)} %`, () => send("timing", { what: "set", lines: one.lines }));
  node.setAttribute("aria-pressed", String(Boolean(line) && Math.abs(60000 / line[1] - one.bpm) < 0.01));
  return node;
}

/** Parts whose onsets lie beside the beats, as shades on the waveform and as buttons that go there. */
function showDoubts(studio) {
  const { shiftMs = 0 } = studio.app.clock.sound || {}; // onsets are on the decoded buffer's clock
  const lines = songLines(studio).map(([ms, ...rest]) => [ms + shiftMs, ...rest]);
  const found = state.onsets && lines.length ? doubtsOf(state.onsets, lines) : [];
  state.doubts = found.map((one) => ({ ...one, fromMs: one.fromMs - shiftMs, untilMs: one.untilMs - shiftMs }));
  renewed(element("doubts"), () => state.doubts.map(({ fromMs, untilMs, byMs }) => make("li", {},
    button(`${spanText(fromMs, untilMs)}: the sound is ${Math.abs(byMs)} ms ${byMs > 0 ? "later" : "earlier"} than the beats`, () => studio.app.clock.seek(fromMs)))));
  element("doubts-words").hidden = !state.doubts.length;
}

function wordsOf(analysis, lines) {
  if (analysis.confidence === undefined || !lines.length) return "";
  const sure = Math.round(analysis.confidence * 100);
  const doubt = analysis.doubt || (analysis.confidence < 0.3 ? "The beat was hard to find: listen with the metronome, and correct it before you go on." : "");
  const advice = doubt || "Play it with the metronome: if the clicks sit on the beat, go on.";
  return `${(60000 / lines[0][1]).toFixed(2)} BPM; found with ${sure} % confidence. ${advice}`;
}

function draw(studio) {
  if (element("view-timing").hidden) return;
  const { sound } = studio.app.clock, canvas = element("wave");
  if (sound && sound.buffer && state.waveOf !== sound.buffer) measure(studio, sound.buffer);
  const nowMs = studio.app.clock.at();
  setText("wave-time", clockText(nowMs, true));
  setText("wave-play", studio.app.clock.playing ? "Pause" : "Play");
  const shown = {
    shiftMs: sound ? sound.shiftMs || 0 : 0, ...span(studio), nowMs, lines: songLines(studio), chosen: state.chosen, taps: state.taps, doubts: state.doubts,
  };
  const key = JSON.stringify([shown, canvas.clientWidth, document.documentElement.dataset.theme, state.measured]);
  if (key === state.drawn) return; // as it is on the screen
  state.drawn = key;
  drawWave(canvas, studio.app.theme, { ...shown, wave: state.wave });
}

/** Waveform and doubtful places of a song, a little at a time. */
async function measure(studio, buffer) {
  state.waveOf = buffer;
  state.onsets = null;
  state.wave = peaksOf(buffer);
  await state.wave.filled;
  state.measured += 1;
  if (state.waveOf !== buffer) return; // another song was opened meanwhile
  const onsets = await onsetsOf(buffer);
  if (state.waveOf !== buffer) return; // another song was opened meanwhile
  state.onsets = onsets;
  if (studio.view.project) showDoubts(studio);
}

/** Every frame: draw, and order the metronome's clicks. */
function follow(studio) {
  requestAnimationFrame(() => follow(studio));
  if (element("view-timing").hidden || !studio.view.project) return;
  draw(studio);
  const { clock } = studio.app, { sound } = clock;
  if (!clock.playing || !element("metronome").checked || !sound || !sound.from || !sound.songMs) {
    state.ticked = -Infinity;
    return;
  }
  if (!state.ticks) state.ticks = [tick(sound.context.sampleRate), higher(sound.context.sampleRate)];
  const now = sound.songMs(sound.context.currentTime), until = now + TICK_AHEAD_MS;
  const from = Math.max(state.ticked, now);
  eachBeat(songLines(studio), from, until, (ms, isBar) => {
    const source = sound.context.createBufferSource();
    source.buffer = state.ticks[isBar ? 1 : 0];
    source.connect(sound.context.destination);
    source.start(sound.from.at + (ms - sound.from.ms) / 1000 / sound.from.rate);
  });
  state.ticked = until;
}

function higher(sampleRate) {
  const buffer = new AudioBuffer({ length: Math.round(0.03 * sampleRate), numberOfChannels: 1, sampleRate });
  const samples = buffer.getChannelData(0);
  for (let n = 0; n < samples.length; n++) samples[n] = 0.8 * Math.sin((2 * Math.PI * 2900 * n) / sampleRate) * Math.exp((-6 * n) / samples.length);
  return buffer;
}

function tap(studio, wall) {
  const ms = studio.app.clock.at(wall) - studio.app.lagMs;
  if (state.taps.length && ms - state.taps[state.taps.length - 1] > KEEP_TAPS_MS) state.taps = [];
  state.taps.push(ms);
  element("tap-use").hidden = state.taps.length < 4;
  element("tap-use").textContent = `Use the ${state.taps.length} taps`;
}

/** Seek, choose, drag or add red lines with the mouse. */
function wireWave(studio) {
  const canvas = element("wave");
  const msAt = (event) => {
    const { fromMs, untilMs } = state.held || span(studio);
    return fromMs + (event.offsetX / canvas.clientWidth) * (untilMs - fromMs);
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    canvas.focus({ preventScroll: true });
    canvas.setPointerCapture(event.pointerId);
    const { fromMs, untilMs } = (state.held = span(studio));
    const perPx = (untilMs - fromMs) / canvas.clientWidth;
    const near = songLines(studio).findIndex(([ms]) => Math.abs(ms - msAt(event)) < NEAR_PX * perPx);
    if (near < 0) return;
    state.chosen = near;
    state.dragging = { index: near, ms: studio.view.state.timing[near][0], x: event.offsetX, moved: false };
    showTiming(studio);
  });
  canvas.addEventListener("pointermove", (event) => {
    const { dragging } = state;
    if (!dragging || !(dragging.moved || Math.abs(event.offsetX - dragging.x) > MOVED_PX)) return;
    dragging.ms = msAt(event) - studio.app.lagMs;
    dragging.moved = true;
  });
  const letGo = () => { state.held = state.dragging = null; };
  canvas.addEventListener("pointerup", (event) => {
    const { dragging, held } = state;
    if (!held) return;
    state.releasedMs = dragging ? null : msAt(event);
    if (dragging && dragging.moved) send("timing", { what: "move", index: dragging.index, time_ms: Math.round(dragging.ms) });
    letGo();
  });
  canvas.addEventListener("pointercancel", letGo);
  canvas.addEventListener("click", ({ detail }) => {
    if (detail > 1) return; // the first of two has moved the waveform
    state.clickedMs = state.releasedMs;
    if (state.clickedMs !== null) studio.app.clock.seek(state.clickedMs);
  });
  canvas.addEventListener("dblclick", () => {
    if (state.clickedMs !== null) send("timing", { what: "add", time_ms: Math.round(state.clickedMs - studio.app.lagMs) });
  });
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    const zoom = element("wave-zoom");
    zoom.value = String(Number(zoom.value) * (event.deltaY > 0 ? 1.25 : 0.8));
  }, { passive: false });
}

/** Arrows are the offset here, and T taps; before the player's own shortcuts. */
function wireKeys(studio) {
  addEventListener("keydown", (event) => {
    if (element("view-timing").hidden || !studio.view.project || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.matches("input:not([type=checkbox]):not([type=range]), select")) return;
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step && !event.target.matches("input")) send("timing", { what: "offset", ms: step * (event.shiftKey ? 10 : 1) });
    else if (event.key.toLowerCase() === "t") { if (!event.repeat) tap(studio, event.timeStamp); } else return;
    event.preventDefault();
    event.stopImmediatePropagation();
  }, { capture: true });
}

/** A number of the chosen red line; `change` makes the correction of it. An empty field gets its number back. */
function wireNumber(studio, id, change) {
  const field = element(id);
  field.addEventListener("change", () => { if (field.value !== "") send("timing", change(Number(field.value))); });
  field.addEventListener("blur", () => { if (!isTyped(field) || field.value === "") showTiming(studio); });
}

export function wireTiming(studio) {
  wireWave(studio);
  wireKeys(studio);
  element("wave-play").addEventListener("click", () => studio.app.toggle());
  element("analyse").addEventListener("click", () => sendOnce("analyse"));
  wireNumber(studio, "bpm", (bpm) => ({ what: "bpm", index: state.chosen, bpm }));
  wireNumber(studio, "metre", (metre) => ({ what: "metre", metre }));
  wireNumber(studio, "line-at", (ms) => ({ what: "move", index: state.chosen, time_ms: ms }));
  for (const node of document.querySelectorAll("[data-timing]")) {
    const { timing, ...values } = node.dataset;
    const numbers = Object.fromEntries(Object.entries(values).map(([name, value]) => [name, Number(value)]));
    node.addEventListener("click", () => send("timing", { what: timing, ...numbers }));
  }
  element("tap").addEventListener("click", (event) => tap(studio, event.timeStamp));
  element("tap-use").addEventListener("click", async () => {
    const times = state.taps;
    state.taps = [];
    element("tap-use").hidden = true;
    await send("timing", { what: "tap", times_ms: times });
  });
  element("line-add").addEventListener("click", () => send("timing", { what: "add", time_ms: Math.round(studio.app.nowMs) }));
  element("line").addEventListener("change", ({ target }) => { state.chosen = Number(target.value); showTiming(studio); });
  element("line-remove").addEventListener("click", () => send("timing", { what: "remove", index: state.chosen }));
  addEventListener("opened", () => {
    Object.assign(state, fresh());
    element("tap-use").hidden = true;
  });
  requestAnimationFrame(() => follow(studio));
}
