"""Timing a collection: parallel, resumable, honest about what it cannot use."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from chart.model import TimingPoint
from ear.batch import BatchConfig, SongReport, compare, read_report, songs_below, summary, time_collection
from ear.batch import main as batch_command
from ear.timing.model import Timing
from runtime.errors import ConfigError, OutputError
from runtime.workers import Workers
from tests.builders import ChartBuilder
from tests.ear_signals import clicks, write_wav
from tests.test_ear_beat_data import beatmapset

ONSETS_ONLY = BatchConfig(checkpoint="none", workers=Workers(1))


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    folder = tmp_path / "songs"
    (folder / "深い").mkdir(parents=True)
    beatmapset(folder / "深い" / "map.osz")
    (folder / "深い" / "map.wav").unlink()
    write_wav(folder / "plain.wav", clicks(120, 0.5, 20))
    (folder / "bad.osz").write_bytes(b"no zip")
    (folder / "notes.txt").write_text("not a song")
    return folder


def test_a_collection_is_timed_and_gone_on_with(collection: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.jsonl"
    lines = {line.file: line for line in time_collection(collection, report, ONSETS_ONLY)}
    assert set(lines) == {"bad.osz", "plain.wav", "深い/map.osz"}
    assert lines["bad.osz"].verdict == "failed"
    assert "not a readable .osz" in lines["bad.osz"].error
    assert lines["plain.wav"].verdict == "no map"
    assert lines["深い/map.osz"].map_bpm == 150
    kept = report.read_text(encoding="utf-8").splitlines(keepends=True)
    changed = json.loads(kept[0]) | {"bpm": 77.0}
    report.write_text(json.dumps(changed, ensure_ascii=False) + "\n" + kept[1] + kept[2][:20], encoding="utf-8")
    again = {line.file: line for line in time_collection(collection, report, ONSETS_ONLY)}
    assert again[changed["file"]].bpm == 77.0  # not analysed again
    assert len(again) == 3
    assert len({line.file for line in read_report(report)}) == 3


def test_the_command_names_what_failed(collection: Path, tmp_path: Path) -> None:
    options = ["-o", str(tmp_path / "report.jsonl"), "--checkpoint", "none", "--workers", "1"]
    done = CliRunner().invoke(batch_command, [str(collection), *options])
    assert done.exit_code == 1
    assert "3 songs: " in done.stdout
    assert "failed    bad.osz: " in done.stdout
    assert "1 of 3 files could not be used" in done.stderr


def test_mistakes_are_named(collection: Path, tmp_path: Path) -> None:
    assert len(songs_below(collection)) == 3
    (tmp_path / "none").mkdir()
    with pytest.raises(ConfigError, match=r"holds no \.osz and no audio files"):
        time_collection(tmp_path / "none", tmp_path / "r.jsonl", ONSETS_ONLY)
    (tmp_path / "r.jsonl").write_text('{"a": 1}\n')
    with pytest.raises(ConfigError, match=r"r\.jsonl:1: is not a line of such a report"):
        time_collection(collection, tmp_path / "r.jsonl", ONSETS_ONLY)
    with pytest.raises(OutputError, match="cannot be written"):
        time_collection(collection, tmp_path / "missing" / "r.jsonl", ONSETS_ONLY)


@pytest.mark.parametrize(
    ("bpm", "offset_ms", "confidence", "verdict"),
    [
        (150, 530.0, 0.9, "agrees"),
        (150, 538.0, 0.9, "agrees"),
        (150, 545.0, 0.9, "phase"),
        (150, 730.0, 0.9, "phase"),
        (150, 930.0, 0.9, "downbeat"),
        (75, 530.0, 0.9, "ratio"),
        (100, 530.0, 0.9, "ratio"),
        (150.5, 530.0, 0.9, "tempo"),
        (75, 530.0, 0.1, "unsure"),
    ],
)
def test_verdicts(bpm: float, offset_ms: float, confidence: float, verdict: str) -> None:
    chart = ChartBuilder().bpm(150, 500).stream(500, 400, "0123" * 20).build()
    timing = Timing((TimingPoint(offset_ms, 60_000 / bpm),), confidence, (), 40_000.0)
    found, map_bpm, phase_ms = compare(timing, chart, lag_ms=30.0)
    assert (found, map_bpm) == (verdict, 150)
    assert np.isfinite(phase_ms)


def test_the_summary_lists_disagreements() -> None:
    lines = [
        SongReport("a.osz", "agrees", 150.0),
        SongReport("b.ogg", "no map", 100.0),
        SongReport("c.osz", "ratio", 75.0, 20.0, 4, 1, 0.8, 150.0, 0.3, 23.0),
        SongReport("d.osz", "failed", error="holds no 4K chart"),
    ]
    assert summary(lines).splitlines() == [
        "4 songs: 1 agrees, 1 no map, 1 ratio, 1 failed",
        "failed    d.osz: holds no 4K chart",
        "ratio     c.osz: 75 BPM, the map 150, beat +0.3 ms, confidence 0.80",
    ]
