#!/usr/bin/env bash
# rosu-pp-py 4.0.2: `Performance(accuracy=95)` for a mania chart with holds means lazer's accuracy, where a hold is judged
# twice (head and tail): 400 objects, half of them holds, give 600 judgements. Accuracies read from stable ScoreV1 plays,
# which judge a hold once, need `lazer=False` (400 judgements); otherwise pp comes out for another play (64.8 against 63.9).
# Nothing warns: the same float is accepted by both.
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
lines = []
for i in range(200):
    ms = 1000 + i * 150
    lines.append(f"{i % 4 * 128 + 64},192,{ms},1,0,0:0:0:0:")
    lines.append(f"{(i + 1) % 4 * 128 + 64},192,{ms},128,0,{ms + 100}:0:0:0:0:")
chart = rosu.Beatmap(content=HEAD + "\n".join(lines) + "\n")


def judged(**options):
    result = rosu.Performance(accuracy=95, misses=3, **options).calculate(chart)
    state = result.state
    return state.n_geki + state.n300 + state.n_katu + state.n100 + state.n50 + state.misses, result.pp


print("objects", chart.n_objects)
print("default    ", judged())
print("lazer=False", judged(lazer=False))
assert chart.n_objects == 400
assert judged()[0] == 600, "the default no longer counts tails"
assert judged(lazer=False)[0] == 400
assert abs(judged()[1] - judged(lazer=False)[1]) > 0.5
PY
