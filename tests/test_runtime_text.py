"""Names that are not UTF-8 and line ends of all kinds end no batch and split no line."""

import json
import os
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from chart.formats.osu_read import parse_osu
from chart.formats.osu_write import format_osu, write_osu
from chart.model import Metadata
from ear.batch import SongReport, read_report
from mapper.dataset import build
from mapper.dataset import main as dataset_command
from mapper.output.package import add_to_osz
from runtime.text import json_text, one_line, printable
from runtime.workers import Workers
from tests.builders import ChartBuilder

SEPARATED = "A\u2028Tags:evil\x85B"
NOT_UTF8 = os.fsdecode(b"b\xff")


def test_json_is_utf8_and_one_line_a_line() -> None:
    text = json_text({"name": NOT_UTF8, "title": SEPARATED})
    assert len(text.splitlines()) == 1
    assert json.loads(text.encode("utf-8")) == {"name": "b?", "title": SEPARATED}


def test_names_for_people() -> None:
    assert one_line(SEPARATED) == "A Tags:evil B"
    assert printable(f"{NOT_UTF8}\n") == "b��"


def test_a_report_keeps_its_lines(tmp_path: Path) -> None:
    path = tmp_path / "report.jsonl"
    lines = [SongReport(SEPARATED, "no map"), SongReport("b", "no map")]
    path.write_text("".join(json.dumps(vars_of(line), ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
    assert read_report(path) == lines


def vars_of(line: SongReport) -> dict[str, object]:
    return {name: getattr(line, name) for name in line.__slots__}


def osz(folder: Path, title: str) -> Path:
    """A set whose one chart has this title."""
    chart = (
        ChartBuilder()
        .note(1000)
        .note(1500, 1)
        .having(metadata=Metadata(title="A", title_unicode=title, version="V"))
        .build()
    )
    path = folder / "a.osz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.osu", format_osu(chart).replace("// storyboard", "").encode())
        archive.writestr("audio.ogg", b"song")
    return path


def test_a_title_with_line_separators_stays_one_line(tmp_path: Path) -> None:
    path = osz(tmp_path, SEPARATED)
    with zipfile.ZipFile(path) as archive:
        chart = parse_osu(archive.read("a.osu").decode(), "a.osu")
    add_to_osz(path, [chart], (0.0, 10_000.0), tmp_path / "b.osz")
    with zipfile.ZipFile(tmp_path / "b.osz") as archive:
        lines = archive.read("a.osu").decode().split("\r\n")
    assert f"TitleUnicode:{SEPARATED}" in lines
    assert not [line for line in lines if line.startswith("Tags:evil")]


def test_bytes_that_are_no_text_are_kept(tmp_path: Path) -> None:
    path = osz(tmp_path, "t")
    with zipfile.ZipFile(path) as archive:
        text = archive.read("a.osu").replace(b"[TimingPoints]", b'Sample,0,0,"\xff.wav"\n[TimingPoints]')
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.osu", text)
    chart = parse_osu(text.decode(errors="replace"), "a.osu")
    add_to_osz(path, [chart], (0.0, 10_000.0), tmp_path / "b.osz")
    with zipfile.ZipFile(tmp_path / "b.osz") as archive:
        assert b'"\xff.wav"' in archive.read("a.osu")


@pytest.mark.skipif(os.name == "nt" or os.uname().sysname == "Darwin", reason="names there are Unicode")
def test_a_folder_whose_name_is_no_text_is_built_with_the_rest(tmp_path: Path) -> None:
    songs = tmp_path / "songs"
    chart = ChartBuilder().stream(1000, 125, "0123" * 12).having(audio_filename="a.ogg").build()
    for name in ("a", NOT_UTF8):
        folder = songs / name
        folder.mkdir(parents=True)
        write_osu(chart, folder / "map.osu")
        noise = 0.1 * np.random.default_rng(len(name)).standard_normal(8 * 22_050)
        soundfile.write(tmp_path / "a.ogg", noise, 22_050)
        shutil.move(tmp_path / "a.ogg", folder / "a.ogg")
    report = build([songs], tmp_path / "data", {}, Workers(1))
    assert report["songs"]["train"] == 2, report
    shutil.rmtree(tmp_path / "data")


def map_folder(folder: Path, change: tuple[str, str] | None = None, tags: tuple[str, ...] = ()) -> None:
    """A folder with a map of some sound."""
    folder.mkdir(parents=True)
    chart = (
        ChartBuilder()
        .stream(1000, 125, "0123" * 12)
        .having(audio_filename="a.wav", metadata=Metadata(tags=tags))
        .build()
    )
    (folder / "map.osu").write_text(format_osu(chart).replace(*(change or ("", ""))), encoding="utf-8")
    soundfile.write(folder / "a.wav", 0.1 * np.random.default_rng(0).standard_normal(8 * 22_050), 22_050)


def test_other_games_are_counted_and_machine_made_maps_left_out(tmp_path: Path) -> None:
    songs, data = tmp_path / "songs", tmp_path / "data"
    map_folder(songs / "ours")
    map_folder(songs / "standard", ("Mode: 3", "Mode: 0"))
    map_folder(songs / "seven", ("CircleSize:4", "CircleSize:7"))
    map_folder(songs / "machine", tags=("fast", "AI-generated"))
    result = CliRunner().invoke(dataset_command, [str(songs), "-o", str(data), "--workers", "1"])
    assert "passed over 2 charts of other modes and numbers of keys" in result.output
    assert "machine-made by its tags" in result.output
    assert json.loads((data / "report.json").read_text(encoding="utf-8"))["charts"] == 1
    build([songs], data, {}, Workers(1), machine_made=True)
    assert json.loads((data / "report.json").read_text(encoding="utf-8"))["charts"] == 2


def test_a_set_of_other_games_beside_good_ones_is_no_failure(tmp_path: Path) -> None:
    songs = tmp_path / "songs"
    map_folder(songs / "ours")
    map_folder(songs / "standard", ("Mode: 3", "Mode: 0"))
    assert (
        CliRunner().invoke(dataset_command, [str(songs), "-o", str(tmp_path / "data"), "--workers", "1"]).exit_code == 0
    )
