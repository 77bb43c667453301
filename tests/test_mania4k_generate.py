"""`generate` on request: sets by name, maps to add to, sections, steering, folders, reports; from Python and as a command."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

import mania4k
from chart.formats.osz import Beatmapset, read_osz
from chart.model import MACHINE_MADE_TAGS
from chart.problems import find_problems
from mania4k.cli import main
from runtime.errors import ChartFileError, ConfigError, OutputError

DEMO = Path(__file__).resolve().parent.parent / "examples" / "demo_song.ogg"


@pytest.fixture(scope="module")
def song(tmp_path_factory) -> Path:
    """20 seconds of the demo song."""
    samples, rate = soundfile.read(DEMO, dtype="float32")
    path = tmp_path_factory.mktemp("song") / "demo.wav"
    soundfile.write(path, samples[10 * rate : 30 * rate], rate)
    return path


@pytest.fixture(scope="module")
def made(song, tmp_path_factory):
    out = tmp_path_factory.mktemp("made") / "made.osz"
    return mania4k.generate(song, names=["easy", "hard"], seed=3, out=out, effort="fast")


def notes(chart, keep=lambda ms: True) -> list[tuple[float, int, float]]:
    end = np.where(chart.is_hold, chart.end_ms, -1.0)
    return [note for note in zip(chart.time_ms, chart.column, end, strict=True) if keep(note[0])]


def test_a_set_by_name_is_a_beatmapset_with_its_report(made):
    assert isinstance(made, Beatmapset)
    assert [chart.metadata.version for chart in made.charts] == ["Easy", "Hard"]
    assert [notes(chart) for chart in read_osz(made.path).charts] == [notes(chart) for chart in made.charts]
    easy, hard = made.report.difficulties
    assert (easy.asked_stars, hard.asked_stars) == (1.5, 3.3)
    for one in (easy, hard):
        assert abs(one.stars - one.asked_stars) <= 0.05 or any("stars instead of" in text for text in one.missed)
    assert json.loads(made.report.as_json())["difficulties"][1]["name"] == "Hard"
    rows = [np.unique(chart.time_ms) for chart in made.charts]
    assert np.isin(*rows).mean() > 0.8, "the easier difficulty keeps the harder one's rhythm"


def test_settings_are_those_of_the_level(made):
    easy, hard = made.charts
    assert easy.difficulty.od < hard.difficulty.od
    assert easy.preview_ms == hard.preview_ms > 0
    assert set(MACHINE_MADE_TAGS) <= set(easy.metadata.tags)


def test_a_section_alone_is_written_anew(made, tmp_path):
    again = mania4k.generate(
        from_map=made.path, section=(6000, 12_000), difficulty="Hard", seed=8, out=tmp_path / "again.osz", effort="fast"
    )
    easy, hard = read_osz(again.path).charts
    outside = lambda ms: not 6000 <= ms < 12_000  # noqa: E731
    assert notes(easy) == notes(made.charts[0])
    assert notes(hard, outside) == notes(made.charts[1], outside)
    assert notes(hard) != notes(made.charts[1])
    assert find_problems(hard) == []
    assert hard.timing_points == made.charts[1].timing_points


def test_a_map_gets_one_more_difficulty(made, tmp_path):
    more = mania4k.generate(from_map=made.path, stars=[2.3], holds=0.3, out=tmp_path / "more.osz")
    charts = read_osz(more.path).charts
    assert [notes(chart) for chart in charts[:2]] == [notes(chart) for chart in made.charts]
    assert charts[2].red_lines == charts[0].red_lines
    assert charts[2].metadata.title == charts[0].metadata.title
    assert charts[2].metadata.version == "Normal"
    assert more.report.difficulties[0].holds == pytest.approx(0.3, abs=0.05)


def test_given_timing_is_kept(made, song, tmp_path):
    timed = mania4k.generate(song, stars=[2], timing=made.path, like=made.path, out=tmp_path / "t.osz", effort="fast")
    red = lambda chart: [(point.time_ms, point.beat_length_ms) for point in chart.red_lines]  # noqa: E731
    assert red(timed.charts[0]) == red(made.charts[0])
    assert timed.report.timing_confidence == 1.0


def test_a_time_budget_ends_with_the_first_round(song, tmp_path):
    options = {"stars": [8.0], "effort": "fast", "guidance": 1.5, "out": tmp_path / "x.osz"}
    hurried = mania4k.generate(song, time_budget=0.001, **options).report.difficulties[0]
    assert hurried.takes == 2
    assert any("stars instead of 8.00" in text for text in hurried.missed)
    assert mania4k.generate(song, time_budget=600, **options).report.difficulties[0].takes > 2


def test_requests_that_cannot_be_met_are_refused(made, song, tmp_path):
    with pytest.raises(OutputError, match="is a file that is read; it would be lost"):
        mania4k.generate(from_map=made.path, stars=[2], out=made.path)
    with pytest.raises(ConfigError, match=r"no difficulty “Lunatic” \(there are: “Easy”, “Hard”\)"):
        mania4k.generate(from_map=made.path, section=(0, 9000), difficulty="Lunatic", out=tmp_path / "x.osz")
    with pytest.raises(ConfigError, match="--stars: give one for each of the 2 charts"):
        mania4k.generate(from_map=made.path, section=(0, 9000), stars=[2], out=tmp_path / "x.osz")
    with pytest.raises(ChartFileError, match="no such file"):
        mania4k.generate(song, like=tmp_path / "none.osz", out=tmp_path / "x.osz")
    assert list(tmp_path.iterdir()) == []


def run(*arguments: object):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_a_folder_is_mapped_and_what_fails_is_named(song, tmp_path):
    songs, out = tmp_path / "songs", tmp_path / "sets"
    (songs / "inner").mkdir(parents=True)
    shutil.copy(song, songs / "inner" / "good.wav")
    (songs / "bad.mp3").write_bytes(b"no music" * 100)
    report = tmp_path / "report.json"
    options = ("--stars", 2, "--fast", "-o", out, "--report", report)
    result = run("generate", songs, *options)
    assert result.exit_code == 1, result.output
    assert "bad.mp3" in result.stderr
    assert "error: 1 of 2 songs could not be mapped" in result.stderr
    assert len(read_osz(out / "inner" / "good.osz").charts) == 1
    assert {Path(one["song"]).name: bool(one["error"]) for one in json.loads(report.read_text(encoding="utf-8"))} == {
        "bad.mp3": True,
        "good.wav": False,
    }
    made_at = (out / "inner" / "good.osz").stat().st_mtime_ns
    (songs / "bad.mp3").unlink()
    again = run("generate", songs, *options)
    assert again.exit_code == 0, again.output
    assert "1 sets are there already" in again.stderr
    assert (out / "inner" / "good.osz").stat().st_mtime_ns == made_at


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["."], 1, "say with -o which folder"),
        ([".", "-o", "sets", "--workers", -1], 1, "--workers -1"),
        ([], 2, "no song"),
        (["x.mp3", "--set", "easy", "lunatic"], 2, "unexpected extra argument"),
        (["x.mp3", "--patterns", "jacks"], 1, "write it as jumpstream"),
        (["x.mp3", "--holds", "2"], 2, "2 is more than all; write it as 0.02 or 2%"),
        (["x.mp3", "--candidates", "99"], 1, "--candidates 99"),
    ],
)
def test_usage_errors_are_one_line(arguments, status, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run("generate", *arguments)
    assert result.exit_code == status, result.output
    assert words in result.stderr.strip().splitlines()[-1]
    assert "Traceback" not in result.output


def test_a_folder_without_songs_is_an_error(tmp_path):
    result = run("generate", tmp_path, "-o", tmp_path / "sets")
    assert (result.exit_code, "no songs in it" in result.stderr) == (1, True)


def test_importing_mania4k_is_light():
    code = "import sys, mania4k, mania4k.cli; print(sorted({'torch', 'numba', 'rich'} & set(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"
