// A roll of notes on a snapped grid, drawn with time going up, as the playfield has it. Times are chart ms.

import { eachBeat } from "./waveform.js";

export const ROLL = { perMs: 0.28, note: 16, below: 60 };

/** Where a time stands, and which time stands at a place. */
export function placesOf(canvas, nowMs) {
  const base = canvas.clientHeight - ROLL.below;
  return {
    y: (ms) => base - (ms - nowMs) * ROLL.perMs,
    ms: (y) => nowMs + (base - y) / ROLL.perMs,
    column: (x) => Math.min(Math.max(Math.floor((x / canvas.clientWidth) * KEYS), 0), KEYS - 1),
    lane: canvas.clientWidth / KEYS,
  };
}

/** The place of the grid nearest to a time: 1/`divisor` of the beat of the red line that holds there. */
export function snapped(lines, divisor, ms) {
  if (!lines.length) return Math.round(ms);
  const at = lines.filter(([start]) => start <= ms + 1).pop() || lines[0];
  const step = at[1] / divisor;
  return Math.round(at[0] + Math.round((ms - at[0]) / step) * step);
}

export function stepOf(lines, divisor, ms) {
  const at = lines.filter(([start]) => start <= ms + 1).pop() || lines[0];
  return at ? at[1] / divisor : 100;
}

/** Draw notes [[ms, column, end]], the grid, the selection and what is being placed. */
export function drawRoll(canvas, theme, { notes, lines, divisor, nowMs, selected, ghosts, locks, box, findings }) {
  const ratio = Math.min(devicePixelRatio || 1, 2), width = canvas.clientWidth, height = canvas.clientHeight;
  if (!width) return;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  const { y, ms, lane } = placesOf(canvas, nowMs);
  for (let column = 0; column < KEYS; column++) {
    context.fillStyle = theme.lane[column % 2];
    context.fillRect(column * lane, 0, lane, height);
  }
  const from = ms(height), until = ms(0);
  for (const [start, end] of locks) shade(context, theme.muted, 0.18, 0, y(end), width, y(start) - y(end));
  for (const one of findings) shade(context, theme.severity[one.severity], 0.14, 0, y(one.end_ms) - 8, 6, y(one.start_ms) - y(one.end_ms) + 16);
  const fine = lines.map(([start, beat, metre]) => [start, beat / divisor, metre * divisor]);
  eachBeat(fine, from, until, (at) => shade(context, theme.line, 0.6, 0, Math.round(y(at)), width, 1));
  eachBeat(lines, from, until, (at, isBar) => shade(context, isBar ? theme.ink : theme.muted, isBar ? 0.6 : 0.4, 0, Math.round(y(at)), width, 1));
  for (const note of [...notes, ...ghosts]) {
    if ((note[2] ?? note[0]) < from || note[0] > until) continue;
    drawNote(context, theme, note, y, lane, ghosts.includes(note) ? 0.5 : 1, selected.has(note));
  }
  shade(context, theme.accent, 1, 0, y(nowMs) - 1, width, 2);
  if (box) shade(context, theme.accent, 0.2, Math.min(box.x, box.toX), Math.min(box.y, box.toY), Math.abs(box.x - box.toX), Math.abs(box.y - box.toY));
}

function shade(context, colour, alpha, x, y, width, height) {
  context.globalAlpha = alpha;
  context.fillStyle = colour;
  context.fillRect(x, y, width, height);
  context.globalAlpha = 1;
}

function drawNote(context, theme, [start, column, end], y, lane, alpha, isSelected) {
  const x = column * lane + 5, wide = lane - 10;
  context.globalAlpha = alpha;
  if (end !== null) {
    context.fillStyle = theme.hold[column];
    context.fillRect(x + 6, y(end), wide - 12, y(start) - y(end));
  }
  context.fillStyle = theme.note[column];
  context.beginPath();
  context.roundRect(x, y(start) - ROLL.note / 2, wide, ROLL.note, 5);
  context.fill();
  if (isSelected) {
    context.strokeStyle = theme.ink;
    context.lineWidth = 2;
    context.stroke();
    context.lineWidth = 1;
  }
  context.globalAlpha = 1;
}
