// The song's waveform with beats, bars and red lines on a canvas.

import { inSlices } from "./slices.js";

const COARSE_FRAMES = 256;
const SLICE_FRAMES = 1 << 18;

/** {peaks: loudest sample of each 256 frames, perMs}, filled from the front on; `filled` resolves when all are there. */
export function peaksOf(buffer) {
  const samples = buffer.getChannelData(0);
  const peaks = new Float32Array(Math.ceil(samples.length / COARSE_FRAMES));
  const filled = inSlices(samples.length, SLICE_FRAMES, (from, until) => {
    for (let n = from; n < until; n++) {
      const value = Math.abs(samples[n]), at = (n / COARSE_FRAMES) | 0;
      if (value > peaks[at]) peaks[at] = value;
    }
  });
  return { peaks, perMs: buffer.sampleRate / 1000 / COARSE_FRAMES, filled };
}

/** Calls `draw(ms, isBar)` for each beat of red lines [[ms, beat, metre]] between two times. */
export function eachBeat(lines, fromMs, untilMs, draw) {
  lines.forEach(([start, beat, metre], n) => {
    const end = Math.min(n + 1 < lines.length ? lines[n + 1][0] - 1 : Infinity, untilMs);
    const first = Math.max(Math.ceil((fromMs - start) / beat), n ? 0 : -Infinity);
    for (let number = first; start + number * beat < end; number++) draw(start + number * beat, ((number % metre) + metre) % metre === 0);
  });
}

/** Draw the part fromMs..untilMs of song time; `lines` are in song time, too. */
export function drawWave(canvas, theme, { wave, shiftMs, fromMs, untilMs, nowMs, lines, chosen, taps, doubts }) {
  const ratio = Math.min(devicePixelRatio || 1, 2), width = canvas.clientWidth, height = canvas.clientHeight;
  if (!width) return;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  context.fillStyle = theme.lane[0];
  context.fillRect(0, 0, width, height);
  const x = (ms) => ((ms - fromMs) / (untilMs - fromMs)) * width;
  if (wave) drawPeaks(context, theme, wave, shiftMs, fromMs, (untilMs - fromMs) / width, width, height);
  context.fillStyle = theme.severity.warning;
  context.globalAlpha = 0.22;
  for (const doubt of doubts) context.fillRect(x(doubt.fromMs), 0, x(doubt.untilMs) - x(doubt.fromMs), height);
  context.globalAlpha = 1;
  const tight = (untilMs - fromMs) / width > 20;
  eachBeat(lines, fromMs, untilMs, (ms, isBar) => {
    if (tight && !isBar) return;
    context.fillStyle = isBar ? theme.ink : theme.muted;
    context.globalAlpha = isBar ? 0.7 : 0.35;
    context.fillRect(x(ms) - 0.5, isBar ? 0 : height * 0.25, 1, isBar ? height : height * 0.5);
  });
  context.globalAlpha = 1;
  lines.forEach(([ms, beat], n) => {
    context.fillStyle = theme.grade[5];
    context.fillRect(x(ms) - 1, 0, n === chosen ? 3 : 2, height);
    context.font = `12px ${theme.font}`;
    context.fillText(`${(60000 / beat).toFixed(2)}${n === chosen ? " (chosen)" : ""}`, x(ms) + 5, 13);
  });
  context.fillStyle = theme.note[1];
  for (const ms of taps) context.fillRect(x(ms) - 1, height - 14, 2, 14);
  context.fillStyle = theme.accent;
  context.fillRect(x(nowMs) - 1, 0, 2, height);
}

function drawPeaks(context, theme, { peaks, perMs }, shiftMs, fromMs, msPerPx, width, height) {
  context.fillStyle = theme.hold[0];
  for (let px = 0; px < width; px++) {
    const first = Math.max(Math.floor((fromMs + shiftMs + px * msPerPx) * perMs), 0);
    const end = Math.max(Math.floor((fromMs + shiftMs + (px + 1) * msPerPx) * perMs), first + 1);
    let most = 0;
    for (let at = first; at < Math.min(end, peaks.length); at++) if (peaks[at] > most) most = peaks[at];
    const tall = Math.min(most, 1) * (height - 8);
    context.fillRect(px, (height - tall) / 2, 1, tall);
  }
}
