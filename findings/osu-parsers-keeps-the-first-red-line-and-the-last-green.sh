#!/usr/bin/env bash
# osu-parsers 4.1.7 (osu-classes 3.1.0). Of two red lines at the same time the one that comes first in the file counts and the other is
# gone; of two green lines at the same time the one that comes last counts. Who keeps every line, or lets the last of them count, gets
# another tempo from the same file: here 150 BPM in bars of 4, where the file ends with 200 BPM in bars of 3.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
npm install --silent --prefix "$folder" osu-parsers@4.1.7 osu-classes@3.1.0 >/dev/null
cd "$folder"
node - <<'JS'
const { BeatmapDecoder } = require("osu-parsers");
const { controlPoints } = new BeatmapDecoder().decodeFromString(`osu file format v14

[General]
Mode: 3

[Difficulty]
CircleSize:4

[TimingPoints]
0,400,4,1,0,100,1,0
0,300,3,1,0,100,1,0
2000,-50,4,1,0,100,0,0
2000,-25,4,1,0,100,0,0

[HitObjects]
64,192,1000,1,0,0:0:0:0:
`);
const red = controlPoints.timingPoints.map((point) => [point.startTime, point.beatLength, point.timeSignature]);
const speed = controlPoints.difficultyPointAt(3000).sliderVelocity;
console.log("red lines:", JSON.stringify(red), "speed after two green lines:", speed);
if (JSON.stringify(red) !== "[[0,400,4]]" || speed !== 4) process.exit(1);
JS
