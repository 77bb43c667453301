"use strict";
// The song, decoded once and played from memory: where it sounds is known to the sample, after a jump as from the start.
// (A media element's currentTime is up to 0.2 s off after a jump in an mp3 of varying bit rate.)

const DECODE_RATE = 44100; // Hz; most songs' own, so that nothing is resampled
const START_S = 0.03; // sound is ordered this far ahead, so that its first block comes in time
const MONO_FROM_S = 600; // longer songs are kept as one channel: 20 minutes are 212 MB instead of 423
const STRETCH_AHEAD_S = 1.5; // at another speed, sound is made this far ahead ...
const STRETCH_EVERY_MS = 100; // ... and looked after so often

/** A decoded song. Its clock is that of the page's data: `shiftMs` is how much later this browser has the same sound. */
class BufferSound {
  constructor(buffer, shiftMs = 0, context = null) {
    this.buffer = buffer;
    this.shiftMs = shiftMs;
    this.context = context;
    this.volume = 1;
    this.from = null; // {ms, at, rate}: song time `ms` sounds at context time `at`
    this.sources = new Set();
  }

  get durationMs() {
    return this.buffer.duration * 1000 - this.shiftMs;
  }

  /** Before the reader has touched the page no browser lets it sound; resolves once it may. */
  async wake() {
    if (!this.context) this.context = new AudioContext({ sampleRate: this.buffer.sampleRate, latencyHint: "interactive" });
    if (!this.gain) {
      this.gain = this.context.createGain();
      this.gain.connect(this.context.destination);
      this.setVolume(this.volume);
    }
    if (this.context.state === "suspended" && this.context.resume) await this.context.resume();
  }

  setVolume(volume) {
    this.volume = volume;
    if (this.gain) this.gain.gain.value = volume;
  }

  /** Sound from song time `ms` (may be negative: silence first); returns after how many ms it is heard. */
  start(ms, rate) {
    this.stop();
    const { context } = this;
    const at = Math.ceil((context.currentTime + START_S) * context.sampleRate) / context.sampleRate;
    this.from = { ms, at, rate };
    const offset = (ms + this.shiftMs) / 1000;
    if (offset >= this.buffer.duration) return 0;
    if (rate === 1) this.order(this.buffer, offset >= 0 ? at : at - offset, Math.max(offset, 0));
    else this.stretch(offset, rate, at);
    return (at - context.currentTime + (context.outputLatency || context.baseLatency || 0)) * 1000;
  }

  order(buffer, at, offset = 0) {
    const source = this.context.createBufferSource();
    source.buffer = buffer;
    source.connect(this.gain);
    source.addEventListener("ended", () => this.sources.delete(source));
    source.start(at, offset);
    this.sources.add(source);
  }

  /** The song at another speed and the same pitch, made block by block while it plays. */
  stretch(offset, rate, at) {
    const { context } = this;
    const stretcher = new Stretcher(this.buffer, Math.round(offset * this.buffer.sampleRate), rate);
    let next = at;
    const feed = () => {
      while (next < context.currentTime + STRETCH_AHEAD_S && !stretcher.over) {
        const block = stretcher.next();
        const buffer = context.createBuffer(block.length, block[0].length, this.buffer.sampleRate);
        block.forEach((samples, channel) => buffer.copyToChannel(samples, channel));
        this.order(buffer, next);
        next += buffer.duration;
      }
      if (stretcher.over) clearInterval(this.feeding);
    };
    feed();
    this.feeding = setInterval(feed, STRETCH_EVERY_MS);
  }

  stop() {
    clearInterval(this.feeding);
    for (const source of this.sources) source.stop();
    this.sources.clear();
    this.from = null;
  }

  /** Song time at a time of the context. */
  songMs(contextTime) {
    return this.from.ms + (contextTime - this.from.at) * 1000 * this.from.rate;
  }

  /** Song time that is heard at a time of performance.now(); null while that is not known. */
  heardAt(wall) {
    if (!this.from || this.context.state !== "running" || !this.context.getOutputTimestamp) return null;
    const { contextTime, performanceTime } = this.context.getOutputTimestamp();
    if (!contextTime || !performanceTime) return null;
    return this.songMs(contextTime + (wall - performanceTime) / 1000);
  }

  /** A short sound on the same clock, such as a key's. */
  click(buffer, volume) {
    const source = this.context.createBufferSource(), gain = this.context.createGain();
    gain.gain.value = volume;
    source.buffer = buffer;
    source.connect(gain).connect(this.context.destination);
    source.start();
  }
}

/** A song that only a media element may read, because it lies beside a page on disk; right from its start on. */
class MediaSound {
  constructor(audio) {
    this.audio = audio;
  }

  get durationMs() {
    return Number.isFinite(this.audio.duration) ? this.audio.duration * 1000 : 0;
  }

  async wake() {}

  setVolume(volume) {
    this.audio.volume = volume;
  }

  start(ms, rate) {
    const { audio } = this;
    clearTimeout(this.waiting);
    audio.pause();
    audio.preservesPitch = true;
    audio.defaultPlaybackRate = audio.playbackRate = rate;
    audio.currentTime = Math.max(ms, 0) / 1000;
    if (ms >= this.durationMs - 50 && this.durationMs) return 0;
    this.waiting = setTimeout(() => audio.play().catch(() => {}), Math.max(-ms / rate, 0));
    return 0;
  }

  stop() {
    clearTimeout(this.waiting);
    this.audio.pause();
  }

  heardAt() {
    const { audio } = this;
    return audio.paused || audio.seeking || audio.readyState < 3 || audio.ended ? null : audio.currentTime * 1000;
  }
}

/** The song as one channel where it is very long. */
function inMono(buffer) {
  if (buffer.duration <= MONO_FROM_S || buffer.numberOfChannels === 1) return buffer;
  const mono = new AudioBuffer({ length: buffer.length, numberOfChannels: 1, sampleRate: buffer.sampleRate });
  const sum = mono.getChannelData(0), channels = buffer.numberOfChannels;
  for (let channel = 0; channel < channels; channel++) {
    const samples = buffer.getChannelData(channel);
    for (let n = 0; n < sum.length; n++) sum[n] += samples[n] / channels;
  }
  return mono;
}

/** Decode a song's bytes (an ArrayBuffer, which is used up); `marks`: see alignment.js. Rejects what cannot be played. */
async function decodeSong(bytes, marks = []) {
  const decoder = new OfflineAudioContext(1, 1, DECODE_RATE);
  const buffer = inMono(await decoder.decodeAudioData(bytes));
  return new BufferSound(buffer, shiftOf(buffer, marks));
}
