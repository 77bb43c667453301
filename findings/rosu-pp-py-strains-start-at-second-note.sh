#!/usr/bin/env bash
# rosu-pp-py 4.0.2: the strain curve of a mania chart has no time axis of its own. Its first 400 ms section is the one in
# which the second note stands, since strain belongs to the step from one note to the next: a chart with one early note, a
# minute of silence and 20 more notes has 20 sections, not 170. Two early notes bring the silent minute back.
# A strain graph drawn from the first note, or from 0, is therefore a minute off for the first chart.
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
CircleSize:4
OverallDifficulty:8

[TimingPoints]
0,400,4,1,0,100,1,0

[HitObjects]
"""


def sections(times_ms):
    lines = [f"{i % 4 * 128 + 64},192,{ms},1,0,0:0:0:0:" for i, ms in enumerate(times_ms)]
    strains = rosu.Difficulty().strains(rosu.Beatmap(content=HEAD + "\n".join(lines) + "\n"))
    return len(strains.strains), strains.section_length


late = list(range(61000, 69000, 400))
one, length = sections([1000, *late])
two, _ = sections([1000, 1300, *late])
print(f"one early note: {one} sections of {length} ms for a span of {late[-1] - 1000} ms")
print(f"two early notes: {two} sections")
assert (one, two, length) == (20, 169, 400.0), "the sections begin elsewhere now"
PY
