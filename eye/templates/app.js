"use strict";
// The page: one chart shown at one time, watched or played.

const OFFERED_MS = 5; // mean errors below this are left alone
const OFFERED_NOTES = 50; // and plays of fewer notes say nothing

class App {
  constructor(data) {
    this.data = data;
    this.charts = data.charts.map((chart) => new Chart(chart));
    this.settings = new Settings();
    this.theme = new Theme(this.settings);
    this.clock = new SongClock();
    this.stage = new Stage(element("stage-canvas"), this.theme);
    this.timeline = new Timeline({
      canvas: element("timeline-canvas"),
      playhead: element("playhead"),
      played: element("played"),
      pins: element("pins"),
      sections: element("section-strip"),
      readouts: Object.fromEntries(ROWS.map((row) => [row, element(`readout-${row}`)])),
      now: () => this.nowMs,
      seek: (ms) => this.seekChart(ms),
      openFinding: (index) => this.openFinding(index),
    }, this.theme);
    this.hitSounds = new HitSounds(this);
    this.playing = new Playing(this);
    this.own = null; // the result of the last whole play of this chart
    this.finished = null; // the last play of one's own
    this.frames = null; // times of drawn frames, while somebody measures
    this.theme.onChange(() => { this.timeline.redraw(); this.changed(); });
    this.settings.onChange((name) => this.apply(name));
    for (const name of ["rate", "volume"]) this.apply(name);
    wireControls(this);
    this.showChart(0);
    requestAnimationFrame(() => this.frame());
  }

  /** How much later than a chart time its sound comes. */
  get lagMs() {
    return this.data.lagMs + this.settings.get("offset");
  }

  chartMs(wall) {
    return this.clock.at(wall) - this.lagMs;
  }

  get nowMs() {
    return this.chartMs();
  }

  get durationMs() {
    return Math.max(this.clock.durationMs - this.lagMs, this.chart.lastMs + 1000);
  }

  get view() {
    const play = this.playing.play;
    return {
      chart: this.chart,
      outcome: play ? play.outcome : this.watched,
      down: play ? play.down : null,
      keys: this.settings.get("keys").map((key) => key.label),
      spanMs: (SCROLL_UNIT / this.settings.get("scroll")) * this.settings.get("rate"),
    };
  }

  showChart(index) {
    this.playing.stop();
    this.chart = this.charts[index];
    const radio = document.querySelector(`input[name="difficulty"][value="${index}"]`);
    if (radio) radio.checked = true;
    this.own = null;
    element("results").hidden = true;
    element("finding-now").textContent = "";
    this.timeline.show(this.chart, this.durationMs);
    showFindings(element("findings"), element("praise"), this.chart, (finding) => this.openFinding(finding));
    showSections(element("sections"), this.chart, (ms) => this.seekChart(ms));
    element("aimed-at").textContent = this.chart.aimedAt;
    element("aimed-at").hidden = !this.chart.aimedAt;
    element("asks-for").textContent = this.chart.required.toFixed(1);
    element("ratings").textContent = ratingsText(this.chart.ratings);
    this.showLevel(nearestLevel(this.chart));
  }

  /** Show other charts in place of these; the music goes on, and a chart that stays as it is, with what is done to it. `index`: which of them. */
  renew(data, index = 0) {
    const same = ({ id, digest }) => digest && digest === this.chart.digest && id === this.chart.id;
    this.data = data;
    this.charts = data.charts.map((chart) => (same(chart) ? Object.assign(this.chart, { name: chart.name }) : new Chart(chart)));
    const at = Math.min(Math.max(index, 0), this.charts.length - 1);
    if (this.charts[at] !== this.chart) this.showChart(at);
  }

  /** Watch another simulated player. */
  showLevel(index) {
    const level = this.chart.levels[index] || null;
    this.level = level;
    this.watched = level ? Outcome.ofLevel(this.chart, level) : new Outcome(this.chart);
    showLevels(element("levels"), this.chart, level, (chosen) => this.showLevel(chosen));
    this.timeline.showLevel(level, level && this.watched);
    this.drawCurve();
    this.changed();
  }

  drawCurve() {
    drawAccuracyCurve(element("accuracy-curve"), this.chart, this.level, this.own);
  }

  toggle() {
    if (this.playing.active) return;
    if (this.clock.playing) this.clock.pause();
    else {
      if (this.nowMs >= this.durationMs - 50) this.seekChart(0);
      this.clock.play();
    }
    this.changed();
  }

  seekChart(ms) {
    if (this.playing.active && this.clock.playing) return; // one does not skip in a play
    this.clock.seek(Math.min(ms, this.durationMs) + this.lagMs);
    this.changed();
  }

  openFinding(index) {
    const finding = this.chart.findings[index];
    this.chosen = index;
    this.seekChart(finding.start_ms - 200);
    for (const button of document.querySelectorAll("[data-finding]")) {
      const isChosen = Number(button.dataset.finding) === index;
      button.classList.toggle("chosen", isChosen);
      if (isChosen) button.setAttribute("aria-current", "true");
      else button.removeAttribute("aria-current");
      if (isChosen && button.matches(".finding")) {
        const list = button.closest(".scroll-list");
        if (list) list.scrollTop = button.offsetTop - list.offsetTop - 8;
      }
    }
    this.announce(`${finding.severity} at ${clockText(finding.start_ms)}: ${finding.reason} ${finding.suggestion}`);
  }

  /** The next or previous finding in time. */
  stepFinding(step) {
    const inTime = this.chart.findings.filter((finding) => !finding.whole).sort((a, b) => a.start_ms - b.start_ms);
    const now = this.nowMs + 200;
    const ahead = inTime.filter((finding) => (step > 0 ? finding.start_ms > now + 1 : finding.start_ms < now - 1));
    const next = step > 0 ? ahead[0] : ahead[ahead.length - 1];
    if (next) this.openFinding(next.index);
  }

  showOwn(play) {
    this.finished = play;
    const { own, words } = showResults(element("result-rows"), element("result-words"), this.chart, play);
    this.own = play.until - play.from === this.chart.notes.length && play.rate === 1 ? own : null;
    this.offerOffset(own.meanError, play);
    element("results").hidden = false;
    element("results").focus();
    this.drawCurve();
    this.announce(`Your play: ${words}`);
  }

  /** A button that moves the offset by the mean error of a play, where that is more than chance. */
  offerOffset(meanError, play) {
    const by = Math.round(meanError);
    const button = element("centre");
    button.hidden = Math.abs(by) < OFFERED_MS || play.until - play.from < OFFERED_NOTES;
    button.textContent = `You press ${Math.abs(by)} ms ${by > 0 ? "late" : "early"} on average: move the offset by ${by > 0 ? "+" : "\u2212"}${Math.abs(by)} ms`;
    button.onclick = () => {
      this.settings.set("offset", this.settings.get("offset") + by);
      button.hidden = true;
    };
  }

  apply(name) {
    if (name === "rate") {
      this.playing.stop(); // its windows are those of the speed it began with
      this.clock.setRate(this.settings.get("rate"));
    }
    if (name === "volume" && this.clock.sound) this.clock.sound.setVolume(this.volume);
    this.changed();
  }

  announce(words) {
    element("live").textContent = words;
  }

  get volume() {
    return Math.min(Math.max(this.settings.get("volume") / 100, 0), 1);
  }

  /** The song, once it is decoded. */
  hear(sound) {
    sound.setVolume(this.volume);
    this.clock.attach(sound);
    this.timeline.show(this.chart, this.durationMs);
    this.changed();
  }

  /** Say why there is no music. */
  silent(words) {
    this.clock.attach(null);
    element("no-audio").textContent = words;
    element("no-audio").hidden = false;
  }

  /** Something is to be drawn anew. */
  changed() {
    this.dirty = true;
  }

  frame() {
    requestAnimationFrame(() => this.frame());
    if (this.clock.playing || this.dirty) this.show();
  }

  /** Draw the present moment. */
  show() {
    const began = performance.now();
    this.dirty = false;
    const ms = this.clock.tick() - this.lagMs;
    this.playing.tick(ms);
    if (!this.playing.active) this.hitSounds.follow(this.watched, ms);
    if (this.clock.playing && !this.playing.active && ms > this.durationMs) this.clock.pause();
    this.stage.draw(ms, this.view);
    this.timeline.place(ms);
    this.tell(ms);
    if (this.frames) this.frames.push({ at: began, cost: performance.now() - began });
  }

  /** The numbers beside the playfield. */
  tell(ms) {
    const { outcome } = this.view;
    const own = this.playing.active;
    const counts = outcome.totals[outcome.judgedBy(ms)];
    counts.forEach((count, grade) => setText(`count-${grade}`, String(count)));
    const accuracy = accuracyOf(counts);
    setText("accuracy", percentText(accuracy));
    setText("letter", letterOf(accuracy));
    setText("accuracy-320", percentText(accuracyOf(counts, WORTH_320)));
    setText("who", own ? "You" : this.level ? `Player of level ${this.level.level.toFixed(1)}` : "Nobody");
    setText("beside", own && this.level ? `level ${this.level.level.toFixed(1)} has ${percentText(accuracyOf(this.watched.totals[this.watched.judgedBy(ms)]))}` : "");
    setText("time", `${clockText(ms, true)} / ${clockText(this.durationMs)}`);
    const finding = this.chart.findings.find((one) => one.severity !== "praise" && !one.whole && one.start_ms <= ms + 250 && one.end_ms >= ms - 250);
    setText("finding-now", finding ? `${SEVERITY_WORDS[finding.severity]}: ${finding.reason}` : "");
    const section = this.chart.sections.find((one) => one.start_ms <= ms && ms < one.end_ms);
    setText("section-now", section ? `${section.label}: ${section.intent}` : "");
    const playing = this.clock.playing;
    setText("play-word", playing ? "Pause" : "Play");
    element("play").classList.toggle("playing", playing);
    document.body.classList.toggle("own", own);
  }
}

/** Write only what changed: text that stays costs nothing. */
function setText(id, text) {
  const node = element(id);
  if (node.textContent !== text) node.textContent = text;
}

/** Index of the level that is nearest to what the chart asks for. */
function nearestLevel(chart) {
  const distance = chart.levels.map((level) => Math.abs(level.level - chart.required));
  return distance.indexOf(Math.min(...distance));
}
