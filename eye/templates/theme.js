"use strict";
// Light and dark: the page's own switch over the system's wish. Canvases read their colours from the style sheet.

const SEVERITIES = ["problem", "warning", "note", "praise"];

class Theme {
  constructor(settings) {
    this.listeners = [];
    this.calm = matchMedia("(prefers-reduced-motion: reduce)");
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const apply = () => {
      const chosen = settings.get("theme");
      document.documentElement.dataset.theme = chosen === "auto" ? (dark.matches ? "dark" : "light") : chosen;
      this.read();
      for (const listener of this.listeners) listener();
    };
    dark.addEventListener("change", apply);
    settings.onChange((name) => { if (name === "theme") apply(); });
    apply();
  }

  onChange(listener) {
    this.listeners.push(listener);
  }

  get reducedMotion() {
    return this.calm.matches;
  }

  read() {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(`--${name}`).trim();
    this.font = style.getPropertyValue("--font").trim();
    this.lane = [colour("lane-a"), colour("lane-b")];
    this.note = [colour("note-outer"), colour("note-inner"), colour("note-inner"), colour("note-outer")];
    this.hold = [colour("hold-outer"), colour("hold-inner"), colour("hold-inner"), colour("hold-outer")];
    this.grade = GRADES.map((_, grade) => colour(`grade-${grade}`));
    this.severity = Object.fromEntries(SEVERITIES.map((name) => [name, colour(name)]));
    for (const name of ["ink", "muted", "faint", "line", "accent", "surface", "strain", "density", "accuracy", "readability"]) {
      this[name] = colour(name);
    }
  }
}
