"""Collections of charts without audio: read with bounds, built into a dataset, known by their pattern mix."""

from pathlib import Path

import numpy as np
import pytest

from chart.analysis.pattern_mix import FAMILIES, pattern_mix
from chart.model import Chart
from mapper.data.corpus import open_corpus
from mapper.data.pattern_collection import read_collection
from mapper.dataset import build
from runtime.errors import ChartFileError
from runtime.workers import Workers
from tests.builders import ChartBuilder

BEAT_MS = 400.0


def write_collection(path: Path, **changes: np.ndarray) -> Path:
    """A chart of a stream over the columns, one of jacks, and one without timing."""
    time_ms = np.tile(np.arange(80) * BEAT_MS / 4, 3).astype(np.int32)
    column = np.concatenate((np.arange(80) % 4, np.zeros(80), np.arange(80) % 4)).astype(np.int8)
    arrays = {
        "time_ms": time_ms,
        "column": column,
        "end_ms": np.full(240, -1, np.int32),
        "offset": np.array([0, 80, 160, 240]),
        "timing_points": np.array([[0.0, BEAT_MS], [0.0, BEAT_MS], [0.0, 1e-300]]),
        "timing_offset": np.array([0, 1, 2, 3]),
    }
    np.savez(path, **(arrays | changes))
    return path


def test_charts_are_read_and_those_without_timing_named(tmp_path):
    stream, jacks, untimed = read_collection(write_collection(tmp_path / "charts.npz"))
    assert isinstance(stream, Chart)
    assert isinstance(jacks, Chart)
    assert len(stream) == 80
    assert set(jacks.column.tolist()) == {0}
    assert untimed == "chart 2: no timing"


@pytest.mark.parametrize(
    "changes", [{"offset": np.array([0, 500])}, {"offset": np.array([80, 0])}, {"timing_offset": np.array([0])}]
)
def test_offsets_that_do_not_fit_are_refused(tmp_path, changes):
    path = write_collection(tmp_path / "charts.npz", **changes)
    with pytest.raises(ChartFileError, match="offsets do not fit"):
        list(read_collection(path))


def test_what_is_no_collection_is_refused(tmp_path):
    (tmp_path / "x.npz").write_bytes(b"no zip")
    np.savez(tmp_path / "y.npz", time_ms=np.zeros(3))
    for name in ("x.npz", "y.npz"):
        with pytest.raises(ChartFileError, match="not a collection of charts"):
            list(read_collection(tmp_path / name))


def test_a_dataset_of_charts_alone_has_rows_but_no_sound(tmp_path):
    write_collection(tmp_path / "charts.npz")
    report = build([tmp_path / "charts.npz"], tmp_path / "data", workers=Workers(1))
    corpus = open_corpus(tmp_path / "data")
    assert any("no timing" in line for line in report["skipped"])
    assert corpus.split("train") == []
    assert corpus.split("train", has_audio=False) == [0, 1]
    assert len(corpus.chart_rows(0)) == 80
    names = list(FAMILIES)
    assert corpus.charts[0].patterns[names.index("stream")] == pytest.approx(1.0)
    assert corpus.charts[1].patterns[names.index("jack")] == pytest.approx(1.0)


def test_the_pattern_mix_tells_families_apart():
    names = list(FAMILIES)
    trill = ChartBuilder().bpm(150, 0.0)
    jumps = ChartBuilder().bpm(150, 0.0)
    for step in range(64):
        trill.note(step * 100.0, step % 2)
        jumps.note(step * 100.0, step % 4)
        if step % 4 == 0:
            jumps.note(step * 100.0, 2)
    for builder, family in ((trill, "trill"), (jumps, "jumpstream")):
        mix = pattern_mix(builder.build())
        assert mix[names.index(family)] > 0.9
        assert mix[names.index("jack")] == 0
