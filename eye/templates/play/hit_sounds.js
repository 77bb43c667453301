"use strict";
// A short tick at each press of one's own, and at each hit of a player who is watched; off unless chosen.

const TICK_S = 0.03;
const TICK_HZ = 1900;

class HitSounds {
  constructor(app) {
    this.app = app;
    this.buffer = null;
    this.count = 0; // judgements already sounded
  }

  get on() {
    return this.app.settings.get("hitSounds");
  }

  strike() {
    const { sound } = this.app.clock;
    if (!this.on || !sound || !sound.context || !sound.click) return;
    if (!this.buffer) this.buffer = tick(sound.context.sampleRate);
    sound.click(this.buffer, 0.5 * this.app.volume);
  }

  /** Every frame while watching: sound what was hit since the last one. */
  follow(outcome, ms) {
    const judged = outcome.judgedBy(ms);
    const fresh = judged > this.count && judged - this.count < 5;
    if (fresh && this.app.clock.playing && outcome.order.slice(this.count, judged).some((index) => outcome.grade[index] !== MISS)) this.strike();
    this.count = judged;
  }
}

/** A soft click. */
function tick(sampleRate) {
  const buffer = new AudioBuffer({ length: Math.round(TICK_S * sampleRate), numberOfChannels: 1, sampleRate });
  const samples = buffer.getChannelData(0);
  for (let n = 0; n < samples.length; n++) {
    samples[n] = 0.6 * Math.sin((2 * Math.PI * TICK_HZ * n) / sampleRate) * Math.exp((-6 * n) / samples.length);
  }
  return buffer;
}
