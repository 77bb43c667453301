"""Charts of other games and modes: where notes fall, without columns."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from chart.formats.rhythm import read_rhythm
from chart.grid import SLOTS_PER_CELL, make_grid
from chart.model import TimingPoint
from mapper.data.batches import BEATS_AFTER, BEATS_BEFORE, WindowSampler, collate_windows
from mapper.data.corpus import open_corpus
from mapper.data.rhythm_collection import BEGINS, NOT_SCORED, rhythm_rows, style_of
from mapper.dataset import build
from mapper.tokens.vocabulary import STYLES
from runtime.errors import ChartFileError
from runtime.workers import Workers

BEAT_MS, LAG_MS, DURATION_MS = 400.0, 20.0, 36_000.0
HEADS_MS = 8000.0 + BEAT_MS * np.arange(60)


def chart(times_ms: np.ndarray = HEADS_MS, **changed: object) -> dict:
    return {
        "mode": "osu!standard",
        "difficulty": "Hard",
        "times_ms": [float(time) for time in times_ms],
        "kinds": ["note"] * len(times_ms),
    } | changed


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    """A song of clicks with a chart on each beat, a slider that ends half a beat after the tenth, and a double of it."""
    times = np.append(HEADS_MS, HEADS_MS[9] + BEAT_MS / 2)
    charts = [
        chart(times, kinds=[*["note"] * 9, "slider", *["note"] * 50, "slider_end"]),
        chart(times, kinds=[*["note"] * 60, "slider_end"], difficulty="Hard again"),
        chart(HEADS_MS[::2], mode="taiko"),
        chart(HEADS_MS[:5]),
        chart(HEADS_MS + 12),
    ]
    about = {"file": "click 曲.ogg", "title": "Click", "artist": "Nobody", "sync_lag_ms": LAG_MS, "lag_confidence": 0.5}
    (tmp_path / "rhythm.json").write_text(
        json.dumps([about | {"share_within_30ms": 0.9, "share_shifted": 0.2}]), encoding="utf-8"
    )
    content = {"timing_points": [[0.0, BEAT_MS, 4]], "charts": charts}
    (tmp_path / "click 曲.json").write_text(json.dumps(content), encoding="utf-8")
    samples = np.zeros(round(DURATION_MS * 22.05), np.float32)
    for time in HEADS_MS:
        at = round((time + LAG_MS) * 22.05)
        samples[at : at + 300] = 0.5
    soundfile.write(tmp_path / "click 曲.ogg", samples, 22_050)
    return tmp_path


def test_a_song_tells_its_lag_and_how_far_it_is_believed(collection):
    song = read_rhythm(collection / "click 曲.json")
    assert song.audio == collection / "click 曲.ogg"
    assert song.lag_ms == LAG_MS
    assert song.weight == pytest.approx(0.5), "it fits far better than when it is shifted, but its lag is half sure"
    assert song.red_lines == ((0.0, BEAT_MS, 4),)
    assert len(song.charts) == 5


def test_heads_become_rows_and_ends_are_not_scored(collection):
    song = read_rhythm(collection / "click 曲.json")
    grid = make_grid([TimingPoint(0.0, BEAT_MS)], -LAG_MS, DURATION_MS)
    found = rhythm_rows(song.charts[0], grid, LAG_MS, DURATION_MS)
    assert not isinstance(found, str)
    slot, code = found.rows.T
    np.testing.assert_allclose(grid.slot_ms[slot[code == BEGINS]], HEADS_MS)
    np.testing.assert_allclose(grid.slot_ms[slot[code == NOT_SCORED]], HEADS_MS[9] + BEAT_MS / 2)
    assert found.heads_per_s == pytest.approx(60 / 23.6)


@pytest.mark.parametrize(
    ("changed", "reason"), [(HEADS_MS[:5], "only 5 notes"), (HEADS_MS + 12, "lie on no snap"), ([], "only 0 notes")]
)
def test_sketches_and_charts_without_usable_timing_are_left_out(changed, reason):
    grid = make_grid([TimingPoint(0.0, BEAT_MS)], 0.0, DURATION_MS)
    found = rhythm_rows(chart(np.asarray(changed)), grid, 0.0, DURATION_MS)
    assert isinstance(found, str)
    assert reason in found


@pytest.mark.parametrize(
    ("mode", "difficulty", "style"),
    [
        ("osu!standard, osu!taiko", "Hard", "standard"),
        ("osu!taiko", "Oni", "taiko"),
        ("guitar/drums chart", "Expert Drums", "drums"),
        ("guitar/drums chart", "Expert Single", "guitar"),
        ("osu!mania 7K", "", "keyboard"),
        ("Beatblock", "", "other"),
    ],
)
def test_every_mode_has_a_style(mode, difficulty, style):
    assert STYLES[style_of({"mode": mode, "difficulty": difficulty})] == style


@pytest.mark.parametrize(
    "content", ["", "[]", '{"charts": []}', '{"timing_points": [], "charts": []}', '{"timing_points": 3}']
)
def test_a_song_that_cannot_be_read_is_named(collection, content):
    file = collection / "click 曲.json"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(ChartFileError, match="click 曲"):
        read_rhythm(file)


def test_a_dataset_takes_rhythm_songs_for_training_alone(collection, tmp_path_factory):
    data = tmp_path_factory.mktemp("rhythm")
    report = build([collection], data, splits={}, workers=Workers(1))
    assert report["songs"] == {"train": 1, "val": 0}
    assert len(report["skipped"]) == 3, "the double, the sketch and the one on no snap"
    corpus = open_corpus(data)
    assert corpus.split("train") == []
    charts = corpus.split("train", has_columns=False)
    assert [STYLES[corpus.charts[number].style] for number in charts] == ["standard", "taiko"]
    sampler = WindowSampler(corpus)
    assert sampler.sharing(charts) == [charts]
    batch = collate_windows([sampler.window(charts, 0)])
    grid = corpus.grid(charts[0])
    for number, times_ms in enumerate((HEADS_MS, HEADS_MS[::2])):
        at = grid.slot_ms[: batch.target.shape[1]]
        np.testing.assert_allclose(at[batch.target[number].numpy()], times_ms[times_ms < at[-1]])
        scored = at[batch.scored[number].numpy()]
        assert scored[0] == pytest.approx(8000 - BEATS_BEFORE * BEAT_MS, abs=BEAT_MS / 4)
        assert scored[-1] < times_ms[-1] + BEATS_AFTER * BEAT_MS
    ended = int(grid.nearest_slot(np.array([HEADS_MS[9] + BEAT_MS / 2]))[0])
    assert batch.scored[:, ended].tolist() == [False, True], "where a slider ends, nothing is known of its own chart"
    assert batch.weight.tolist() == pytest.approx([0.5, 0.5])
    half = batch.cells.song_edges.shape[2] // 2
    assert not batch.cells.song_edges[:, :, half:].any(), "the song goes on where the excerpt ends"
    assert batch.cells.mel.shape[0] == 1, "both charts share the window"
    assert batch.target.shape[1] % SLOTS_PER_CELL == 0
