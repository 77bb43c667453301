// Where the timing is doubtful: parts of the song whose onsets lie beside the beats rather than on them.

import { eachBeat } from "./waveform.js";

const WINDOW_MS = 8000;
const REACH_MS = 60; // shifts that are tried
const STEP_MS = 3;
const NEAR_MS = 12; // a shift of so little is right
const BETTER = 1.3; // how much more sound a shift must find to be believed
const RISE_MS = 4;

/** Rise of loudness by the ms, on the song's clock. */
export function onsetsOf(buffer, shiftMs = 0) {
  const levels = levelsOf(buffer, shiftMs, Math.floor(buffer.duration * 1000 - shiftMs));
  return Float32Array.from(levels, (_, n) => Math.max((levels[n + RISE_MS] ?? 0) - (levels[n - RISE_MS] ?? levels[n]), 0));
}

/** [{fromMs, untilMs, byMs}]: where beats would have to be `byMs` later; neighbours of one kind are joined. */
export function doubtsOf(onsets, lines) {
  const found = [];
  for (let fromMs = 0; fromMs + WINDOW_MS <= onsets.length; fromMs += WINDOW_MS / 2) {
    const byMs = shiftIn(onsets, lines, fromMs, fromMs + WINDOW_MS);
    if (byMs === 0) continue;
    const last = found[found.length - 1];
    if (last && last.untilMs >= fromMs && Math.abs(last.byMs - byMs) <= NEAR_MS) last.untilMs = fromMs + WINDOW_MS;
    else found.push({ fromMs, untilMs: fromMs + WINDOW_MS, byMs });
  }
  return found;
}

/** The shift in ms at which beats and half beats find clearly more onsets than at their own places; 0 for none. */
function shiftIn(onsets, lines, fromMs, untilMs) {
  const places = [];
  eachBeat(lines.map(([start, beat, metre]) => [start, beat / 2, metre]), fromMs + REACH_MS, untilMs - REACH_MS, (ms) => places.push(Math.round(ms)));
  const heard = (shift) => places.reduce((sum, ms) => sum + Math.max(...onsets.subarray(ms + shift - STEP_MS, ms + shift + STEP_MS + 1), 0), 0);
  let first = 0, last = 0, most = 0, own = 0; // the best shifts are often a few in a row: their middle counts
  for (let shift = -REACH_MS; shift <= REACH_MS; shift += STEP_MS) {
    const sum = heard(shift);
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
