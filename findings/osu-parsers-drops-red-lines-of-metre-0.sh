#!/usr/bin/env bash
# osu-parsers 4.1.7 (osu-classes 3.1.0) passes over a red line whose metre is 0, without a word: a map with that one line has no timing
# point, and timingPointAt gives none (no beat length) where the file says 400 ms. The notes stay.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
npm install --silent --prefix "$folder" osu-parsers@4.1.7 osu-classes@3.1.0 >/dev/null
cd "$folder"
node - <<'JS'
const { BeatmapDecoder } = require("osu-parsers");
const read = (metre) => new BeatmapDecoder().decodeFromString(`osu file format v14

[General]
Mode: 3

[Difficulty]
CircleSize:4

[TimingPoints]
0,400,${metre},1,0,100,1,0

[HitObjects]
64,192,1000,1,0,0:0:0:0:
`);
const found = [4, 0].map((metre) => {
  const map = read(metre);
  return [map.controlPoints.timingPoints.length, map.controlPoints.timingPointAt(1000).beatLength ?? null, map.hitObjects.length];
});
console.log("red lines, beat length, notes:", JSON.stringify(found));
if (JSON.stringify(found) !== "[[1,400,1],[0,null,1]]") process.exit(1);
JS
