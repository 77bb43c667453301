"""Training sets of beats: what is kept on disk, what maps teach, and how stretches are altered."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from chart.formats.osz import read_osz, write_osz
from chart.formats.rhythm import read_rhythm
from chart.model import Metadata
from ear.corpora.mapped_songs import UnusableMapError, check_red_lines, grid_share, song_of_rhythm, song_of_set
from ear.dataset import build_dataset
from ear.dataset import main as dataset_command
from ear.training.batches import altered, batches, collate, cut, piece_weights
from ear.training.store import (
    BeatPiece,
    PieceEntry,
    add_to_index,
    as_mel,
    file_stem,
    quantised,
    read_index,
    read_piece,
    split_of,
    write_piece,
)
from runtime.errors import ConfigError
from tests.builders import ChartBuilder
from tests.ear_signals import hits_at, write_wav

BPM, OFFSET_MS, LAG_MS = 150.0, 700.0, 30.0


def piece(name: str = "a", group: str = "osu", seconds: float = 30.0) -> BeatPiece:
    """A click on every half second, one loud frame each."""
    frames = int(seconds * 50)
    mel = np.full((frames, 128), 10, np.uint8)
    mel[10::25] = 100
    beat_ms = np.arange(10, frames, 25) * 20.0
    return BeatPiece(name, group, mel, beat_ms, np.arange(beat_ms.size) % 4 == 0, 0.0, seconds * 1000)


def test_pieces_are_read_as_written(tmp_path: Path) -> None:
    entry = PieceEntry("曲 / a:b", "osu", "train", 30.0)
    write_piece(tmp_path, replace(piece(entry.name), has_downbeats=False))
    found = read_piece(tmp_path, entry)
    assert np.array_equal(found.mel, piece().mel)
    assert np.array_equal(found.beat_ms, piece().beat_ms)
    assert (found.first_ms, found.last_ms, found.has_downbeats) == (0.0, 30_000.0, False)
    (tmp_path / "pieces" / f"{file_stem(entry.name)}.npz").write_bytes(b"PK\x03\x04")
    with pytest.raises(ConfigError, match=r"missing or damaged .* make the dataset again"):
        read_piece(tmp_path, entry)


def test_the_index_grows(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no beat dataset there; make one with `python -m ear\.dataset`"):
        read_index(tmp_path)
    add_to_index(tmp_path, [PieceEntry("b", "osu", "train", 1.0)])
    add_to_index(tmp_path, [PieceEntry("a", "osu", "val", 1.0), PieceEntry("b", "osu", "val", 2.0)])
    assert [(e.name, e.split, e.seconds) for e in read_index(tmp_path)] == [("a", "val", 1.0), ("b", "val", 2.0)]
    (tmp_path / "pieces.json").write_text("[{}]")
    with pytest.raises(ConfigError, match=r"pieces\.json: cannot be read"):
        read_index(tmp_path)


def test_bytes_keep_the_spectrogram_within_half_a_step() -> None:
    mel = np.linspace(0, 10, 128, dtype=np.float32)[None]
    assert np.abs(as_mel(quantised(mel)) - mel).max() <= 0.0201


def test_splits_stay_and_names_differ() -> None:
    splits = [split_of(f"song {k}") for k in range(1000)]
    assert splits == [split_of(f"song {k}") for k in range(1000)]
    assert 50 < splits.count("val") < 115
    assert file_stem("a/b") != file_stem("a:b")
    assert len(file_stem("x" * 500)) < 100


def beatmapset(path: Path, artist: str = "A", bpm: float = BPM, off_grid: bool = False) -> Path:
    """A set whose sound comes LAG_MS after its notes."""
    beat_ms = 60_000 / BPM
    times = np.arange(OFFSET_MS, 29_000, beat_ms / 2)
    times = times[np.random.default_rng(0).random(times.size) < 0.7]
    sound = hits_at((times + LAG_MS) / 1000, 30.0)
    audio = write_wav(path.with_suffix(".wav"), sound)
    builder = ChartBuilder().bpm(bpm, OFFSET_MS).having(metadata=Metadata(artist=artist, title=path.stem))
    for index, time_ms in enumerate(times):
        builder.note(round(time_ms) + (7 * (index % 3) if off_grid else 0), index % 4)
    write_osz([builder.build()], audio, path)
    return path


def test_maps_teach_beats_where_they_sound(tmp_path: Path) -> None:
    found = song_of_set(read_osz(beatmapset(tmp_path / "song.osz"))).as_piece()
    nearest = found.beat_ms[np.abs(found.beat_ms - (OFFSET_MS + LAG_MS)).argmin()]
    assert abs(nearest - (OFFSET_MS + LAG_MS)) < 3
    assert np.allclose(np.diff(found.beat_ms), 400)
    at = np.abs(found.beat_ms - nearest) < 1
    assert found.is_downbeat[at].all()
    assert found.mel.shape == (1501, 128)
    assert found.first_ms == 0.0
    assert found.last_ms > 29_000


def test_datasets_hold_artists_out(tmp_path: Path) -> None:
    sets = tmp_path / "sets"
    sets.mkdir()
    beatmapset(sets / "one.osz", "Camellia")
    beatmapset(sets / "two.osz", "Frums")
    (sets / "bad.osz").write_bytes(b"no zip")
    done = CliRunner().invoke(dataset_command, [str(sets), "-o", str(tmp_path / "out"), "--val-artist", "camellia"])
    assert done.exit_code == 0, done.output
    assert {(e.name, e.split) for e in read_index(tmp_path / "out")} == {("one", "val"), ("two", "train")}
    assert "skipped: bad.osz: " in done.stderr
    assert "train: 1 songs" in done.stdout
    (tmp_path / "none").mkdir()
    with pytest.raises(ConfigError, match=r"holds no \.osz files"):
        build_dataset(tmp_path / "none", tmp_path / "out2")


def test_val_songs_of_the_shared_list_are_never_used(tmp_path: Path) -> None:
    beatmapset(tmp_path / "one.osz")
    beatmapset(tmp_path / "two.osz")
    (tmp_path / "songs.json").write_text('[{"file": "one.osz", "split": "val"}, {"file": "two.osz", "split": "train"}]')
    build_dataset(tmp_path, tmp_path / "out")
    assert [entry.name for entry in read_index(tmp_path / "out")] == ["two"]


def test_maps_off_their_own_grid_are_left_out(tmp_path: Path) -> None:
    chart = read_osz(beatmapset(tmp_path / "x.osz", off_grid=True)).charts[0]
    assert grid_share(chart.red_lines, chart.time_ms) < 0.6
    with pytest.raises(UnusableMapError, match=r"only \d+% of its notes are on the grid"):
        check_red_lines(chart.red_lines, chart.time_ms)
    effects = ChartBuilder().bpm(9000).stream(0, 100, "0123" * 10).build()
    with pytest.raises(UnusableMapError, match="leave 40–320 BPM: visual effects"):
        check_red_lines(effects.red_lines, effects.time_ms)
    with pytest.raises(UnusableMapError, match="has no red line or no note"):
        check_red_lines((), chart.time_ms)


def rhythm_song(folder: Path, name: str, game: str = "osu!", meter: int = 3, **about: object) -> Path:
    """A song of two tempi whose sound comes LAG_MS after its notes, added to the collection in `folder`."""
    beats = np.concatenate((np.arange(1000.0, 15_000, 400), np.arange(15_000.0, 28_000, 500)))
    times = np.sort(np.concatenate((beats, beats[:-1] + np.diff(beats) / 2)))
    times = times[np.random.default_rng(1).random(times.size) < 0.7]
    write_wav(folder / f"{name}.wav", hits_at((times + LAG_MS) / 1000, 30.0))
    index = folder / "rhythm.json"
    rows = json.loads(index.read_text()) if index.is_file() else []
    row = {
        "file": f"{name}.wav",
        "title": name,
        "artist": "A",
        "game": game,
        "sync_lag_ms": 27.5,
        "lag_confidence": 1.0,
    }
    index.write_text(json.dumps([*rows, row | {"share_within_30ms": 0.9, "share_shifted": 0.2} | about]))
    end_ms = float(times[-1]) + 130
    chart = {
        "mode": game,
        "difficulty": "x",
        "times_ms": [*times, end_ms],
        "kinds": ["note"] * times.size + ["slider_end"],
    }
    lines = [[1000.0, 400.0, meter], [15_000.0, 500.0, meter]]
    path = folder / f"{name}.json"
    path.write_text(json.dumps({"timing_points": lines, "charts": [chart]}))
    return path


def test_charts_of_other_games_teach_beats_of_all_their_red_lines(tmp_path: Path) -> None:
    found = song_of_rhythm(read_rhythm(rhythm_song(tmp_path, "two tempi")))
    for start_ms, beat_ms in ((1000.0, 400.0), (15_000.0, 500.0)):
        index = int(np.abs(found.beat_ms - (start_ms + LAG_MS)).argmin())
        assert abs(found.beat_ms[index] - (start_ms + LAG_MS)) < 3
        assert np.diff(found.beat_ms)[index + 1] == pytest.approx(beat_ms)
        assert found.is_downbeat[index : index + 7].tolist() == [True, False, False, True, False, False, True]
    assert found.has_downbeats
    assert found.last_ms == pytest.approx(30_000, abs=1), (
        "the end of a slider is no note; two bars after the last one are"
    )


def test_bars_of_games_without_a_metre_are_not_known(tmp_path: Path) -> None:
    songs = [rhythm_song(tmp_path, "a", "Beat Saber"), rhythm_song(tmp_path, "b", "osu!", meter=16)]
    assert [song_of_rhythm(read_rhythm(path)).has_downbeats for path in songs] == [False, False]


def test_charts_that_do_not_fit_their_song_are_left_out(tmp_path: Path) -> None:
    loose = rhythm_song(tmp_path, "loose", share_within_30ms=0.5, share_shifted=0.4)
    other = rhythm_song(tmp_path, "other", sync_lag_ms=-20.0)
    with pytest.raises(UnusableMapError, match="only 10% more of its notes are near an onset"):
        song_of_rhythm(read_rhythm(loose))
    with pytest.raises(UnusableMapError, match=r"its sound comes \d+ ms after its notes, or -20 ms"):
        song_of_rhythm(read_rhythm(other))


def test_datasets_hold_games_out(tmp_path: Path) -> None:
    for name, game in (("one", "Arcaea"), ("two", "osu!"), ("three", "osu!")):
        rhythm_song(tmp_path, name, game)
    done = CliRunner().invoke(dataset_command, [str(tmp_path), "-o", str(tmp_path / "out"), "--val-game", "Arcaea"])
    assert done.exit_code == 0, done.output
    splits = {entry.name: (entry.group, entry.split) for entry in read_index(tmp_path / "out")}
    assert splits == {"one": ("Arcaea", "val"), "two": ("osu!", "train"), "three": ("osu!", "train")}


def test_stretches_keep_beats_on_their_sound() -> None:
    for seed in range(20):
        stretch = cut(piece(), 300, np.random.default_rng(seed))
        assert stretch.mel.shape == (300, 128)
        inner = stretch.beat_frame[(stretch.beat_frame > 3) & (stretch.beat_frame < 296)]
        assert inner.size > 6
        for frame in inner:
            loud = stretch.mel[int(frame) - 2 : int(frame) + 4, 0]
            assert abs(int(frame) - 2 + (loud * np.arange(6)).sum() / loud.sum() - frame) < 0.75


def test_alterations_leave_time_alone() -> None:
    stretch = cut(piece(), 200, np.random.default_rng(3))
    seen = set()
    for seed in range(10):
        other = altered(stretch, np.random.default_rng(seed))
        assert np.isfinite(other.mel).all()
        assert other.mel.shape == stretch.mel.shape
        assert other.beat_frame is stretch.beat_frame
        seen.add(other.mel.tobytes())
    assert len(seen) == 10


def test_some_stretches_get_gaps() -> None:
    stretch = cut(piece(), 200, np.random.default_rng(3))
    silent = [(altered(stretch, np.random.default_rng(seed)).mel == 0).all(axis=1).sum() for seed in range(40)]
    assert 4 <= sum(count >= 5 for count in silent) <= 20  # three tenths of them
    assert max(silent) <= 3 * 50


def test_batches_are_drawn_from_seed_and_step() -> None:
    pieces = [piece("a"), piece("b", "band")]
    first = [next(batches(pieces, 2, 100, seed=1, first_step=step)).mel for step in (0, 0, 1)]
    assert first[0].equal(first[1])
    assert not first[0].equal(first[2])
    flow = batches(pieces, 2, 100, seed=1)
    next(flow)
    assert next(flow).mel.equal(first[2])  # going on at step 1 is the same as starting there


def test_what_is_not_known_does_not_count() -> None:
    short = replace(piece(seconds=12), first_ms=2000.0, last_ms=8000.0, has_downbeats=False)
    stretch = cut(short, 700, np.random.default_rng(0))
    batch = collate([stretch], 700)
    known = batch.beat_known[0].numpy()
    assert known[int(stretch.last_frame) + 2 :].max() == 0
    assert known.sum() == pytest.approx((stretch.last_frame - max(0, stretch.first_frame)), abs=2)
    assert batch.downbeat_known.max() == 0


def test_groups_get_their_share() -> None:
    pieces = [piece("a"), piece("b", "band", 10), piece("c", "band", 20)]
    weights = piece_weights(pieces)
    assert weights.sum() == pytest.approx(1)
    assert weights[1] + weights[2] == pytest.approx(0.14)
    assert weights[2] == pytest.approx(2 * weights[1])
