#!/usr/bin/env bash
# simfile 2.1.1 (msdparser 2.0.0). Notes within a #FAKES region of an .ssc chart, which the game never judges, come out of
# time_notes as taps like all others, while notes within a #WARPS region of the same length come out as fakes: who counts notes or
# density by it counts what nobody can hit.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet setuptools==80.9.0 simfile==2.1.1 msdparser==2.0.0
"$work/venv/bin/python" -W ignore - <<'PY'
import simfile
from simfile.notes import NoteData
from simfile.notes.timed import time_notes
from simfile.timing import TimingData


def kinds(tag: str) -> list[str]:
    text = (
        "#VERSION:0.83;\n#OFFSET:0;\n#BPMS:0=120;\n#STOPS:;\n" + tag + "\n#NOTEDATA:;\n#STEPSTYPE:dance-single;\n"
        "#DIFFICULTY:Hard;\n#METER:9;\n#NOTES:\n1000\n0100\n0010\n0001\n;\n"
    )
    song = simfile.loads(text)
    return [note.note.note_type.name for note in time_notes(NoteData(song.charts[0]), TimingData(song, song.charts[0]))]


fakes, warps = kinds("#FAKES:1=2;"), kinds("#WARPS:1=2;")
print("fake region:", fakes, "warp:", warps)
assert fakes == ["TAP"] * 4
assert warps == ["TAP", "FAKE", "FAKE", "TAP"]
PY
