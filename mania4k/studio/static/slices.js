// Long computations in short pieces, so that frames are drawn and keys answered in between.

const SLICE_MS = 6; // of a frame's 16

/** Calls `work(from, until)` over 0..length by steps of `step`, and lets the page do other things when a piece took its time. */
export async function inSlices(length, step, work) {
  let began = performance.now();
  for (let from = 0; from < length; from += step) {
    work(from, Math.min(from + step, length));
    if (performance.now() - began < SLICE_MS) continue;
    await new Promise((resume) => setTimeout(resume, 0));
    began = performance.now();
  }
}
