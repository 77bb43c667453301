"use strict";
// What becomes of each note in a play, a simulated one (all known beforehand) or one's own (as it happens).

/** Arrays are by note in time order; `order` lists notes as they were judged, with running counts beside it. */
class Outcome {
  constructor(chart) {
    const size = chart.notes.length;
    this.chart = chart;
    this.grade = new Int8Array(size).fill(-1);
    this.error = new Float64Array(size).fill(NaN); // press - note, real ms
    this.pressedAt = new Float64Array(size).fill(NaN);
    this.releasedAt = new Float64Array(size).fill(NaN);
    this.judgedAt = new Float64Array(size).fill(Infinity);
    this.order = [];
    this.combos = []; // combo after each of `order`
    this.health = [1]; // 0-1 after none, one, two ... judgements
    this.gains = healthGains(chart.hp);
    this.totals = [[0, 0, 0, 0, 0, 0]]; // counts after none, one, two ... judgements
  }

  record(index, grade, at) {
    this.grade[index] = grade;
    this.judgedAt[index] = at;
    const counts = this.totals[this.totals.length - 1].slice();
    counts[grade] += 1;
    this.totals.push(counts);
    this.combos.push(grade === MISS ? 0 : (this.combos[this.combos.length - 1] || 0) + 1);
    this.health.push(Math.min(Math.max(this.health[this.health.length - 1] + this.gains[grade], 0), 1));
    this.order.push(index);
  }

  /** How many judgements have fallen by `ms`. */
  judgedBy(ms) {
    return firstAt(this.order, (index) => this.judgedAt[index] > ms);
  }

  /** {counts, accuracy, accuracy320, maxCombo, meanError, unstableRate} of the notes from..to (in time order) that have been judged. */
  resultOf(from, to) {
    const counts = [0, 0, 0, 0, 0, 0];
    let hits = 0, sum = 0, squares = 0;
    for (let index = from; index < to; index++) {
      if (this.grade[index] >= 0) counts[this.grade[index]] += 1;
      if (Number.isNaN(this.error[index])) continue;
      hits += 1;
      sum += this.error[index];
      squares += this.error[index] ** 2;
    }
    const mean = hits ? sum / hits : 0;
    const unstableRate = hits ? 10 * Math.sqrt(Math.max(squares / hits - mean * mean, 0)) : 0;
    const maxCombo = this.longestCombo(from, to);
    return { counts, accuracy: accuracyOf(counts), accuracy320: accuracyOf(counts, WORTH_320), maxCombo, meanError: mean, unstableRate };
  }

  /** Most judgements in a row without a miss among the notes from..to. */
  longestCombo(from, to) {
    let combo = 0, longest = 0;
    for (const index of this.order) {
      if (index < from || index >= to) continue;
      combo = this.grade[index] === MISS ? 0 : combo + 1;
      longest = Math.max(longest, combo);
    }
    return longest;
  }

  /** The play of a simulated player, whole. */
  static ofLevel(chart, level) {
    const outcome = new Outcome(chart);
    const windows = hitWindows(chart.od);
    const due = chart.notes.map((note) => {
      const error = level.error[note.index], release = level.release[note.index];
      if (error !== null) {
        outcome.error[note.index] = error;
        outcome.pressedAt[note.index] = note.start + error;
      }
      if (release !== null) outcome.releasedAt[note.index] = note.end + release;
      else if (Number(level.grade[note.index]) === MISS && error !== null) outcome.releasedAt[note.index] = note.start + error + 60;
      if (!note.hold) return error === null ? note.start + windows[3] : note.start + error;
      if (error === null) return note.start + windows[4] + 1;
      return release === null ? note.end + windows[3] + 1 : note.end + release;
    });
    const order = chart.notes.map((note) => note.index).sort((a, b) => due[a] - due[b] || a - b);
    for (const index of order) outcome.record(index, Number(level.grade[index]), due[index]);
    return outcome;
  }
}

/** One's own play of the notes from `fromMs` on: key events in, an outcome that grows. */
class OwnPlay {
  constructor(chart, fromMs = -Infinity, rate = 1) {
    this.chart = chart;
    this.rate = rate;
    this.from = chart.noteFrom(fromMs);
    this.outcome = new Outcome(chart);
    this.windows = hitWindows(chart.od, rate);
    this.down = [false, false, false, false];
    this.fallen = []; // judged, not yet recorded
    this.judges = chart.columns.map(
      (notes) => new ColumnJudge(notes.filter((note) => note.index >= this.from), this.windows, this),
    );
  }

  press(column, ms) {
    if (this.down[column]) return;
    this.down[column] = true;
    this.advance(Math.round(ms));
    this.judges[column].press(Math.round(ms));
    this.settle();
  }

  release(column, ms) {
    if (!this.down[column]) return;
    this.down[column] = false;
    this.advance(Math.round(ms));
    this.judges[column].release(Math.round(ms));
    this.settle();
  }

  advance(ms) {
    for (const judge of this.judges) judge.advance(ms);
    this.settle();
  }

  /** Record what the columns judged, in the order of time; combo and health hang on it. */
  settle() {
    this.fallen.sort((a, b) => a.at - b.at || a.column - b.column);
    for (const { index, grade, at } of this.fallen) this.outcome.record(index, grade, at);
    this.fallen = [];
  }

  /** Notes before this one (in time order) have all been judged. */
  get until() {
    const waiting = this.judges.map((judge) => (judge.at < judge.notes.length ? judge.notes[judge.at].index : Infinity));
    return Math.min(this.chart.notes.length, ...waiting);
  }

  get done() {
    return this.outcome.order.length >= this.chart.notes.length - this.from;
  }

  // what the judges tell

  pressed(note, error, now) {
    if (error !== null) this.outcome.error[note.index] = error / this.rate;
    this.outcome.pressedAt[note.index] = now;
    this.outcome.releasedAt[note.index] = NaN;
  }

  letGo(note, now) {
    this.outcome.releasedAt[note.index] = now;
  }

  judged(note, grade, tail, at) {
    if (tail !== null) this.outcome.releasedAt[note.index] = note.end + tail;
    this.fallen.push({ index: note.index, column: note.column, grade, at });
  }
}
