"use strict";
// The song's position as a smooth clock. The sound says what is heard now, in small steps; we run on the browser's own clock
// and follow what the sound says. Before 0, after the end, and without music, our clock runs alone.

const SNAP_MS = 80; // further off than this, the clock jumps to the song
const FOLLOW = 0.03; // share of the difference made good at each look ...
const FIRST_FOLLOW = 0.25; // ... and in the first second, in which the sound's own start is settled

class SongClock {
  constructor() {
    this.sound = null; // BufferSound or MediaSound; null is silence
    this.rate = 1;
    this.playing = false;
    this.anchorMs = 0; // song time ...
    this.anchorAt = 0; // ... at this time of performance.now(); until then it stands
    this.lastMs = 0;
    this.startedAt = 0; // when the sound was last ordered
    this.orders = 0;
    this.manual = null; // a function that stands for performance.now() in tests
  }

  wall() {
    return this.manual ? this.manual() : performance.now();
  }

  /** Use a sound from now on; null for none. */
  attach(sound) {
    if (this.sound) this.sound.stop();
    this.sound = sound;
    if (this.playing) this.startSound();
  }

  /** Length of the song in ms; 0 while unknown. */
  get durationMs() {
    return this.sound ? this.sound.durationMs : 0;
  }

  /** Song time in ms at a time of performance.now() (default: now). */
  at(wall = this.wall()) {
    return this.playing ? this.anchorMs + Math.max(wall - this.anchorAt, 0) * this.rate : this.anchorMs;
  }

  /** Called every frame: follow the sound. Returns song time, never falling. */
  tick() {
    const now = this.wall();
    let ms = this.at(now);
    const heard = this.playing && this.sound && !this.manual && now >= this.anchorAt ? this.sound.heardAt(now) : null;
    if (heard !== null) {
      const off = heard - ms;
      ms += Math.abs(off) > SNAP_MS ? off : off * (now - this.startedAt < 1000 ? FIRST_FOLLOW : FOLLOW);
      this.anchorMs = ms;
      this.anchorAt = now;
    }
    if (this.playing) ms = Math.max(ms, this.lastMs);
    this.lastMs = ms;
    return ms;
  }

  play() {
    if (this.playing) return;
    this.playing = true;
    this.anchorAt = this.wall();
    this.lastMs = this.anchorMs;
    this.startSound();
  }

  /** Order sound from where we are; the clock stands until it is heard. */
  async startSound() {
    if (!this.sound || this.manual) return;
    const order = ++this.orders;
    await this.sound.wake().catch(() => {});
    if (order !== this.orders || !this.playing || !this.sound) return;
    const now = this.wall(), ms = this.at(now);
    this.anchorMs = this.lastMs = ms;
    this.anchorAt = now + this.sound.start(ms, this.rate);
    this.startedAt = now;
  }

  pause() {
    this.anchorMs = this.at();
    this.anchorAt = this.wall();
    this.playing = false;
    this.orders += 1;
    if (this.sound) this.sound.stop();
  }

  seek(ms) {
    this.anchorMs = this.lastMs = ms;
    this.anchorAt = this.wall();
    if (this.playing) this.startSound();
  }

  setRate(rate) {
    this.anchorMs = this.at();
    this.anchorAt = this.wall();
    this.rate = rate;
    if (this.playing) this.startSound();
  }
}
