#!/usr/bin/env bash
# basic-pitch 0.4.0: its ONNX file lists its three outputs as onsets, notes, contours, under names that say nothing and whose
# numbers run the other way (…:2, …:1, …:0). Onsets and notes have the same shape, so a reader that takes notes first, as the
# package's own results list them, gets the two swapped and no error. Ask for the outputs by name.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet numpy==2.4.6 onnxruntime==1.32.0
"$folder/venv/bin/pip" download --quiet --no-deps --dest "$folder" basic-pitch==0.4.0
"$folder/venv/bin/python" - "$folder" <<'PY'
import sys
import zipfile
from pathlib import Path

import numpy as np
import onnxruntime

wheel = zipfile.ZipFile(next(Path(sys.argv[1]).glob("*.whl")))
name = next(name for name in wheel.namelist() if name.endswith("icassp_2022/nmp.onnx") and wheel.getinfo(name).file_size > 9)
session = onnxruntime.InferenceSession(wheel.read(name), providers=["CPUExecutionProvider"])
second = np.arange(43_844) / 22_050
# one tone of A4 with four overtones from 0.5 s to 1.5 s
tone = sum(np.sin(2 * np.pi * 440 * k * second) / k for k in range(1, 6)) * ((second > 0.5) & (second < 1.5)) * 0.2
outputs = session.get_outputs()
found = session.run(None, {session.get_inputs()[0].name: tone.astype(np.float32)[None, :, None]})
key = 69 - 21
print("outputs  ", [output.name for output in outputs], [array.shape[1:] for array in found])
frames = [int((array[0, :, key] > 0.3).sum()) for array in found[:2]]
print("frames of A4 above .3 in the first and the second:", frames)
assert [output.name[-2:] for output in outputs] == [":2", ":1", ":0"]
assert found[0].shape == found[1].shape == (1, 172, 88)
assert frames[0] < 15, "the first output is sharp in time: onsets"
assert frames[1] > 60, "the second lasts as long as the tone: notes"
PY
