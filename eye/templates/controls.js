"use strict";
// Buttons, sliders and shortcuts.

const SEEK_MS = 2000; // a step with the arrow keys

/** Wires the page's controls to `app`. */
function wireControls(app) {
  const { settings } = app;
  element("play").addEventListener("click", () => app.toggle());
  element("back").addEventListener("click", () => app.seekChart(app.nowMs - 10000));
  element("forward").addEventListener("click", () => app.seekChart(app.nowMs + 10000));
  element("play-yourself").addEventListener("click", () => app.playing.start());
  element("play-here").addEventListener("click", () => app.playing.start(app.nowMs));
  element("stop").addEventListener("click", () => app.playing.stop());
  element("retry").addEventListener("click", () => app.playing.retry());
  element("fullscreen").addEventListener("click", () => toggleFullscreen(element("stage")));
  const wizard = new OffsetWizard(app);
  element("wizard").addEventListener("click", () => wizard.start());
  wireHitSounds(settings);
  slider("rate", settings, (value) => `${value.toFixed(2)}\u00d7`);
  slider("scroll", settings, (value) => `${value} (${Math.round(SCROLL_UNIT / value)} ms)`);
  slider("offset", settings, (value) => `${value > 0 ? "+" : ""}${value} ms`);
  slider("volume", settings, (value) => `${value} %`);
  for (const radio of document.querySelectorAll('input[name="theme"]')) {
    radio.checked = radio.value === settings.get("theme");
    radio.addEventListener("change", () => settings.set("theme", radio.value));
  }
  for (const radio of document.querySelectorAll('input[name="difficulty"]')) {
    radio.addEventListener("change", () => app.showChart(Number(radio.value)));
  }
  wireKeys(settings, app);
  giveFocusBack();
  addEventListener("keydown", (event) => scrollKey(event, settings), { capture: true });
  addEventListener("keydown", fullscreenKey, { capture: true });
  addEventListener("keydown", (event) => shortcut(event, app));
}

function wireHitSounds(settings) {
  const box = element("hit-sounds");
  box.checked = settings.get("hitSounds");
  box.addEventListener("change", () => settings.set("hitSounds", box.checked));
}

function toggleFullscreen(node) {
  if (document.fullscreenElement) document.exitFullscreen();
  else if (node.requestFullscreen) node.requestFullscreen();
}

/** F11, or osu!'s Alt+Enter, where the playfield is shown; elsewhere F11 is the browser's. */
function fullscreenKey(event) {
  const asked = event.code === "F11" || (event.altKey && event.key === "Enter");
  if (!asked || event.repeat || !element("stage").checkVisibility()) return;
  event.preventDefault();
  event.stopPropagation();
  toggleFullscreen(element("stage"));
}

/** After a click with the mouse, Space and arrows are the player's again, not the clicked control's. */
function giveFocusBack() {
  let pointed = false;
  addEventListener("pointerdown", () => { pointed = true; }, { capture: true });
  addEventListener("keydown", () => { pointed = false; }, { capture: true });
  addEventListener("click", (event) => {
    const control = event.target.closest("input[type=radio], input[type=checkbox], button");
    if (pointed && control && control === document.activeElement && !control.closest(".keys, dialog")) control.blur();
  });
  for (const range of document.querySelectorAll("input[type=range]")) {
    range.addEventListener("pointerup", () => range.blur());
  }
}

/** F3 and F4 change the scroll speed as in osu!, while playing, too. */
function scrollKey(event, settings) {
  const step = { F3: -1, F4: 1 }[event.code];
  if (!step || event.ctrlKey || event.altKey || event.metaKey) return;
  event.preventDefault();
  settings.set("scroll", Math.min(Math.max(settings.get("scroll") + step, 8), 40));
}

function element(id) {
  return document.getElementById(id);
}

/** A range input bound to a setting, its value written beside it. */
function slider(name, settings, words) {
  const input = element(name), output = element(`${name}-value`);
  const show = () => {
    input.value = settings.get(name);
    output.textContent = words(settings.get(name));
    input.setAttribute("aria-valuetext", output.textContent);
  };
  input.addEventListener("input", () => settings.set(name, Number(input.value)));
  settings.onChange((changed) => { if (changed === name) show(); });
  show();
}

/** One button a column: click it, then press the key that shall play the column. */
function wireKeys(settings, app) {
  const buttons = [...document.querySelectorAll("[data-column]")];
  const show = () => buttons.forEach((button, column) => {
    const { label } = settings.get("keys")[column];
    button.textContent = label;
    button.setAttribute("aria-label", `Key of column ${KEY_NAMES[column]}: ${label}. Press to change.`);
    button.classList.remove("waiting");
  });
  buttons.forEach((button, column) => {
    button.addEventListener("click", () => {
      show();
      button.textContent = "\u2026";
      button.classList.add("waiting");
      app.announce(`Press the key for column ${KEY_NAMES[column]}.`);
    });
    button.addEventListener("blur", show);
    button.addEventListener("keydown", (event) => {
      if (!button.classList.contains("waiting") || event.key === "Tab") return;
      event.preventDefault();
      event.stopPropagation();
      if (event.code !== "Escape") assignKey(settings, column, event);
      show();
      app.announce(button.getAttribute("aria-label"));
    });
  });
  settings.onChange((changed) => { if (changed === "keys") show(); });
  show();
}

/** Give a column a key; a column that had it takes the old one. */
function assignKey(settings, column, event) {
  const keys = settings.get("keys").slice();
  const chosen = { code: event.code, label: keyLabel(event) };
  const other = keys.findIndex((key) => key.code === chosen.code);
  if (other >= 0) keys[other] = keys[column];
  keys[column] = chosen;
  settings.set("keys", keys);
}

function keyLabel(event) {
  if (event.code === "Space") return "Space";
  return event.key.length === 1 ? event.key.toUpperCase() : event.code;
}

/** Space, arrows, comma and full stop, while nothing that needs them has the focus. */
function shortcut(event, app) {
  if (app.playing.active || event.ctrlKey || event.metaKey || event.altKey) return;
  const focus = document.activeElement;
  const inControl = focus && focus.matches("input, select, textarea, summary");
  const onButton = focus && focus.matches("button, a");
  if (event.key === " " && !inControl && !onButton) app.toggle();
  else if (event.key === "ArrowLeft" && !inControl) app.seekChart(app.nowMs - SEEK_MS);
  else if (event.key === "ArrowRight" && !inControl) app.seekChart(app.nowMs + SEEK_MS);
  else if (event.key === "," && !inControl) app.stepFinding(-1);
  else if (event.key === "." && !inControl) app.stepFinding(1);
  else return;
  event.preventDefault();
}
