#!/usr/bin/env bash
# simfile 2.1.1 (msdparser 2.0.0). An .ssc chart may have its own #BPMS and no #OFFSET. StepMania then keeps the song's offset
# (NotesLoaderSSC.cpp begins the chart's timing with it); simfile takes 0, so that every note of the chart is off by the song's
# offset, here by a second. A reader has to fill the offset in; a writer should never leave it out.
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


def first_note(own: str) -> float:
    song = simfile.loads(
        "#VERSION:0.83;\n#OFFSET:-1.000;\n#BPMS:0=120;\n#STOPS:;\n#NOTEDATA:;\n#STEPSTYPE:dance-single;\n#DIFFICULTY:Hard;\n"
        f"#METER:9;\n{own}#NOTES:\n1000\n0100\n0010\n0001\n;\n"
    )
    return float(next(iter(time_notes(NoteData(song.charts[0]), TimingData(song, song.charts[0])))).time)


song, own, full = first_note(""), first_note("#BPMS:0=60;\n"), first_note("#BPMS:0=60;\n#OFFSET:-1.000;\n")
print(f"the song's timing: {song} s, its own BPMs: {own} s, with an offset: {full} s")
assert (song, own, full) == (1.0, 0.0, 1.0)
PY
