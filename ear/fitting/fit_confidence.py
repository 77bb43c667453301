"""Fit the confidence of steady timings: `python -m ear.fitting.fit_confidence FOLDER_OF_OSZ --timed RENDERED`.

A logistic regression of whether a timing is right (beat F of .8 within 20 ms) on the evidence for it
(`ear.timing.confidence`), from the material of `ear.fitting.fit_level`. Whole collections are held out in turn for the
calibration error that is reported. Writes `ear/weights/timing.json`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from ear.audio.decode import Audio, load_audio
from ear.fitting.annotated_audio import Material, read_material
from ear.fitting.fit_timing import sources_and_output, steady_song
from ear.fitting.softmax import FOLDS, Example, fit_softmax
from ear.timing.confidence import RHYTHMIC, Evidence, calibration_error
from ear.timing.estimate import steady_evidence
from ear.timing.grid.weights import update_weights
from ear.timing.model import beats_of
from ear.tracker.metrics import WINDOW_MS, f_measure
from ear.tracker.tracker import BeatTracker, load_beat_tracker
from runtime.command import Command, use_utf8
from runtime.errors import ConfigError

PENALTY = 0.001
"""Weight of the squared weights, chosen by the held-out Brier score of .001, .003 and .006."""

RIGHT_F = 0.8
"""Beat F from which a timing is right, as in `bench.beat_figures`."""

MARGIN_MS = 200.0
"""Beats further outside the annotated part do not count."""


@dataclass(frozen=True, slots=True)
class Judged:
    """The evidence for the timing of one piece, and whether it is right."""

    collection: str
    evidence: Evidence
    right: bool


def judge(audio: Audio, tracker: BeatTracker, beat_ms: NDArray[np.float64], collection: str) -> Judged | None:
    """The timing of a piece with true beats [beat ≥ 2]; None where its beats cannot be tracked."""
    timing, evidence = steady_evidence(audio, tracker(audio))
    if evidence is None:
        return None
    found = beats_of(timing).time_ms
    inside = found[(found > beat_ms[0] - MARGIN_MS) & (found < beat_ms[-1] + MARGIN_MS)]
    return Judged(collection, evidence, f_measure(inside, beat_ms, WINDOW_MS) >= RIGHT_F)


def judge_song(path: Path, tracker: BeatTracker) -> Judged | None:
    """The timing of a beatmap set whose chart keeps one tempo; None of another."""
    song = steady_song(path)
    return judge(song.audio, tracker, song.beat_ms, "maps") if song else None


def fit(pieces: Sequence[Judged]) -> NDArray[np.float64]:
    """Weights [feature] of the logistic regression, as a choice between the evidence and nothing."""
    examples = []
    for piece in pieces:
        features = piece.evidence.features()
        examples.append(Example(0, True, np.array([features, np.zeros(features.size)]), 0 if piece.right else 1))
    return fit_softmax(examples, PENALTY)


def held_out(pieces: Sequence[Judged]) -> NDArray[np.float64]:
    """Confidence [piece] of each piece by weights fitted on the other collections."""
    said = np.zeros(len(pieces))
    for collection in {piece.collection for piece in pieces}:
        weights = fit([piece for piece in pieces if piece.collection != collection])
        for index, piece in enumerate(pieces):
            if piece.collection == collection:
                scale = min(piece.evidence.signal / RHYTHMIC, 1.0)
                said[index] = scale / (1 + np.exp(-(piece.evidence.features() @ weights)))
    return said


def report_of(pieces: Sequence[Judged]) -> str:
    """Held-out calibration in one line."""
    said, right = held_out(pieces), np.array([piece.right for piece in pieces])
    error, brier = calibration_error(said, right), float(((said - right) ** 2).mean())
    count = len({piece.collection for piece in pieces})
    return (
        f"expected calibration error {error:.3f}, Brier score {brier:.3f} "
        f"of {len(pieces)} pieces of {count} collections, each held out"
    )


def _judged(material: Material, tracker: BeatTracker) -> Iterator[Judged]:
    return read_material(
        material,
        lambda path: judge_song(path, tracker),
        lambda piece: judge(load_audio(piece.path), tracker, piece.beat_ms, piece.collection),
    )


@click.command(cls=Command)
@sources_and_output
@click.option("--checkpoint", default="bundled", show_default=True, help="Beat network.")
def main(output: Path, checkpoint: str, **material: Any) -> None:
    """Calibrate the confidence on the beatmap sets in FOLDER."""
    use_utf8()
    pieces = list(_judged(Material(**material), load_beat_tracker(checkpoint)))
    if len(pieces) < FOLDS or len({piece.collection for piece in pieces}) < 2:
        raise ConfigError(
            f"{material['folder']}: {len(pieces)} pieces of one collection are too few; give more with --timed"
        )
    report = report_of(pieces)
    update_weights(output, {"confidence": fit(pieces)}, {"confidence": report})
    click.echo(report)


if __name__ == "__main__":
    main()
