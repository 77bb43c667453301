#!/usr/bin/env bash
# soundfile 0.14.0 (libsndfile 1.2.2 in its wheel), numpy 2.4.6. An mp3's Info or Xing frame may lack the part that names encoder and
# delay (old encoders, some editors). libsndfile then still drops 529 samples, the decoder's own delay; FFmpeg and browsers drop nothing.
# So the same file is 529 samples (12 ms at 44.1 kHz) earlier in Python than in the browser, and 576 later than with the part.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet soundfile==0.14.0 numpy==2.4.6
"$work/venv/bin/python" - <<'PY'
import io

import numpy as np
import soundfile

assert soundfile.__libsndfile_version__ == "1.2.2", soundfile.__libsndfile_version__
rate = 44_100
samples = np.random.default_rng(0).normal(0, 1e-3, (3 * rate, 2))
samples[rate : rate + 41] += 0.8 * np.hanning(41)[:, None]
file = io.BytesIO()
soundfile.write(file, samples, rate, format="MP3", bitrate_mode="CONSTANT", compression_level=0.2)
whole = file.getvalue()
header = int.from_bytes(whole[:4], "big")
kbps = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)[header >> 12 & 15]
first = 144_000 * kbps // rate + (header >> 9 & 1)
at = whole.index(b"LAME")


def click(data: bytes) -> int:
    return int(np.abs(soundfile.read(io.BytesIO(data))[0][:, 0]).argmax())


true = int(np.abs(samples[:, 0]).argmax())
found = {
    "with the LAME part": click(whole) - true,
    "without it": click(whole[:at] + bytes(36) + whole[at + 36 :]) - true,
    "without the frame": click(whole[first:]) - true,
}
print(found)
assert list(found.values()) == [0, 576, 1105]
PY
