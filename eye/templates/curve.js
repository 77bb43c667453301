"use strict";
// Accuracy by skill, as an SVG: the review's curve, the levels that can be watched, and one's own play once there is one.

const CURVE = { wide: 340, tall: 190, left: 40, right: 12, top: 12, bottom: 30 };
const TARGET_ACCURACY = 0.96; // what defines a chart's level (agents.difficulty_curve)

function drawAccuracyCurve(svg, chart, shownLevel, own) {
  const curve = chart.accuracyBySkill;
  const levels = chart.levels;
  svg.replaceChildren();
  if (!curve.length) return;
  const least = Math.max(Math.floor((levels.length ? levels[0].accuracy : curve[0][1]) * 20 - 1) / 20, 0);
  const bottom = Math.min(least, own ? Math.floor(own.accuracy320 * 20) / 20 : 1, 0.9);
  const inView = curve.filter(([, accuracy]) => accuracy >= bottom);
  const lowest = Math.min(inView.length ? inView[0][0] : curve[0][0], ...levels.slice(0, 1).map((level) => level.level));
  const from = Math.max(lowest - 0.25, 0);
  const until = Math.min(Math.max(levels.length ? levels[levels.length - 1].level + 1 : 10, from + 3), curve[curve.length - 1][0]);
  const x = (level) => CURVE.left + ((level - from) / (until - from)) * (CURVE.wide - CURVE.left - CURVE.right);
  const y = (accuracy) => CURVE.tall - CURVE.bottom - ((accuracy - bottom) / (1 - bottom)) * (CURVE.tall - CURVE.top - CURVE.bottom);
  const add = (name, attributes, text) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
    if (text !== undefined) element.textContent = text;
    svg.append(element);
    return element;
  };
  const step = 1 - bottom > 0.3 ? 0.1 : 0.05;
  for (let value = 1; value >= bottom - 1e-9; value -= step) {
    add("line", { class: "grid", x1: CURVE.left, x2: CURVE.wide - CURVE.right, y1: y(value), y2: y(value) });
    add("text", { class: "tick", x: CURVE.left - 6, y: y(value) + 4, "text-anchor": "end" }, `${Math.round(value * 100)} %`);
  }
  for (let level = Math.ceil(from); level <= until; level++) {
    add("text", { class: "tick", x: x(level), y: CURVE.tall - 14, "text-anchor": "middle" }, String(level));
  }
  add("text", { class: "tick", x: (CURVE.left + CURVE.wide) / 2, y: CURVE.tall - 1, "text-anchor": "middle" }, "level of the player");
  add("line", { class: "target", x1: CURVE.left, x2: CURVE.wide - CURVE.right, y1: y(TARGET_ACCURACY), y2: y(TARGET_ACCURACY) });
  const line = curve.filter(([level, accuracy]) => level >= from && level <= until && accuracy >= bottom);
  add("polyline", { class: "curve", points: line.map(([level, accuracy]) => `${x(level)},${y(accuracy)}`).join(" ") });
  for (const level of levels) {
    if (level.accuracy < bottom || level.level > until) continue;
    const shown = level === shownLevel;
    const dot = add("circle", { class: shown ? "dot shown" : "dot", cx: x(level.level), cy: y(level.accuracy), r: shown ? 6 : 4 });
    const title = document.createElementNS("http://www.w3.org/2000/svg", "title");
    title.textContent = `level ${level.level}: ${percentText(level.accuracy)}`;
    dot.append(title);
  }
  let words = `Expected accuracy (MAX = 320) by level of skill. Level ${chart.required.toFixed(1)} reaches 96 %.`;
  if (own) {
    const at = Math.min(Math.max(levelFor(curve, own.accuracy320), from), until);
    add("line", { class: "own", x1: x(at), x2: x(at), y1: y(Math.max(own.accuracy320, bottom)), y2: CURVE.tall - CURVE.bottom });
    add("circle", { class: "own", cx: x(at), cy: y(Math.max(own.accuracy320, bottom)), r: 6 });
    add("text", { class: "own", x: Math.min(x(at), CURVE.wide - 30), y: y(Math.max(own.accuracy320, bottom)) - 10, "text-anchor": "middle" }, "you");
    words += ` Your play: ${percentText(own.accuracy320)}.`;
  }
  svg.setAttribute("aria-label", words);
}

/** The level that is expected to reach an accuracy, within the curve's ends. */
function levelFor(curve, accuracy) {
  const after = curve.findIndex(([, value]) => value >= accuracy);
  if (after < 0) return curve[curve.length - 1][0];
  if (after === 0) return curve[0][0];
  const [low, lowValue] = curve[after - 1], [high, highValue] = curve[after];
  return low + ((accuracy - lowValue) / (highValue - lowValue || 1)) * (high - low);
}
