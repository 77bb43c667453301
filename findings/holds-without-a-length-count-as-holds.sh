#!/usr/bin/env bash
# rosu-pp-py 4.0.2 and fosu 0.8.0 count a mania hold that ends at its start as a hold (one of two here). It has no body to hold, and players
# of stable tap it. Counts and shares of holds come out too high for files in which taps are written in this way.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet rosu-pp-py==4.0.2 fosu==0.8.0
"$folder/venv/bin/python" - <<'PY'
import fosu
import rosu_pp_py as rosu

text = (
    "osu file format v14\n\n[General]\nMode: 3\n\n[Difficulty]\nCircleSize:4\n\n[TimingPoints]\n0,400,4,1,0,100,1,0\n\n"
    "[HitObjects]\n64,192,1000,1,0,0:0:0:0:\n192,192,1500,128,0,1500:0:0:0:0:\n"
)
found = rosu.Beatmap(content=text).n_holds, sum(note.is_hold for note in fosu.parse(text.encode()).hit_objects)
print("holds by rosu-pp-py and fosu:", found)
assert found == (1, 1)
PY
