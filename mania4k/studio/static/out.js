// The step "Out": the difficulties of the set, and what leaves the studio.

import { send, sendOnce } from "./api.js";
import { renewed } from "./focus.js";
import { button } from "./jobs.js";

export function showOut(studio) {
  const { view } = studio;
  renewed(element("out-difficulties"), () => view.state.difficulties.map((one) => {
    const name = make("input", { value: one.name, maxlength: 80, "aria-label": `Name of ${one.name}` });
    name.addEventListener("change", () => send("difficulty", { id: one.id, name: name.value }));
    const report = one.report ? `${one.report.stars.toFixed(2)}\u2605 (ordered: ${one.report.asked.toFixed(2)}), ${one.report.notes} notes` : "as it came";
    const missed = one.report && one.report.missed.length ? ` (${one.report.missed.join("; ")})` : "";
    return make("li", {}, name, make("span", { className: "quiet", text: report + missed }),
      number(one, "hp"), number(one, "od"),
      button(`Remove ${one.name}`, () => send("difficulty", { id: one.id, remove: true })));
  }));
  const packed = Boolean(view.packed) && view.packed.revision === view.revision;
  element("out-osz").hidden = element("out-page").hidden = !packed;
  element("pack").classList.toggle("accent", !packed); // what is next stands out
  element("out-osz").classList.toggle("accent", packed);
  element("pack").disabled = !view.state.difficulties.length;
}

/** HP or OD of a difficulty; empty is that of its level. */
function number(one, name) {
  const input = make("input", { type: "number", min: 0, max: 10, step: 0.1, value: one[name] ?? "", placeholder: "usual", "aria-label": `${name.toUpperCase()} of ${one.name}` });
  input.addEventListener("change", () => { if (input.value !== "") send("difficulty", { id: one.id, [name]: Number(input.value) }); });
  return make("label", {}, `${name.toUpperCase()} `, input);
}

export function wireOut() {
  element("pack").addEventListener("click", () => sendOnce("pack"));
}
