#!/usr/bin/env bash
# osu-parsers 4.1.7 (osu-classes 3.1.0). The game plays files of formats below v5 24 ms later than they say. The decoder has the constant
# EARLY_VERSION_TIMING_OFFSET = 24 and an offset for every time, but nothing ever sets it: v3 and v14 files give equal times. Add
# 24 ms to whatever comes from an old file.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
npm install --silent --prefix "$folder" osu-parsers@4.1.7 osu-classes@3.1.0 >/dev/null
cd "$folder"
node - <<'JS'
const { BeatmapDecoder } = require("osu-parsers");
const text = (version) => `osu file format v${version}

[General]
Mode: 3

[Difficulty]
CircleSize:4

[TimingPoints]
0,400,4,1,0,100,1,0

[HitObjects]
64,192,1000,1,0,0:0:0:0:
`;
const time = (version) => new BeatmapDecoder().decodeFromString(text(version)).hitObjects[0].startTime;
console.log(`v3: ${time(3)} ms, v14: ${time(14)} ms; the constant is ${BeatmapDecoder.EARLY_VERSION_TIMING_OFFSET}`);
if (time(3) !== 1000 || time(14) !== 1000 || BeatmapDecoder.EARLY_VERSION_TIMING_OFFSET !== 24) process.exit(1);
JS
