"use strict";
// The whole song at a glance: strain, density, expected accuracy and readability, and the player's misses, drawn once;
// a line over them shows where we are. Findings are pinned above as buttons; the canvas is a slider.

const ROWS = ["strain", "density", "accuracy", "readability"];
const ROW_PX = 52;
const ROW_GAP = 10;
const ACCURACY_SMOOTH = 12; // notes over which expected accuracy is averaged either way
const PIN_PX = 16; // pins nearer than this stand one above the other
const PIN_LANES = 3;

class Timeline {
  /** `parts`: {canvas, playhead, played, pins, sections, readouts: {row: element}, now(), seek(ms), openFinding(index)}. */
  constructor(parts, theme) {
    Object.assign(this, parts);
    this.theme = theme;
    this.context = this.canvas.getContext("2d");
    this.durationMs = 1;
    new ResizeObserver(() => this.redraw()).observe(this.canvas);
    this.canvas.addEventListener("pointerdown", (event) => this.drag(event));
    this.canvas.addEventListener("pointermove", (event) => { if (event.buttons & 1) this.drag(event); });
    this.canvas.addEventListener("keydown", (event) => this.key(event));
  }

  show(chart, durationMs) {
    this.chart = chart;
    this.durationMs = Math.max(durationMs, chart.lastMs, 1);
    this.canvas.setAttribute("aria-valuemax", String(Math.round(this.durationMs / 1000)));
    this.placePins();
    this.placeSections();
    this.redraw();
  }

  /** The level whose expected accuracy and misses are drawn; `outcome` is its player's. */
  showLevel(level, outcome) {
    this.level = level;
    this.outcome = outcome;
    this.redraw();
  }

  x(ms) {
    return (Math.min(Math.max(ms, 0), this.durationMs) / this.durationMs) * this.width;
  }

  placePins() {
    const pins = this.chart.findings.filter((finding) => !finding.whole).sort((a, b) => a.start_ms - b.start_ms);
    const wide = this.canvas.clientWidth || 800;
    const lastInLane = Array(PIN_LANES).fill(-Infinity);
    this.pins.replaceChildren(...pins.map((finding) => {
      const x = (finding.start_ms / this.durationMs) * wide;
      let lane = lastInLane.findIndex((last) => x - last >= PIN_PX);
      if (lane < 0) lane = lastInLane.indexOf(Math.min(...lastInLane));
      lastInLane[lane] = x;
      const pin = document.createElement("button");
      pin.type = "button";
      pin.className = `pin ${finding.severity}`;
      pin.dataset.finding = String(finding.index);
      pin.style.left = `${(Math.max(finding.start_ms, 0) / this.durationMs) * 100}%`;
      pin.style.top = `${lane * 18}px`;
      pin.title = `${clockText(finding.start_ms)} ${finding.reason}`;
      pin.setAttribute("aria-label", `${finding.severity} at ${clockText(finding.start_ms)}: ${finding.reason}`);
      pin.addEventListener("click", () => this.openFinding(finding.index));
      return pin;
    }));
    this.pins.style.height = `${this.usedLanes(lastInLane) * 18}px`;
  }

  usedLanes(lastInLane) {
    return Math.max(lastInLane.filter((last) => last > -Infinity).length, 1);
  }

  placeSections() {
    this.sections.replaceChildren(...this.chart.sections.map((section) => {
      const block = document.createElement("span");
      const from = Math.max(section.start_ms, 0), until = Math.min(section.end_ms, this.durationMs);
      block.style.left = `${(from / this.durationMs) * 100}%`;
      block.style.width = `${(Math.max(until - from, 0) / this.durationMs) * 100}%`;
      block.style.setProperty("--energy", `${Math.round(6 + 30 * Math.min(Math.max(section.energy, 0), 1))}%`);
      if (until - from > this.durationMs / 60) block.textContent = section.label; // else there is no room for it
      block.title = section.intent;
      return block;
    }));
  }

  redraw() {
    this.width = this.canvas.clientWidth;
    if (!this.chart || !this.width) return;
    const ratio = Math.min(devicePixelRatio || 1, 2);
    const { canvas, context } = this;
    canvas.width = Math.round(this.width * ratio);
    canvas.height = Math.round(ROWS.length * ROW_PX * ratio);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.rows = Object.fromEntries(ROWS.map((row) => [row, this.points(row)]));
    ROWS.forEach((row, n) => this.curve(context, row, n * ROW_PX));
    this.misses(context, (ROWS.indexOf("accuracy") + 1) * ROW_PX);
    this.toldSecond = null;
    this.place(this.nowMs || 0);
  }

  /** A row's points {ms, value or null}, and the values at its bottom and top. */
  points(row) {
    if (row === "accuracy" && this.level) return this.expected();
    const times = this.chart.curves.time_ms || [], values = this.chart.curves[row] || [];
    const points = times.map((ms, n) => ({ ms, value: values[n] }));
    const most = Math.max(...values.filter((value) => value !== null), 0);
    const top = { readability: 1, accuracy: 1 }[row] || most * 1.05 || 1;
    return { points, bottom: row === "accuracy" ? 0.8 : 0, top };
  }

  /** Expected accuracy of the level's crowd, averaged over neighbouring notes. */
  expected() {
    const { worth } = this.level;
    const sums = [0];
    for (const value of worth) sums.push(sums[sums.length - 1] + value / 100);
    const points = this.chart.notes.map(({ start, index }) => {
      const from = Math.max(index - ACCURACY_SMOOTH, 0), to = Math.min(index + ACCURACY_SMOOTH + 1, worth.length);
      return { ms: start, value: (sums[to] - sums[from]) / (to - from) };
    });
    const least = points.reduce((low, { value }) => Math.min(low, value), 1);
    return { points, bottom: Math.max(Math.floor(least * 20 - 0.5) / 20, 0), top: 1 };
  }

  curve(context, row, top) {
    const { points, bottom, top: most } = this.rows[row];
    const low = top + ROW_PX - ROW_GAP / 2, tall = ROW_PX - ROW_GAP - 6;
    const y = (value) => low - ((Math.max(value, bottom) - bottom) / (most - bottom || 1)) * tall;
    context.strokeStyle = this.theme.line;
    context.beginPath();
    context.moveTo(0, low + 0.5);
    context.lineTo(this.width, low + 0.5);
    context.stroke();
    context.strokeStyle = context.fillStyle = this.theme[row];
    context.lineWidth = 1.5;
    context.lineJoin = "round";
    let stretch = [];
    const finish = () => {
      if (stretch.length > 1) trace(context, stretch, low);
      stretch = [];
    };
    for (const { ms, value } of points) {
      if (value === null) finish();
      else stretch.push([this.x(ms), y(value)]);
    }
    finish();
    context.lineWidth = 1;
  }

  misses(context, low) {
    if (!this.outcome) return;
    context.fillStyle = this.theme.grade[MISS];
    for (const { index, start } of this.chart.notes) {
      if (this.outcome.grade[index] === MISS) context.fillRect(this.x(start) - 0.5, low - ROW_GAP / 2 - 5, 1.5, 5);
    }
  }

  /** Show where we are. */
  place(ms) {
    this.nowMs = ms;
    if (!this.width) return;
    const x = this.x(ms);
    this.playhead.style.transform = `translateX(${x - 1}px)`;
    this.played.style.transform = `scaleX(${x / this.width})`;
    const second = Math.floor(ms / 1000);
    if (second === this.toldSecond) return;
    this.toldSecond = second;
    this.canvas.setAttribute("aria-valuenow", String(Math.max(second, 0)));
    this.canvas.setAttribute("aria-valuetext", `${clockText(ms)} of ${clockText(this.durationMs)}`);
    for (const row of ROWS) this.readouts[row].textContent = this.valueText(row, ms);
  }

  valueText(row, ms) {
    const { points } = this.rows[row];
    const at = firstAt(points, (point) => point.ms > ms) - 1;
    const value = at >= 0 ? points[at].value : null;
    if (value === null || value === undefined) return "";
    if (row === "density") return `${value.toFixed(1)} notes/s`;
    return row === "strain" ? value.toFixed(1) : percentText(value, row === "accuracy" ? 1 : 0);
  }

  drag(event) {
    const box = this.canvas.getBoundingClientRect();
    this.canvas.focus({ preventScroll: true });
    this.seek(Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1) * this.durationMs);
  }

  key(event) {
    const steps = { ArrowLeft: -1000, ArrowDown: -1000, ArrowRight: 1000, ArrowUp: 1000, PageDown: -10000, PageUp: 10000 };
    let ms = this.now() + (steps[event.key] || 0);
    if (event.key === "Home") ms = 0;
    else if (event.key === "End") ms = this.durationMs;
    else if (!(event.key in steps)) return;
    event.preventDefault();
    event.stopPropagation();
    this.seek(Math.min(Math.max(ms, 0), this.durationMs));
  }
}

/** A line over a faint area down to `low`. */
function trace(context, points, low) {
  context.beginPath();
  points.forEach(([x, y], n) => (n ? context.lineTo(x, y) : context.moveTo(x, y)));
  context.stroke();
  context.lineTo(points[points.length - 1][0], low);
  context.lineTo(points[0][0], low);
  context.globalAlpha = 0.14;
  context.fill();
  context.globalAlpha = 1;
}
