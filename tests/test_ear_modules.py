"""Tracker modules: how they are played, and which of their rows are beats."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from ear.corpora import openmpt
from ear.corpora.module_beats import choose_rows_per_beat, module_beats
from ear.corpora.openmpt import MAX_MODULE_BYTES, ModuleError, PlayedModule, opened_module, play_module
from ear.corpora.render_modules import main as render_command
from runtime.errors import ConfigError

KICK, SNARE, HAT = 1, 2, 3
ROWS = 64


def played(
    row_ms: float = 119.7, patterns: int = 4, rows: int = ROWS, snare_rows: int = 8, rows_per_beat: int = 4
) -> PlayedModule:
    """Patterns of equal rows with a hat on every second row and a snare in the middle of every `snare_rows`."""
    count = patterns * rows
    row = np.arange(count) % rows
    snares = np.flatnonzero(row % snare_rows == snare_rows // 2)
    hats = np.arange(0, count, 2)
    notes = [(index, SNARE) for index in snares] + [(index, HAT) for index in hats]
    return PlayedModule(
        samples=np.zeros(1, np.float32),
        row_ms=np.arange(count, dtype=np.float64) * row_ms,
        row=row,
        pattern=np.arange(count) // rows,
        pattern_rows=dict.fromkeys(range(patterns), rows),
        rows_per_beat=rows_per_beat,
        notes=np.array(notes),
    )


def test_four_rows_are_a_beat_and_sixteen_a_bar() -> None:
    beats = module_beats(played())
    assert np.allclose(np.diff(beats.beat_ms), 4 * 119.7)
    assert np.flatnonzero(beats.is_downbeat).tolist() == list(range(0, 64, 4))


@pytest.mark.parametrize(
    ("row_ms", "snare_rows", "rows_per_beat", "expected"),
    [
        (60.0, 16, 4, 8),  # rows twice as fast as usual
        (29.0, 32, 4, 16),
        (80.0, 8, 4, 4),  # 187 BPM, because the snare says so
        (80.0, 64, 4, 8),  # 94 BPM where it does not
        (100.0, 12, 6, 6),  # rows in threes
    ],
)
def test_snare_and_tempo_tell_the_rows_of_a_beat(
    row_ms: float, snare_rows: int, rows_per_beat: int, expected: int
) -> None:
    rows = 48 if rows_per_beat == 6 else ROWS
    song = played(row_ms, patterns=16, rows=rows, snare_rows=snare_rows, rows_per_beat=rows_per_beat)
    assert choose_rows_per_beat(song) == expected


def test_patterns_of_three_or_four_are_refused() -> None:
    with pytest.raises(ModuleError, match="could hold threes or fours"):
        module_beats(played(rows=48, patterns=8))


def test_patterns_that_break_beats_are_refused() -> None:
    with pytest.raises(ModuleError, match="not whole beats of 4 rows"):
        module_beats(played(rows=62, patterns=8))


def test_rows_that_no_tempo_fits_are_refused() -> None:
    with pytest.raises(ModuleError, match="nothing tells"):
        module_beats(played(row_ms=1000.0, patterns=8, snare_rows=64))


def test_the_longest_stretch_without_a_jump_is_taken() -> None:
    song = played(patterns=6)
    song.row_ms[100:] += 2_000  # the music stands still for two seconds
    beats = module_beats(song)
    assert beats.beat_ms[0] == song.row_ms[100]
    assert np.allclose(np.diff(beats.beat_ms), 4 * 119.7)
    with pytest.raises(ModuleError, match="fewer than 48 beats without a jump"):
        module_beats(played(patterns=2))


def mod_file(patterns: int = 4, speed: int = 6, tempo: int = 150) -> bytes:
    """A ProTracker module: kick on rows 0 and 8 of 16, snare on rows 4 and 12."""
    click = (np.sin(np.arange(2000) * 0.3) * 100 * np.exp(-np.arange(2000) / 300)).astype(np.int8).tobytes()
    sample = struct.pack(">22sHBBHH", b"click", len(click) // 2, 0, 64, 0, 1)
    empty = struct.pack(">22sHBBHH", b"", 0, 0, 0, 0, 1)
    cells = bytearray(patterns * ROWS * 4 * 4)

    def put(row: int, channel: int, instrument: int, effect: int = 0, value: int = 0, period: int = 428) -> None:
        at = (row * 4 + channel) * 4
        cells[at : at + 4] = bytes(
            [instrument & 0xF0 | period >> 8, period & 255, (instrument & 15) << 4 | effect, value]
        )

    for row in range(patterns * ROWS):
        if row % 8 == 0:
            put(row, 0, KICK)
        if row % 8 == 4:
            put(row, 1, SNARE)
    put(0, 2, 0, 0xF, speed, period=0)
    put(0, 3, 0, 0xF, tempo, period=0)
    order = bytes(range(patterns)) + bytes(128 - patterns)
    head = b"song".ljust(20, b"\0") + sample * 2 + empty * 29 + bytes([patterns, 127]) + order + b"M.K."
    return head + bytes(cells) + click * 2


def library_is_missing() -> bool:
    """Whether libopenmpt is not there; what needs it is skipped then."""
    try:
        openmpt._library()
    except ConfigError:
        return True
    return False


needs_openmpt = pytest.mark.skipif(library_is_missing(), reason="libopenmpt is not installed")


@needs_openmpt
def test_a_module_sounds_where_its_rows_are() -> None:
    with opened_module(mod_file()) as module:
        song = play_module(module, 60.0)
    assert song.rows_per_beat == 4
    assert song.row[:70].tolist() == [*range(64), *range(6)]
    assert np.allclose(
        np.diff(song.row_ms)[1:], 100, atol=1
    )  # six ticks of 2.5 / 150 s; the first is of the tempo before
    beats = module_beats(song)
    assert np.allclose(np.diff(beats.beat_ms), 400, atol=3)
    loud = np.abs(song.samples) > 0.05
    for beat_ms in beats.beat_ms[1:40]:
        at = round(beat_ms * 22.05)
        assert loud[at : at + 60].any()
        assert not loud[at - 60 : at - 20].any()


@needs_openmpt
def test_a_folder_of_modules_is_rendered(tmp_path: Path) -> None:
    (tmp_path / "曲").mkdir()
    (tmp_path / "曲" / "テスト.mod").write_bytes(mod_file())
    (tmp_path / "曲" / "broken.xm").write_bytes(b"Extended Module: nothing")
    command = [str(tmp_path / "曲"), "-o", str(tmp_path / "out"), "--timed", "--name", "m", "--group", "module"]
    done = CliRunner().invoke(render_command, [*command, "--max-seconds", "30"])
    assert done.exit_code == 0, done.output
    assert "skipped: m_broken: libopenmpt cannot read it" in done.output
    assert "1 pieces rendered, 1 skipped" in done.output
    (row,) = json.loads((tmp_path / "out" / "timing.json").read_text(encoding="utf-8"))
    samples, rate = soundfile.read(tmp_path / "out" / row["file"])
    assert row["group"] == "module"
    assert samples.size / rate < 30
    assert np.allclose(np.diff(row["beats_s"]), 0.4, atol=3e-3)
    assert sum(row["downbeat"]) == pytest.approx(len(row["beats_s"]) / 4, abs=1)


@needs_openmpt
@pytest.mark.parametrize(
    ("data", "message"),
    [(b"", "cannot read it"), (mod_file()[:900], "cannot read it"), (bytes(MAX_MODULE_BYTES + 1), "larger than 20 MB")],
)
def test_bad_modules_are_refused(data: bytes, message: str) -> None:
    with pytest.raises(ModuleError, match=message), opened_module(data):
        pass


def test_without_the_library_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise OSError(name)

    monkeypatch.setattr(openmpt.ctypes, "CDLL", missing)
    openmpt._library.cache_clear()
    with pytest.raises(ConfigError, match="Debian: libopenmpt0"):
        openmpt._library()
    openmpt._library.cache_clear()
