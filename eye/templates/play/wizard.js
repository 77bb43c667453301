"use strict";
// The offset wizard: press any key with a steady beat; how late you press on average is what the system adds.

const WIZARD_BEAT_MS = 600;
const WIZARD_BEATS = 20;
const WIZARD_SKIPPED = 4; // until one has the beat

class OffsetWizard {
  constructor(app) {
    this.app = app;
    this.presses = null;
    this.context = null; // while it runs
    addEventListener("keydown", (event) => this.press(event), { capture: true });
  }

  /** Begin; the beat starts in a moment. */
  async start() {
    if (this.context) return; // it runs
    this.app.clock.pause();
    this.context = new AudioContext({ latencyHint: "interactive" });
    await this.context.resume();
    const sound = tick(this.context.sampleRate);
    this.first = this.context.currentTime + 1;
    for (let beat = 0; beat < WIZARD_BEATS; beat++) {
      const source = this.context.createBufferSource();
      source.buffer = sound;
      source.connect(this.context.destination);
      source.start(this.first + (beat * WIZARD_BEAT_MS) / 1000);
    }
    this.presses = [];
    this.say("Press any key with the beat, 20 times. Escape ends it.");
    this.ending = setTimeout(() => this.finish(), 1000 + WIZARD_BEATS * WIZARD_BEAT_MS);
  }

  /** When the beat numbered 0 is heard, in ms of performance.now(). */
  firstHeard() {
    const { contextTime, performanceTime } = this.context.getOutputTimestamp();
    return performanceTime + (this.first - contextTime) * 1000;
  }

  press(event) {
    if (!this.presses || event.repeat) return;
    event.preventDefault();
    event.stopPropagation();
    if (event.code === "Escape") this.finish();
    else this.presses.push(event.timeStamp - this.firstHeard());
  }

  finish() {
    clearTimeout(this.ending);
    const late = wizardOffset(this.presses || []);
    this.presses = null;
    this.context.close();
    this.context = null;
    if (late === null) {
      this.say("Too few presses were near a beat: nothing was changed.");
      return;
    }
    this.app.settings.set("offset", late);
    this.say(`You press ${Math.abs(late)} ms ${late < 0 ? "early" : "late"}: the offset is now ${late} ms.`);
  }

  say(words) {
    element("wizard-words").textContent = words;
    element("wizard-words").hidden = false;
  }
}

/** The median distance of presses (ms from beat 0) from their beats, in whole ms; null of too few. */
function wizardOffset(presses) {
  const late = presses
    .filter((ms) => ms > (WIZARD_SKIPPED - 0.5) * WIZARD_BEAT_MS)
    .map((ms) => ms - Math.round(ms / WIZARD_BEAT_MS) * WIZARD_BEAT_MS)
    .sort((a, b) => a - b);
  return late.length < 8 ? null : Math.round(late[late.length >> 1]);
}
