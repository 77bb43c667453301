#!/usr/bin/env bash
# soundfile 0.13.1 (libsndfile 1.2.2 in its wheel), numpy 2.2.6. An mp3 of variable bit rate without a Xing or Info frame,
# which is valid, is read only to a length guessed from its first frames: with five loud seconds before 35 quiet ones,
# some 7 of 40 s come back, and nothing says that there is more. Taking off the Xing frame is all that was done to the file.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet soundfile==0.13.1 numpy==2.2.6 cffi==1.17.1
"$work/venv/bin/python" - <<'PY'
import io

import numpy as np
import soundfile

assert soundfile.__libsndfile_version__ == "1.2.2", soundfile.__libsndfile_version__
rate = 44_100
samples = np.zeros((40 * rate, 2))
samples[: 5 * rate] = 0.3 * np.random.default_rng(0).standard_normal((5 * rate, 2))
file = io.BytesIO()
soundfile.write(file, samples, rate, format="MP3", bitrate_mode="VARIABLE", compression_level=0.1)
data = file.getvalue()
header = int.from_bytes(data[:4], "big")
kbps = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)[header >> 12 & 15]
first_frame = 144_000 * kbps // rate + (header >> 9 & 1)
assert b"Xing" in data[:first_frame]


def seconds(content: bytes) -> float:
    with soundfile.SoundFile(io.BytesIO(content)) as sound:
        return len(sound.read()) / rate


with_frame, without = seconds(data), seconds(data[first_frame:])
print(f"with the Xing frame {with_frame:.2f} s, without {without:.2f} s of 40 s")
assert with_frame == 40
assert without < 10
PY
