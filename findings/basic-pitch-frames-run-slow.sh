#!/usr/bin/env bash
# basic-pitch 0.4.0: the posteriors that `predict` returns first have more frames than the song has hops of 256 samples.
# It joins windows of 142 frames whose starts lie 36,164 samples (141.27 hops) apart, so a frame's number times 256 / 22,050 s
# runs half a per cent late: 0.45 s after a minute and a half. The notes that it returns beside them are on the song's clock,
# since it corrects their times. Who trains on the posteriors must place frame f in its window f // 142.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet numpy==1.26.4 onnxruntime==1.23.2 librosa==0.11.0 pretty_midi==0.2.11 mir_eval==0.8.2 \
    scipy==1.15.3 resampy==0.4.2 setuptools==75.8.0 typing_extensions==4.15.0
"$folder/venv/bin/pip" install --quiet --no-deps basic-pitch==0.4.0
"$folder/venv/bin/python" - "$folder" 2>"$folder/warnings" <<'PY' || { cat "$folder/warnings"; exit 1; }
import contextlib
import io
import sys
from pathlib import Path

import basic_pitch
import numpy as np
import soundfile
from basic_pitch.inference import predict

RATE, HOP, KEY = 22_050, 256, 69
starts = np.arange(1, 88, 2.0)  # s, tones of A4 with overtones, each half a second long
second = np.arange(RATE // 2) / RATE
tone = sum(np.sin(2 * np.pi * 440 * k * second) / k for k in range(1, 6)) * 0.2 * np.minimum(1, (0.5 - second) / 0.05)
song = np.zeros(90 * RATE, np.float32)
for start in starts:
    song[int(start * RATE) :][: tone.size] += tone
path = Path(sys.argv[1]) / "tones.wav"
soundfile.write(path, song, RATE)
network = Path(basic_pitch.__file__).parent / "saved_models/icassp_2022/nmp.onnx"
with contextlib.redirect_stdout(io.StringIO()):
    posteriors, _, notes = predict(path, network)
onset = posteriors["onset"][:, KEY - 21]
nominal = np.arange(onset.size) * HOP / RATE
number = np.arange(onset.size)
own = ((number // 142) * 36_164 + (number % 142) * HOP) / RATE  # each window from its own start
late = {}
for name, clock in (("frames counted", nominal), ("frames of each window from its start", own)):
    peaks = [clock[np.argmax(onset * (np.abs(clock - start) < 0.7))] for start in starts]
    late[name] = np.array(peaks) - starts
events = np.array([note[0] for note in notes if note[2] == KEY])
late["notes"] = np.array([events[np.argmin(np.abs(events - start))] for start in starts]) - starts
for name, off in late.items():
    print(f"{name}: {off[0] * 1000:.0f} ms late at {starts[0]:.0f} s, {off[-1] * 1000:.0f} ms at {starts[-1]:.0f} s")
assert 0.3 < late["frames counted"][-1] < 0.6
assert np.abs(late["frames of each window from its start"]).max() < 0.03
assert np.abs(late["notes"]).max() < 0.03
PY
