"""A timing of which the user knows a part: tempo, offset, or that it is twice or half as fast."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from chart.model import TimingPoint
from ear.audio.decode import Audio
from ear.audio.onset import FRAME_MS
from ear.audio.shared import onset_of
from ear.timing.grid.phase import beat_phases
from ear.timing.grid.tempo import locally_normalized
from ear.timing.model import DOUBTFUL, Timing
from runtime.errors import ConfigError

MIN_BPM, MAX_BPM = 10.0, 1000.0
FACTORS = {"": 1.0, "half": 2.0, "double": 0.5}
"""Value of --tempo → what it multiplies the length of a beat by."""
SAME_TEMPO = 0.02
"""A given tempo so near to a level of the found one takes its downbeat over."""


def doubt_of(timing: Timing) -> str:
    """Why the timing should be checked by ear; empty where it is sure."""
    return (timing.doubt or "the beat is not clear") if timing.confidence < DOUBTFUL else ""


@dataclass(frozen=True, slots=True)
class GivenTiming:
    """Timing values given by the user; defaults: none."""

    bpm: float | None = None
    offset_ms: float | None = None  # of the first downbeat, on the audio's clock
    tempo: str = ""  # of FACTORS

    def __post_init__(self) -> None:
        if self.bpm is not None and not MIN_BPM <= self.bpm <= MAX_BPM:
            raise ConfigError(f"--bpm {self.bpm:g}: must be {MIN_BPM:g} to {MAX_BPM:g}")
        if self.offset_ms is not None and not math.isfinite(self.offset_ms):
            raise ConfigError(f"--offset {self.offset_ms}: must be the ms of a downbeat")
        if self.tempo not in FACTORS:
            raise ConfigError(f"--tempo {self.tempo}: must be double or half")
        if self.tempo and self.bpm is not None:
            raise ConfigError("--tempo and --bpm contradict one another: give one")

    def apply(self, timing: Timing, audio: Audio) -> Timing:
        """The found timing as the user has it. Known tempo and offset leave no doubt; a known tempo, only that of its phase."""
        if self.bpm is not None and self.offset_ms is not None:
            point = TimingPoint(self.offset_ms, 60_000 / self.bpm, timing.meter)
            return Timing((_from_start(point),), 1.0, (), audio.duration_ms)
        if self.bpm is not None:
            point = _at_tempo(timing, audio, 60_000 / self.bpm)
            return Timing((point,), max(timing.confidence, 0.5), (), audio.duration_ms)
        timing = _scaled(timing, FACTORS[self.tempo]) if self.tempo else timing
        return timing if self.offset_ms is None else _moved(timing, self.offset_ms)


def _scaled(timing: Timing, factor: float) -> Timing:
    """Beats `factor` times as long, from the same red lines on; the level is no longer in doubt."""
    points = tuple(replace(point, beat_length_ms=point.beat_length_ms * factor) for point in timing.points)
    return replace(timing, points=points, alternatives=(), doubt="")


def _moved(timing: Timing, offset_ms: float) -> Timing:
    """All red lines moved so that a bar starts at the offset, by the least way."""
    first = timing.points[0]
    bar_ms = first.beat_length_ms * first.meter
    shift = (offset_ms - first.time_ms + bar_ms / 2) % bar_ms - bar_ms / 2
    return replace(timing, points=tuple(replace(point, time_ms=point.time_ms + shift) for point in timing.points))


def _at_tempo(timing: Timing, audio: Audio, beat_ms: float) -> TimingPoint:
    """One red line of this tempo where the song's onsets have its beat; its bar is that of the found timing where it fits."""
    strength = locally_normalized(onset_of(audio))
    found = max(beat_phases(strength, FRAME_MS, beat_ms), key=lambda phase: phase.chance, default=None)
    offset_ms = found.offset_ms if found is not None else timing.offset_ms % beat_ms
    meter, ratio = timing.meter, timing.main.beat_length_ms / beat_ms
    downbeat_ms = timing.main.time_ms
    if abs(np.log2(ratio) - round(np.log2(ratio))) < SAME_TEMPO:
        offset_ms += round((downbeat_ms - offset_ms) / beat_ms) * beat_ms
    return _from_start(TimingPoint(float(offset_ms), beat_ms, meter))


def _from_start(point: TimingPoint) -> TimingPoint:
    """The same beats from the first downbeat of the audio on."""
    return replace(point, time_ms=point.time_ms % (point.beat_length_ms * point.meter))
