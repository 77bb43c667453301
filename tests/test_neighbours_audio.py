"""Delay of the sound of each kind of file in libsndfile and FFmpeg: docs/known-differences.md, "The same song in every file"."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bench.sync import by_ffmpeg, by_libsndfile
from tests.click_tracks import DELAYED, MP3_DELAY, RECIPES, clicks_in, encoded

RATES = (22_050, 44_100, 48_000)
PARTLY_READ = "mp3 of varying rate without tag"
BARE_FRAME = "mp3 without encoder delay"
FRAME_DELAY = 576
"""Samples that libsndfile leaves of an mp3's delay where its Info frame has no LAME part."""


def late_samples(kind: str, rate: int, folder: Path, decode) -> np.ndarray:
    """[click found] how late a decoder has it, in samples of the file's own rate."""
    file = encoded(kind, folder, rate)
    if file is None:
        pytest.skip("needs the encoder (Debian: apt-get install lame vorbis-tools opus-tools)")
    samples, _ = soundfile.read(folder / "clicks.wav", dtype="float32", always_2d=True)
    true, found = clicks_in(samples[:, 0], rate), decode(file)
    assert found.size == true.size or (kind == PARTLY_READ and decode is by_libsndfile)
    return (found - true[: found.size]) * soundfile.info(file).samplerate / 1000


KINDS = [kind for kind in RECIPES if kind != "vorbis, cut"]


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("kind", KINDS)
def test_libsndfile(tmp_path: Path, kind: str, rate: int) -> None:
    wanted = FRAME_DELAY if kind == BARE_FRAME else MP3_DELAY if kind in DELAYED else 0
    assert late_samples(kind, rate, tmp_path, by_libsndfile) == pytest.approx(wanted, abs=2)


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs FFmpeg (Debian: apt-get install ffmpeg)")
@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("kind", KINDS)
def test_ffmpeg(tmp_path: Path, kind: str, rate: int) -> None:
    wanted = MP3_DELAY if kind in DELAYED else 0
    assert late_samples(kind, rate, tmp_path, by_ffmpeg) == pytest.approx(wanted, abs=2)


def test_libsndfile_reads_a_part_of_an_mp3_of_varying_rate(tmp_path: Path) -> None:
    assert late_samples(PARTLY_READ, 44_100, tmp_path, by_libsndfile).size < 22
