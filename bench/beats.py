"""F-measure of a beat network alone: its peaks within ±20 ms, before any timing is fitted.

    python -m bench.beats ../shared/data --checkpoint bundled

Over `timing/`, by group: F of beats and downbeats, and the distance of the beats that were found from the true ones.
For comparing checkpoints; `bench.ear` measures the timing made from them. Ends with one line of JSON.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import click
import numpy as np

from ear.audio.decode import load_audio
from ear.tracker.metrics import match, score_beats
from ear.tracker.peak_picking import PickedBeats, pick_beats
from ear.tracker.tracker import BeatTracker, load_beat_tracker
from runtime.command import Command, use_utf8
from runtime.progress import progress

MARGIN_MS = 200.0
"""Beats further outside the annotated span than this are ignored, ms."""


def judge(tracker: BeatTracker, folder: Path, piece: dict) -> dict[str, object]:
    """Scores of one piece, and the distances of matched beats in ms."""
    audio = load_audio(folder / piece["file"])
    began = time.perf_counter()
    picked = pick_beats(tracker(audio))
    wall_s = time.perf_counter() - began
    true_ms, position = np.array(piece["beats_s"]) * 1000, np.array(piece["pos"])
    kept = (picked.beat_ms > true_ms[0] - MARGIN_MS) & (picked.beat_ms < true_ms[-1] + MARGIN_MS)
    picked = PickedBeats(picked.beat_ms[kept], picked.is_downbeat[kept], picked.strength[kept])
    score = score_beats(picked, true_ms, position == 1)
    pairs = match(picked.beat_ms, true_ms, 70.0)
    errors = picked.beat_ms[pairs[:, 0]] - true_ms[pairs[:, 1]]
    rate = wall_s / (audio.duration_ms / 1000)
    return {"group": piece["group"], "score": score, "errors_ms": errors, "s_per_audio_s": rate}


def summarise(results: list[dict]) -> dict[str, dict[str, float]]:
    """Figures by group."""
    out: dict[str, dict[str, float]] = {}
    for group in dict.fromkeys(result["group"] for result in results):
        chosen = [result for result in results if result["group"] == group]
        errors = np.concatenate([result["errors_ms"] for result in chosen])
        out[group] = {
            "pieces": len(chosen),
            "beat_f": float(np.mean([result["score"].beat_f for result in chosen])),
            "downbeat_f": float(np.nanmean([result["score"].downbeat_f for result in chosen])),
            "bias_ms": float(np.median(errors)) if errors.size else np.nan,
            "median_ms": float(np.median(np.abs(errors))) if errors.size else np.nan,
            "p90_ms": float(np.percentile(np.abs(errors), 90)) if errors.size else np.nan,
        }
    return out


@click.command(cls=Command)
@click.argument("data", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--checkpoint", default="bundled", show_default=True)
@click.option("--backend", type=click.Choice(["torch", "onnx"]), default="torch", show_default=True)
def main(data: Path, checkpoint: str, backend: str) -> None:
    """Measure a beat network on the pieces in DATA/timing."""
    use_utf8()
    folder = data / "timing"
    pieces = json.loads((folder / "timing.json").read_text(encoding="utf-8"))
    tracker = load_beat_tracker(checkpoint, backend)  # type: ignore[arg-type]
    results = [judge(tracker, folder, piece) for piece in progress(pieces, "listening")]
    figures = summarise(results)
    for group, row in figures.items():
        click.echo(
            f"{group:13} {row['pieces']:3} pieces  beat F {row['beat_f']:.3f}  downbeat F {row['downbeat_f']:.3f}  "
            f"error median {row['median_ms']:.1f} ms (bias {row['bias_ms']:+.1f}), 90th percentile {row['p90_ms']:.1f} ms"
        )
    rate = float(np.median([result["s_per_audio_s"] for result in results]))
    click.echo(json.dumps({"checkpoint": checkpoint, "s_per_audio_s": round(rate, 5), "groups": figures}))


if __name__ == "__main__":
    main()
