// The step "Order": which difficulties shall be written, and the set's names and settings.

import { send, sendOnce } from "./api.js";
import { filled, isTyped, offer } from "./focus.js";
import { button } from "./jobs.js";

const PATTERNS = ["", "stream", "jumpstream", "handstream", "jack", "chordjack", "tech", "ln"];
const SPAN = /^\s*(\d+):(\d+(?:\.\d+)?)\s*-\s*(\d+):(\d+(?:\.\d+)?)\s*$/;

let filledFor = null;
let presets = {};
let levels = {}; // name -> stars
let rows = 0;

function cell(name, attributes, choices, none = "any") {
  const input = choices ? make("select", { name }, ...choices.map((one) => make("option", { value: one, text: one || none }))) : make("input", { name, ...attributes });
  input.setAttribute("aria-label", `${name}, row ${rows}`);
  return make("td", {}, input);
}

/** A level is a name for stars: choosing one fills them in, other stars have no name. */
function tieLevel(row) {
  const level = row.querySelector("[name=level]"), stars = row.querySelector("[name=stars]");
  const show = () => { level.value = (Object.entries(levels).find(([, value]) => value === Number(stars.value)) || [""])[0]; };
  level.addEventListener("change", () => { if (level.value) stars.value = levels[level.value]; });
  stars.addEventListener("input", show);
  show();
}

/** A row of the table: one difficulty. */
function addRow({ stars = 3, holds = "", pattern = "", share = "" } = {}, patterns = PATTERNS) {
  rows += 1;
  const row = make("tr", {},
    cell("level", {}, ["", ...Object.keys(levels)], "own stars"),
    cell("stars", { type: "number", min: 0.5, max: 10, step: 0.1, value: stars }),
    cell("holds", { type: "number", min: 0, max: 90, step: 1, value: holds, placeholder: "usual" }),
    cell("density", { type: "number", min: 50, max: 160, step: 1, placeholder: "usual" }),
    cell("pattern", {}, patterns),
    cell("share", { type: "number", min: 0, max: 100, step: 1, value: share }),
    cell("style", {}, ["", "keyboard", "pad"]),
    cell("effort", {}, ["fast", "normal", "best"]),
    cell("seed", { type: "number", min: 0, step: 1, value: 0 }),
    cell("name", { maxlength: 80, placeholder: "by its stars" }),
    cell("hp", { type: "number", min: 0, max: 10, step: 0.1, placeholder: "usual" }),
    cell("od", { type: "number", min: 0, max: 10, step: 0.1, placeholder: "usual" }));
  row.querySelector("[name=pattern]").value = pattern;
  tieLevel(row);
  const remove = button("Remove", () => row.remove());
  remove.setAttribute("aria-label", `Remove row ${rows}`);
  row.append(make("td", {}, remove));
  element("orders").append(row);
}

/** The rows as the server takes them. */
function ordersOf() {
  return [...document.querySelectorAll("#orders tr")].map((row) => {
    const text = (name) => row.querySelector(`[name=${name}]`).value;
    const number = (name, scale = 1) => (text(name) === "" ? null : Number(text(name)) / scale);
    const patterns = text("pattern") ? { [text("pattern")]: number("share", 100) ?? 0.3 } : {};
    return {
      stars: number("stars"), holds: number("holds", 100), density: number("density", 100), patterns, style: text("style"), effort: text("effort"),
      seed: number("seed") ?? 0, name: text("name"), hp: number("hp"), od: number("od"),
    };
  });
}

function usePreset(name) {
  const { stars, holds, patterns } = presets[name];
  element("orders").replaceChildren();
  rows = 0;
  const [pattern, share] = Object.entries(patterns || {})[0] || ["", ""];
  for (const one of stars) addRow({ stars: one, holds: holds === undefined ? "" : holds * 100, pattern, share: share === "" ? "" : share * 100 });
}

/** "1:05-1:20, 2:00-2:30" as spans in ms; null for what cannot be read. */
export function spansOf(text) {
  const parts = text.split(",").filter((part) => part.trim()).map((part) => SPAN.exec(part));
  if (parts.includes(null)) return null;
  return parts.map(([, a, b, c, d]) => [(Number(a) * 60 + Number(b)) * 1000, (Number(c) * 60 + Number(d)) * 1000]);
}

export function showOrder(studio) {
  const { view } = studio;
  presets = view.presets;
  levels = view.levels;
  const isNew = filledFor !== view.project;
  if (isNew) {
    filledFor = view.project;
    offer(element("preset"), Object.keys(presets).map((name) => [name, name]));
    element("preset").selectedIndex = 0;
    usePreset(element("preset").value);
    element("metadata-words").textContent = "";
  }
  showMetadata(view, isNew);
}

/** Names as the set has them; what is typed and not saved stays. */
function showMetadata(view, isNew) {
  const names = view.state.metadata;
  for (const input of element("metadata").querySelectorAll("input[name]")) {
    const value = names[input.name] ?? "", text = input.name === "kiai" ? kiaiText(value || []) : value === -1 ? "" : value;
    if (isNew || !isTyped(input)) filled(input, text);
  }
  const image = element("background-image"), source = `background?${encodeURIComponent(`${view.project}/${names.background}`)}`;
  image.hidden = !names.background;
  if (names.background && image.getAttribute("src") !== source) image.src = source;
}

function kiaiText(spans) {
  return spans.map((span) => span.map((ms) => clockText(ms, true)).join("-")).join(", ");
}

export function wireOrder(studio) {
  element("preset").addEventListener("change", ({ target }) => usePreset(target.value));
  element("order-more").addEventListener("click", () => addRow());
  element("order-write").addEventListener("click", async () => {
    if (await sendOnce("order", { orders: ordersOf() })) studio.show("watch");
  });
  element("metadata").addEventListener("input", () => { element("metadata-words").textContent = "Not saved yet."; });
  element("metadata").addEventListener("submit", async (event) => {
    event.preventDefault();
    const fields = Object.fromEntries(new FormData(event.target));
    delete fields[""];
    fields.preview_ms = fields.preview_ms === "" ? -1 : Number(fields.preview_ms);
    fields.kiai = fields.kiai === "" ? null : spansOf(fields.kiai) ?? [["", ""]]; // the last is refused with a word
    const texts = [...event.target.querySelectorAll("input[name]")].map((input) => [input, input.value]);
    const made = await send("metadata", { fields });
    if (made) { // what was typed since then stays
      for (const [input, text] of texts) if (input.value === text) filled(input, text);
      showMetadata(studio.view, false);
    }
    element("metadata-words").textContent = made ? "Saved." : "Not saved.";
  });
}
