#!/usr/bin/env bash
# numpy 2.4.6: np.fft.rfft of float32 returns complex64, but computes in double precision and rounds, unless `norm` is "ortho"
# or "forward". The default factor is the integer 1, and float32 with an integer selects the loop for float64. So spectrograms in
# float32 gain nothing: on rows of 256 the default takes about twice as long as norm="ortho", which has the single precision.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet numpy==2.4.6
"$folder/venv/bin/python" - <<'PY'
from time import perf_counter

import numpy as np

rows = np.random.default_rng(0).standard_normal((4096, 256)).astype(np.float32)
exact = np.fft.rfft(rows.astype(np.float64))
default, ortho = np.fft.rfft(rows), np.fft.rfft(rows, norm="ortho") * np.float32(16)  # the root of 256: no rounding


def fastest(norm: str) -> float:
    times = []
    for _ in range(20):
        begin = perf_counter()
        np.fft.rfft(rows, norm=norm)
        times.append(perf_counter() - begin)
    return min(times)


print("types", default.dtype, ortho.dtype)
print("equal to the double result, rounded:", np.mean(default == exact.astype(np.complex64)), np.mean(ortho == exact.astype(np.complex64)))
print(f"ms: default {1000 * fastest('backward'):.1f}, ortho {1000 * fastest('ortho'):.1f}")
assert default.dtype == ortho.dtype == np.complex64
assert (default == exact.astype(np.complex64)).all(), "every number is the double one, rounded once"
assert np.mean(ortho == exact.astype(np.complex64)) < 0.5, "with norm most numbers carry the error of single precision"
assert np.abs(ortho - exact).max() < 1e-4
PY
