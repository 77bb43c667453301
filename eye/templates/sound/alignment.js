"use strict";
// Decoders disagree about a song's first sample: for an mp3 whose header lacks the encoder's delay by 12 ms, for a cut Vorbis
// file by 23. The page's data has loudness by the ms at a few places as the timing heard it; here they are found again.

const MARK_REACH_MS = 150; // decoders differ by less
const MARK_LIKENESS = 0.6; // correlation below which a place is not the same music

/** How many ms later this browser has the song's sound than the page's data; 0 where that cannot be told. */
function shiftOf(buffer, marks) {
  const found = marks.map((mark) => markShift(buffer, mark)).filter((shift) => shift !== null).sort((a, b) => a - b);
  const shift = found.length ? found[found.length >> 1] : 0;
  return Math.abs(shift) < 0.5 ? 0 : shift;
}

/** The same of one place: {at_ms, levels: base64 of loudness, a byte a ms}; null where nothing like it is near. */
function markShift(buffer, mark) {
  const wanted = rises(Uint8Array.from(atob(mark.levels), (letter) => letter.charCodeAt(0)));
  const around = rises(levelsOf(buffer, mark.at_ms - MARK_REACH_MS, wanted.length + 1 + 2 * MARK_REACH_MS));
  const alike = Array.from({ length: 2 * MARK_REACH_MS + 1 }, (_, at) => correlation(wanted, around, at));
  const at = alike.indexOf(Math.max(...alike));
  if (!(alike[at] >= MARK_LIKENESS)) return null;
  const [before, here, after] = [alike[at - 1] ?? alike[at], alike[at], alike[at + 1] ?? alike[at]];
  const bend = before - 2 * here + after; // the peak of a parabola through the best three
  return at - MARK_REACH_MS + (bend < 0 ? Math.min(Math.max((before - after) / (2 * bend), -0.5), 0.5) : 0);
}

/** Loudness by the ms, 0-255 for -90 to 0 dB, of the mean of the channels (eye/rendering/sound_marks.py has the same). */
function levelsOf(buffer, fromMs, count) {
  const channels = Array.from({ length: buffer.numberOfChannels }, (_, channel) => buffer.getChannelData(channel));
  const perMs = buffer.sampleRate / 1000;
  return Float32Array.from({ length: count }, (_, n) => {
    const first = Math.round((fromMs + n) * perMs), end = Math.round((fromMs + n + 1) * perMs);
    let sum = 0;
    for (let frame = Math.max(first, 0); frame < Math.min(end, buffer.length); frame++) {
      let value = 0;
      for (const samples of channels) value += samples[frame];
      sum += (value / channels.length) ** 2;
    }
    const decibels = 10 * Math.log10(sum / (end - first) + 1e-12);
    return Math.round(Math.min(Math.max(1 + decibels / 90, 0), 1) * 255);
  });
}

function rises(levels) {
  return Float32Array.from({ length: levels.length - 1 }, (_, n) => levels[n + 1] - levels[n]);
}

function correlation(wanted, around, at) {
  let product = 0, one = 1e-9, other = 1e-9;
  for (let n = 0; n < wanted.length; n++) {
    const value = around[at + n];
    product += wanted[n] * value;
    one += wanted[n] * wanted[n];
    other += value * value;
  }
  return product / Math.sqrt(one * other);
}
