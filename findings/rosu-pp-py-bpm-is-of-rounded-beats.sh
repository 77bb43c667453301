#!/usr/bin/env bash
# rosu-pp-py 4.0.2: Beatmap.bpm is the commonest tempo with its beat rounded to 1/1000 ms, as in lazer: a map of 158 BPM (beats of
# 379.746835443038 ms) has 157.99993153, and a red line of metre 0 or of beats beyond a minute gives inf. Compare beat lengths with a
# tolerance of 0.0005 ms, and take tempos to place notes by from the file.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet rosu-pp-py==4.0.2
"$folder/venv/bin/python" - <<'PY'
import math

import rosu_pp_py as rosu


def bpm(beat_length: str, metre: int) -> float:
    return rosu.Beatmap(
        content=f"osu file format v14\n\n[General]\nMode: 3\n\n[Difficulty]\nCircleSize:4\n\n[TimingPoints]\n"
        f"0,{beat_length},{metre},1,0,100,1,0\n\n[HitObjects]\n64,192,1000,1,0,0:0:0:0:\n192,192,1500,1,0,0:0:0:0:\n"
    ).bpm


found = bpm("379.746835443038", 4), bpm("379.746835443038", 0), bpm("1e13", 4)
print(found)
assert abs(found[0] - 60_000 / 379.747) < 1e-9
assert found[0] != 158
assert found[1:] == (math.inf, math.inf)
PY
