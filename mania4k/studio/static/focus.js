// Lists that are drawn anew while they are used: the control that has the focus keeps it, and neither text that is being typed
// nor a press of the mouse or the space bar is lost.

const CONTROLS = "button, input, select, a[href]";
const drawn = new WeakMap(); // field → its text as it was drawn, or last entered
const waiting = new Map(); // list → what makes the children that it gets when the field being typed in is left

let pressed = null; // {target}: the element that is pressed; a click counts only if the same element is there at its end
function release() {
  const ended = pressed;
  setTimeout(() => { // after the click
    if (pressed === ended) pressed = null;
    for (const node of [...waiting.keys()]) renewLate(node);
  });
}
addEventListener("pointerdown", ({ button, target }) => { if (button === 0) pressed = { target }; }, { capture: true });
addEventListener("keydown", ({ key, target }) => { if (key === " ") pressed = { target }; }, { capture: true });
addEventListener("keyup", ({ key }) => { if (key === " ") release(); }, { capture: true });
for (const end of ["pointerup", "pointercancel"]) addEventListener(end, release, { capture: true });
addEventListener("blur", ({ target }) => { if (target === window) release(); });

/** Whether a node is pressed just now. */
export function isPressed(node) {
  return pressed !== null && node.contains(pressed.target);
}

/** Put the children that `made` makes into a node; the focus stays where it is. While one types or presses there, that waits. */
export function renewed(node, made) {
  const active = document.activeElement;
  if (isPressed(node)) {
    waiting.set(node, made);
    return;
  }
  if (node.contains(active) && isTyped(active)) {
    waiting.set(node, made);
    active.addEventListener("blur", () => setTimeout(() => renewLate(node)), { once: true }); // when the focus has moved on
    return;
  }
  waiting.delete(node);
  const before = [...node.querySelectorAll(CONTROLS)];
  node.replaceChildren(...made());
  for (const field of node.querySelectorAll("input")) {
    filled(field, field.value);
    field.addEventListener("change", () => filled(field, field.value));
  }
  if (before.includes(active)) giveFocus(node, active, before.indexOf(active));
}

/** The focus goes to the control of the same name, or else of the same place. */
function giveFocus(node, active, at) {
  const controls = [...node.querySelectorAll(CONTROLS)], name = nameOf(active);
  const control = controls.find((one) => name && nameOf(one) === name) || controls[Math.min(at, controls.length - 1)];
  if (!control) return;
  control.focus({ preventScroll: true });
  if (active.type === "text" && control.type === "text") control.setSelectionRange(active.selectionStart, active.selectionEnd);
}

function nameOf(control) {
  return control.getAttribute("aria-label") || (control.labels && control.labels[0] ? control.labels[0].textContent : control.textContent);
}

function renewLate(node) {
  if (waiting.has(node)) renewed(node, waiting.get(node));
}

/** Write a text into a field that is not being changed. */
export function filled(field, text) {
  field.value = text;
  drawn.set(field, field.value);
}

/** Whether a field holds what was typed and not entered yet. */
export function isTyped(field) {
  return drawn.has(field) && field.value !== drawn.get(field);
}

/** Offer [[value, text]] in a select; a list that is open stays if nothing changed. */
export function offer(select, options) {
  const now = [...select.options].map((option) => [option.value, option.textContent]);
  if (JSON.stringify(now) === JSON.stringify(options.map(([value, text]) => [String(value), text]))) return;
  select.replaceChildren(...options.map(([value, text]) => make("option", { value, text })));
}
