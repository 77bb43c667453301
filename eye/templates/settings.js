"use strict";
// What the reader has chosen, remembered in localStorage where the browser has one for this page.

const STORED_AS = "mania4k-page";
const DEFAULTS = {
  scroll: 24, // osu!'s number: a note is on screen for 11485 / scroll ms
  rate: 1,
  offset: 0, // ms added to the song's lag
  volume: 60, // percent
  theme: "auto",
  hitSounds: false,
  keys: [
    { code: "KeyD", label: "D" },
    { code: "KeyF", label: "F" },
    { code: "KeyJ", label: "J" },
    { code: "KeyK", label: "K" },
  ],
};
const SCROLL_UNIT = 11485;

class Settings {
  constructor() {
    this.listeners = [];
    let stored = {};
    try {
      stored = JSON.parse(localStorage.getItem(STORED_AS)) || {};
    } catch { /* no storage, or not ours */ }
    this.values = { ...DEFAULTS };
    for (const [name, value] of Object.entries(stored)) if (isFit(name, value)) this.values[name] = value;
  }

  get(name) {
    return this.values[name];
  }

  set(name, value) {
    if (!isFit(name, value)) return;
    this.values[name] = value;
    try {
      localStorage.setItem(STORED_AS, JSON.stringify(this.values));
    } catch { /* forgotten when the page closes */ }
    for (const listener of this.listeners) listener(name, value);
  }

  onChange(listener) {
    this.listeners.push(listener);
  }
}

/** Whether a value, perhaps from an older page, can be used. */
function isFit(name, value) {
  if (name === "keys") {
    const codes = Array.isArray(value) ? value.map((key) => key && key.code) : [];
    return codes.length === 4 && new Set(codes).size === 4 && codes.every((code) => typeof code === "string" && code);
  }
  if (name === "theme") return ["auto", "light", "dark"].includes(value);
  if (name === "hitSounds") return typeof value === "boolean";
  return name in DEFAULTS && Number.isFinite(value);
}
