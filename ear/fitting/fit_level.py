"""Fit the weights of the metrical level selection: a beat network's peaks against the onsets.

    python -m ear.fitting.fit_level FOLDER_OF_OSZ --timed RENDERED --checkpoint bundled     # rewrites ear/weights/timing.json

A multinomial logistic regression over the grids that the onsets allow, from songs whose charts keep one tempo (those of
the `val` split left out) and from music with exact beats that the network was not trained on (as for `ear.fitting.fit_timing`).
With `--towards`, the weights that the file holds are corrected rather than replaced: few pieces, or several networks.
Whole collections are held out together (`--name` of the command that rendered them; all beatmap sets are one): the probabilities
of phases from the onsets enter as they are for a collection that was not fitted on, and so are the shares reported.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from ear.audio.decode import Audio, load_audio
from ear.audio.onset import onset_strength
from ear.fitting.annotated_audio import Material, TimedPiece, read_material
from ear.fitting.fit_timing import (
    MAX_PHASE_ERROR_MS,
    MAX_TEMPO_ERROR,
    STEADY_INTERVAL,
    sources_and_output,
    steady_song,
)
from ear.fitting.softmax import FOLDS, Example, fit_softmax
from ear.timing.grid.metrical_level import MAX_PHASES, grid_features
from ear.timing.grid.phase import BeatPhase, phase_features
from ear.timing.grid.tempo import (
    candidate_features,
    locally_normalized,
    onset_spectrum,
    refine_tempo,
    strongest_pulse_hz,
)
from ear.timing.grid.weights import read_weights, update_weights
from ear.tracker.interface import BeatActivations
from ear.tracker.peak_picking import ActivationPeaks, activation_peaks, log_odds
from ear.tracker.tracker import load_beat_tracker
from runtime.command import Command, use_utf8
from runtime.errors import ConfigError

PENALTY = 0.001
"""Weight of the squared weights of the features scaled to a deviation of 1, chosen by the held-out share."""

PHASE_PENALTY = 0.001
MIN_PEAKS = 8
MIN_COLLECTIONS = 3
"""With fewer, tenths of the pieces are held out instead."""

DEGRADED = (0.6, 0.5)
"""Factor of the log-odds of degraded activations, and what is taken from them."""

SAME_TICK_MS = 12.0
"""A phase this near the right one is right as well: one sound makes several peaks."""

AGREEMENT = 1
"""Place of the agreement among a grid's features, after the tick's chance."""


@dataclass(frozen=True, slots=True, eq=False)
class Grids:
    """The grids that the onsets of one piece allow, and which of them is the beat."""

    group: str
    collection: str
    hz: NDArray[np.float64]  # [level]
    phases: tuple[tuple[NDArray[np.float64], NDArray[np.float64]], ...] = field(repr=False)  # per level, phase_features
    level: int  # the right one
    phase: int  # the right one of that level; −1 where the tempo is not steady enough to tell
    peaks: ActivationPeaks = field(repr=False)


def grids_of(
    group: str, collection: str, strength: NDArray[np.float32], beat_ms: NDArray[np.float64], peaks: ActivationPeaks
) -> Grids | None:
    """The grids of locally normalized onset strength [band, frame of 1 ms] with true beats [beat]; None where none is right."""
    spectrum = onset_spectrum(strength, 1.0)
    pulse_hz = refine_tempo(strength.sum(axis=0), 1.0, strongest_pulse_hz(spectrum, strength.shape[1] / 1000)).hz
    hz, _ = candidate_features(spectrum, pulse_hz)
    interval = np.diff(beat_ms)
    typical_ms = float(np.median(interval))
    error = np.abs(np.log(hz * typical_ms / 1000))
    level = int(error.argmin())
    if error[level] > MAX_TEMPO_ERROR or peaks.beat.time_ms.size < MIN_PEAKS:
        return None
    phases = tuple(phase_features(strength, 1.0, 1000 / one) for one in hz)
    phase = -1
    if np.percentile(np.abs(interval / typical_ms - 1), 90) <= STEADY_INTERVAL:
        period_ms = 1000 / hz[level]
        off_ms = away_ms(beat_ms, phases[level][0], period_ms)
        if off_ms.min() > MAX_PHASE_ERROR_MS:
            return None
        phase = int(off_ms.argmin())
    return Grids(group, collection, hz, phases, level, phase, peaks)


def away_ms(beat_ms: NDArray[np.float64], offset_ms: NDArray[np.float64], period_ms: float) -> NDArray[np.float64]:
    """[offset]: how far the beats [beat] typically are from the ticks at each offset + any number of periods.

    Of distances, not signed ones: half a period before and half a period after would cancel out.
    """
    late_ms = (beat_ms[:, None] - offset_ms + period_ms / 2) % period_ms - period_ms / 2
    return np.asarray(np.median(np.abs(late_ms), axis=0))


def phase_weights(pieces: Sequence[Grids]) -> NDArray[np.float64]:
    """Phase weights from the onsets alone, fitted to these pieces."""
    phases = [Example(0, True, piece.phases[piece.level][1], piece.phase) for piece in pieces if piece.phase >= 0]
    return fit_softmax(phases, PHASE_PENALTY)


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """One piece's grids with their features."""

    group: str
    example: Example
    right: NDArray[np.bool_]  # [grid]: several where the tick is not known


def choice_of(piece: Grids, weights: NDArray[np.float64], fold: int) -> Choice | None:
    """The choice of a piece; None where the right grid is not among the most probable phases."""
    features, right = [], []
    for level, (offsets, found) in enumerate(piece.phases):
        chance = _softmax(found @ weights)
        for peak in np.argsort(-chance, kind="stable")[:MAX_PHASES]:
            phase = BeatPhase(float(offsets[peak]), float(chance[peak]))
            features.append(grid_features(phase, float(piece.hz[level]), piece.peaks))
            right.append(level == piece.level and _is_right_tick(piece, float(offsets[peak])))
    if not any(right):
        return None
    values, wanted = np.array(features), np.flatnonzero(right)
    # of several, the tick that the network agrees with most
    answer = int(wanted[values[wanted, AGREEMENT].argmax()])
    return Choice(piece.group, Example(fold, True, values, answer), np.array(right))


def _is_right_tick(piece: Grids, offset_ms: float) -> bool:
    if piece.phase < 0:
        return True
    right_ms = piece.phases[piece.level][0][[piece.phase]]
    period_ms = 1000 / float(piece.hz[piece.level])
    return bool(away_ms(right_ms, np.array([offset_ms]), period_ms)[0] <= SAME_TICK_MS)


def _softmax(score: NDArray[np.float64]) -> NDArray[np.float64]:
    chance = np.exp(score - score.max())
    return np.asarray(chance / chance.sum())


@dataclass(frozen=True, slots=True, eq=False)
class Start:
    """Weights that a fit begins with and is drawn to."""

    level: NDArray[np.float64] = field(repr=False)  # [feature] of the selection
    phase: NDArray[np.float64] = field(repr=False)  # [feature], from the onsets alone: kept
    penalty: float  # of the squared distance from `level`, scaled as `fit_scaled` does


def fit_scaled(examples: list[Example], start: Start | None = None) -> NDArray[np.float64]:
    """Weights [feature]; the penalty counts each feature by its deviation among the grids of a piece."""
    scale = np.mean([example.features.std(axis=0) for example in examples], axis=0) + 1e-9
    scaled = [Example(one.song, one.whole, one.features / scale, one.answer) for one in examples]
    if start is None:
        return fit_softmax(scaled, PENALTY) / scale
    return fit_softmax(scaled, start.penalty, centre=start.level * scale) / scale


def folds_of(pieces: Sequence[Grids]) -> list[int]:
    """The fold of each piece: one for each collection, or tenths where there are too few."""
    names = sorted({piece.collection for piece in pieces})
    if len(names) < MIN_COLLECTIONS:
        return [number % FOLDS for number in range(len(pieces))]
    return [names.index(piece.collection) for piece in pieces]


def choices_of(pieces: Sequence[Grids], start: Start | None = None) -> list[Choice]:
    """The choices of all pieces, each with phase weights fitted on the other folds, or with those of `start`."""
    folds = folds_of(pieces)
    choices = []
    for fold in sorted(set(folds)):
        others = [piece for piece, own in zip(pieces, folds, strict=True) if own != fold]
        weights = phase_weights(others) if start is None else start.phase
        found = (choice_of(piece, weights, fold) for piece, own in zip(pieces, folds, strict=True) if own == fold)
        choices += [choice for choice in found if choice]
    return choices


def held_out_shares(choices: list[Choice], start: Start | None = None) -> dict[str, list[bool]]:
    """By group, whether each piece is answered rightly by weights fitted on the other folds."""
    right: dict[str, list[bool]] = {}
    for fold in sorted({choice.example.song for choice in choices}):
        weights = fit_scaled([choice.example for choice in choices if choice.example.song != fold], start)
        for choice in choices:
            if choice.example.song == fold:
                best = int((choice.example.features @ weights).argmax())
                right.setdefault(choice.group, []).append(bool(choice.right[best]))
    return right


def report_of(choices: list[Choice], start: Start | None = None) -> str:
    """The share of pieces answered rightly with their collection held out, by group."""
    shares = sorted(held_out_shares(choices, start).items())
    return ", ".join(f"{group} {np.mean(hits):.3f} of {len(hits)}" for group, hits in shares)


def song_grids(path: Path, networks: Sequence[Network]) -> list[Grids]:
    """The grids of a beatmap set whose chart keeps one tempo, with each network; none of another."""
    song = steady_song(path)
    if song is None:
        return []
    strength = locally_normalized(song.onset)
    found = [grids_of("maps", "maps", strength, song.beat_ms, network(song.audio)) for network in networks]
    return [one for one in found if one]


def piece_grids(piece: TimedPiece, networks: Sequence[Network]) -> list[Grids]:
    """Candidate grids of a piece whose beats are known, with each network."""
    audio = load_audio(piece.path)
    strength = locally_normalized(onset_strength(audio.samples, audio.sample_rate))
    about = piece.group, piece.collection, strength, piece.beat_ms
    found = [grids_of(*about, network(audio)) for network in networks]
    return [one for one in found if one]


Network = Callable[[Audio], ActivationPeaks]


def networks_of(checkpoints: Sequence[str], degraded: bool) -> list[Network]:
    """Peaks of each network's activations; with `degraded`, those of the first network's degraded ones besides."""
    trackers = [load_beat_tracker(name) for name in checkpoints]
    networks: list[Network] = [lambda audio, own=own: activation_peaks(own(audio)) for own in trackers]  # type: ignore[misc]
    if degraded:
        networks.append(lambda audio: activation_peaks(less_sure(trackers[0](audio))))
    return networks


def less_sure(activations: BeatActivations) -> BeatActivations:
    """As of a poorer network: log-odds nearer to 0 and lower."""
    scale, less = DEGRADED
    beat, downbeat = (
        (1 / (1 + np.exp(less - scale * log_odds(one)))).astype(np.float32)
        for one in (activations.beat, activations.downbeat)
    )
    return replace(activations, beat=beat, downbeat=downbeat)


@click.command(cls=Command)
@sources_and_output
@click.option(
    "--checkpoint",
    "checkpoints",
    multiple=True,
    default=["bundled"],
    show_default=True,
    help="Beat network; of several, a piece counts once with each.",
)
@click.option("--degraded", is_flag=True, help="Once more with the first network's activations degraded.")
@click.option(
    "--towards",
    type=click.FloatRange(0, min_open=True),
    help="Correct the weights in the file: penalty of the distance from them, such as .01.",
)
def main(output: Path, checkpoints: tuple[str, ...], degraded: bool, towards: float | None, **material: Any) -> None:
    """Fit the metrical level selection to the beatmap sets in FOLDER."""
    use_utf8()
    networks = networks_of(checkpoints, degraded)
    read = read_material(
        Material(**material), lambda path: song_grids(path, networks), lambda piece: piece_grids(piece, networks)
    )
    pieces = [one for found in read for one in found]
    if len(pieces) < FOLDS:
        raise ConfigError(
            f"{material['folder']}: only {len(pieces)} songs with one steady tempo; at least {FOLDS} are needed"
        )
    start = None
    if towards is not None:
        present = read_weights(output)
        start = Start(present.metrical_level, present.beat_phase, towards)
    choices = choices_of(pieces, start)
    weights = fit_scaled([choice.example for choice in choices], start)
    report = report_of(choices, start)
    update_weights(output, {"metrical_level": weights}, {"metrical_level": report})
    click.echo(report)


if __name__ == "__main__":
    main()
