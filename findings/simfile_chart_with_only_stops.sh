#!/usr/bin/env bash
# simfile 2.1.1 (msdparser 2.0.0). An .ssc chart that has #STOPS of its own and no #BPMS ends time_notes with an IndexError from within its
# timing engine, no error of the package: one such chart stops a batch that does not catch everything.
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

song = simfile.loads(
    "#VERSION:0.83;\n#OFFSET:0;\n#BPMS:0=120;\n#STOPS:;\n#NOTEDATA:;\n#STEPSTYPE:dance-single;\n#DIFFICULTY:Hard;\n"
    "#METER:9;\n#STOPS:1=0.5;\n#NOTES:\n1000\n0100\n0010\n0001\n;\n"
)
try:
    list(time_notes(NoteData(song.charts[0]), TimingData(song, song.charts[0])))
except IndexError as error:
    print("IndexError:", error)
else:
    raise SystemExit("such charts are read now")
PY
