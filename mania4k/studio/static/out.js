// The step "Out": the difficulties of the set, and what leaves the studio.

import { send } from "./api.js";
import { button } from "./jobs.js";

export function showOut(studio) {
  const { view } = studio;
  element("out-difficulties").replaceChildren(...view.state.difficulties.map((one) => {
    const name = make("input", { value: one.name, maxlength: 80, "aria-label": `Name of ${one.name}` });
    name.addEventListener("change", () => send("difficulty", { id: one.id, name: name.value }));
    const report = one.report ? `${one.report.stars.toFixed(2)}\u2605 of ${one.report.asked.toFixed(2)} asked, ${one.report.notes} notes` : "as it came";
    const missed = one.report && one.report.missed.length ? ` (${one.report.missed.join("; ")})` : "";
    return make("li", {}, name, make("span", { className: "quiet", text: report + missed }),
      button(`Remove ${one.name}`, () => send("difficulty", { id: one.id, remove: true })));
  }));
  const packed = view.packed && view.packed.revision === view.revision;
  element("out-osz").hidden = element("out-page").hidden = !packed;
  element("pack").disabled = !view.state.difficulties.length;
}

export function wireOut() {
  element("pack").addEventListener("click", () => send("pack"));
}
