"""Pictures: SVG that is XML whatever the title, PNG of the right size with notes where they belong, the terminal."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from PIL import Image
from rich.console import Console

from chart.formats.osu_read import format_osu
from chart.model import Metadata
from eye.critique.pattern_rows import NAMES
from eye.critique.types import Finding
from eye.pictures import LEFT_MARGIN, draw, main, time_option, title_of
from eye.rendering.canvas import PNG_SCALE, Drawing, to_png, to_svg
from eye.rendering.scene import COLOURS, MARKS, TAIL_MS, scene_of
from eye.terminal import show
from runtime.errors import ConfigError
from tests.builders import ChartBuilder, charts
from tests.eye_charts import plain_chart


def pixels(drawing: Drawing) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(to_png(drawing))).convert("RGB"))


def rgb(colour: str) -> tuple[int, ...]:
    return tuple(int(colour[k : k + 2], 16) for k in (1, 3, 5))


def test_every_pattern_has_a_colour_of_its_own():
    assert set(COLOURS) == set(NAMES)
    assert len(set(COLOURS.values())) == len(COLOURS)


def test_a_note_is_drawn_in_its_lane_and_a_hold_as_long_as_it_lasts():
    chart = ChartBuilder().note(0, 0).hold(4_000, until=8_000, column=3).build()
    image = pixels(draw(scene_of(chart), "title"))
    single = (image == rgb(COLOURS["single"])).all(axis=2)
    rows, columns = np.nonzero(single[116:])  # below the legend
    assert columns.min() == int(LEFT_MARGIN * PNG_SCALE)
    across = columns[rows > rows.min() + 30 * PNG_SCALE]  # the fourth lane
    width = (1200 - LEFT_MARGIN - 16) * PNG_SCALE
    assert across.min() == pytest.approx(LEFT_MARGIN * PNG_SCALE + width * 4_000 / (8_000 + TAIL_MS), abs=3)


@settings(max_examples=20)
@given(charts(min_notes=1, max_notes=40))
def test_any_chart_is_drawn_as_well_formed_svg(chart):
    drawing = draw(scene_of(chart), title_of(chart))
    root = ElementTree.fromstring(to_svg(drawing))
    assert root.tag.endswith("svg")
    assert drawing.height < 8_000


def test_a_hostile_title_stays_text():
    chart = replace(plain_chart(32), metadata=Metadata(title="<script>alert(1)</script>\x07", version='"><b>'))
    svg = to_svg(draw(scene_of(chart), title_of(chart)))
    assert "<script" not in svg
    assert "\x07" not in svg
    ElementTree.fromstring(svg)


def test_findings_are_marked_and_those_about_the_whole_are_not():
    chart = plain_chart(64)
    place = Finding(5_000.0, 6_000.0, "warning", "jack", "", "")
    whole = Finding(0.0, chart.last_ms, "problem", "rule/column-share", "", "")
    scene = scene_of(chart, findings=(whole, place))
    assert scene.findings == (place,)
    image = pixels(draw(scene, ""))
    assert (image == rgb(MARKS["warning"])).all(axis=2).any()
    assert not (image == rgb(MARKS["problem"])).all(axis=2).any()


def test_the_terminal_shows_strain_and_the_hardest_bars(capsys):
    chart = plain_chart(400)
    show(scene_of(chart), "title", plain=True, console=Console(width=80, highlight=False, no_color=True))
    out = capsys.readouterr().out
    lines = out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[1].startswith("strain")
    assert "the hardest" in out
    assert out.count("#") > 20
    assert "█ roll" not in out


def test_a_short_chart_is_shown_in_full_with_colours(capsys):
    chart = ChartBuilder().stream(0, 100, "0123" * 4).hold(2_000, until=2_600, column=2).build()
    console = Console(width=80, highlight=False, force_terminal=True, color_system="truecolor")
    show(scene_of(chart), "title", console=console)
    out = capsys.readouterr().out
    assert out.count("█") >= 17
    assert "─" in out
    assert "\x1b[38;2;63;182;168m" in out  # the colour of rolls


@pytest.mark.parametrize(("text", "ms"), [("65.25", 65_250.0), ("1:05.250", 65_250.0), ("0:00", 0.0), (None, None)])
def test_times_are_read(text, ms):
    assert time_option(text, "start") == ms


def test_bad_times_and_empty_pictures_are_refused():
    with pytest.raises(ConfigError, match=r"--start soon: give a time such as 1:05\.250"):
        time_option("soon", "start")
    with pytest.raises(ConfigError, match="there is nothing to draw"):
        scene_of(ChartBuilder().build())
    with pytest.raises(ConfigError, match="would end at 5 ms, not after its start at 10 ms"):
        scene_of(plain_chart(16), 10.0, 5.0)


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("絵") / "map.osu"
    path.write_text(format_osu(plain_chart(64)), encoding="utf-8")
    return path


def test_the_command_writes_png_and_svg_and_prints(file, tmp_path):
    for name in ("a.png", "夜.svg"):
        result = CliRunner().invoke(main, [str(file), "-o", str(tmp_path / name), "--end", "0:10"])
        assert result.exit_code == 0, result.output
    with Image.open(tmp_path / "a.png") as image:
        assert image.size[0] == 1200 * PNG_SCALE
    assert (tmp_path / "夜.svg").read_text(encoding="utf-8").startswith("<svg")
    result = CliRunner().invoke(main, [str(file), "--plain", "--no-review"])
    assert result.exit_code == 0
    assert "#" in result.stdout


def test_other_picture_formats_are_refused(file, tmp_path):
    result = CliRunner().invoke(main, [str(file), "-o", str(tmp_path / "a.gif")])
    assert result.exit_code == 1
    assert "pictures are .png or .svg" in result.stderr
