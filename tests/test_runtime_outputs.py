"""An input is never an output, two outputs are never one, and what others wrote is not replaced unasked."""

import importlib
import os
import pkgutil
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import mania4k.cli
from chart.formats.osu_write import write_osu
from chart.formats.osz import write_osz
from chart.formats.written import require_replaceable
from chart.model import MACHINE_MADE_TAGS, Metadata
from mania4k.view import page_for
from runtime.atomic_write import save_bytes
from runtime.command import Command, OutputFile
from runtime.errors import OutputError
from runtime.outputs import OUTPUT_NAMES, check_outputs, guarded
from tests.builders import ChartBuilder

CHART = (
    ChartBuilder()
    .stream(0, 250, "0123" * 8)
    .having(metadata=Metadata(title="t", artist="a", version="v", tags=MACHINE_MADE_TAGS), audio_filename="a.ogg")
    .build()
)


def kept(path: Path, name: str) -> Path:
    shutil.copy(path, path.with_name(name))
    return path.with_name(name)


@pytest.fixture
def song(tmp_path: Path) -> Path:
    path = tmp_path / "song.ogg"
    path.write_bytes(b"the song")
    return path


@pytest.mark.parametrize("link", ["itself", "symlink", "hard link", "relative"])
def test_an_input_is_not_written(tmp_path: Path, link: str, monkeypatch: pytest.MonkeyPatch) -> None:
    read = tmp_path / "map.osu"
    read.write_bytes(b"the map")
    other = tmp_path / "other.osu"
    if link == "symlink":
        other.symlink_to(read)
    elif link == "hard link":
        os.link(read, other)
    elif link == "relative":
        monkeypatch.chdir(tmp_path)
        other = Path("./map.osu")
    else:
        other = read
    with pytest.raises(OutputError, match="is a file that is read; it would be lost"):
        check_outputs([read], {"--out": other})
    with guarded([read], {}), pytest.raises(OutputError, match="not written: it is a file that is read"):
        save_bytes(other, b"gone")
    assert read.read_bytes() == b"the map"
    save_bytes(read, b"after the command")


def test_two_outputs_in_one_place(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"--report .*x\.osz: is what --out writes, too"):
        check_outputs([], {"--out": tmp_path / "x.osz", "--report": tmp_path / "sub" / ".." / "x.osz"})


@pytest.mark.parametrize("name", ["song.mp3", "song.OGG", "x.exe", "x.bat", "x.py"])
def test_songs_and_programs_are_no_results(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError, match="no result is a"):
        check_outputs([], {"--out": tmp_path / name})


COMMANDS = {
    "timing onto its song": ["timing", "song.ogg", "-o", "song.ogg"],
    "generate onto its song": ["generate", "song.osz", "-o", "song.osz"],
    "report onto the set": ["generate", "song.ogg", "-o", "x.osz", "--report", "x.osz"],
    "set onto the map": ["generate", "--from", "map.osz", "-o", "map.osz"],
    "replay onto the map": ["play", "map.osu", "--replay", "map.osu"],
    "page onto the map": ["view", "map.osu", "-o", "map.osu"],
    "timing onto a chart": ["timing", "song.ogg", "--notes", "map.osu", "-o", "map.osu"],
    "export onto the checkpoint": ["export", "--checkpoint", "song.osz", "-o", "song.osz"],
}


@pytest.mark.parametrize("case", COMMANDS)
def test_commands_never_lose_their_inputs(tmp_path: Path, case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("song.ogg", "song.osz", "map.osz"):
        Path(name).write_bytes(b"the song")
    write_osu(CHART, Path("map.osu"))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    result = CliRunner().invoke(mania4k.cli.main, COMMANDS[case])
    assert result.exit_code in (1, 2), result.output
    assert "Traceback" not in result.output
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def every_command() -> Iterator[tuple[str, Command]]:
    for package in ("agents", "ear", "env", "eye", "mania4k", "mapper", "reward"):
        root = importlib.import_module(package)
        for info in pkgutil.walk_packages(root.__path__, f"{package}."):
            source = Path(importlib.util.find_spec(info.name).origin or "").read_text(encoding="utf-8")
            if "cls=Command" in source:
                module = importlib.import_module(info.name)
                main = getattr(module, "main", None)
                if isinstance(main, Command):
                    yield info.name, main


READ = frozenset({"audio", "background", "charts", "checkpoint", "checkpoints", "data", "folder", "folders", "from_map", "leave_out", "like", "not_in", "sources", "timed", "map_path", "networks", "notes", "path", "paths", "runs", "song", "songs", "splits", "start", "timing", "library", "soundfonts"})  # fmt: skip
"""Names of the parameters of commands that say what to read."""


def test_every_path_of_every_command_is_known_as_read_or_written() -> None:
    unknown = {
        f"{name} --{param.name}"
        for name, command in every_command()
        for param in command.params
        if isinstance(param.type, click.Path) and param.name not in READ | OUTPUT_NAMES
    }
    assert not unknown, "add them to runtime.outputs.OUTPUT_NAMES, or to READ here"


def test_output_files_have_their_suffix() -> None:
    @click.command(cls=Command)
    @click.option("--out", type=OutputFile(".html", ".htm"))
    def command(out: Path) -> None:
        click.echo(repr(out.suffix))

    assert CliRunner().invoke(command, ["--out", "a.HTML"]).output == "'.HTML'\n"
    result = CliRunner().invoke(command, ["--out", "a.osu"])
    assert (result.exit_code, "must end in .html or .htm" in result.output) == (2, True)


def test_a_set_as_we_wrote_it_is_replaced_and_an_edited_one_is_not(tmp_path: Path, song: Path) -> None:
    ours = tmp_path / "ours.osz"
    write_osz([CHART], song, ours)
    require_replaceable(ours)
    edited = kept(ours, "edited.osz")
    with zipfile.ZipFile(edited, "a") as archive:
        archive.writestr("storyboard.osb", "//")
    songs = tmp_path / "song.osz"
    songs.write_bytes(song.read_bytes())
    for foreign in (edited, songs):
        with pytest.raises(OutputError, match=r"is there already and not as mania4k wrote it; .* --overwrite"):
            require_replaceable(foreign)
        require_replaceable(foreign, overwrite=True)


def test_a_chart_with_notes_is_not_replaced_by_timing(tmp_path: Path) -> None:
    write_osu(CHART, tmp_path / "map.osu")
    with pytest.raises(OutputError, match="--overwrite"):
        require_replaceable(tmp_path / "map.osu")
    write_osu(ChartBuilder().build(), tmp_path / "timing.osu")
    require_replaceable(tmp_path / "timing.osu")


def test_a_foreign_page_is_not_replaced_and_ours_shows_the_requested_chart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = []
    monkeypatch.setattr("eye.page.page_of_file", lambda config: shown.append(config.path.name) or config.out)
    write_osu(CHART, tmp_path / "a.osu")
    write_osu(CHART, tmp_path / "b.osu")
    page = tmp_path / "p.html"
    page.write_text("<title>mine</title>")
    with pytest.raises(OutputError, match="--overwrite"):
        page_for(tmp_path / "a.osu", page)
    page.write_text("<title>a - mania4k</title>")
    page_for(tmp_path / "a.osu", page)
    page_for(tmp_path / "b.osu", page)
    assert shown == ["a.osu", "b.osu"]


@pytest.mark.parametrize("verb", ["generate", "play", "view", "score", "review", "timing", "dataset"])
def test_names_that_are_too_long_cost_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str) -> None:
    monkeypatch.chdir(tmp_path)
    suffix = ".mp3" if verb in ("generate", "timing") else ".osu"
    result = CliRunner().invoke(
        mania4k.cli.main, [verb, "x" * 300 + suffix, *(["-o", "d"] if verb == "dataset" else [])]
    )
    assert result.exit_code == 1
    assert not isinstance(result.exception, OSError)
    assert result.output.startswith("error: ")
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a full device of Linux")
def test_a_full_device_costs_one_line(tmp_path: Path) -> None:
    @click.command(cls=Command)
    def command() -> None:
        with Path("/dev/full").open("w") as file:
            file.write("x" * 100_000)

    result = CliRunner().invoke(command, [])
    assert (result.exit_code, "No space left on device" in result.output) == (1, True)
