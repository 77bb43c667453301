#!/usr/bin/env bash
# soundfile 0.14.0 (libsndfile 1.2.2), FFmpeg 5.1.9 (Debian 12). An Ogg Opus file that FFmpeg makes from Ogg Vorbis is whole to
# FFmpeg and to browsers, while libsndfile reads some way in and then says that the file is malformed. Read it by another decoder, or decode
# to wav first and encode from that.
set -euo pipefail
command -v ffmpeg >/dev/null || { echo "skipped: ffmpeg is not installed"; exit 0; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet soundfile==0.14.0 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" -c "
import numpy as np, soundfile
with soundfile.SoundFile('a.ogg', 'w', 44100, 2, format='OGG', subtype='VORBIS') as file:
    noise = np.random.default_rng(0).normal(0, 0.1, (44100, 2))
    for _ in range(12): file.write(noise)"
ffmpeg -v error -i a.ogg -c:a libopus a.opus
seconds=$(ffprobe -v error -show_entries format=duration -of default=nk=1:nw=1 a.opus)
"$work/venv/bin/python" - "$seconds" <<'PY'
import sys

import soundfile

read, error = 0, None
with soundfile.SoundFile("a.opus") as file:
    try:
        while len(block := file.read(4096)):
            read += len(block)
    except soundfile.LibsndfileError as found:
        error = found
print(f"FFmpeg: {float(sys.argv[1]):.2f} s, libsndfile: {read / 48_000:.2f} s, then: {error}")
assert float(sys.argv[1]) > 11.9
assert error is not None or read < 11 * 48_000, "libsndfile reads it whole now"
PY
