"""Song in, set out: everything about the song and its charts is computed once, and the page shows what was packed."""

from collections import Counter
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import rosu_pp_py as rosu
import soundfile

import ear.audio.decode
import reward.chart_metrics
import reward.core.batch_view
import reward.rules.check
from chart.analysis import strain
from chart.formats.osz import read_osz
from chart.model import Metadata
from eye.rendering import page_data
from mapper.output.page import charts_of_set
from mapper.pipeline import run
from mapper.request.options import GenerateConfig
from tests.builders import ChartBuilder
from tests.test_eye_page import data_in

DEMO = Path(__file__).resolve().parent.parent / "examples" / "demo_song.ogg"

STARS, RULE_CHECKS, SKILL_GRIDS, DECODES = 170, 90, 3, 1
"""Most computations that the demo song with three difficulties and its page may take."""


def counted(monkeypatch, counts: Counter, module: ModuleType, name: str) -> None:
    """Count calls of a function of a module by its name."""
    original = getattr(module, name)

    def count(*arguments, **options):
        counts[name] += 1
        return original(*arguments, **options)

    monkeypatch.setattr(module, name, count)


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The demo set with its page, and how often each measure was computed."""
    counts: Counter = Counter()
    folder = tmp_path_factory.mktemp("demo")

    class Difficulty:
        """rosu-pp's, whose star ratings are counted."""

        def __init__(self, **options: object) -> None:
            self.inner = original(**options)

        def calculate(self, beatmap: object) -> object:
            counts["stars"] += 1
            return self.inner.calculate(beatmap)

        def strains(self, beatmap: object) -> object:
            return self.inner.strains(beatmap)

    original = rosu.Difficulty
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(rosu, "Difficulty", Difficulty)
        counted(patched, counts, reward.core.batch_view, "_assemble")
        counted(patched, counts, reward.rules.check, "check")
        counted(patched, counts, reward.chart_metrics, "check")
        counted(patched, counts, reward.chart_metrics, "curve_by")
        counted(patched, counts, reward.chart_metrics, "rate_by")
        counted(patched, counts, ear.audio.decode, "_decoded")
        counted(patched, counts, strain, "strain_peaks")
        config = GenerateConfig(song=DEMO, stars=(2.0, 3.5, 5.0), out=folder / "demo.osz")
        made = run(config, page=folder / "demo.html")
    return made, counts


def test_everything_is_computed_once(demo):
    _, counts = demo
    assert 0 < counts["stars"] + counts["strain_peaks"] <= STARS, "by rosu-pp, and by the search's compiled loop"
    assert counts["stars"] == SKILL_GRIDS, "rosu-pp rates each finished chart once"
    assert 0 < counts["_assemble"] <= RULE_CHECKS, "every rule check lays charts out"
    assert counts["check"] == SKILL_GRIDS, "each finished chart is checked once, for report and page"
    assert counts["curve_by"] == counts["rate_by"] == SKILL_GRIDS
    assert counts["_decoded"] == DECODES


def test_the_page_shows_the_charts_of_the_set(demo):
    made, _ = demo
    assert (made.page, made.page_problem) == (made.path.with_suffix(".html"), "")
    shown = {chart["name"]: chart for chart in data_in(made.page.read_bytes())["charts"]}
    packed = read_osz(made.path).charts
    assert list(shown) == [chart.metadata.version for chart in packed]
    for chart, one in zip(packed, made.report.difficulties, strict=True):
        page = shown[chart.metadata.version]
        assert np.cumsum(page["notes"]["gap"]).tolist() == chart.time_ms.tolist()
        assert page["lines"] == [[point.time_ms, point.beat_length_ms, point.meter] for point in chart.red_lines]
        assert page["stars"] == pytest.approx(one.stars, abs=0.01)
        assert page["required"] == pytest.approx(one.player_level, abs=0.01)
        assert page["ratings"] == [[name, rating.level, rating.sd] for name, rating in one.ratings.items()]
        assert one.ratings["overall"].level == pytest.approx(one.player_level, abs=0.01)


def test_a_set_without_its_page_is_still_a_set(tmp_path, monkeypatch):
    samples, rate = soundfile.read(DEMO, dtype="float32")
    soundfile.write(tmp_path / "short.wav", samples[10 * rate : 24 * rate], rate)
    monkeypatch.setattr(page_data, "MAX_NOTES", 5)
    config = GenerateConfig(song=tmp_path / "short.wav", stars=(2.0,), effort="fast", out=tmp_path / "short.osz")
    made = run(config, page=tmp_path / "short.html")
    assert made.page is None
    assert "notes; a page shows charts of up to 5" in made.page_problem
    assert len(read_osz(made.path).charts) == 1
    assert not (tmp_path / "short.html").exists()


def test_new_charts_join_those_of_the_map_or_replace_them_by_name():
    def named(name: str, column: int):
        return ChartBuilder().having(metadata=Metadata(version=name)).note(0, column).build()

    before, new = [named("Easy", 0), named("Hard", 0)], [named("Hard", 1), named("Insane", 1)]
    found = charts_of_set(before, new)
    assert [(chart.metadata.version, int(chart.column[0])) for chart in found] == [
        ("Easy", 0),
        ("Hard", 1),
        ("Insane", 1),
    ]
