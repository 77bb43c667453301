"""Learning from charts: the regression, the truth taken from a chart, and the whole command on a tiny folder."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from chart.formats.osz import write_osz
from ear.fitting.annotated_audio import Material, timed_pieces, training_sets
from ear.fitting.fit_timing import main, main_red_line, timed_examples
from ear.fitting.softmax import Example, fit_softmax, held_out_share
from ear.timing.grid.weights import read_weights, timing_weights
from ear.training.store import PieceEntry, file_stem, write_index
from runtime.errors import ConfigError
from tests.builders import ChartBuilder
from tests.ear_signals import audio_of, rock_beat, write_wav


def examples(count: int = 200) -> list[Example]:
    """Choices among four candidates made by the weights (2, −1, 0) with noise."""
    rng = np.random.default_rng(0)
    made = []
    for song in range(count):
        features = rng.standard_normal((4, 3))
        score = features @ [2.0, -1.0, 0.0] + rng.gumbel(size=4)
        made.append(Example(song, True, features, int(score.argmax())))
    return made


def test_weights_are_recovered() -> None:
    assert np.allclose(fit_softmax(examples(1500), 1e-6), [2.0, -1.0, 0.0], atol=0.25)


def test_the_fit_is_a_minimum() -> None:
    """A plain loss, written apart from the fit, is nowhere lower nearby."""
    made = examples(60)

    def loss(weights: np.ndarray) -> float:
        total = 0.1 * float(weights @ weights)
        for example in made:
            score = example.features @ weights
            total += (np.log(np.exp(score).sum()) - score[example.answer]) / len(made)
        return total

    weights = fit_softmax(made, 0.1)
    for step in (*np.eye(3), *-np.eye(3)):
        assert loss(weights) < loss(weights + 0.01 * step)


def test_held_out_share_is_of_whole_songs() -> None:
    made = [Example(song, song % 2 == 0, np.array([[1.0], [0.0]]), 0 if song % 2 == 0 else 1) for song in range(40)]
    assert held_out_share(made, lambda _: np.array([1.0])) == 1.0


def test_the_longest_tempo_rules() -> None:
    builder = ChartBuilder().bpm(100, 0).bpm(150, 5000).bpm(100, 25_000).bpm(150, 27_000).note(60_000)
    line, end_ms, share = main_red_line(builder.build())
    assert (line.time_ms, end_ms) == (27_000, 60_000)
    assert line.bpm == pytest.approx(150)
    assert share == pytest.approx(53 / 60)


def test_validation_songs_teach_nothing(tmp_path: Path) -> None:
    for name in ("a.osz", "b.osz"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "songs.json").write_text('[{"file": "b.osz", "split": "val"}]', encoding="utf-8")
    assert [path.name for path in training_sets(tmp_path)] == ["a.osz"]
    with pytest.raises(ConfigError, match=r"holds no \.osz files to learn from"):
        training_sets(tmp_path / "none")


def test_music_of_a_training_set_is_left_out(tmp_path: Path) -> None:
    for name in ("a.osz", "b.osz"):
        (tmp_path / name).write_bytes(b"")
    beats = {"beats_s": [1, 2], "collection": "x"}
    rows = [{"file": f"{file_stem(name)}.flac", **beats} for name in ("one piece", "other piece")]
    (tmp_path / "timing.json").write_text(json.dumps(rows), encoding="utf-8")
    entries = [PieceEntry("a", "osu", "train", 1.0), PieceEntry("b", "osu", "val", 1.0)]
    write_index(tmp_path / "set", [*entries, PieceEntry("one piece", "band", "train", 1.0)])
    material = Material(tmp_path, (tmp_path,), tmp_path / "set")
    assert [path.stem for path in material.sets()] == ["b"]
    assert [piece.path.stem for piece in material.pieces()] == [file_stem("other piece")]
    assert len(Material(tmp_path, (tmp_path, tmp_path)).pieces()) == 4


def test_songs_of_rhythm_collections_are_pieces_of_their_game(tmp_path: Path) -> None:
    about = {"title": "T", "artist": "A", "sync_lag_ms": 20.0, "lag_confidence": 1.0}
    rows = [about | {"file": f"{name}.opus", "game": name} for name in ("Arcaea", "Beat Saber")]
    (tmp_path / "rhythm.json").write_text(json.dumps([*rows, about | {"file": "broken.opus"}]), encoding="utf-8")
    times = [1000.0 + 250 * number for number in range(40)]
    chart = {"mode": "x", "difficulty": "y", "times_ms": times, "kinds": ["note"] * 40}
    content = {"timing_points": [[1000.0, 500.0, 3], [7000.0, 250.0, 3]], "charts": [chart]}
    for name in ("Arcaea", "Beat Saber", "broken"):
        (tmp_path / f"{name}.json").write_text(json.dumps(content if name != "broken" else {}), encoding="utf-8")
    first, second = timed_pieces(tmp_path)
    assert (first.collection, second.collection) == ("Arcaea", "Beat Saber")
    assert first.beat_ms[:3].tolist() == [1020, 1520, 2020]
    assert first.beat_ms[-3:].tolist() == [10_270, 10_520, 10_770]
    assert first.is_downbeat[:4].tolist() == [True, False, False, True]
    assert not second.is_downbeat.any(), "an editor's bars are not a metre"


def test_the_command_writes_weights_that_the_ear_can_use(tmp_path: Path) -> None:
    for index, bpm in enumerate((140.0, 172.0)):
        song = write_wav(tmp_path / f"{index}.wav", rock_beat(bpm, 0.5, 24.0))
        builder = ChartBuilder().bpm(bpm, 500)
        for beat in range(40):
            builder.note(round(500 + beat * 60_000 / bpm), beat % 4)
        write_osz([builder.build()], song, tmp_path / f"{index}.osz")
    (tmp_path / "2.osz").write_bytes(b"no archive")
    beats_s = (0.5 + 60 / 140 * np.arange(50)).tolist()
    (tmp_path / "timing.json").write_text(
        json.dumps([{"file": "0.wav", "beats_s": beats_s}, {"file": "none.wav", "beats_s": beats_s}]), encoding="utf-8"
    )
    out = tmp_path / "weights.json"
    result = CliRunner().invoke(main, [str(tmp_path), "-o", str(out), "--timed", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert "2.osz" in result.stderr
    assert "none.wav: no such file" in result.stderr
    made = read_weights(out)
    for name in ("beat_level", "beat_phase", "downbeat"):
        assert getattr(made, name).any()
        assert not np.array_equal(getattr(made, name), getattr(timing_weights(), name))
    assert np.array_equal(made.metrical_level, timing_weights().metrical_level)


def test_songs_without_a_steady_tempo_teach_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.osz").write_bytes(b"no archive")
    result = CliRunner().invoke(main, [str(tmp_path), "-o", str(tmp_path / "weights.json")])
    assert result.exit_code == 1
    assert "no song with one steady tempo to learn from" in result.stderr


def test_only_steady_pieces_teach_beat_levels_and_phases() -> None:
    audio = audio_of(rock_beat(140.0, 0.5, 20.0))
    beat_ms = 500 + 60_000 / 140 * np.arange(44)
    found = list(timed_examples(7, audio, beat_ms))
    assert [(name, example.song, example.whole) for name, example in found] == [
        (name, 7, whole) for name in ("beat_level", "beat_phase") for whole in (True, False, False)
    ]
    assert [name for name, _ in timed_examples(7, audio, beat_ms + 60)] == ["beat_level"] * 3  # no peak there
    assert not list(timed_examples(7, audio, beat_ms[:10]))
    assert not list(timed_examples(7, audio, np.cumsum(np.random.default_rng(0).uniform(400, 440, 44))))


@pytest.mark.parametrize("text", ["", "{", '[{"file": "a.ogg"}]', "3"])
def test_a_broken_list_of_pieces_is_an_error(text: str, tmp_path: Path) -> None:
    (tmp_path / "timing.json").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match="not a list of pieces with file and beats_s"):
        timed_pieces(tmp_path)


def test_few_examples_correct_weights_and_do_not_replace_them():
    known = np.array([2.0, -1.0, 0.5])
    few = examples(6)
    near, free = fit_softmax(few, 10.0, centre=known), fit_softmax(few, 1e-3, centre=known)
    assert np.allclose(near, known, atol=0.05)
    assert not np.allclose(free, known, atol=0.05)
    assert np.allclose(fit_softmax(examples(1500), 1e-6, centre=known), [2.0, -1.0, 0.0], atol=0.25)
