"""Fitting the confidence: held-out calibration, and the command on too little."""

from pathlib import Path

import numpy as np
from click.testing import CliRunner

from ear.fitting.fit_confidence import Judged, fit, held_out, main, report_of
from ear.timing.confidence import Evidence, calibration_error
from tests.ear_signals import rock_beat, write_wav


def pieces(count: int) -> list[Judged]:
    """Pieces that are right with the probability of their level, in three collections."""
    rng = np.random.default_rng(0)
    made = []
    for index in range(count):
        level = float(rng.uniform(0.05, 0.95))
        found = Evidence(1.0, level, 0.9, 0.0, 0.8, 0.8)
        made.append(Judged("abc"[index % 3], found, bool(rng.random() < level)))
    return made


def test_the_fit_is_calibrated_on_collections_held_out() -> None:
    made = pieces(900)
    said, right = held_out(made), np.array([piece.right for piece in made])
    assert calibration_error(said, right) < 0.05
    assert 0.7 < fit(made)[1] < 1.3
    assert "of 900 pieces of 3 collections, each held out" in report_of(made)


def test_one_collection_is_too_few(tmp_path: Path) -> None:
    write_wav(tmp_path / "0.wav", rock_beat(140.0, 0.5, 12.0))
    (tmp_path / "a.osz").write_bytes(b"no archive")
    out = tmp_path / "weights.json"
    result = CliRunner().invoke(main, [str(tmp_path), "-o", str(out)])
    assert result.exit_code == 1
    assert "are too few; give more with --timed" in result.stderr
    assert "a.osz" in result.stderr
    assert not out.exists()
