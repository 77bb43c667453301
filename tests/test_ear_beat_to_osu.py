"""The timing command: red lines, JSON, clocks and one-line errors."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from chart.model import TimingPoint
from ear.audio.clock import OSU_CLOCK_MS
from ear.beat_to_osu import main
from ear.timing.model import Alternative, Timing
from ear.timing_files import as_text, red_lines, summary
from tests.ear_signals import AT_ONCE_MS, clicks, write_wav

ALONE = ("--checkpoint", "none")

TIMING = Timing((TimingPoint(10.0, 400.0, 3), TimingPoint(30_000.25, 500.0)), 0.9, (Alternative(75.0, 0.25),), 40_000.0)


@pytest.fixture(scope="module")
def song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_wav(tmp_path_factory.mktemp("songs") / "星.wav", clicks(120.0, 0.25, 12.0))


def test_red_lines_are_on_the_requested_clock_and_never_before_zero() -> None:
    assert red_lines(TIMING, "audio") == TIMING.points
    first, second = red_lines(TIMING, "osu")
    assert first.time_ms == pytest.approx(10 + OSU_CLOCK_MS + 1200)
    assert second.time_ms == pytest.approx(30_000.25 + OSU_CLOCK_MS)


def test_text_is_what_an_osu_file_holds() -> None:
    assert as_text(TIMING.points) == "[TimingPoints]\n10,400,3,1,0,100,1,0\n30000.25,500,4,1,0,100,1,0\n"


def test_summary_names_everything() -> None:
    assert summary(TIMING, TIMING.points) == (
        "150.000 BPM, first downbeat at 10.0 ms, 3/4, 2 red lines, confidence 90%; else 75.00 (25%)"
    )


def test_text_file(song: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.timing.txt"
    result = CliRunner().invoke(main, [str(song), *ALONE, "-o", str(out)])
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("120.000 BPM")
    head, line = out.read_text(encoding="utf-8").splitlines()
    assert head == "[TimingPoints]"
    time_ms, beat_ms, *rest = line.split(",")
    assert rest[1:] == ["1", "0", "100", "1", "0"]
    assert float(beat_ms) == pytest.approx(500)
    late_ms = float(time_ms) - OSU_CLOCK_MS - 250 - AT_ONCE_MS
    assert (late_ms + 250) % 500 - 250 == pytest.approx(0, abs=2)


def test_json_file_on_the_audio_clock(song: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    result = CliRunner().invoke(main, [str(song), *ALONE, "-o", str(out), "--clock", "audio"])
    assert result.exit_code == 0, result.output
    found = json.loads(out.read_text(encoding="utf-8"))
    assert found["clock"] == "audio"
    assert found["bpm"] == pytest.approx(120, rel=1e-4)
    assert found["red_lines"][0]["time_ms"] == found["offset_ms"]
    assert 0 <= found["confidence"] <= 1
    assert found["alternatives"]


def test_without_output_the_lines_are_printed_alone(song: Path) -> None:
    result = CliRunner().invoke(main, [str(song), *ALONE])
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("[TimingPoints]\n")
    assert "BPM" in result.stderr


def test_doubt_is_said(tmp_path: Path) -> None:
    song = write_wav(tmp_path / "click.wav", clicks(5.0, 2.0, 12.0))
    result = CliRunner().invoke(main, [str(song), *ALONE])
    assert result.exit_code == 0
    assert "there is hardly any rhythm: check it by ear" in result.stderr


def test_why_a_tempo_cannot_be_right_is_said(tmp_path: Path) -> None:
    song, out = write_wav(tmp_path / "click.wav", clicks(600.0, 0.2, 12.0)), tmp_path / "out.json"
    result = CliRunner().invoke(main, [str(song), *ALONE, "-o", str(out)])
    assert result.exit_code == 0
    assert "its onsets repeat faster than beats at 320 BPM: check it by ear" in result.stderr
    assert json.loads(out.read_text(encoding="utf-8"))["doubt"] == "its onsets repeat faster than beats at 320 BPM"


def test_a_missing_song_is_one_line(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, [str(tmp_path / "none.ogg"), *ALONE, "-o", str(tmp_path / "out.txt")])
    assert result.exit_code == 1
    assert result.stderr.startswith("error: ")
    assert "none.ogg: no such file" in result.stderr
    assert not (tmp_path / "out.txt").exists()


def test_an_output_folder_that_does_not_exist(song: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(main, [str(song), *ALONE, "-o", str(tmp_path / "none" / "out.txt")])
    assert result.exit_code == 1
    assert "does not exist" in result.stderr
