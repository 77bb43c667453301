// Lists that are drawn anew while they are used: the control that has the focus keeps it, and neither text that is being typed
// nor a press of the mouse is lost.

const CONTROLS = "button, input, select, a[href]";
const drawn = new WeakMap(); // field → its text as it was drawn, or last entered
const waiting = new Map(); // list → the children that it gets when the field being typed in is left

let pressed = null; // the element on which the mouse is down: a click counts only if the same element is there at its end
addEventListener("pointerdown", ({ target }) => { pressed = target; }, { capture: true });
for (const end of ["pointerup", "pointercancel"]) {
  addEventListener(end, () => setTimeout(() => { // after the click
    pressed = null;
    for (const node of waiting.keys()) renewLate(node);
  }), { capture: true });
}

/** Put other children into a node; the focus stays on the control of the same place. While one types or presses there, that waits. */
export function renewed(node, children) {
  const active = document.activeElement;
  if (pressed && node.contains(pressed)) {
    waiting.set(node, children);
    return;
  }
  if (node.contains(active) && drawn.has(active) && active.value !== drawn.get(active)) {
    waiting.set(node, children);
    active.addEventListener("blur", () => setTimeout(() => renewLate(node)), { once: true }); // when the focus has moved on
    return;
  }
  waiting.delete(node);
  const at = [...node.querySelectorAll(CONTROLS)].indexOf(active);
  node.replaceChildren(...children);
  for (const field of node.querySelectorAll("input")) {
    drawn.set(field, field.value);
    field.addEventListener("change", () => drawn.set(field, field.value));
  }
  if (at < 0) return;
  const controls = node.querySelectorAll(CONTROLS), control = controls[Math.min(at, controls.length - 1)];
  if (!control) return;
  control.focus({ preventScroll: true });
  if (active.type === "text" && control.type === "text") control.setSelectionRange(active.selectionStart, active.selectionEnd);
}

function renewLate(node) {
  if (waiting.has(node)) renewed(node, waiting.get(node));
}
