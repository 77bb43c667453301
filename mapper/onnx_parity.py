"""Parity of the ONNX encoder with torch: largest differences, and the ratio of equal rows sampled from both."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from chart.grid import make_grid
from chart.model import TimingPoint
from mapper.network.interface import Floats
from mapper.network.model import Mapper
from mapper.network.onnx_model import OnnxMapper
from mapper.sampling.encode_song import SongEncoding, encode_song
from mapper.sampling.sampler import Sampling, write_rows
from mapper.sampling.song_analysis import SongAnalysis
from mapper.tokens.conditioning_vector import Controls
from mapper.tokens.log_mel import BANDS, FRAMES_PER_SECOND
from mapper.tokens.row_codes import Rows
from mapper.tokens.vocabulary import SIDE_CHANNELS

PARITY_STARS = (1.5, 2.5, 3.5, 4.5, 5.5)
PULSE_MS, PULSE_S = 375.0, 60.0
SEEDS = (0, 1, 2, 3)


@dataclass(frozen=True)
class Parity:
    """The ONNX encoder against torch on one song; differences are the largest, in the units of the network."""

    cell: float
    slot: float
    onset_logit: float
    same_rows: (
        float  # ratio of the rows sampled from torch's encoding that are sampled from the graph's too, slot and code
    )
    rows: int  # sampled from torch's encoding
    torch_encode_s: float  # processor time to encode the song for all charts, the better of two
    onnx_encode_s: float


def pulse_song(seconds: float = PULSE_S, seed: int = 0) -> SongAnalysis:
    """A synthetic song of noisy pulses at 160 BPM, the same on every installation."""
    random = np.random.default_rng(seed)
    points = (TimingPoint(time_ms=0.0, beat_length_ms=PULSE_MS),)
    features = random.integers(0, 40, (int(seconds * FRAMES_PER_SECOND), BANDS)).astype(np.uint8)
    for half_beat in range(int(seconds * 1000 / PULSE_MS * 2)):
        frame = round(half_beat * PULSE_MS / 2 / 1000 * FRAMES_PER_SECOND)
        low = int(random.integers(0, BANDS // 2))
        features[frame : frame + 3, low : low + BANDS // 2] = int(random.integers(90, 220))
    side = random.integers(0, 256, (len(features), SIDE_CHANNELS)).astype(np.uint8)
    return SongAnalysis(make_grid(points, 0.0, seconds * 1000), points, np.concatenate((features, side), 1))


def compare(model: Mapper, graphs: OnnxMapper, song: SongAnalysis) -> Parity:
    """Encode the song with both, and sample charts with the same seeds from both encodings."""
    nothing = np.full(len(PARITY_STARS), np.nan)
    controls = Controls(PARITY_STARS, nothing, nothing, np.zeros(len(PARITY_STARS), np.int64))
    encoding, torch_s = _timed(lambda: encode_song(model, song.grid, song.features, song.lag_ms, controls))
    other, onnx_s = _timed(lambda: encode_song(graphs, song.grid, song.features, song.lag_ms, controls))
    bias, same, count = np.zeros(len(PARITY_STARS)), 0, 0
    for seed in SEEDS:
        written = write_rows(model, encoding, Sampling(seed, bias))
        again = write_rows(graphs, other, Sampling(seed, bias))
        same += sum(len(_pairs(one) & _pairs(two)) for one, two in zip(written, again, strict=True))
        count += sum(map(len, written))
    return Parity(
        cell=_largest(encoding.cell, other.cell),
        slot=_largest(encoding.slot, other.slot),
        onset_logit=_largest(encoding.onset_logit, other.onset_logit),
        same_rows=round(same / count, 5),
        rows=count,
        torch_encode_s=round(torch_s, 3),
        onnx_encode_s=round(onnx_s, 3),
    )


def _timed(work: Callable[[], SongEncoding]) -> tuple[SongEncoding, float]:
    """The result, and the processor seconds of the better of two tries."""
    seconds = []
    for _ in range(2):
        began = time.process_time()
        result = work()
        seconds.append(time.process_time() - began)
    return result, min(seconds)


def _pairs(rows: Rows) -> set[tuple[int, int]]:
    return set(zip(rows.slot.tolist(), rows.code.tolist(), strict=True))


def _largest(one: Floats, two: Floats) -> float:
    return float(np.abs(one - two).max())
