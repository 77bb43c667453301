"""Sequenced electronic music: what is composed, and pieces with beats to learn from."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from ear.corpora import render_midi
from ear.corpora.electronic import BPM_RANGE, DRUMS, STEPS, TICKS, Note, Score, compose, main, to_midi
from ear.corpora.midi import midi_beats, read_midi_times
from ear.corpora.render import Rendered, add_timed
from ear.corpora.render_midi import RenderConfig
from ear.corpora.sources import MusicSource
from ear.fitting.annotated_audio import timed_pieces
from runtime.errors import ConfigError


def test_a_score_becomes_a_file_with_its_beats() -> None:
    bar = STEPS * TICKS
    notes = (Note(bar, 20, DRUMS, 36, 100), Note(2 * bar, 20, 1, 60, 100))
    data = to_midi(Score(150.0, {1: 80}, notes))
    assert (read_midi_times(data).first_note, read_midi_times(data).last_note) == (bar, 2 * bar)
    beat_ms, is_downbeat = midi_beats(data)
    assert np.allclose(np.diff(beat_ms), 400.0)
    assert np.flatnonzero(is_downbeat).tolist() == [0, 4, 8]


def test_pieces_are_drawn_from_the_seed() -> None:
    pieces = [compose(np.random.default_rng(seed)) for seed in (1, 1, *range(2, 12))]
    assert pieces[0] == pieces[1] != pieces[2]
    for piece in pieces:
        assert BPM_RANGE[0] - 1 <= piece.bpm <= BPM_RANGE[1] + 1
        beat_ms, _ = midi_beats(to_midi(piece))
        assert 50_000 < beat_ms[-1] < 100_000
        assert all(0 <= note.pitch < 128 and 0 < note.velocity < 128 and note.start >= 0 for note in piece.notes)


def test_the_command_writes_files(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["-o", str(tmp_path / "曲"), "--count", "2"])
    assert done.exit_code == 0
    assert sorted(path.name for path in (tmp_path / "曲").iterdir()) == ["0000.mid", "0001.mid"]


def test_pieces_are_rendered_as_audio_with_their_beats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: name)
    monkeypatch.setattr(render_midi, "fluidsynth", lambda *_: np.ones(22_050 * 60, np.float32))
    score = Score(120.0, {}, tuple(Note(4 * TICKS * beat, 20, DRUMS, 36, 100) for beat in range(100)))
    sources = [MusicSource("曲 a", to_midi(score)), MusicSource("broken", b"no midi")]
    config = RenderConfig((Path("font.sf2"),), latency_ms=2.0)

    def render(source: MusicSource) -> Rendered:
        return render_midi.render(source, config)

    assert add_timed(sources, tmp_path, "electronic", render, "曲集") == ["broken: is not a MIDI file"]
    (piece,) = timed_pieces(tmp_path)
    assert piece.path.is_file()
    assert (piece.group, piece.collection) == ("electronic", "曲集")
    assert np.allclose(piece.beat_ms, 2.0 + 500 * np.arange(100))
    assert piece.is_downbeat[:5].tolist() == [True, False, False, False, True]
    monkeypatch.setattr(render_midi, "fluidsynth", lambda *_: pytest.fail("rendered twice"))
    assert add_timed(sources[:1], tmp_path, "electronic", render, "曲集") == []


def test_a_missing_program_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(ConfigError, match="the program fluidsynth is not installed"):
        render_midi.fluidsynth(b"", RenderConfig(()), np.random.default_rng(0))
