"use strict";
// Playing it yourself: keys become presses at the time they were pressed, not at the frame that shows them.

const LEAD_IN_MS = 2000; // real time before the first note
const AFTER_MS = 700; // the results come this long after the last judgement
const RETRY_KEY = "Backquote"; // osu!'s
const HEARD_LATE_MS = 60; // a key's event may reach us this long after the key: until then nothing is called missed

class Playing {
  /** `app`: the page; see app.js. */
  constructor(app) {
    this.app = app;
    this.play = null;
    addEventListener("keydown", (event) => this.key(event, true), { capture: true });
    addEventListener("keyup", (event) => this.key(event, false), { capture: true });
    addEventListener("blur", () => this.stop());
    this.fingers = new Map(); // pointer -> column it is down on
    for (const kind of ["pointerdown", "pointerup", "pointercancel"]) {
      app.stage.canvas.addEventListener(kind, (event) => this.finger(event, kind === "pointerdown"));
    }
  }

  get active() {
    return this.play !== null;
  }

  /** Start at the first note, or just before `fromMs` with only what comes after it judged. */
  start(fromMs = null) {
    const { app } = this;
    const rate = app.settings.get("rate");
    app.clock.pause();
    this.play = new OwnPlay(app.chart, fromMs === null ? -Infinity : fromMs, rate);
    const first = fromMs === null ? app.chart.firstMs : fromMs;
    app.seekChart(first - LEAD_IN_MS * rate);
    app.clock.play();
    this.startedFrom = fromMs;
    app.announce("Playing. Press Escape to stop, ` to begin again.");
    app.changed();
  }

  /** Begin again where this play began, or the last one. */
  retry() {
    this.play = null;
    this.start(this.startedFrom ?? null);
  }

  key(event, isDown) {
    if (!this.active || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.code === "Escape" && isDown) {
      event.preventDefault();
      event.stopPropagation();
      this.stop();
      return;
    }
    if (event.code === RETRY_KEY && isDown && !event.repeat) {
      event.preventDefault();
      event.stopPropagation();
      this.retry();
      return;
    }
    const column = this.app.settings.get("keys").findIndex((key) => key.code === event.code);
    if (column < 0) return;
    event.preventDefault();
    event.stopPropagation();
    if (event.repeat) return;
    this.touch(column, isDown, this.app.chartMs(this.app.clock.manual ? undefined : event.timeStamp));
  }

  /** A finger or the mouse on a column of the playfield is a key, too. */
  finger(event, isDown) {
    if (!this.active) return;
    const { canvas } = this.app.stage;
    if (isDown) {
      canvas.setPointerCapture(event.pointerId);
      this.fingers.set(event.pointerId, Math.min(Math.floor((event.offsetX / canvas.clientWidth) * KEYS), KEYS - 1));
    }
    const column = this.fingers.get(event.pointerId);
    if (column !== undefined) this.touch(column, isDown, this.app.chartMs(event.timeStamp));
    if (!isDown) this.fingers.delete(event.pointerId);
  }

  /** A key of a column goes down or up at a chart time. */
  touch(column, isDown, ms) {
    if (!this.active) return;
    if (isDown) {
      this.play.press(column, ms);
      this.app.hitSounds.strike();
    } else this.play.release(column, ms);
  }

  /** Every frame: judge what has run out; end when all is judged. */
  tick(ms) {
    if (!this.active) return;
    this.play.advance(Math.floor(ms - HEARD_LATE_MS * this.play.rate));
    if (this.play.done && ms > this.app.chart.lastMs + AFTER_MS) this.stop();
  }

  /** For scripts, which need not wait for the song: judge everything that is left, and end the play. */
  finish() {
    if (this.active) this.play.advance(Infinity);
    this.stop();
  }

  /** End the play and show what came of it, if anything was judged. */
  stop() {
    if (!this.active) return;
    const { play } = this;
    this.play = null;
    this.app.clock.pause();
    if (play.until > play.from) this.app.showOwn(play);
    this.app.changed();
  }
}
