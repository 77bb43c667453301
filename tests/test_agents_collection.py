"""`python -m agents.play` of a folder: every good chart has its row, every bad one its reason, however many workers play."""

from __future__ import annotations

import json
import re
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from agents.batch import playtest_collection
from agents.play import main
from agents.playtest import PlayOptions
from chart.formats.osu_read import write_osu
from chart.formats.osz import write_osz
from chart.model import Chart
from runtime.errors import ChartFileError
from runtime.workers import Workers
from tests.builders import ChartBuilder
from tests.ear_signals import clicks, write_wav

OPTIONS = ("--plays", "20", "--seed", "3")


def stream(gap_ms: float, version: str) -> Chart:
    builder = ChartBuilder().bpm(120, 0)
    for row in range(160):
        builder.note(round(1000 + gap_ms * row), (0, 2, 1, 3)[row % 4])
    chart = builder.build()
    return replace(chart, metadata=replace(chart.metadata, artist="深海", title="日本語", version=version))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A map of a Unicode name, a set of two charts and one of 7K, two files that are no maps, one that is left alone."""
    top = tmp_path_factory.mktemp("songs")
    (top / "日本語").mkdir()
    write_osu(stream(150, "Normal"), top / "日本語" / "夜の map.osu")
    write_wav(top / "audio.wav", clicks(120, 0.5, 5))
    write_osz([stream(200, "Easy"), stream(110, "Hard")], top / "audio.wav", top / "set.osz")
    add_seven_keys(top / "set.osz")
    (top / "bad.osz").write_bytes(b"no zip")
    (top / "other.osu").write_text("not a map", encoding="utf-8")
    return top


def add_seven_keys(path: Path) -> None:
    with zipfile.ZipFile(path, "a") as archive:
        text = next(archive.read(name) for name in archive.namelist() if name.endswith(".osu")).decode("utf-8")
        archive.writestr("seven.osu", re.sub(r"CircleSize:\s*4", "CircleSize:7", text))


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def rows_of(result: Result) -> list[dict]:
    return [json.loads(line) for line in result.stdout.splitlines() if line.startswith("{")]


@pytest.fixture(scope="module")
def played(folder: Path) -> Result:
    return run(folder, *OPTIONS, "--json", "--workers", 1)


def test_every_good_chart_has_a_row(folder: Path, played: Result) -> None:
    rows = rows_of(played)
    assert [Path(row["file"]).relative_to(folder).as_posix() for row in rows] == [
        "set.osz", "set.osz", "日本語/夜の map.osu",
    ]  # fmt: skip
    assert [row["title"] for row in rows] == [f"深海 – 日本語 [{name}]" for name in ("Easy", "Hard", "Normal")]
    table = [line for line in played.stdout.splitlines() if not line.startswith("{")]
    assert len(table) == 4
    assert table[0].split() == ["stars", "level", "accuracy", "10th", "90th", "pass", "misses", "UR", "notes", "map"]
    assert table[2].endswith("160  深海 – 日本語 [Hard]")
    assert rows[0]["required_skill"] < rows[2]["required_skill"] < rows[1]["required_skill"]


def test_what_is_bad_is_named_and_left_out(played: Result) -> None:
    assert played.exit_code == 1
    skipped = [line for line in played.stderr.splitlines() if line.startswith("skipped ")]
    assert len(skipped) == 3
    for line, words in zip(skipped, ("bad.osz: .*not a readable .osz", "other.osu.*not", "seven.osu.*7"), strict=True):
        assert re.search(words, line)
    assert played.stderr.splitlines()[-1] == "error: 2 of 4 files could not be played (named above)"


def test_two_workers_say_the_same(folder: Path, played: Result) -> None:
    again = run(folder, *OPTIONS, "--json", "--workers", 2)
    assert again.stdout == played.stdout
    assert again.exit_code == 1


def test_a_row_is_what_the_map_alone_gives(folder: Path, played: Result) -> None:
    alone = run(folder / "日本語" / "夜の map.osu", *OPTIONS, "--json")
    assert alone.exit_code == 0, alone.output
    assert rows_of(alone) == rows_of(played)[2:]
    assert "costliest stretches" in alone.stdout


def test_files_may_be_named_and_come_once(folder: Path) -> None:
    maps = [folder / "set.osz", folder / "日本語", folder / "日本語" / "夜の map.osu"]
    found = run(*maps, *OPTIONS, "--workers", 1)
    assert found.exit_code == 0  # a set with a 7K chart beside is no failure
    assert len(found.stdout.splitlines()) == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--replay", "out.osr"], "--replay and --plots are of one map: name one .osu"),
        (["--plots", "pictures"], "--replay and --plots are of one map"),
        (["--workers", 65], "--workers 65: must be 0"),
        (["--mods", "QQ"], "no modifier"),
    ],
)
def test_options_that_make_no_sense_are_one_line(folder: Path, arguments: list, message: str) -> None:
    result = run(folder, *arguments)
    assert result.exit_code == 1
    assert message in result.stderr.splitlines()[-1]


def test_a_folder_without_charts_is_named(tmp_path: Path) -> None:
    with pytest.raises(ChartFileError, match=r"no charts in this folder \(\.osu \.osz"):
        playtest_collection([tmp_path], PlayOptions(), Workers(1))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_a_cluster_says_the_same(folder: Path, played: Result) -> None:
    pytest.importorskip("ray", reason="Ray is not installed (pip install mania4k[ray])")
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False})
    try:
        again = run(folder, *OPTIONS, "--json", "--ray", cluster.address)
    finally:
        cluster.shutdown()
    assert again.stdout == played.stdout
