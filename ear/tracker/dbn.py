"""A consistent sequence of beats, and of bars, from a beat network's activations.

Beats are the sequence that maximises the sum of its beats' log-odds, less a cost for every change of the interval
between beats (exponential in its log ratio, as in the bar-pointer model of Krebs, Böck & Widmer,
"An efficient state-space model for joint tempo and meter tracking", ISMIR 2015). Bars are then decoded along these
beats: each bar has two to seven beats, and rarely another number than the last. Beats without a peak are filled in.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ear.tracker.peak_picking import Peaks, find_peaks, log_odds, nearest_index

if TYPE_CHECKING:
    from ear.tracker.interface import BeatActivations

TRACKING_FPS = 100.0
"""Frames a second of the tracker: at 320 BPM a beat has 19."""

SLOWEST_BPM, FASTEST_BPM = 30.0, 320.0
"""Range of tempi tracked."""

CHANGE_COSTS = (4.0, 10.0, 40.0)
"""Cost in nats of an interval e times as long or short, from rubato to a drum machine; the most probable is chosen."""

STEADY_SHARE = 0.3
"""Weight of the likelihood of the changes when the cost is chosen: the evidence of neighbouring frames is not
independent. Both were chosen on simulated activations of 60 rendered pieces."""

RUBATO_BPM, TEMPO_COST = 90.0, 0.6
"""Centre of the tempo prior, and its cost in nats a beat for each squared octave: weak networks respond to half beats.
Chosen of .3, .6, .8 and 1 on 32 rubato performances that the network was not trained on."""

LOG_ODDS_LIMIT = 4.0
"""Bound of the evidence of one frame."""

TYPICAL_SHARE, MIN_THRESHOLD, MAX_THRESHOLD = 1 / 3, 0.02, 0.5
"""The evidence is 0 at this share of the song's typical peak, within these bounds, so that a network that is unsure of a
style is read relative to itself."""

SNAP_S = 0.035
"""A tracked beat is moved to an activation peak within this distance."""

MIN_FRAMES = 100
"""Shorter activations (2 s) are not tracked."""

METERS = (2, 3, 4, 5, 6, 7)
METER_COST = {2: 0.3, 3: 0.3, 4: 0.0, 5: 1.0, 6: 0.6, 7: 1.2}
"""Cost of each meter in nats a bar."""

METER_CHANGE_COST = 5.0
"""Cost in nats of a change of meter."""


@dataclass(frozen=True, slots=True, eq=False)
class TrackedBeats:
    """A beat sequence without gaps."""

    time_ms: NDArray[np.float64]  # [beat], increasing
    position: NDArray[np.int64]  # [beat], place in the bar, 1 = downbeat
    bar_length: NDArray[np.int64]  # [beat], beats in its bar
    support: NDArray[np.float64] = field(repr=False)  # [beat], 0–1: activation there; 0 where it was filled in


def track_beats(activations: BeatActivations) -> TrackedBeats:
    """The beats and bars of a song, silences included. Needs `MIN_FRAMES` of activations."""
    peaks = find_peaks(activations.beat, activations.frames_per_s)
    frame = _track(activations.beat, activations.frames_per_s, peaks.typical)
    time_ms, support = _snapped(frame.astype(np.float64) * (1000 / TRACKING_FPS), peaks)
    downbeat = find_peaks(activations.downbeat, activations.frames_per_s)
    evidence = _downbeat_evidence(time_ms, downbeat, activations.downbeat, activations.frames_per_s)
    position, length = decode_bars(evidence)
    return TrackedBeats(time_ms, position, length, support)


def threshold(typical: float) -> float:
    """Activation at which the evidence is 0, in a song with typical peaks of this strength."""
    return float(np.clip(TYPICAL_SHARE * typical, MIN_THRESHOLD, MAX_THRESHOLD))


def _track(activation: NDArray[np.floating], frames_per_s: float, typical: float) -> NDArray[np.int64]:
    """Frames [beat] at `TRACKING_FPS` of the best beat sequence."""
    line = log_odds(activation) - log_odds(np.array([threshold(typical)]))
    frames = max(1, int(len(line) * TRACKING_FPS / frames_per_s))
    fine = np.interp(np.arange(frames) * (frames_per_s / TRACKING_FPS), np.arange(len(line)), line)
    padded = np.pad(fine, 1, mode="edge")  # a beat may lie a frame off its peak: intervals are whole frames
    evidence = np.maximum(np.maximum(padded[:-2], padded[1:-1]), padded[2:])
    evidence = np.clip(evidence, -LOG_ODDS_LIMIT, LOG_ODDS_LIMIT).astype(np.float32)
    interval = np.arange(round(TRACKING_FPS * 60 / FASTEST_BPM), round(TRACKING_FPS * 60 / SLOWEST_BPM) + 1)
    tracks = [_best_track(evidence, interval, cost) for cost in CHANGE_COSTS]
    return max(tracks, key=lambda track: track.log_likelihood).frame


@dataclass(frozen=True, slots=True, eq=False)
class _Track:
    frame: NDArray[np.int64]  # [beat]
    log_likelihood: float


def _best_track(evidence: NDArray[np.float32], interval: NDArray[np.int64], change_cost: float) -> _Track:
    """The best beats for one cost of tempo changes; the normalised likelihood makes the costs comparable."""
    from ear.tracker.dbn_kernels import best_beats, trace_back  # few songs are tracked, and numba takes long to import

    score = np.empty((evidence.size, interval.size), np.float32)
    source = np.empty((evidence.size, interval.size), np.int16)
    octaves = np.log2(60 * TRACKING_FPS / interval / RUBATO_BPM)
    worth = (-TEMPO_COST * octaves**2).astype(np.float32)
    best_beats(evidence, interval, np.log(interval).astype(np.float32), worth, change_cost, score, source)
    beats = np.empty(evidence.size, np.int64)
    frame = beats[: trace_back(score, source, interval, beats)][::-1]
    return _Track(frame, float(score[frame[-1]].max()) + STEADY_SHARE * frame.size * float(np.log(change_cost / 2)))


def _snapped(time_ms: NDArray[np.float64], peaks: Peaks) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Times moved to the nearest peak where one is near, and the activation there (0 where none is)."""
    if not peaks.time_ms.size:
        return time_ms, np.zeros(time_ms.size)
    nearest = nearest_index(peaks.time_ms, time_ms)
    near = np.abs(peaks.time_ms[nearest] - time_ms) <= SNAP_S * 1000
    return np.where(near, peaks.time_ms[nearest], time_ms), np.where(near, peaks.strength[nearest], 0.0)


def _downbeat_evidence(
    beat_ms: NDArray[np.float64], peaks: Peaks, activation: NDArray[np.floating], frames_per_s: float
) -> NDArray[np.float64]:
    """Log odds [beat] of a downbeat on each beat, the largest of the frames about it."""
    at = np.clip(np.rint(beat_ms * frames_per_s / 1000).astype(np.int64), 1, max(len(activation) - 2, 1))
    around = np.clip(at[:, None] + np.arange(-2, 3), 0, len(activation) - 1)
    line = log_odds(activation)[around].max(axis=1) - log_odds(np.array([threshold(peaks.typical)]))
    return np.clip(line, -LOG_ODDS_LIMIT, LOG_ODDS_LIMIT)


def decode_bars(evidence: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Position in the bar (1 = downbeat) and length of the bar of each beat, from log odds of a downbeat [beat].

    Viterbi over (meter, position); log-odds are halved so that a downbeat and its absence weigh alike.
    """
    states = [(meter, position) for meter in METERS for position in range(1, meter + 1)]
    first = np.array([position == 1 for _, position in states])
    cost = np.array([METER_COST[meter] if position == 1 else 0.0 for meter, position in states])
    emission = 0.5 * np.where(first, evidence[:, None], -evidence[:, None]) - cost
    last_of = [k for k, (meter, position) in enumerate(states) if position == meter]
    first_of = [k for k, (_, position) in enumerate(states) if position == 1]
    change = METER_CHANGE_COST * (1 - np.eye(len(METERS)))  # [meter before, meter]
    score, source = emission[0].copy(), np.zeros((len(evidence), len(states)), np.int64)
    for beat in range(1, len(evidence)):
        before = np.roll(np.arange(len(states)), 1)  # within a bar the state before is the one before in the list
        into = np.array(score[last_of])[:, None] - change
        before[first_of] = np.array(last_of)[into.argmax(axis=0)]
        reached = score[before]
        reached[first_of] = into.max(axis=0)
        source[beat], score = before, reached + emission[beat]
    state = int(score.argmax())
    path = np.zeros(len(evidence), np.int64)
    for beat in range(len(evidence) - 1, -1, -1):
        path[beat] = state
        state = int(source[beat, state])
    chosen = np.array(states)[path]
    return chosen[:, 1], chosen[:, 0]
