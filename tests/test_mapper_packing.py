"""Audio as osu! plays it: kept where it can be, else a Vorbis copy whose samples stay in place."""

import numpy as np
import pytest
import soundfile

from mapper.output.package import playable_audio


def clicks(rate: int) -> np.ndarray:
    samples = np.zeros((rate * 8, 2), np.float32)
    for second in range(1, 8):
        samples[second * rate : second * rate + rate // 50] = 0.5 * np.hanning(rate // 50)[:, None]
    return samples


@pytest.mark.parametrize(("name", "options"), [("a.flac", {}), ("a.opus", {"format": "OGG", "subtype": "OPUS"})])
def test_what_stable_does_not_play_becomes_vorbis_in_the_same_place(name, options, tmp_path):
    with soundfile.SoundFile(tmp_path / name, "w", 48_000, 2, **options) as file:
        for block in np.array_split(clicks(48_000), 16):
            file.write(block)
    copy = playable_audio(tmp_path / name, tmp_path)
    assert soundfile.info(copy).subtype == "VORBIS"
    before, _ = soundfile.read(tmp_path / name, dtype="float32")
    after, rate = soundfile.read(copy, dtype="float32")
    assert (rate, after.shape) == (48_000, before.shape)
    lags = range(-48, 49)
    middle = slice(48_000 // 2, 7 * 48_000)
    match = [float((before[middle, 0] * np.roll(after[:, 0], lag)[middle]).sum()) for lag in lags]
    assert abs(list(lags)[int(np.argmax(match))]) <= 2


@pytest.mark.parametrize("name", ["a.wav", "a.ogg"])
def test_what_osu_plays_is_kept(name, tmp_path):
    soundfile.write(tmp_path / name, clicks(22_050)[:40_000], 22_050)
    assert playable_audio(tmp_path / name, tmp_path / "elsewhere") == tmp_path / name
