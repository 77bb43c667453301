"use strict";
// The song's position as a smooth clock. A media element reports its time in steps; we run on the browser's own clock
// and let it lean towards what the element says. Before 0, after the end, and without music, our clock runs alone.

const SNAP_MS = 80; // further off than this, the clock jumps to the song
const LEAN = 0.03; // share of the difference made good at each look ...
const FIRST_LEAN = 0.25; // ... and in the first second, in which the sound's own start is settled

class SongClock {
  /** `audio`: a media element, or null for silence. */
  constructor(audio) {
    this.audio = audio;
    this.rate = 1;
    this.playing = false;
    this.anchorMs = 0; // song time ...
    this.anchorAt = 0; // ... at this time of performance.now()
    this.lastMs = 0;
    this.startedAt = 0; // when the element was last told to play
    this.manual = null; // a function that stands for performance.now() in tests
  }

  wall() {
    return this.manual ? this.manual() : performance.now();
  }

  /** Length of the song in ms; 0 while unknown. */
  get durationMs() {
    const seconds = this.audio ? this.audio.duration : 0;
    return Number.isFinite(seconds) ? seconds * 1000 : 0;
  }

  /** Song time in ms at a time of performance.now() (default: now). */
  at(wall = this.wall()) {
    return this.playing ? this.anchorMs + (wall - this.anchorAt) * this.rate : this.anchorMs;
  }

  /** Called every frame: follow the element, start it when a silent lead-in is over. Returns song time, never falling. */
  tick() {
    const now = this.wall();
    let ms = this.at(now);
    if (this.playing && this.audio && !this.manual) {
      const sounding = !this.audio.paused && !this.audio.seeking && this.audio.readyState >= 3;
      if (this.audio.paused && ms >= 0 && (!this.durationMs || ms < this.durationMs - 50)) this.startAudio(ms);
      else if (sounding) {
        const off = this.audio.currentTime * 1000 - ms;
        const lean = now - this.startedAt < 1000 ? FIRST_LEAN : LEAN;
        ms += Math.abs(off) > SNAP_MS ? off : off * lean;
        this.anchorMs = ms;
        this.anchorAt = now;
      }
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
    if (this.anchorMs >= 0 && this.audio && !this.manual) this.startAudio(this.anchorMs);
  }

  startAudio(ms) {
    this.startedAt = this.wall();
    if (Math.abs(this.audio.currentTime * 1000 - ms) > SNAP_MS) this.audio.currentTime = ms / 1000;
    this.audio.play().catch(() => {}); // refused or interrupted: the clock runs on in silence
  }

  pause() {
    this.anchorMs = this.at();
    this.anchorAt = this.wall();
    this.playing = false;
    if (this.audio) this.audio.pause();
  }

  seek(ms) {
    this.anchorMs = this.lastMs = ms;
    this.anchorAt = this.wall();
    if (!this.audio || this.manual) return;
    if (ms < 0) this.audio.pause();
    this.audio.currentTime = Math.max(ms, 0) / 1000;
  }

  setRate(rate) {
    this.anchorMs = this.at();
    this.anchorAt = this.wall();
    this.rate = rate;
    if (!this.audio) return;
    this.audio.preservesPitch = true;
    this.audio.defaultPlaybackRate = this.audio.playbackRate = rate;
  }
}
