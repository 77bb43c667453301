// A selection of notes [[ms, column, end or null]]: chosen by place or time, copied, mirrored, moved. Times are chart ms.

/** Notes of columns low..high that begin from `from` to `until`, both included. */
export function notesWithin(notes, from, until, low = 0, high = KEYS - 1) {
  return notes.filter((note) => note[0] >= from && note[0] <= until && note[1] >= low && note[1] <= high);
}

/** Left and right exchanged. */
export function mirrored(notes) {
  return notes.map(([ms, column, end]) => [ms, KEYS - 1 - column, end]);
}

/** The notes later and further to the right; columns stay on the field. */
export function moved(notes, byMs, byColumns = 0) {
  const low = Math.min(...notes.map((note) => note[1])), high = Math.max(...notes.map((note) => note[1]));
  const by = Math.min(Math.max(byColumns, -low), KEYS - 1 - high);
  return notes.map(([ms, column, end]) => [ms + byMs, column + by, end === null ? null : end + byMs]);
}

/** Copied notes with the first at `atMs`, without those that would lie on or in a note that is there. */
export function pasted(copied, atMs, notes) {
  if (!copied.length) return [];
  const placed = moved(copied, atMs - Math.min(...copied.map((note) => note[0])));
  return placed.filter((note) => !notes.some((other) => clash(note, other)));
}

function clash([start, column, end], [otherStart, otherColumn, otherEnd]) {
  return column === otherColumn && start <= (otherEnd ?? otherStart) && otherStart <= (end ?? start);
}
