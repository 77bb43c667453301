"use strict";
// The lists beside the playfield: findings, sections, simulated players. All text goes in as text, never as HTML.

const SEVERITY_WORDS = { problem: "Problem", warning: "Warning", note: "Note", praise: "Good" };
const KEY_NAMES = ["1", "2", "3", "4"];

/** An element with a class, text and children. */
function make(name, { className = "", text, ...rest } = {}, ...children) {
  const element = document.createElement(name);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  for (const [key, value] of Object.entries(rest)) element.setAttribute(key, String(value));
  element.append(...children);
  return element;
}

function spanText(from, until) {
  return until - from < 1000 ? clockText(from) : `${clockText(from)}\u2013${clockText(until)}`;
}

/** Where a finding is, for the list. */
function placeText(finding) {
  return finding.whole ? "the whole chart" : spanText(finding.start_ms, finding.end_ms);
}

/** Findings as a list of buttons that go to their places; praise in a list of its own. */
function showFindings(list, praise, chart, open) {
  const item = (finding) => {
    const button = make("button", { className: "finding", type: "button", "data-finding": finding.index },
      make("span", { className: `badge ${finding.severity}`, text: SEVERITY_WORDS[finding.severity] }),
      make("span", { className: "when", text: placeText(finding), title: finding.place }),
      make("span", { className: "reason", text: finding.reason }));
    if (finding.suggestion) button.append(make("span", { className: "suggestion", text: finding.suggestion }));
    button.addEventListener("click", () => open(finding.index));
    return make("li", {}, button);
  };
  const faults = chart.findings.filter((finding) => finding.severity !== "praise");
  const good = chart.findings.filter((finding) => finding.severity === "praise");
  list.replaceChildren(...faults.map(item));
  if (!faults.length) list.append(make("li", { className: "none", text: "Nothing stands out." }));
  praise.replaceChildren(...good.map(item));
  praise.closest("section").hidden = !good.length;
}

/** Sections with what the music asks for and how the patterns answer. */
function showSections(list, chart, seek) {
  list.replaceChildren(...chart.sections.map((section) => {
    const button = make("button", { className: "section-link", type: "button" },
      make("span", { className: "letter", text: section.label }),
      make("span", { className: "when", text: spanText(section.start_ms, section.end_ms) }),
      make("meter", { min: 0, max: 1, value: section.energy, "aria-label": "energy", title: `energy ${percentText(section.energy, 0)}` }),
      make("span", { className: "intent", text: section.intent }),
      make("span", { className: "answer", text: section.answer }));
    button.addEventListener("click", () => seek(section.start_ms));
    return make("li", {}, button);
  }));
  list.closest("section").hidden = !chart.sections.length;
}

/** Levels for 96 %, overall and by skill, each with its uncertainty; "none" where even the lowest level reaches it. */
function ratingsText(ratings) {
  const one = ([name, level, sd]) => level > 0 ? `${name} ${level.toFixed(1)} \u00b1 ${sd.toFixed(1)}` : `${name} none`;
  return ratings.length ? `Level for 96 %: ${ratings.map(one).join(", ")}.` : "";
}

/** One row a level, each with a radio button that chooses whom to watch. */
function showLevels(body, chart, chosen, choose) {
  body.replaceChildren(...chart.levels.map((level, n) => {
    const radio = make("input", { type: "radio", name: "level", value: n, id: `level-${n}` });
    radio.checked = level === chosen;
    radio.addEventListener("change", () => choose(n));
    return make("tr", {},
      make("th", { scope: "row" }, make("label", { for: `level-${n}` }, radio, ` Level ${level.level.toFixed(1)}`)),
      make("td", { text: percentText(level.stable) }),
      make("td", { text: percentText(level.accuracy) }),
      make("td", { text: level.unstableRate.toFixed(0) }),
      make("td", { text: percentText(level.passed, 0) }));
  }));
}

/** The results of a play beside simulated players on the same notes; returns a sentence for the live region. */
function showResults(body, note, chart, play) {
  const from = play.from, until = play.until;
  const own = play.outcome.resultOf(from, until);
  const cells = ({ counts, accuracy, accuracy320, maxCombo, unstableRate, meanError }) => [
    `${letterOf(accuracy)} ${percentText(accuracy)}`, percentText(accuracy320), `${maxCombo}\u00d7`, ...counts.map(String), unstableRate.toFixed(0), `${meanError > 0 ? "+" : ""}${meanError.toFixed(1)} ms`,
  ];
  const row = (name, result, className) => make("tr", { className },
    make("th", { scope: "row", text: name }), ...cells(result).map((text) => make("td", { text })));
  const levels = chart.levels.map((level) => row(`Level ${level.level.toFixed(1)}`, Outcome.ofLevel(chart, level).resultOf(from, until), ""));
  body.replaceChildren(row("You", own, "you"), ...levels);
  const notes = until - from;
  const whole = notes === chart.notes.length;
  const crowd = chart.levels.map((level) => [level.level, meanOf(level.worth, from, until) / 100]);
  const level = notes && crowd.length ? levelFor(whole && chart.accuracyBySkill.length ? chart.accuracyBySkill : crowd, own.accuracy320) : null;
  const words = [`${letterOf(own.accuracy)}, ${percentText(own.accuracy)} on ${notes} ${whole ? "notes" : `of ${chart.notes.length} notes`}`];
  if (level !== null) words.push(`about as a player of level ${level.toFixed(1)}`);
  if (play.rate !== 1) words.push(`at ${play.rate.toFixed(2)}\u00d7 speed, where simulated players played at 1\u00d7`);
  note.textContent = `${words.join(", ")}.`;
  return { own, words: note.textContent };
}

function meanOf(values, from, until) {
  let sum = 0;
  for (let n = from; n < until; n++) sum += values[n];
  return until > from ? sum / (until - from) : 0;
}
