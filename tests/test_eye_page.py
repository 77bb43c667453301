"""The page's file: what is in it, how large it is, what is refused. Its behaviour is in test_eye_page_browser.py."""

import base64
import gzip
import hashlib
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from agents import hit_windows
from chart.formats.osu_read import format_osu
from chart.formats.osz import write_osz
from chart.model import Metadata
from ear.audio.clock import SOURCE_LAG_MS, usual_lag_ms
from eye.page import PageConfig, main, page_of_file, write_page
from eye.rendering import page_data
from eye.rendering.page_data import PageChart, language_of, pack
from eye.rendering.page_html import SCRIPTS, START, TEMPLATES, audio_type, escaped, read_template
from eye.rendering.page_players import levels_around, play_levels
from eye.rendering.page_song import PageSong, SongFile, analyse_song, song_of
from mania4k import view
from runtime.errors import ChartFileError, ConfigError, OutputError
from tests.eye_pages import busy_chart, review_of, song_file


def data_in(page: bytes) -> dict:
    """The data of a written page."""
    (packed,) = re.findall(rb'id="data">([^<]*)</script>', page)
    return json.loads(gzip.decompress(base64.b64decode(packed)))


def song_in(page: bytes) -> bytes:
    """The song of a written page, unescaped as its script does it."""
    (escapes,) = re.findall(rb'(?s)id="song-bytes"[^>]*>(.*?)</script>', page)
    return re.sub(rb"(?s)=(.)", lambda match: bytes([match[1][0] - 64]), escapes)


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> bytes:
    chart = busy_chart(300, 1)
    path = write_page([chart], [review_of(chart)], song_file(), tmp_path_factory.mktemp("page") / "map.html")
    return path.read_bytes()


@given(st.binary(max_size=200))
def test_song_bytes_survive(data):
    packed = escaped(data)
    assert not set(packed) & {0, 13, ord("<")}
    assert re.sub(rb"(?s)=(.)", lambda match: bytes([match[1][0] - 64]), packed) == data


def test_the_page_holds_song_and_data(written):
    assert song_in(written) == song_file().data
    (chart,) = data_in(written)["charts"]
    assert len(chart["notes"]["column"]) == 300
    assert [level["level"] for level in chart["levels"]] == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert len(chart["findings"]) == 3


def test_notes_are_rounded_as_the_judgement_rounds_them():
    chart = busy_chart(200, 4)
    moved = replace(chart, time_ms=chart.time_ms + 0.5, end_ms=chart.end_ms + 0.25)
    notes = page_data._notes(moved)
    assert np.cumsum(notes["gap"]).tolist() == np.rint(moved.time_ms).astype(int).tolist()
    holds = moved.is_hold
    ends = (np.cumsum(notes["gap"]) + notes["length"])[holds]
    assert ends.tolist() == np.rint(moved.end_ms[holds]).astype(int).tolist()
    assert not np.array(notes["length"])[~holds].any()


def test_nothing_but_its_own_scripts_may_run_and_nothing_be_fetched(written):
    text = written.decode("windows-1252", "replace")
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', text)
    rules = dict(rule.strip().split(" ", 1) for rule in policy.replace("&#39;", "'").split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["media-src"] == "'none'"
    assert "unsafe" not in policy
    for element, rule in (("style", "style-src"), ("script", "script-src")):
        (content,) = re.findall(rf"(?s)<{element}>(.*?)</{element}>", text)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert rules[rule] == f"'sha256-{digest}'"
    assert re.findall(r"https?://[^\s\"']*", text) == ["http://www.w3.org/2000/svg"] * text.count("www.w3.org")


def test_hostile_names_are_text_in_the_file(tmp_path):
    bad = "</script><script>alert(1)</script>\"'&<!--"
    chart = replace(
        busy_chart(40, 1), metadata=Metadata(title=bad, title_unicode=bad, artist=bad, version=bad, creator=bad)
    )
    page = write_page([chart], [review_of(chart)], None, tmp_path / "bad.html").read_bytes()
    assert b"alert(1)</script>" not in page
    assert page.count(b"<script") == 2
    assert data_in(page)["charts"][0]["name"] == bad


def test_three_difficulties_of_a_large_song_add_at_most_400_kb(tmp_path):
    charts = [busy_chart(notes, seed, name=f"{notes}") for seed, notes in enumerate((600, 1200, 2000))]
    reviews = [review_of(chart, 4.0) for chart in charts]
    levels = [play_levels(chart, levels_around(4.0)) for chart in charts]
    song = SongFile("song.mp3", np.random.default_rng(1).bytes(5_000_000))
    out = tmp_path / "large.html"
    write_page(charts, reviews, song, out, levels=levels)
    assert out.stat().st_size - len(song.data) <= 400_000


def test_the_same_seed_gives_the_same_page(tmp_path):
    chart = busy_chart(120, 2)
    pages = [
        write_page([chart], [review_of(chart)], song_file(), tmp_path / f"{n}.html", seed=seed).read_bytes()
        for n, seed in enumerate((3, 3, 4))
    ]
    assert pages[0] == pages[1] != pages[2]


def test_too_much_data_costs_the_outer_levels_first(monkeypatch):
    chart = busy_chart(400, 3)
    item = PageChart(chart, review_of(chart), play_levels(chart, levels_around(3.0)))
    data = page_data.page_data([item], 0.0)
    full = len(pack(data))
    monkeypatch.setattr(page_data, "MAX_DATA_BYTES", full - 1)
    fewer = json.loads(gzip.decompress(pack(data)))["charts"][0]["levels"]
    assert [level["level"] for level in fewer] == [2.0, 3.0, 4.0]
    monkeypatch.setattr(page_data, "MAX_DATA_BYTES", 1)
    assert [level["level"] for level in json.loads(gzip.decompress(pack(data)))["charts"][0]["levels"]] == [3.0]


def test_difficulties_stand_by_stars_and_large_sets_are_cut(tmp_path, monkeypatch):
    charts = [busy_chart(60, seed, name=name) for seed, name in enumerate(("hard", "easy", "middle"))]
    reviews = [review_of(chart, stars) for chart, stars in zip(charts, (5.0, 1.0, 3.0), strict=True)]
    page = write_page(charts, reviews, None, tmp_path / "set.html").read_bytes()
    assert [chart["name"] for chart in data_in(page)["charts"]] == ["easy", "middle", "hard"]
    monkeypatch.setattr(page_data, "MAX_CHARTS", 2)
    page = write_page(charts, reviews, None, tmp_path / "set.html").read_bytes()
    assert [chart["name"] for chart in data_in(page)["charts"]] == ["easy", "middle"]
    assert b"1 more difficulties of this set are not shown" in page


@pytest.mark.parametrize(
    ("text", "language"),
    [("夜に咲く", "ja"), ("ｶﾀｶﾅ", "ja"), ("東方", "ja"), ("안녕", "ko"), ("Café – №5", ""), ("\x07", ""), ("", "")],
)
def test_the_language_of_a_title(text, language):
    assert language_of(text) == language


def test_players_surround_the_requested_level_and_better_ones_score_more():
    assert levels_around(4.2) == (2.0, 3.0, 4.0, 5.0, 6.0)
    assert levels_around(0.0)[0] == 0.5
    assert levels_around(20.0)[-1] == 14.0
    chart = busy_chart(400, 6)
    plays = play_levels(chart, levels_around(3.5))
    accuracy = [level.accuracy for level in plays]
    assert accuracy == sorted(accuracy)
    assert all(level.grade.shape == level.worth.shape == (400,) for level in plays)
    assert play_levels(busy_chart(0, 0), (1.0,)) == ()


def test_scripts_are_ascii_and_listed():
    assert {path.relative_to(TEMPLATES).as_posix() for path in TEMPLATES.rglob("*.js")} == {*SCRIPTS, START}
    for name in (*SCRIPTS, START, "page.css"):
        assert read_template(name).isascii()
        assert len(read_template(name).splitlines()) <= 300


def test_windows_stand_in_the_script_as_in_agents():
    widths = re.search(r"const widths = \[(.*?)\];", read_template("play/judgement.js"))
    assert widths is not None
    for od in (0.0, 3.3, 8.0, 11.0):
        mine = [eval(part, {"inverse": min(max(10 - od, 0), 10)}) for part in widths[1].split(",")]
        assert [int(width + 1e-9) for width in mine] == hit_windows(od).tolist()


def contrast(one: str, other: str) -> float:
    """WCAG's contrast ratio of two #rrggbb colours."""
    lights = []
    for colour in (one, other):
        linear = [
            c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
            for c in (int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5))
        ]
        lights.append(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] + 0.05)
    return max(lights) / min(lights)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_stands_out_from_its_ground(theme):
    blocks = re.findall(r":root(?:\[[^]]*\])? \{(.*?)\}", read_template("page.css"), re.DOTALL)
    colours = dict(re.findall(r"--([\w-]+): (#\w{6})", blocks[["light", "dark"].index(theme)]))
    texts = ["ink", "muted", "accent", "problem", "warning", "note", "praise", "strain", "density", "readability"]
    for name in [*texts, *(f"grade-{grade}" for grade in range(6))]:
        assert contrast(colours[name], colours["surface"]) >= 4.5, name
    assert contrast(colours["on-accent"], colours["accent"]) >= 4.5
    assert contrast(colours["muted"], colours["bg"]) >= 4.5


# what is refused


def test_a_doubtful_timing_stands_above_the_chart(tmp_path):
    chart = busy_chart(40, 1)
    for doubt, shown in (("the beat <b>is</b> not clear", True), ("", False)):
        song = PageSong(None, 0.0, doubt=doubt)
        page = write_page([chart], [review_of(chart)], None, tmp_path / "map.html", page_song=song).read_text("ascii")
        assert ('<p class="notice">the beat &lt;b&gt;is&lt;/b&gt; not clear.</p>' in page) is shown


def test_nothing_to_show_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match=r"no chart to show"):
        write_page([], [], None, tmp_path / "none.html")


def test_charts_too_large_for_a_browser_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(page_data, "MAX_NOTES", 50)
    chart = busy_chart(51, 1)
    with pytest.raises(ConfigError, match=r"“Busy” has 51 notes; a page shows charts of up to 50"):
        write_page([chart], [review_of(chart)], None, tmp_path / "large.html")


def test_songs_too_large_to_embed_may_lie_beside(tmp_path, monkeypatch):
    monkeypatch.setattr("eye.rendering.page_song.MAX_AUDIO_BYTES", 1000)
    chart = busy_chart(20, 1)
    with pytest.raises(ConfigError, match=r"put it beside with --audio-beside"):
        write_page([chart], [review_of(chart)], song_file(), tmp_path / "large.html")
    write_page([chart], [review_of(chart)], song_file(), tmp_path / "large.html", audio_beside=True)
    assert (tmp_path / "large.ogg").read_bytes() == song_file().data


def test_a_folder_that_is_not_there_is_an_error(tmp_path):
    chart = busy_chart(20, 1)
    with pytest.raises(OutputError, match=r"does not exist"):
        write_page([chart], [review_of(chart)], None, tmp_path / "none" / "page.html")


@pytest.mark.parametrize(
    ("options", "message"),
    [({"out": Path("page.txt")}, r"--out page.txt: the name must end in .html"), ({"seed": -1}, r"--seed -1")],
)
def test_options_out_of_range_are_named(options, message):
    with pytest.raises(ConfigError, match=message):
        PageConfig(**{"path": Path("map.osz"), "out": Path("map.html"), **options})


# the command


@pytest.fixture
def map_file(tmp_path) -> Path:
    audio = tmp_path / "audio.ogg"
    audio.write_bytes(song_file(30).data)
    write_osz([busy_chart(100, 1), busy_chart(150, 2, name="More")], audio, tmp_path / "夜.osz")
    return tmp_path / "夜.osz"


def test_the_command_writes_a_page_of_a_set(map_file):
    result = CliRunner().invoke(main, [str(map_file)])
    assert result.exit_code == 0, result.output
    page = map_file.with_suffix(".html")
    assert result.stdout.strip() == str(page)
    assert song_in(page.read_bytes()) == song_file(30).data
    assert len(data_in(page.read_bytes())["charts"]) == 2


def test_a_chart_without_its_song_gives_a_silent_page(tmp_path, caplog):
    path = tmp_path / "map.osu"
    path.write_text(format_osu(busy_chart(60, 1)), encoding="utf-8")
    page = page_of_file(PageConfig(path, tmp_path / "map.html"))
    assert b'id="song-bytes"' not in page.read_bytes()
    assert "the page will be silent" in caplog.text
    with pytest.raises(ChartFileError, match=r"no such file"):
        song_of(path, busy_chart(5, 1), tmp_path / "none.ogg")


def test_the_lag_of_the_sound_is_measured_or_the_usual_one_is_taken():
    chart = replace(busy_chart(30, 3), time_ms=np.sort(np.random.default_rng(5).uniform(500, 9500, 30).round()))
    clicks = np.zeros(10 * 22_050, np.float32)
    for time_ms in chart.time_ms + 21:
        clicks[round(time_ms * 22.05) :][:200] += np.sin(np.arange(200) * 0.9) * np.exp(-np.arange(200) / 60)
    file = io.BytesIO()
    soundfile.write(file, clicks / 2, 22_050, format="WAV")
    assert analyse_song(SongFile("clicks.wav", file.getvalue()), chart, 0.0).lag_ms == pytest.approx(21, abs=4)
    assert analyse_song(None, chart, usual_lag_ms(Path("a.ssc"))).lag_ms == SOURCE_LAG_MS["stepmania"]
    assert usual_lag_ms(Path("a.osz")) == SOURCE_LAG_MS["osu"]


@pytest.mark.parametrize(("name", "kind"), [("a.OGG", "audio/ogg"), ("a.mp3", "audio/mpeg"), ("a", "audio/mpeg")])
def test_the_type_of_a_song(name, kind):
    assert audio_type(name) == kind


def test_a_song_that_cannot_be_decoded_is_still_embedded(tmp_path, caplog):
    path = tmp_path / "map.osu"
    path.write_text(format_osu(busy_chart(60, 1)), encoding="utf-8")
    (tmp_path / "audio.ogg").write_bytes(b"no music at all")
    page = page_of_file(PageConfig(path, tmp_path / "map.html"))
    assert song_in(page.read_bytes()) == b"no music at all"
    assert "reviewed without the song" in caplog.text


# mania4k view


def test_view_opens_the_page_and_leaves_foreign_ones_alone(map_file, monkeypatch):
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda address: not opened.append(address))
    result = CliRunner().invoke(view.main, [str(map_file)])
    assert result.exit_code == 0, result.output
    page = map_file.with_suffix(".html")
    assert opened == [page.resolve().as_uri()]
    page.write_bytes(b"kept")
    refused = CliRunner().invoke(view.main, [str(map_file)])
    assert refused.exit_code == 1
    assert page.name in refused.stderr
    CliRunner().invoke(view.main, [str(page)])
    assert page.read_bytes() == b"kept"
    assert len(opened) == 2


def test_view_says_where_the_page_is_when_nothing_can_open_it(tmp_path, monkeypatch):
    page = tmp_path / "page.html"
    page.write_bytes(b"")
    monkeypatch.setattr("webbrowser.open", lambda address: False)
    result = CliRunner().invoke(view.main, [str(page)])
    assert (result.exit_code, result.stdout.strip()) == (0, str(page))
    assert "no browser was found" in result.stderr
    monkeypatch.setattr("webbrowser.open", lambda address: pytest.fail("must not open"))
    assert CliRunner().invoke(view.main, [str(page), "--no-open"]).stdout.strip() == str(page)
    missing = CliRunner().invoke(view.main, [str(tmp_path / "none.osz")])
    assert missing.exit_code == 1
    assert "no such file (check the name)" in missing.stderr
