// The step "Watch and mend": the player; stretches that are written anew, compared in place, locked; versions of the set.

import { read, send } from "./api.js";
import { renewed } from "./focus.js";
import { button } from "./jobs.js";

const RETRY_MS = 3000; // after an answer that failed
const UNMARKED = "Mark its ends where the song is with [ and ], or hold Shift and drag over the curves above.";

const state = { shown: "", data: null, stretch: [null, null], offered: "" };

function chosen(studio) {
  return studio.view.state.difficulties.find((one) => one.id === studio.app.chart.id) || studio.view.state.difficulties[0];
}

/** Radios for the difficulties, as the report page has them. */
function showDifficulties(studio) {
  const { app } = studio;
  renewed(document.querySelector("#player .difficulties"), [
    make("legend", { className: "hidden", text: "Difficulty" }),
    ...app.charts.map((chart, index) => {
      const radio = make("input", { type: "radio", name: "difficulty", value: index });
      radio.checked = chart === app.chart;
      radio.addEventListener("change", () => { app.showChart(index); showMend(studio); });
      return make("label", {}, radio, make("span", {},
        make("b", { text: chart.name }), make("small", { text: `${chart.stars.toFixed(2)}\u2605 \u00b7 ${chart.notes.length} notes` })));
    }),
  ]);
}

/** Bring the player up to the present charts; only those that changed are asked for. */
export async function showWatch(studio) {
  const { app, view } = studio;
  const wanted = view.state.difficulties.map((one) => one.chart);
  element("no-chart").hidden = wanted.length > 0;
  element("mend").hidden = element("player").hidden = !wanted.length;
  showWaiting(studio);
  renewed(element("set-versions"), view.pins.map((name, restore) => button(`Back to ${name}`, () => send("pin", { restore }))));
  const key = JSON.stringify(view.state.difficulties.map((one) => [one.chart, one.name]));
  if (!wanted.length) { state.shown = ""; return; }
  if (key !== state.shown) {
    state.shown = key;
    const known = new Map((state.data ? state.data.charts : []).map((chart) => [chart.digest, chart]));
    const missing = wanted.filter((digest) => !known.has(digest));
    const data = missing.length ? await read(`page?${missing.map((digest) => `chart=${digest}`).join("&")}`) : state.data;
    if (state.shown !== key) return; // a newer state is on its way
    if (!data) {
      state.shown = "";
      setTimeout(() => showWatch(studio), RETRY_MS);
      return;
    }
    for (const chart of data.charts) known.set(chart.digest, chart);
    const charts = view.state.difficulties.map((one) => ({ ...known.get(one.chart), id: one.id, name: one.name }));
    const before = app.chart.id;
    state.data = { ...data, charts: [...known.values()].slice(-40) };
    app.renew({ ...data, charts }, charts.findIndex((chart) => chart.id === before));
    dispatchEvent(new Event("charts"));
    showDifficulties(studio);
  }
  showMend(studio);
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
  const offered = studio.view.versions[one.id];
  const box = element("versions");
  box.hidden = !offered;
  const key = offered ? offered.digests.join() + one.chart : "";
  if (key === state.offered) return;
  state.offered = key;
  if (!offered) return;
  const data = await read(`page?${[one.chart, ...offered.digests].map((digest) => `chart=${digest}`).join("&")}`);
  if (!data || state.offered !== key) return;
  const names = ["as it is", ...offered.digests.map((_, n) => `version ${n + 1}`)];
  const preview = (number) => {
    const charts = studio.app.data.charts.map((chart) => (chart.id === one.id ? { ...data.charts[number], id: one.id, name: one.name } : chart));
    studio.app.renew({ ...studio.app.data, charts }, charts.findIndex((chart) => chart.id === one.id));
    studio.app.seekChart(offered.span[0] - 1000);
    box.dataset.number = String(number);
    showBands(studio, one, true);
  };
  const radios = names.map((name, number) => {
    const radio = make("input", { type: "radio", name: "version", value: number });
    radio.checked = number === 0;
    radio.addEventListener("change", () => preview(number));
    return make("label", {}, radio, ` ${name} (${data.charts[number].stars.toFixed(2)}\u2605)`);
  });
  const done = (number) => { state.shown = ""; send("take", { id: one.id, number }); };
  box.dataset.number = "0";
  box.replaceChildren(make("legend", { text: `Versions of ${spanText(...offered.span)}` }), ...radios,
    button("Take the chosen one", () => done(box.dataset.number === "0" ? null : Number(box.dataset.number) - 1), "accent"),
    button("Keep it as it was", () => done(null)));
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
  box.addEventListener("pointerup", () => { from = null; }, { capture: true });
}

export function wireWatch(studio) {
  document.querySelector("#player .timeline").after(element("mend")); // beside the curves on which a stretch is marked
  wireStretch(studio);
  element("mark-start").addEventListener("click", () => mark(studio, 0));
  element("mark-end").addEventListener("click", () => mark(studio, 1));
  element("rewrite").addEventListener("click", () => send("rewrite", { id: chosen(studio).id, span: state.stretch }));
  element("lock").addEventListener("click", () => send("lock", { id: chosen(studio).id, span: state.stretch, on: true }));
  element("unlock").addEventListener("click", () => send("lock", { id: chosen(studio).id, span: state.stretch, on: false }));
  element("pin").addEventListener("click", () => send("pin", {}));
  addEventListener("keydown", (event) => {
    if (element("view-watch").hidden || studio.app.playing.active || event.target.matches("input:not([type=radio]), select")) return;
    if (event.key === "[") mark(studio, 0);
    else if (event.key === "]") mark(studio, 1);
  });
}
