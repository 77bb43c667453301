"use strict";
// The playfield: notes fall to the receptors, and what the player does with them is seen as it happens.

const NOTE_HEIGHT = 20;
const BELOW_PX = 96; // receptors stand this far above the lower edge
const FLASH_MS = 170;
const GLOW_PX = 150; // height of the light over a receptor that was hit
const WORD_MS = 450; // a judgement's word stays this long
const ERRORS_SHOWN = 20;
const HEALTH_PX = 6;

class Stage {
  constructor(canvas, theme) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d", { alpha: false });
    this.theme = theme;
    this.width = this.height = 0;
    new ResizeObserver(() => this.resize()).observe(canvas);
    this.resize();
  }

  resize() {
    const ratio = Math.min(devicePixelRatio || 1, 2);
    this.width = this.canvas.clientWidth;
    this.height = this.canvas.clientHeight;
    this.canvas.width = Math.round(this.width * ratio);
    this.canvas.height = Math.round(this.height * ratio);
    this.context.setTransform(ratio, 0, 0, ratio, 0, 0);
    if (this.last) this.draw(...this.last);
  }

  /** `view`: {chart, outcome, down: [column] or null, keys: [column] labels, spanMs: chart time on screen}. */
  draw(ms, view) {
    this.last = [ms, view];
    const { context, width, height } = this;
    if (!width) return;
    this.hitY = height - BELOW_PX;
    this.lane = (width - HEALTH_PX - 2) / KEYS;
    this.pxPerMs = this.hitY / view.spanMs;
    this.lanes(ms, view);
    const touches = Array.from({ length: KEYS }, (_, column) => this.touch(ms, view, column));
    this.glow(touches);
    this.combo(ms, view);
    for (let column = 0; column < KEYS; column++) this.notes(ms, view, column);
    this.receptors(view, touches);
    this.word(ms, view);
    this.errors(ms, view);
    this.health(ms, view);
    context.globalAlpha = 1;
  }

  y(ms, now) {
    return this.hitY - (ms - now) * this.pxPerMs;
  }

  lanes(now, view) {
    const { context, theme, width, height } = this;
    for (let column = 0; column < KEYS; column++) {
      context.fillStyle = theme.lane[column % 2 ? 1 : 0];
      context.fillRect(column * this.lane, 0, this.lane + 1, height);
    }
    const until = now + view.spanMs, from = now - BELOW_PX / this.pxPerMs;
    for (const finding of view.chart.findings) {
      if (finding.end_ms < from || finding.start_ms > until || finding.whole || finding.severity === "praise") continue;
      const top = this.y(finding.end_ms, now) - NOTE_HEIGHT / 2;
      const tall = Math.max(this.y(finding.start_ms, now) + NOTE_HEIGHT / 2 - top, NOTE_HEIGHT);
      context.fillStyle = theme.severity[finding.severity];
      context.globalAlpha = 0.1;
      for (const column of finding.columns.length ? finding.columns : [0, 1, 2, 3]) {
        context.fillRect(column * this.lane, top, this.lane, tall);
      }
      context.globalAlpha = 0.9;
      context.fillRect(0, top, 4, tall);
      context.globalAlpha = 1;
    }
    context.strokeStyle = theme.line;
    view.chart.beats(now, until, (beat, isBar) => {
      context.globalAlpha = isBar ? 1 : 0.4;
      const y = Math.round(this.y(beat, now)) + 0.5;
      context.beginPath();
      context.moveTo(0, y);
      context.lineTo(width, y);
      context.stroke();
    });
    context.globalAlpha = 1;
  }

  notes(now, view, column) {
    const notes = view.chart.columns[column];
    const from = now - (BELOW_PX + NOTE_HEIGHT) / this.pxPerMs, until = now + view.spanMs + NOTE_HEIGHT / this.pxPerMs;
    let at = firstAt(notes, (note) => note.end >= from);
    for (; at < notes.length && notes[at].start <= until; at++) this.note(now, view.outcome, notes[at]);
  }

  note(now, outcome, note) {
    const { context, theme } = this;
    const judged = outcome.judgedAt[note.index] <= now;
    const missed = judged && outcome.grade[note.index] === MISS;
    if (judged && !missed) return;
    const held = !missed && outcome.pressedAt[note.index] <= now && !(outcome.releasedAt[note.index] <= now);
    const x = note.column * this.lane + 5, wide = this.lane - 10;
    const headY = held && note.hold ? Math.min(this.y(note.start, now), this.hitY) : this.y(note.start, now);
    context.globalAlpha = missed ? 0.3 : 1;
    if (note.hold) {
      const tailY = this.y(note.end, now);
      context.fillStyle = missed ? theme.grade[MISS] : theme.hold[note.column];
      context.globalAlpha = missed ? 0.18 : held ? 0.95 : 0.6;
      round(context, x + 5, tailY - NOTE_HEIGHT / 2, wide - 10, Math.max(headY - tailY + NOTE_HEIGHT / 2, 2), 7);
      context.globalAlpha = missed ? 0.3 : 1;
    }
    context.fillStyle = missed ? theme.grade[MISS] : theme.note[note.column];
    round(context, x, headY - NOTE_HEIGHT / 2, wide, NOTE_HEIGHT, 6);
    context.globalAlpha = 1;
  }

  /** Light over the columns whose notes have just been hit. */
  glow(touches) {
    const { context, theme } = this;
    touches.forEach(({ grade, age }, column) => {
      if (grade < 0 || age >= FLASH_MS) return;
      const light = context.createLinearGradient(0, this.hitY - GLOW_PX, 0, this.hitY);
      light.addColorStop(0, `${theme.grade[grade]}00`);
      light.addColorStop(1, theme.grade[grade]);
      context.fillStyle = light;
      context.globalAlpha = theme.reducedMotion ? 0.3 : 0.5 * (1 - age / FLASH_MS);
      context.fillRect(column * this.lane, this.hitY - GLOW_PX, this.lane, GLOW_PX);
    });
    context.globalAlpha = 1;
  }

  receptors(view, touches) {
    const { context, theme } = this;
    for (let column = 0; column < KEYS; column++) {
      const x = column * this.lane + 5, wide = this.lane - 10;
      const touch = touches[column];
      context.globalAlpha = touch.down ? 1 : 0.55;
      context.fillStyle = context.strokeStyle = touch.down ? theme.note[column] : theme.muted;
      context.lineWidth = 2;
      context.beginPath();
      context.roundRect(x, this.hitY - NOTE_HEIGHT / 2, wide, NOTE_HEIGHT, 6);
      if (touch.down) context.fill();
      context.stroke();
      context.lineWidth = 1;
      context.globalAlpha = 1;
      context.fillStyle = touch.down ? theme.ink : theme.muted;
      context.font = `600 14px ${theme.font}`;
      context.textAlign = "center";
      context.textBaseline = "middle";
      context.fillText(view.keys[column], (column + 0.5) * this.lane, this.hitY + 34, this.lane - 8);
    }
  }

  /** What a column's finger does now: {down, grade of its last judged note, age of that judgement in ms}. */
  touch(now, { chart, outcome, down }, column) {
    const notes = chart.columns[column];
    let at = firstAt(notes, (note) => note.start > now + 200) - 1;
    let isDown = down ? down[column] : false, grade = -1, age = Infinity;
    for (let seen = 0; at >= 0 && seen < 6; at--, seen++) {
      const { index, hold } = notes[at];
      const pressed = outcome.pressedAt[index];
      if (!down && pressed <= now) {
        const released = outcome.releasedAt[index];
        const until = hold ? Math.min(Number.isNaN(released) ? Infinity : released, outcome.judgedAt[index]) : pressed + 70;
        isDown = isDown || now < until;
      }
      const since = now - outcome.judgedAt[index];
      if (since >= 0 && since < age) {
        age = since;
        grade = outcome.grade[index];
      }
    }
    return { down: isDown, grade, age };
  }

  /** Judgements in a row without a miss, behind the notes. */
  combo(now, { outcome }) {
    const combo = outcome.combos[outcome.judgedBy(now) - 1];
    if (!(combo > 1)) return;
    this.context.globalAlpha = 0.55;
    this.text(String(combo), this.hitY * 0.42, `300 46px ${this.theme.font}`, this.theme.ink);
  }

  /** The last judgement, for a moment. */
  word(now, { outcome }) {
    const index = outcome.order[outcome.judgedBy(now) - 1];
    const age = index === undefined ? Infinity : now - outcome.judgedAt[index];
    if (age >= WORD_MS) return;
    const grade = outcome.grade[index];
    this.context.globalAlpha = this.theme.reducedMotion ? 1 : 1 - (age / WORD_MS) ** 3;
    this.text(GRADES[grade], this.hitY * 0.42 + 42, `700 20px ${this.theme.font}`, this.theme.grade[grade]);
  }

  text(words, y, font, colour) {
    const { context } = this;
    context.font = font;
    context.fillStyle = colour;
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.fillText(words, this.width / 2, y);
    context.globalAlpha = 1;
  }

  /** The health bar, upright at the right edge. */
  health(now, { outcome }) {
    const { context, theme, width } = this;
    const health = outcome.health[outcome.judgedBy(now)];
    context.fillStyle = theme.line;
    context.fillRect(width - HEALTH_PX - 2, 0, HEALTH_PX + 2, this.height);
    context.fillStyle = health > 0.3 ? theme.accent : theme.grade[MISS];
    context.fillRect(width - HEALTH_PX, this.hitY * (1 - health), HEALTH_PX, this.hitY * health);
  }

  /** The last errors on a line from early to late. */
  errors(now, { outcome, chart }) {
    const { context, theme, width, height } = this;
    const windows = hitWindows(chart.od);
    const y = height - 22, half = Math.min(width * 0.4, 150), perMs = half / windows[3];
    for (const grade of [3, 2, 1, 0]) {
      context.fillStyle = theme.grade[grade];
      context.globalAlpha = 0.35;
      context.fillRect(width / 2 - windows[grade] * perMs, y - 1.5, 2 * windows[grade] * perMs, 3);
    }
    const judged = outcome.judgedBy(now);
    for (let seen = 0; seen < ERRORS_SHOWN && judged - 1 - seen >= 0; seen++) {
      const index = outcome.order[judged - 1 - seen];
      const error = outcome.error[index];
      if (Number.isNaN(error) || Math.abs(error) > windows[3]) continue;
      context.fillStyle = theme.grade[outcome.grade[index]];
      context.globalAlpha = 1 - seen / ERRORS_SHOWN;
      context.fillRect(width / 2 + error * perMs - 1, y - 8, 2, 16);
    }
    context.globalAlpha = 0.8;
    context.fillStyle = theme.ink;
    context.fillRect(width / 2 - 0.5, y - 10, 1, 20);
    context.globalAlpha = 1;
  }
}

function round(context, x, y, wide, tall, radius) {
  context.beginPath();
  context.roundRect(x, y, wide, tall, Math.min(radius, tall / 2));
  context.fill();
}
