"""Commands as a user runs them: results, one-line errors, exit statuses, nothing half-written."""

import json
import re
import sys
import zipfile
from pathlib import Path

import click
import fosu
import numpy as np
import pytest
import rosu_pp_py as rosu
import soundfile
from click.testing import CliRunner, Result

from chart.formats.osu_read import format_osu
from chart.formats.osz import read_osz
from chart.model import KEYS, MACHINE_MADE_TAGS
from chart.problems import find_problems
from mania4k.cli import VERBS, main
from runtime.command import Command, NumbersOption
from tests.builders import ChartBuilder

DEMO = Path(__file__).resolve().parent.parent / "examples" / "demo_song.ogg"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def assert_one_line_error(result: Result, status: int, *words: str) -> None:
    assert result.exit_code == status, result.output
    lines = result.stderr.strip().splitlines()
    assert lines[-1].lower().startswith("error:")
    for word in words:
        assert word in lines[-1]
    assert "Traceback" not in result.output


@pytest.fixture(scope="module")
def song(tmp_path_factory) -> Path:
    """25 seconds of the demo song, intro to chorus, under a Japanese name."""
    samples, rate = soundfile.read(DEMO, dtype="float32")
    path = tmp_path_factory.mktemp("歌") / "夜に咲く.ogg"
    with soundfile.SoundFile(path, "w", rate, samples.shape[1], format="OGG", subtype="VORBIS") as file:
        for block in np.array_split(samples[: 25 * rate], 25):
            file.write(block)
    return path


@pytest.fixture(scope="module")
def generated(song, tmp_path_factory) -> tuple[Path, Result]:
    out = tmp_path_factory.mktemp("out") / "夜.osz"
    return out, run("generate", song, "--stars", 1.5, 3, "--title", "夜に咲く", "--artist", "誰か", "-o", out)


def test_generate_writes_a_set_that_others_read(generated):
    out, result = generated
    assert result.exit_code == 0, result.output
    page = out.with_suffix(".html")
    assert result.stdout.strip().splitlines()[-2:] == [str(page), str(out)]
    assert page.stat().st_size > out.stat().st_size / 2
    charts = read_osz(out).charts
    assert len(charts) == 2
    with zipfile.ZipFile(out) as archive:
        texts = [archive.read(name).decode() for name in archive.namelist() if name.endswith(".osu")]
    stars = [rosu.Difficulty().calculate(rosu.Beatmap(content=text)).stars for text in texts]
    assert stars == sorted(stars)
    assert stars[0] < stars[1]
    for chart, text in zip(charts, texts, strict=True):
        assert find_problems(chart) == []
        assert len(np.unique(chart.column)) == KEYS
        assert len(fosu.parse(text.encode()).hit_objects) == len(chart)
        assert set(MACHINE_MADE_TAGS) <= set(chart.metadata.tags)
        assert (chart.metadata.title_unicode, chart.metadata.artist_unicode) == ("夜に咲く", "誰か")
    assert charts[0].metadata.version != charts[1].metadata.version


def test_generate_repeats_with_the_seed_and_differs_with_another(song, generated, tmp_path):
    out, _ = generated
    names = ("--title", "夜に咲く", "--artist", "誰か")
    again = run("generate", song, "--stars", 1.5, 3, *names, "--no-page", "-o", tmp_path / "again.osz")
    other = run("generate", song, "--stars", "1.5,3", *names, "--seed", 1, "-o", tmp_path / "other.osz", "--no-page")
    assert (again.exit_code, other.exit_code) == (0, 0)
    assert (tmp_path / "again.osz").read_bytes() == out.read_bytes()
    assert (tmp_path / "other.osz").read_bytes() != out.read_bytes()


def test_generate_leaves_out_what_comes_before_audio_start(song, tmp_path):
    result = run("generate", song, "--stars", 2, "--audio-start", 12, "--no-page", "-o", tmp_path / "late.osz")
    assert result.exit_code == 0, result.output
    (chart,) = read_osz(tmp_path / "late.osz").charts
    assert chart.time_ms[0] >= 12_000 - 30


def test_generate_says_when_the_beat_or_the_stars_were_not_found(tmp_path):
    noise = write_song(tmp_path / "noise.wav", 12)
    result = run("generate", noise, "--stars", 10, "-o", tmp_path / "noise.osz", "--no-page")
    assert result.exit_code == 0, result.output
    assert "warning: " in result.stderr
    assert "stars instead of 10.00" in result.stderr


def write_song(path: Path, seconds: float, rate: int = 22_050, level: float = 0.1, channels: int = 1) -> Path:
    random = np.random.default_rng(0)
    soundfile.write(path, level * random.uniform(-1, 1, (int(seconds * rate), channels)).astype(np.float32), rate)
    return path


def long_header(path: Path) -> Path:
    """A sparse 40-minute file: 8 kHz, 8 bit, almost only silence."""
    soundfile.write(path, np.zeros(40 * 60 * 8000, np.int16), 8000, subtype="PCM_U8")
    return path


BAD_SONGS = {
    "missing": (lambda folder: folder / "none.mp3", "no such file"),
    "renamed text": (lambda folder: _bytes(folder / "text.mp3", b"not audio, only words\n" * 50), "not audio"),
    "empty": (lambda folder: _bytes(folder / "empty.ogg", b""), "empty"),
    "two seconds": (lambda folder: write_song(folder / "short.wav", 2), "2.0 s long"),
    "silence": (lambda folder: write_song(folder / "silent.wav", 10, level=0.0), "silent"),
    "forty minutes": (lambda folder: long_header(folder / "long.wav"), "20 minutes"),
    "a folder": (lambda folder: folder, "folder"),
}


def _bytes(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("kind", BAD_SONGS)
def test_bad_songs_give_one_line_and_leave_nothing(kind, tmp_path):
    make, word = BAD_SONGS[kind]
    out = tmp_path / "result" / "out.osz"
    out.parent.mkdir()
    assert_one_line_error(run("generate", make(tmp_path), "-o", out), 1, word)
    assert list(out.parent.iterdir()) == []


def test_96_khz_stereo_is_music_like_any_other(song, tmp_path):
    samples, rate = soundfile.read(song, dtype="float32")
    fast = np.repeat(samples, 2, axis=0)[: 16 * 96_000]
    soundfile.write(tmp_path / "studio.wav", fast, 96_000, subtype="PCM_24")
    assert rate == 44_100
    result = run("generate", tmp_path / "studio.wav", "--stars", 2, "-o", tmp_path / "studio.osz", "--no-page")
    assert result.exit_code == 0, result.output
    assert len(read_osz(tmp_path / "studio.osz").charts) == 1


def test_a_folder_that_cannot_be_written_is_refused_before_the_work(song, tmp_path):
    (tmp_path / "file").write_text("in the way")
    assert_one_line_error(run("generate", song, "-o", tmp_path / "file" / "out.osz"), 1, "cannot be written")
    assert_one_line_error(run("generate", song, "-o", tmp_path / "none" / "out.osz"), 1, "does not exist")


@pytest.mark.skipif(sys.platform == "win32", reason="/proc is Linux's")
@pytest.mark.skipif(not Path("/proc/version").exists(), reason="needs a folder that nobody can write")
def test_a_read_only_folder_is_refused(song):
    assert_one_line_error(run("generate", song, "-o", "/proc/out.osz"), 1, "cannot be written")


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--stars", "99"], "--stars 99"),
        (["--stars", "nan"], "--stars nan"),
        (["--stars", "-1"], "--stars -1"),
        (["--audio-start", "-2"], "--audio-start -2"),
        (["--audio-start", "1000"], "--audio-start 1000"),
        (["--seed", "-4"], "--seed -4"),
        (["-o", "out.zip"], ".osz"),
        (["--checkpoint", "none.safetensors"], "no checkpoint"),
    ],
)
def test_options_out_of_range_are_named(song, tmp_path, options, word, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert_one_line_error(run("generate", song, *options), 1, word)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", [["generate"], ["generate", "x.mp3", "--stars", "two"], ["nonsense"], ["train"]])
def test_wrong_usage_exits_2(arguments):
    assert_one_line_error(run(*arguments), 2)


def test_a_damaged_checkpoint_is_refused(song, tmp_path):
    (tmp_path / "bad.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{broken json}...")
    result = run("generate", song, "--checkpoint", tmp_path / "bad.safetensors", "-o", tmp_path / "out.osz")
    assert_one_line_error(result, 1, "damaged")
    assert not (tmp_path / "out.osz").exists()


def test_every_verb_has_help_and_its_line_is_listed():
    listing = run("--help").stdout
    for verb in VERBS:
        assert verb in listing
        assert run(verb, "--help").exit_code == 0


def test_doctor_names_what_it_finds():
    result = run("doctor")
    assert result.exit_code == 0, result.output
    for word in ("Python", "torch", "mp3", "bundled checkpoint", "ExecutionProvider"):
        assert word in result.stdout


# dataset: charts come from strangers


def make_osz(folder: Path, name: str, song: Path, **members: bytes) -> Path:
    path = folder / name
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(song, "audio.ogg")
        for member, data in members.items():
            archive.writestr(member.replace("__", "/").replace("DOT", "."), data)
    return path


def good_osu() -> str:
    builder = ChartBuilder().bpm(158, 1234.0).having(audio_filename="audio.ogg")
    for beat in range(48):
        builder.note(1234 + beat * 60_000 / 158, beat % 4)
    return format_osu(builder.build())


def with_beat_length(text: str, value: str) -> str:
    return re.sub(r"(?m)^(\d+),379\.\d+,", rf"\1,{value},", text)


BAD_CHARTS = {
    "NaN BPM": (lambda text: with_beat_length(text, "nan"), "beat length"),
    "no object that can be read": (lambda text: re.sub(r"(?s)(\[HitObjects\]).*", r"\1\nx,y,z\n", text), "bad.osu"),
}


PASSED_OVER = {
    "another mode": lambda text: text.replace("Mode:3", "Mode:0").replace("Mode: 3", "Mode: 0"),
    "seven keys": lambda text: text.replace("CircleSize:4", "CircleSize:7"),
}
READ_AS_THE_GAME_DOES = {
    "notes out of order": lambda text: text + "64,192,1234,1,0,0:0:0:0:\n",
    "zero BPM": lambda text: with_beat_length(text, "0"),
    "a byte of another encoding": lambda text: text.replace("Creator:", "Creator:\udce9"),
}


@pytest.mark.parametrize("kind", PASSED_OVER)
def test_dataset_passes_over_other_games(kind, song, tmp_path):
    text = PASSED_OVER[kind](good_osu())
    assert text != good_osu(), "the test must change the chart"
    make_osz(tmp_path, "bad.osz", song, badDOTosu=text.encode())
    result = run("dataset", tmp_path, "-o", tmp_path / "data", "--workers", 1)
    assert_one_line_error(result, 1, "bad.osz", "other mode or number of keys")


@pytest.mark.parametrize("kind", READ_AS_THE_GAME_DOES)
def test_dataset_reads_what_the_game_plays(kind, song, tmp_path):
    text = READ_AS_THE_GAME_DOES[kind](good_osu())
    assert text != good_osu(), "the test must change the chart"
    make_osz(tmp_path, "odd.osz", song, oddDOTosu=text.encode("utf-8", "surrogateescape"))
    result = run("dataset", tmp_path, "-o", tmp_path / "data", "--workers", 1)
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("kind", BAD_CHARTS)
def test_dataset_names_bad_charts_and_goes_on(kind, song, tmp_path):
    change, word = BAD_CHARTS[kind]
    text = good_osu()
    assert change(text) != text, "the test must change the chart"
    make_osz(tmp_path, "bad.osz", song, badDOTosu=change(text).encode())
    result = run("dataset", tmp_path, "-o", tmp_path / "data", "--workers", 1)
    assert_one_line_error(result, 1, "bad.osz", word)
    make_osz(tmp_path, "good.osz", song, goodDOTosu=text.encode())
    result = run("dataset", tmp_path, "-o", tmp_path / "data", "--workers", 1)
    assert_one_line_error(result, 1, "1 songs could not be used")
    assert "bad.osz" in result.stderr
    assert json.loads((tmp_path / "data" / "index.json").read_text())["songs"][0]["name"] == "good.osz"


def test_dataset_refuses_archives_that_escape_or_explode(song, tmp_path):
    make_osz(tmp_path, "escape.osz", song, **{"..__escapeDOTosu": good_osu().encode()})
    make_osz(tmp_path, "bomb.osz", song, bombDOTosu=b"0" * 300_000_000)
    result = run("dataset", tmp_path, "-o", tmp_path / "data", "--workers", 1)
    assert result.exit_code == 1, result.output
    assert "escape.osz" in result.stderr
    assert "bomb.osz" in result.stderr
    assert "Traceback" not in result.output
    assert not (tmp_path / "data" / "index.json").exists()
    assert not (tmp_path.parent / "escape.osu").exists()


def test_dataset_of_an_empty_folder_is_an_error(tmp_path):
    assert_one_line_error(run("dataset", tmp_path, "-o", tmp_path / "data"), 1, "no .osz, .osu or .npz files")
    assert_one_line_error(run("dataset", tmp_path / "none", "-o", tmp_path / "data"), 1, "no such file or folder")


def test_train_on_what_is_no_dataset_is_an_error(tmp_path):
    assert_one_line_error(run("train", tmp_path, "-o", tmp_path / "run"), 1, "not a dataset")


def test_numbers_options_take_what_follows():
    seen = {}

    @click.command(cls=Command)
    @click.option("--stars", cls=NumbersOption, default=(1.0,))
    @click.argument("song")
    def command(stars, song):
        seen.update(stars=stars, song=song)

    for arguments in (["--stars", "2", "3.5", "song"], ["song", "--stars", "2,3.5"], ["song", "--stars=2 3.5"]):
        assert CliRunner().invoke(command, arguments).exit_code == 0
        assert seen == {"stars": (2.0, 3.5), "song": "song"}
