#!/usr/bin/env bash
# beat-this 1.1.0: the minimal post-processor moves every downbeat onto the nearest beat, however far away that beat is.
# Where the network is sure of a downbeat but of no beat around it (a break, a fade, one hit of a drum), the downbeat lands
# seconds from where it was found: beats at 1, 1.5 … 4 s and one downbeat activation at 10 s come back as a downbeat at 4 s.
# Bars counted from such a list are wrong for the rest of a song; compare with the activations before trusting it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 numpy==2.4.6 einops==0.8.2
"$folder/venv/bin/pip" install --quiet --no-deps beat-this==1.1.0 rotary-embedding-torch==0.9.1
"$folder/venv/bin/python" - <<'PY'
import torch
from beat_this.model.postprocessor import Postprocessor

frames = 12 * 50
beat = torch.full((frames,), -8.0)
downbeat = torch.full((frames,), -8.0)
for number in range(7):
    beat[50 + 25 * number] = 4.0  # 1.0, 1.5 … 4.0 s
downbeat[50] = 4.0
downbeat[10 * 50] = 4.0  # 10 s, no beat near
beats, downbeats = Postprocessor(type="minimal", fps=50)(beat, downbeat)
print("beats    ", list(map(float, beats)))
print("downbeats", list(map(float, downbeats)))
assert float(beats[-1]) == 4.0
assert list(map(float, downbeats)) == [1.0, 4.0], "a far downbeat is no longer moved to the last beat"
PY
