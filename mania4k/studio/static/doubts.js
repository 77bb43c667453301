// Where the timing is doubtful: parts of the song whose onsets lie beside the beats rather than on them.

import { inSlices } from "./slices.js";
import { eachBeat } from "./waveform.js";

const WINDOW_MS = 8000;
const REACH_MS = 60; // shifts that are tried
const STEP_MS = 3;
const NEAR_MS = 12; // a shift of so little is right
const BETTER = 1.3; // how much more sound a shift must find to be believed
const RISE_MS = 4;
const SLICE_MS = 1000; // of song, measured at a time

/** Rise of loudness by the ms on the buffer's clock, each the most of the STEP_MS around it. */
export async function onsetsOf(buffer) {
  const length = Math.floor(buffer.duration * 1000), levels = new Float32Array(length), rises = new Float32Array(length);
  await inSlices(length, SLICE_MS, (from, until) => levels.set(levelsOf(buffer, from, until - from), from));
  for (let n = 0; n < length; n++) rises[n] = Math.max((levels[n + RISE_MS] ?? 0) - (levels[n - RISE_MS] ?? levels[n]), 0);
  const most = new Float32Array(length);
  await inSlices(length, 20 * SLICE_MS, (from, until) => {
    for (let n = from; n < until; n++) {
      for (let at = Math.max(n - STEP_MS, 0); at <= Math.min(n + STEP_MS, length - 1); at++) most[n] = Math.max(most[n], rises[at]);
    }
  });
  return most;
}

/** [{fromMs, untilMs, byMs}]: where beats would have to be `byMs` later; neighbours of one kind are joined. */
export function doubtsOf(onsets, lines) {
  const found = [], halves = lines.map(([start, beat, metre]) => [start, beat / 2, metre]);
  for (let fromMs = 0; fromMs + WINDOW_MS <= onsets.length; fromMs += WINDOW_MS / 2) {
    const byMs = shiftIn(onsets, halves, fromMs, fromMs + WINDOW_MS);
    if (byMs === 0) continue;
    const last = found[found.length - 1];
    if (last && last.untilMs >= fromMs && Math.abs(last.byMs - byMs) <= NEAR_MS) last.untilMs = fromMs + WINDOW_MS;
    else found.push({ fromMs, untilMs: fromMs + WINDOW_MS, byMs });
  }
  return found;
}

/** The shift in ms at which the places find clearly more onsets than where they are; 0 for none. */
function shiftIn(onsets, halves, fromMs, untilMs) {
  const places = [];
  eachBeat(halves, fromMs + REACH_MS, untilMs - REACH_MS, (ms) => places.push(Math.round(ms)));
  const found = (shift) => places.reduce((sum, ms) => sum + (onsets[ms + shift] || 0), 0);
  let first = 0, last = 0, most = 0, own = 0; // the best shifts are often a few in a row: their middle counts
  for (let shift = -REACH_MS; shift <= REACH_MS; shift += STEP_MS) {
    const sum = found(shift);
    if (Math.abs(shift) <= NEAR_MS) own = Math.max(own, sum);
    if (sum === most) last = shift;
    if (sum > most) {
      most = sum;
      first = last = shift;
    }
  }
  const best = Math.round((first + last) / 2);
  return places.length > 3 && Math.abs(best) > NEAR_MS && most > BETTER * own ? best : 0;
}
