"use strict";
// The data of the page, unpacked: notes in time order and by column, beat lines, places.

const KEYS = 4;
const WHOLE_SHARE = 0.7; // a finding that covers more of the chart is about all of it and has no place

/** A difficulty. `notes`: {index, start, end, hold, column} in time order; times are whole ms. */
class Chart {
  constructor(data) {
    Object.assign(this, data);
    this.notes = [];
    let time = 0;
    for (let index = 0; index < data.notes.gap.length; index++) {
      time += data.notes.gap[index];
      const length = data.notes.length[index];
      const column = Number(data.notes.column[index]);
      this.notes.push({ index, column, start: time, end: time + length, hold: length > 0 });
    }
    this.columns = Array.from({ length: KEYS }, (_, column) => this.notes.filter((note) => note.column === column));
    this.firstMs = this.notes.length ? this.notes[0].start : 0;
    this.lastMs = this.notes.reduce((last, note) => Math.max(last, note.end), 0);
    this.findings.forEach((finding, index) => {
      finding.index = index;
      finding.whole = finding.end_ms - finding.start_ms >= WHOLE_SHARE * (this.lastMs - this.firstMs);
    });
  }

  /** Index of the first note that starts at `ms` or later. */
  noteFrom(ms) {
    return firstAt(this.notes, (note) => note.start >= ms);
  }

  /** Calls `draw(ms, isBar)` for every beat between two times; beats too close to be seen are left out. */
  beats(fromMs, toMs, draw) {
    for (let n = 0; n < this.lines.length; n++) {
      const [start, beatMs, meter] = this.lines[n];
      const until = Math.min(n + 1 < this.lines.length ? this.lines[n + 1][0] : Infinity, toMs);
      if (until <= fromMs || beatMs < 40) continue;
      const first = n === 0 ? -Infinity : 0; // the first line reaches back to the song's start
      for (let beat = Math.max(Math.ceil((fromMs - start) / beatMs), first); start + beat * beatMs < until; beat++) {
        draw(start + beat * beatMs, beat % meter === 0);
      }
    }
  }
}

/** Index of the first item for which `is` holds; items that hold stand behind those that do not. */
function firstAt(items, is) {
  let low = 0, high = items.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (is(items[middle])) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** m:ss, with tenths if asked. */
function clockText(ms, tenths = false) {
  const total = Math.max(ms, 0) / 1000;
  const seconds = tenths ? (Math.floor(total * 10) / 10 % 60).toFixed(1) : String(Math.floor(total) % 60);
  return `${Math.floor(total / 60)}:${seconds.padStart(tenths ? 4 : 2, "0")}`;
}

function percentText(share, digits = 2) {
  return `${(share * 100).toFixed(digits)} %`;
}

/** The compressed JSON in the element `id`. */
async function unpackData(id) {
  const packed = Uint8Array.from(atob(document.getElementById(id).textContent), (letter) => letter.charCodeAt(0));
  const plain = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(plain).json();
}

/** The song embedded in the element `id` as a Blob; null where there is none or the encoding was overridden. */
function embeddedAudio(id) {
  const element = document.getElementById(id);
  if (!element || document.characterSet !== "windows-1252") return null;
  const table = new Uint8Array(65536);
  const letters = new TextDecoder("windows-1252").decode(Uint8Array.from({ length: 256 }, (_, byte) => byte));
  for (let byte = 0; byte < 256; byte++) table[letters.charCodeAt(byte)] = byte;
  const text = element.textContent;
  const bytes = new Uint8Array(text.length);
  let size = 0;
  for (let n = 0; n < text.length; n++) {
    const byte = table[text.charCodeAt(n)];
    bytes[size++] = byte === 61 ? table[text.charCodeAt(++n)] - 64 : byte; // "=" marks an escape
  }
  return new Blob([bytes.subarray(0, size)], { type: element.dataset.type });
}
