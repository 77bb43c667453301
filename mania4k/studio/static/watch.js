// The step "Watch and mend": the player; stretches that are written anew, compared in place, locked; versions of the set.

import { read, send, sendOnce } from "./api.js";
import { renewed } from "./focus.js";
import { button } from "./jobs.js";

const RETRY_MS = 3000; // after an answer that failed
const MOST_ASKED = 24; // charts in one request
const MOST_KEPT = 40; // charts, so that going back is quick
const UNMARKED = "Mark its ends where the song is with [ and ], or hold Shift and drag over the curves above.";

/** What belongs to one project. */
const fresh = () => ({
  shown: "", known: new Map(), data: {}, // what the player shows; charts by digest, and what all have in common
  stretch: [null, null],
  offered: "", seen: null, // which versions wait to be chosen from, and which of them is seen: {key, digest}
});
const state = fresh();

function chosen(studio) {
  return studio.view.state.difficulties.find((one) => one.id === studio.app.chart.id) || studio.view.state.difficulties[0];
}

/** Radios for the difficulties, as the report page has them. */
function showDifficulties(studio) {
  const { app } = studio;
  renewed(document.querySelector("#player .difficulties"), () => [
    make("legend", { className: "hidden", text: "Difficulty" }),
    ...app.charts.map((chart, index) => {
      const radio = make("input", { type: "radio", name: "difficulty", value: index });
      radio.checked = chart === app.chart;
      radio.addEventListener("change", () => {
        const now = app.charts.findIndex(({ id }) => id === chart.id); // another may have come before it
        if (now >= 0) app.showChart(now);
        showMend(studio);
      });
      return make("label", {}, radio, make("span", {},
        make("b", { text: chart.name }), make("small", { text: `${chart.stars.toFixed(2)}\u2605 \u00b7 ${chart.notes.length} notes` })));
    }),
  ]);
}

/** Which versions of a difficulty wait, and of which of its states. */
function offerOf(view, one) {
  const offered = view.versions[one.id];
  return offered ? [one.id, one.chart, ...offered.digests].join() : "";
}

/** The chart of a difficulty that is shown: a version that is being looked at, or its own. */
function digestOf(view, one) {
  return state.seen && state.seen.key === offerOf(view, one) ? state.seen.digest : one.chart;
}

/** Digests of charts that are still to be read; those that are here are kept longest. */
function missingOf(digests) {
  const { known } = state, missing = [];
  for (const digest of new Set(digests)) {
    const chart = known.get(digest);
    if (chart && known.delete(digest)) known.set(digest, chart);
    else missing.push(digest);
  }
  return missing;
}

/** Read charts for the player; whether all came. */
async function readCharts(digests) {
  const { known } = state;
  for (let at = 0; at < digests.length; at += MOST_ASKED) {
    const data = await read(`page?${digests.slice(at, at + MOST_ASKED).map((digest) => `chart=${digest}`).join("&")}`);
    if (!data) return false;
    for (const chart of data.charts) known.set(chart.digest, chart);
    if (known === state.known) state.data = data; // else another project was opened
  }
  return true;
}

/** Bring the player up to the present charts; only those that changed are asked for. */
export async function showWatch(studio) {
  const { app, view } = studio;
  if (!view.project) return; // closed meanwhile
  const ones = view.state.difficulties, wanted = ones.map((one) => digestOf(view, one));
  element("no-chart").hidden = wanted.length > 0;
  element("mend").hidden = element("player").hidden = !wanted.length;
  showWaiting(studio);
  renewed(element("set-versions"), () => view.pins.map((name, restore) => button(`Back to ${name}`, () => send("pin", { restore }))));
  if (!wanted.length) {
    showNone(studio);
    return;
  }
  const key = JSON.stringify(ones.map((one, n) => [one.id, one.name, wanted[n]]));
  if (key !== state.shown) {
    state.shown = key;
    const missing = missingOf(wanted), came = !missing.length || (await readCharts(missing));
    if (state.shown !== key) return; // a newer state is on its way
    if (!came) {
      state.shown = "";
      setTimeout(() => showWatch(studio), RETRY_MS);
      return;
    }
    showCharts(app, ones.map((one, n) => ({ ...state.known.get(wanted[n]), id: one.id, name: one.name })));
    showDifficulties(studio);
  }
  if (app.chart.id) showMend(studio);
}

function showCharts(app, charts) {
  const before = app.chart.id;
  for (const digest of [...state.known.keys()].slice(0, -MOST_KEPT)) state.known.delete(digest);
  app.renew({ ...state.data, charts }, charts.findIndex((chart) => chart.id === before));
  dispatchEvent(new Event("charts"));
}

function showNone({ app, view, nothing }) {
  state.shown = "";
  if (app.chart.id) app.renew({ ...nothing });
  app.data.lagMs = view.analysis.lag_ms ?? 0;
}

/** Before there is a chart: whether one is on its way. */
export function showWaiting(studio) {
  const writing = (studio.view.jobs || []).some((job) => job.kind === "generate" && ["waiting", "running"].includes(job.status));
  document.querySelector("#no-chart button").hidden = writing;
  element("no-chart-words").textContent = writing ? "The first difficulty is being written; it is shown here as soon as it is there." : "Nothing is written yet.";
}

function showMend(studio) {
  const one = chosen(studio);
  if (!one) return;
  const [from, until] = state.stretch;
  const whole = from !== null && until !== null && until > from;
  element("stretch-words").textContent = whole ? spanText(from, until) : from !== null ? `from ${clockText(from, true)} to \u2026` : UNMARKED;
  for (const id of ["rewrite", "lock", "unlock"]) element(id).disabled = !whole;
  element("locks-words").textContent = one.locks.length ? `Locked: ${one.locks.map(([a, b]) => spanText(a, b)).join(", ")}` : "";
  showBands(studio, one, whole);
  showVersions(studio, one);
}

/** The stretch and the locked sections over the timeline. */
function showBands(studio, one, whole) {
  const box = document.querySelector("#player .curves"), { durationMs } = studio.app;
  for (const old of box.querySelectorAll(".stretch")) old.remove();
  const bands = one.locks.map((span) => [span, "stretch lock"]);
  if (whole) bands.push([state.stretch, "stretch"]);
  for (const [[from, until], className] of bands) {
    const band = make("div", { className });
    band.style.left = `${(100 * Math.max(from, 0)) / durationMs}%`;
    band.style.width = `${(100 * (until - Math.max(from, 0))) / durationMs}%`;
    box.append(band);
  }
}

/** The versions that wait: each is seen and heard in place when it is chosen, and one can be taken. */
async function showVersions(studio, one) {
  const offered = studio.view.versions[one.id], box = element("versions"), key = offerOf(studio.view, one);
  if (key === state.offered) return;
  state.offered = key;
  box.hidden = true; // those before are of another chart
  if (!offered) return;
  const digests = [one.chart, ...offered.digests], missing = missingOf(digests);
  const came = !missing.length || (await readCharts(missing));
  if (state.offered !== key) return;
  if (!came) {
    state.offered = "";
    setTimeout(() => showWatch(studio), RETRY_MS);
    return;
  }
  const radios = digests.map((digest, number) => {
    const radio = make("input", { type: "radio", name: "version", value: number });
    radio.checked = number === Math.max(digests.lastIndexOf(digestOf(studio.view, one)), 0);
    radio.addEventListener("change", () => {
      state.seen = { key, digest };
      showWatch(studio);
      studio.app.seekChart(offered.span[0] - 1000);
    });
    const name = number ? `version ${number}` : "as it is";
    return make("label", {}, radio, ` ${name} (${state.known.get(digest).stars.toFixed(2)}\u2605)`);
  });
  const take = () => {
    const number = Number(box.querySelector("input:checked").value);
    sendOnce("take", { id: one.id, number: number ? number - 1 : null });
  };
  box.replaceChildren(make("legend", { text: `Versions of ${spanText(...offered.span)}` }), ...radios,
    button("Take the chosen one", take, "accent"), button("Keep it as it was", () => sendOnce("take", { id: one.id, number: null })));
  box.hidden = false;
}

function mark(studio, end) {
  state.stretch[end] = Math.round(studio.app.nowMs);
  if (end === 0 && state.stretch[1] !== null && state.stretch[1] <= state.stretch[0]) state.stretch[1] = null;
  showMend(studio);
}

/** Shift and drag over the timeline marks a stretch; before the timeline's own seeking. */
function wireStretch(studio) {
  const box = document.querySelector("#player .curves");
  let from = null;
  const msAt = (event) => {
    const { left, width } = box.getBoundingClientRect();
    return Math.round(Math.min(Math.max((event.clientX - left) / width, 0), 1) * studio.app.durationMs);
  };
  box.addEventListener("pointerdown", (event) => {
    if (!event.shiftKey) return;
    event.stopPropagation();
    event.preventDefault();
    from = msAt(event);
    box.setPointerCapture(event.pointerId);
  }, { capture: true });
  box.addEventListener("pointermove", (event) => {
    if (from === null) return;
    event.stopPropagation();
    const to = msAt(event);
    state.stretch = [Math.min(from, to), Math.max(from, to)];
    showMend(studio);
  }, { capture: true });
  for (const end of ["pointerup", "pointercancel"]) box.addEventListener(end, () => { from = null; }, { capture: true });
}

export function wireWatch(studio) {
  document.querySelector("#player .timeline").after(element("mend")); // beside the curves on which a stretch is marked
  wireStretch(studio);
  element("mark-start").addEventListener("click", () => mark(studio, 0));
  element("mark-end").addEventListener("click", () => mark(studio, 1));
  element("rewrite").addEventListener("click", () => sendOnce("rewrite", { id: chosen(studio).id, span: state.stretch }));
  element("lock").addEventListener("click", () => send("lock", { id: chosen(studio).id, span: state.stretch, on: true }));
  element("unlock").addEventListener("click", () => send("lock", { id: chosen(studio).id, span: state.stretch, on: false }));
  element("pin").addEventListener("click", () => sendOnce("pin"));
  addEventListener("opened", () => Object.assign(state, fresh()));
  addEventListener("keydown", (event) => {
    if (element("view-watch").hidden || studio.app.playing.active || event.target.matches("input:not([type=radio]), select")) return;
    if (event.key === "[") mark(studio, 0);
    else if (event.key === "]") mark(studio, 1);
  });
}
