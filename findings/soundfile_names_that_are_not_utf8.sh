#!/usr/bin/env bash
# soundfile 0.13.1, numpy 2.2.6, Linux with a UTF-8 locale. A file whose name is not UTF-8 (from an old archive, say) can be listed and
# opened by Python, but soundfile.SoundFile raises UnicodeEncodeError for its path, which is neither an OSError nor one of its own
# errors: a batch that catches those ends. Opening the file first and handing the object over works.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet soundfile==0.13.1 numpy==2.2.6 cffi==1.17.1
cd "$work"
PYTHONUTF8=1 "$work/venv/bin/python" - <<'PY'
import os

import numpy as np
import soundfile

soundfile.write("plain.wav", np.zeros(100), 8000)
os.rename(b"plain.wav", b"b\xff.wav")
[name] = [one for one in os.listdir(".") if one.endswith(".wav")]
with open(name, "rb") as file:
    assert soundfile.SoundFile(file).frames == 100
try:
    soundfile.SoundFile(name)
except UnicodeEncodeError as error:
    print("UnicodeEncodeError:", error.reason)
    assert not isinstance(error, (OSError, soundfile.SoundFileError))
else:
    raise SystemExit("soundfile opens such names now")
PY
