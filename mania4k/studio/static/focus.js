// Lists that are drawn anew while they are used: the control that has the focus keeps it.

const CONTROLS = "button, input, select, a[href]";

/** Put other children into a node; the focus stays on the control of the same place. */
export function renewed(node, children) {
  const at = [...node.querySelectorAll(CONTROLS)].indexOf(document.activeElement);
  node.replaceChildren(...children);
  if (at < 0) return;
  const controls = node.querySelectorAll(CONTROLS);
  if (controls.length) controls[Math.min(at, controls.length - 1)].focus({ preventScroll: true });
}
