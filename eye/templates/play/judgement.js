"use strict";
// Stable's ScoreV1 rules, as agents/judgement/kernels.py has them (judge_column_v1): windows, note lock, one grade a hold.
// The kernel knows each press's release beforehand; here keys go down and up as time goes by, with the same outcome.
// Times are whole ms of map time. Grades: 0 MAX, 1 300, 2 200, 3 100, 4 50, 5 MISS.

const GRADES = ["MAX", "300", "200", "100", "50", "MISS"];
const WORTH = [300, 300, 200, 100, 50, 0]; // osu!stable counts a MAX as a 300
const WORTH_320 = [320, 300, 200, 100, 50, 0]; // in which our levels and curves are given
const LETTERS = [[1, "SS"], [0.95, "S"], [0.9, "A"], [0.8, "B"], [0.7, "C"], [-1, "D"]]; // more than, but for SS
const MISS = 5;

/** Half-widths of MAX, 300, 200, 100, 50, MISS in map ms; windows are constant in real time whatever the speed. */
function hitWindows(od, rate = 1) {
  const inverse = Math.min(Math.max(10 - od, 0), 10);
  const widths = [16, 34 + 3 * inverse, 67 + 3 * inverse, 97 + 3 * inverse, 121 + 3 * inverse, 158 + 3 * inverse];
  return widths.map((width) => Math.floor(width * rate + 1e-9));
}

/** Grade of a tap `error` ms away. */
function tapGrade(error, windows) {
  for (let grade = 0; grade < MISS; grade++) if (Math.abs(error) <= windows[grade]) return grade;
  return MISS;
}

/** The one grade of a hold from |head| and |head| + |tail|. */
function holdGrade(head, total, windows) {
  if (head <= windows[0] * 1.2 && total <= windows[0] * 2.4) return 0;
  if (head <= windows[1] * 1.1 && total <= windows[1] * 2.2) return 1;
  if (head <= windows[2] && total <= windows[2] * 2) return 2;
  if (head <= windows[3] && total <= windows[3] * 2) return 3;
  return 4;
}

/** Accuracy 0-1 as osu!stable gives it, or with a MAX worth more (`worth`); 1 of nothing. */
function accuracyOf(counts, worth = WORTH) {
  const hits = counts.reduce((sum, count) => sum + count, 0);
  return hits ? counts.reduce((sum, count, grade) => sum + count * worth[grade], 0) / (worth[0] * hits) : 1;
}

/** osu!mania's letter for an accuracy. */
function letterOf(accuracy) {
  return accuracy >= 1 ? "SS" : LETTERS.find(([above]) => accuracy > above)[1];
}

/** [grade] how much of the health bar a judgement gives or takes (agents/judgement/kernels.py, score_tables). */
function healthGains(hp) {
  const gain = [0.0055, 0.005, 0.004, 0, -0.0016, -0.0075], slope = [-0.0005, -0.0005, -0.0004, 0, -0.0016, -0.0075];
  return gain.map((value, grade) => value + slope[grade] * hp);
}

/**
 * Judges one column, event by event. `notes`: {index, start, end, hold} sorted by time.
 * `listener.pressed(note, error or null, now)`, `listener.letGo(note, now)` and
 * `listener.judged(note, grade, tailError or null, at)` are told what happens.
 */
class ColumnJudge {
  constructor(notes, windows, listener) {
    this.notes = notes;
    this.windows = windows;
    this.listener = listener;
    this.at = 0; // the note in front
    this.holding = false; // the key is down on the hold in front
    this.head = null; // latest press of the hold in front
    this.broken = false; // whether the key was ever up inside it
    this.up = -Infinity; // since when the key has been up; Infinity while it is down
  }

  /** Judge what is judged without a press, up to `now`. */
  advance(now) {
    const [, , , w100, w50] = this.windows;
    while (this.at < this.notes.length) {
      const note = this.notes[this.at];
      let due = note.end + w100; // a tap's late 50 does not exist in stable
      if (this.holding) {
        if (now < due) return;
        this.judgeHold(note, w50, null, note.end + w50); // held on too long
        continue;
      }
      if (note.hold) {
        // With the key up the game asks again and again whether the hold is over: never pressed, from the end of the
        // head's 50 window on; let go, from the beginning of the tail's, but only while the head's is open.
        const tailOpens = note.end - w50, headCloses = note.start + w50;
        const asked = Math.max(this.head === null ? headCloses : tailOpens, this.up);
        if (asked < Math.min(now, due)) {
          if (this.head === null) this.broken = true;
          if (asked >= tailOpens && (this.head === null || tailOpens <= headCloses + 1)) due = asked;
        }
      }
      if (now < due) return;
      this.judge(note, MISS, null, due);
    }
  }

  press(now) {
    this.advance(now);
    this.up = Infinity;
    const note = this.notes[this.at];
    if (!note) return;
    const [, , , , w50, wMiss] = this.windows;
    const error = now - note.start;
    if (error < -wMiss || (this.at > 0 && now < this.notes[this.at - 1].start)) return;
    if (!note.hold) {
      this.listener.pressed(note, error, now);
      this.judge(note, tapGrade(error, this.windows), null, now);
      return;
    }
    this.head = now;
    this.holding = true;
    this.listener.pressed(note, Math.abs(error) <= w50 ? error : null, now);
  }

  release(now) {
    this.advance(now);
    this.up = now;
    if (!this.holding) return;
    const note = this.notes[this.at];
    if (now < note.end - this.windows[4]) {
      this.holding = false;
      this.broken = true;
      this.listener.letGo(note, now);
    } else {
      this.judgeHold(note, Math.abs(now - note.end), now - note.end, now);
    }
  }

  judgeHold(note, tailOff, tail, at) {
    const error = this.head - note.start;
    // a press too early for any grade counts as one at the very end
    const off = error >= -this.windows[4] ? Math.abs(error) : note.end - 1 - note.start;
    const grade = holdGrade(off, off + tailOff, this.windows);
    this.judge(note, this.broken ? Math.max(grade, 2) : grade, tail, at);
  }

  judge(note, grade, tail, at) {
    this.at += 1;
    this.head = null;
    this.holding = this.broken = false;
    this.listener.judged(note, grade, tail, at);
  }
}
