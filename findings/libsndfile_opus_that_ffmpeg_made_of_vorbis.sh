#!/usr/bin/env bash
# soundfile 0.14.0 (libsndfile 1.2.2 in its wheel), FFmpeg 7.0.2 (imageio-ffmpeg 0.6.0), numpy 2.4.6. A song in Vorbis at 48 kHz that
# FFmpeg turns into Opus (ffmpeg -i song.ogg -c:a libopus song.opus) plays whole in FFmpeg, but libsndfile ends with an error in its
# middle: Vorbis has blocks of two lengths, and FFmpeg gives Opus packets the times of those blocks. Made of a WAV with the same sound,
# the Opus file is read whole; so is a steady tone made of Vorbis, which has blocks of one length.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet soundfile==0.14.0 numpy==2.4.6 imageio-ffmpeg==0.6.0
cd "$work"
venv/bin/python - <<'PY'
import subprocess

import imageio_ffmpeg
import numpy as np
import soundfile

RATE, SECONDS = 48_000, 20
ffmpeg = imageio_ffmpeg.get_ffmpeg_exe()
rng = np.random.default_rng(0)
time = np.arange(RATE * SECONDS) / RATE
tone = 0.4 * np.sin(2 * np.pi * 440 * time)
hits = np.zeros_like(time)
for start in range(RATE // 5, RATE * (SECONDS - 1), RATE * 37 // 100):
    decay = np.exp(-12 * time[: RATE // 2])
    hits[start : start + RATE // 2] += decay * (0.4 * np.sin(2 * np.pi * 440 * time[: RATE // 2]) + 0.2 * decay**3 * rng.standard_normal(RATE // 2))


def opus_of(samples: np.ndarray, suffix: str) -> str:
    with soundfile.SoundFile(f"song.{suffix}", "w", RATE, 1) as file:
        for at in range(0, samples.size, 8192):
            file.write(samples[at : at + 8192])
    subprocess.run([ffmpeg, "-v", "error", "-y", "-i", f"song.{suffix}", "-c:a", "libopus", "-b:a", "96k", "song.opus"], check=True)
    return "song.opus"


def read(path: str) -> str:
    found = 0
    with soundfile.SoundFile(path) as file:
        try:
            while (block := file.read(960)).size:
                found += block.shape[0]
        except soundfile.LibsndfileError:
            return "error before the end" if 1 < found / RATE < SECONDS - 1 else "error"
    return f"{found / RATE:.0f} s"


def played(path: str) -> str:
    raw = subprocess.run([ffmpeg, "-v", "error", "-i", path, "-f", "f32le", "-ac", "1", "-ar", str(RATE), "-"], capture_output=True, check=True)
    return f"{len(raw.stdout) / 4 / RATE:.0f} s"


found = {name: (read(path := opus_of(samples, suffix)), played(path)) for name, samples, suffix in
         (("hits by way of Vorbis", hits, "ogg"), ("hits by way of WAV", hits, "wav"), ("a tone by way of Vorbis", tone, "ogg"))}
for name, (by_libsndfile, by_ffmpeg) in found.items():
    print(f"{name}: libsndfile {by_libsndfile}, FFmpeg {by_ffmpeg}")
assert list(found.values()) == [("error before the end", "20 s"), ("20 s", "20 s"), ("20 s", "20 s")]
PY
