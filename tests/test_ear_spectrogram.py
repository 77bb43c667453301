"""Spectrograms: frames lie where they are said to lie, and Beat This's input equals a plain reference."""

import numpy as np
import pytest

from ear.audio import spectrogram
from ear.audio.decode import SAMPLE_RATE
from ear.audio.spectrogram import BANDS, beat_this_mel, log_mel, mel_filters, semitone_filters


def noise(duration_s: float) -> np.ndarray:
    return (0.1 * np.random.default_rng(0).standard_normal(int(duration_s * SAMPLE_RATE))).astype(np.float32)


def reference_filters(bands: int, low_hz: float, high_hz: float, n_fft: int) -> np.ndarray:
    """Slaney mel triangles [bin, band], one number at a time."""

    def mel(hz: float) -> float:
        return 3 * hz / 200 if hz < 1000 else 15 + 27 * np.log(hz / 1000) / np.log(6.4)

    def hz(mel: float) -> float:
        return 200 * mel / 3 if mel < 15 else 1000 * 6.4 ** ((mel - 15) / 27)

    edges = [hz(mel(low_hz) + k * (mel(high_hz) - mel(low_hz)) / (bands + 1)) for k in range(bands + 2)]
    filters = np.zeros((n_fft // 2 + 1, bands))
    for at in range(n_fft // 2 + 1):
        frequency = at * SAMPLE_RATE / n_fft
        for band in range(bands):
            left, centre, right = edges[band : band + 3]
            if left < frequency < right:
                rising = frequency <= centre
                filters[at, band] = (
                    (frequency - left) / (centre - left) if rising else (right - frequency) / (right - centre)
                )
    return filters


@pytest.mark.parametrize("frames_per_second", [50.0, 100.0, 86.13])
def test_frames_are_centred_on_their_times(frames_per_second: float) -> None:
    samples = np.zeros(3 * SAMPLE_RATE, np.float32)
    at_frame = 137
    samples[round(at_frame * SAMPLE_RATE / frames_per_second)] = 1.0
    frames = log_mel(samples, SAMPLE_RATE, frames_per_second=frames_per_second)
    energy = frames.sum(axis=1)
    assert frames.shape == (int(3 * frames_per_second) + 1, BANDS)
    assert energy.argmax() == at_frame
    if frames_per_second != 86.13:  # neighbours are equally far only where the hop is whole
        assert energy[at_frame - 1] == pytest.approx(energy[at_frame + 1], rel=0.02)


def test_ends_are_padded_with_silence() -> None:
    samples = np.ones(SAMPLE_RATE, np.float32)
    samples[:] = 0
    samples[0] = samples[-1] = 1.0
    frames = log_mel(samples, SAMPLE_RATE)
    assert frames[0].sum() > frames[1].sum() > 0
    assert frames[50].sum() == 0
    assert len(frames) == 101


def test_values_are_those_of_one_plain_transform(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = noise(2.0)
    monkeypatch.setattr(spectrogram, "CHUNK_FRAMES", 7)
    frames = log_mel(samples, SAMPLE_RATE)
    centre = round(63 * SAMPLE_RATE / 100)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(1024) / 1024)
    magnitude = np.abs(np.fft.rfft(samples[centre - 512 : centre + 512] * window)) / 32
    expected = np.log1p(1000 * magnitude @ reference_filters(BANDS, 30, 11_000, 1024))
    assert frames.dtype == np.float32
    assert np.allclose(frames[63], expected, atol=1e-3)


def test_beat_this_mel_equals_a_torch_reference() -> None:
    import torch

    samples = noise(3.0)
    spectrum = torch.stft(
        torch.from_numpy(samples), 1024, 441, window=torch.hann_window(1024), center=True, pad_mode="reflect",
        normalized=True, return_complex=True,
    )  # fmt: skip
    expected = np.log1p(1000 * spectrum.abs().numpy().T @ reference_filters(128, 30, 11_000, 1024))
    frames = beat_this_mel(samples)
    assert frames.shape == expected.shape == (3 * SAMPLE_RATE // 441 + 1, 128)
    assert np.abs(frames - expected).max() < 2e-5


def test_filters_peak_at_one_and_cannot_be_changed() -> None:
    filters = mel_filters(SAMPLE_RATE, 4096, 40, 30.0, 11_000.0)
    assert filters.max() == pytest.approx(1.0, abs=0.05)
    with pytest.raises(ValueError, match="read-only"):
        filters[0, 0] = 1


def test_semitones_are_distinguished() -> None:
    filters = semitone_filters(SAMPLE_RATE, 4096, 110.0, 48)
    for semitone in (12, 24, 40):
        tone = np.sin(2 * np.pi * 110 * 2 ** (semitone / 12) * np.arange(4096) / SAMPLE_RATE)
        magnitude = np.abs(np.fft.rfft(tone * np.hanning(4096)))
        assert (magnitude @ filters).argmax() == semitone
