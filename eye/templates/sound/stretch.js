"use strict";
// Another speed at the same pitch: grains of the song are laid over one another, each from where it continues the last
// one best (waveform similarity overlap-add; Verhelst and Roelands 1993).

const GRAIN_S = 0.04;
const SEARCH_S = 0.006; // a grain comes at most this much earlier or later than its place
const COARSE = 8; // frames between those compared, and between places tried
const BLOCK_GRAINS = 12;

class Stretcher {
  /** Reads `buffer` from a frame on (negative: silence first), `rate` times as fast. */
  constructor(buffer, firstFrame, rate) {
    this.channels = Array.from({ length: buffer.numberOfChannels }, (_, channel) => buffer.getChannelData(channel));
    this.length = buffer.length;
    this.first = firstFrame;
    this.rate = rate;
    this.hop = Math.round((buffer.sampleRate * GRAIN_S) / 2);
    this.reach = Math.round(buffer.sampleRate * SEARCH_S);
    this.grain = 0;
    this.last = firstFrame - this.hop; // where the grain before began
  }

  get over() {
    return this.first + this.grain * this.hop * this.rate >= this.length;
  }

  /** The next block: [channel] of samples. */
  next() {
    const { hop } = this;
    const block = this.channels.map(() => new Float32Array(hop * BLOCK_GRAINS));
    for (let n = 0; n < BLOCK_GRAINS; n++) this.lay(block, n * hop);
    return block;
  }

  /** Fade from what follows the last grain to the next one. */
  lay(block, at) {
    const { hop } = this;
    const follows = this.last + hop;
    const place = Math.round(this.first + (this.grain + 1) * hop * this.rate - hop); // its middle is where it belongs
    const start = this.grain === 0 ? this.first : this.bestNear(place, follows);
    this.channels.forEach((samples, channel) => {
      const out = block[channel];
      for (let n = 0; n < hop; n++) {
        const fade = 0.5 - 0.5 * Math.cos((Math.PI * n) / hop);
        out[at + n] = (samples[start + n] || 0) * fade + (samples[follows + n] || 0) * (1 - fade);
      }
    });
    this.last = start;
    this.grain += 1;
  }

  /** The frame near `place` whose sound is most like that at `follows`. */
  bestNear(place, follows) {
    let best = place, most = -Infinity;
    for (let shift = -this.reach; shift <= this.reach; shift += COARSE) {
      const alike = this.likeness(place + shift, follows);
      if (alike > most) {
        most = alike;
        best = place + shift;
      }
    }
    return best;
  }

  likeness(one, other) {
    const samples = this.channels[0];
    let product = 0, energy = 1e-9;
    for (let n = 0; n < this.hop; n += COARSE) {
      const value = samples[one + n] || 0;
      product += value * (samples[other + n] || 0);
      energy += value * value;
    }
    return product / Math.sqrt(energy);
  }
}
