"""The benchmark of beat networks, with a stand-in network that finds given beats."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from bench.beats import judge, main, summarise
from ear.audio.decode import Audio
from ear.tracker.interface import BeatActivations
from ear.training.batches import target
from tests.ear_networks import tiny_checkpoint
from tests.ear_signals import clicks, write_wav

TRUE_MS = np.arange(1000.0, 19_000.0, 500.0)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "timing"
    folder.mkdir()
    write_wav(folder / "a.wav", clicks(120, 1.0, 20))
    piece = {"file": "a.wav", "group": "band", "beats_s": (TRUE_MS / 1000).tolist(), "pos": ([1, 2, 3, 4] * 9)}
    (folder / "timing.json").write_text(json.dumps([piece]), encoding="utf-8")
    return tmp_path


def late_by(shift_ms: float, missing: int) -> object:
    """A tracker that finds all but the first `missing` beats, late, and one beat long before the music."""

    def tracker(audio: Audio) -> BeatActivations:
        detected_ms = np.concatenate(([100.0], TRUE_MS[missing:] + shift_ms))
        beat, downbeat = (
            target(at / 20, int(audio.duration_ms / 20) + 1) for at in (detected_ms, TRUE_MS[::4] + shift_ms)
        )
        return BeatActivations(beat.clip(0.01, 0.99), downbeat.clip(0.01, 0.99))

    return tracker


def test_figures_are_of_the_detected_beats(data: Path) -> None:
    piece = json.loads((data / "timing" / "timing.json").read_text())[0]
    results = [judge(late_by(5.0, missing), data / "timing", piece) for missing in (0, 4)]  # type: ignore[arg-type]
    figures = summarise(results)["band"]
    assert results[0]["score"].beat_f == 1.0  # type: ignore[attr-defined]
    assert figures["beat_f"] == pytest.approx((1 + 2 * 32 / (32 + 36)) / 2)
    assert figures["bias_ms"] == pytest.approx(5, abs=1)
    late = summarise([judge(late_by(30.0, 0), data / "timing", piece)])["band"]  # type: ignore[arg-type]
    assert late["beat_f"] == 0.0
    assert late["median_ms"] == pytest.approx(30, abs=1)


def test_the_command_ends_with_json(data: Path, tmp_path: Path) -> None:
    checkpoint = str(tiny_checkpoint(tmp_path / "tiny.safetensors"))
    done = CliRunner().invoke(main, [str(data), "--checkpoint", checkpoint])
    assert done.exit_code == 0, done.output
    figures = json.loads(done.stdout.splitlines()[-1])
    assert figures["groups"]["band"]["pieces"] == 1
    assert 0 <= figures["groups"]["band"]["beat_f"] <= 1
