"""Beats from MIDI files, and where MIDI files come from."""

import contextlib
import json
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from ear.corpora.accompaniments import draw_bpm, grooves, with_tempo, write_accompaniments, write_script
from ear.corpora.midi import MidiError, events_of, last_note_ms, midi_beats, read_midi_times, split_midi
from ear.corpora.midi_excerpt import ALL_SILENT, excerpt
from ear.corpora.render_midi import main as render_command
from ear.corpora.sources import MusicSource, read_annotation, read_sources, without_test_pieces
from runtime.errors import ConfigError
from tests.ear_midi_files import midi_file, quarter_notes, signature, tempo


def test_beats_follow_the_tempo_map() -> None:
    data = midi_file(
        [(0, tempo(120)), (0, b"\x90\x40\x64"), (960, tempo(60)), (960, b"\x40\x64")]
    )  # two beats at 120 BPM, then two at 60; the second note by running status is the last
    beat_ms, is_downbeat = midi_beats(data)
    assert np.allclose(beat_ms, [0, 500, 1000, 2000, 3000])
    assert is_downbeat.tolist() == [True, False, False, False, True]


def test_a_file_without_tempo_has_120_bpm() -> None:
    assert np.allclose(np.diff(midi_beats(quarter_notes(5))[0]), 500)


@pytest.mark.parametrize(
    ("beats", "unit_power", "beat_ms", "per_bar"), [(3, 2, 500, 3), (6, 3, 750, 2), (12, 3, 750, 4), (2, 1, 1000, 2)]
)
def test_metres(beats: int, unit_power: int, beat_ms: float, per_bar: int) -> None:
    found_ms, is_downbeat = midi_beats(quarter_notes(25, tempo(120), signature(beats, unit_power)))
    assert np.allclose(np.diff(found_ms), beat_ms)
    assert np.flatnonzero(is_downbeat)[:3].tolist() == [0, per_bar, 2 * per_bar]


def test_a_new_time_signature_starts_a_bar() -> None:
    notes = [(0, signature(3, 2)), (0, b"\x90\x40\x64"), (480 * 4, signature(4, 2)), (480 * 8, b"\x90\x40\x64")]
    _, is_downbeat = midi_beats(midi_file(notes))
    assert np.flatnonzero(is_downbeat).tolist() == [0, 3, 4, 8, 12]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"RIFF" + bytes(20), "is not a MIDI file"),
        (midi_file([]), "holds no notes"),
        (midi_file([], division=0xE728), "counts in seconds"),
        (midi_file([(0, b"\x90\x40\x64"), (0x0FFFFFFF, b"\x90\x40\x64")], 1), "more than 20,000 beats"),
        (midi_file([(0, b"\x90\x40\x64")])[:-5], "ends within an event"),
        (midi_file([(0, b"\xf4\x00")]), "an event of no known kind"),
    ],
)
def test_bad_files_are_refused(data: bytes, message: str) -> None:
    with pytest.raises(MidiError, match=message):
        midi_beats(data)


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader(body: bytes) -> None:
    head = struct.pack(">4sIHHH4sI", b"MThd", 6, 0, 1, 480, b"MTrk", len(body))
    with contextlib.suppress(MidiError):
        read_midi_times(head + body)


SCALE = midi_file(
    [(0, tempo(120)), (0, b"\xc0\x05"), (0, b"\xb0\x40\x7f")]
    + [event for pitch in range(40, 80) for event in ((240, bytes([0x90, pitch, 100])), (240, bytes([0x80, pitch, 0])))]
)
"""A note every half second, on the off-beats, each a quarter second long."""


def test_an_excerpt_holds_its_notes_and_what_was_set_before() -> None:
    part = excerpt(SCALE, 4_000.0, 9_000.0)
    assert part.start_ms == pytest.approx(4_000)
    division, tracks = split_midi(part.data)
    events = [event for track in tracks for event in events_of(track)]
    notes = [(event.tick / division / 2, event.data[0]) for event in events if event.is_note_on]
    assert notes == [(0.25 + 0.5 * k, 48 + k) for k in range(10)]
    assert [event.tick for event in events if event.status == 0xC0] == [0]
    assert read_midi_times(part.data).tempo == [(0, 500_000)]
    silenced = {
        (event.status & 0xF, event.data[0]) for event in events if event.status >> 4 == 0xB and not event.data[1]
    }
    assert silenced == {(channel, controller) for channel in range(16) for controller in ALL_SILENT}
    assert np.allclose(midi_beats(part.data)[0][:3], [0, 500, 1000])


def test_an_excerpt_keeps_the_tempo_of_its_start() -> None:
    data = midi_file([(0, tempo(120)), (480, tempo(60)), *[(480, b"\x90\x40\x64")] * 9])  # 60 BPM from .5 s on
    part = excerpt(data, 2_500.0, 6_000.0)
    assert part.start_ms == pytest.approx(2_500)
    assert read_midi_times(part.data).tempo == [(0, 500_000), (0, 1_000_000)]
    assert last_note_ms(part.data) == pytest.approx(3_000)  # at 5.5 s of the whole


@given(st.binary(max_size=120), st.floats(0, 1e4), st.floats(0, 1e4))
def test_any_excerpt_of_any_track_can_be_read(body: bytes, start_ms: float, length_ms: float) -> None:
    whole = struct.pack(">4sIHHH4sI", b"MThd", 6, 0, 1, 480, b"MTrk", len(body)) + body
    with contextlib.suppress(MidiError):
        read_midi_times(excerpt(whole, start_ms, start_ms + length_ms).data)


def test_annotations_of_both_collections() -> None:
    beat_ms, is_downbeat = read_annotation("0.5 1.0 1.0\n1.0 0.0 0.0\n1.5 1.0 0.0\n")
    assert beat_ms.tolist() == [500, 1000, 1500]
    assert is_downbeat.tolist() == [True, False, False]
    beat_ms, is_downbeat = read_annotation("1.0\t1.0\tdb,4/4,1\n1.5\t1.5\tb\n1.5\t1.5\tbR\n2.0\t2.0\tdb\n")
    assert beat_ms.tolist() == [1000, 1500, 2000]
    assert is_downbeat.tolist() == [True, False, True]
    for text in ("0.5\n", "now 1 1\n"):
        with pytest.raises(MidiError, match="annotation cannot be read"):
            read_annotation(text)


def wad(lumps: dict[str, bytes]) -> bytes:
    """A Doom WAD."""
    at, body, directory = 12, b"", b""
    for name, content in lumps.items():
        directory += struct.pack("<ii8s", at + len(body), len(content), name.encode())
        body += content
    return struct.pack("<4sii", b"IWAD", len(lumps), at + len(body)) + body + directory


def test_sources(tmp_path: Path) -> None:
    song = quarter_notes(4)
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        archive.writestr("002/002.mid", song)
        archive.writestr("002/beat_midi.txt", "0.5 1 1\n1.0 0 0\n")
        archive.writestr("Bach/Fugue/1/Ann.mid", song)
        archive.writestr("Bach/Fugue/1/Ann_annotations.txt", "1.0 1.0 db\n")
    found = read_sources(tmp_path / "set.zip", "x")
    assert [(s.name, s.work) for s in found] == [("x_002", ""), ("x_Bach_Fugue_1_Ann", "x_Bach_Fugue_1")]
    assert found[0].beats()[0].tolist() == [500, 1000]
    (tmp_path / "a.wad").write_bytes(wad({"D_E1M1": song, "D_MUS": b"MUS\x1a", "E1M1": song}))
    assert [s.name for s in read_sources(tmp_path / "a.wad", "fd")] == ["fd_D_E1M1"]
    (tmp_path / "songs").mkdir()
    (tmp_path / "songs" / "曲.mid").write_bytes(song)
    assert [s.name for s in read_sources(tmp_path / "songs", "s")] == ["s_曲"]
    (tmp_path / "broken.zip").write_bytes(b"PK")
    with pytest.raises(ConfigError, match=r"broken\.zip: cannot be read"):
        read_sources(tmp_path / "broken.zip", "x")


def test_test_pieces_are_left_out_by_name_work_and_content() -> None:
    sources = [
        MusicSource("om_a", b"1"),
        MusicSource("om_b", b"2"),
        MusicSource("fd_1_D_X", b"3"),
        MusicSource("fd_2_D_Y", b"3"),  # the same tune under another name
        MusicSource("asap_Bach_Fugue_1_Ann", b"4", work="asap_Bach_Fugue_1"),
        MusicSource("asap_Bach_Fugue_11_Bob", b"5", work="asap_Bach_Fugue_11"),
    ]
    kept = without_test_pieces(sources, ["om_b", "fd_1_D_X", "asap_Bach_Fugue_1_Carl"])
    assert [source.name for source in kept] == ["om_a", "asap_Bach_Fugue_11_Bob"]


def test_test_pieces_are_left_out_though_the_set_has_another_name() -> None:
    sources = [
        MusicSource(name, name.encode()) for name in ("openttd_a", "openttd_b", "wad_D_X", "other_fd_1_D_X", "b")
    ]
    kept = without_test_pieces(sources, ["om_b", "fd_1_D_X"])
    assert [source.name for source in kept] == ["openttd_a"]


def test_the_command_checks_what_it_would_render(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.mid").write_bytes(quarter_notes(4) + name.encode())
    (tmp_path / "timing.json").write_text(json.dumps([{"file": "om_b.ogg"}]))
    leave_out = ["--leave-out", str(tmp_path / "timing.json")]
    done = CliRunner().invoke(render_command, [str(tmp_path), "--name", "om", "--check", *leave_out])
    assert "1 pieces would be rendered" in done.stdout
    assert "left out: om_b" in done.stderr
    failed = CliRunner().invoke(render_command, [str(tmp_path), "--name", "om"])
    assert "give at least one --soundfont" in failed.stderr
    (tmp_path / "empty").mkdir()
    failed = CliRunner().invoke(render_command, [str(tmp_path / "empty"), "--check"])
    assert "holds no files of the kinds .mid, .midi" in failed.stderr


@pytest.mark.shared
def test_no_test_piece_is_among_the_training_music(shared_data: Path) -> None:
    names = [Path(row["file"]).stem for row in json.loads((shared_data / "timing" / "timing.json").read_text())]
    for file, name, count in (("asap.zip", "asap", 222), ("pop909.zip", "pop", 901)):
        sources = read_sources(shared_data / "midi" / file, name)
        assert len(sources) == count
        assert len(without_test_pieces(sources, names)) == count


def test_tempo_is_exact_where_mma_rounds() -> None:
    data = with_tempo(quarter_notes(4, tempo(137)), 137.35)
    assert 60_000 / np.diff(midi_beats(data)[0])[0] == pytest.approx(137.35, abs=1e-3)


def test_scripts_are_drawn_from_the_seed(tmp_path: Path) -> None:
    library = tmp_path / "lib"
    library.mkdir()
    (library / "x.mma").write_text("Time 4\n DefGroove Waltz2\nDefGroove WaltzIntro\n")
    assert grooves(library) == ["Waltz2"]
    scripts = [write_script(np.random.default_rng(seed), ["Waltz2"], 90.4) for seed in (1, 1, 2)]
    assert scripts[0] == scripts[1] != scripts[2]
    assert scripts[0].startswith("Tempo 90\nGroove Waltz2\n")
    tempi = np.array([draw_bpm(np.random.default_rng(seed)) for seed in range(200)])
    assert tempi.min() >= 40
    assert tempi.max() <= 320
    assert 100 < np.median(tempi) < 160


def test_what_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    with pytest.raises(ConfigError, match="the program mma is not installed"):
        write_accompaniments(tmp_path, 1, tmp_path)
    monkeypatch.setattr("shutil.which", lambda name: name)
    with pytest.raises(ConfigError, match="holds no mma grooves"):
        write_accompaniments(tmp_path, 1, tmp_path)
