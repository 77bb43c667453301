#!/usr/bin/env bash
# rosu-pp-py 4.0.2: the star rating of a mania chart depends on the order in which the notes of one row (equal time, other
# columns) stand in the file: 3.0523263 from left to right, 3.0523325 from right to left, for 200 rows of two taps.
# So equal charts may differ in stars and equal stars do not prove equal charts. Whoever caches or compares ratings has to
# sort each row by column first.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet rosu-pp-py==4.0.2
"$folder/venv/bin/python" - <<'PY'
import rosu_pp_py as rosu

HEAD = """osu file format v14

[General]
Mode: 3

[Difficulty]
HPDrainRate:8
CircleSize:4
OverallDifficulty:8

[TimingPoints]
0,400,4,1,0,100,1,0

[HitObjects]
"""


def tap(ms, column):
    return f"{column * 128 + 64},192,{ms},1,0,0:0:0:0:"


def stars(rows, backwards):
    lines = [line for row in rows for line in (reversed(row) if backwards else row)]
    return rosu.Difficulty().calculate(rosu.Beatmap(content=HEAD + "\n".join(lines) + "\n")).stars


times = range(1000, 31000, 150)
rows = [[tap(ms, i % 4), tap(ms, (i + 1) % 4)] for i, ms in enumerate(times)]
print("as given: ", stars(rows, False))
print("reversed: ", stars(rows, True))
assert 1e-6 < abs(stars(rows, False) - stars(rows, True)) < 1e-4, "the order within a row has another effect now"
PY
