"""Stars equal what rosu-pp says of the file itself."""

import gc
import zipfile
from pathlib import Path

import numpy as np
import pytest
import rosu_pp_py as rosu
from hypothesis import given
from hypothesis import strategies as st

from chart.analysis import star_rating
from chart.analysis.star_rating import stars, strain_curve
from chart.analysis.strain import SectionPeaks
from chart.formats.osu_read import format_osu, parse_osu
from chart.model import Chart
from runtime.errors import ChartFileError
from tests.builders import ChartBuilder, charts


@given(charts(), st.sampled_from([0.75, 1.0, 1.5]))
def test_stars_are_those_of_the_written_file(chart: Chart, rate: float) -> None:
    official = rosu.Difficulty(clock_rate=rate).calculate(rosu.Beatmap(content=format_osu(chart))).stars

    assert stars(chart, rate) == official


def test_stars_do_not_need_timing() -> None:
    chart = ChartBuilder().stream(0, 100, "0123" * 20).build()

    assert stars(Chart(chart.time_ms, chart.column, chart.end_ms)) == stars(chart) > 1


def test_a_faster_rate_is_harder() -> None:
    chart = ChartBuilder().stream(0, 100, "0213" * 50).build()

    assert 0 == stars(ChartBuilder().build()) < stars(chart, 0.75) < stars(chart) < stars(chart, 1.5)


def test_strain_peaks_lie_where_the_notes_are() -> None:
    quiet = ChartBuilder().stream(1000, 1000, "0123" * 5)  # to 20 s
    chart = quiet.stream(10_000, 50, "0123" * 10).build()  # a burst of 2 s
    strains = strain_curve(chart)

    assert strains.section_ms == 400
    assert strains.start_ms[0] <= chart.time_ms[1] <= strains.start_ms[0] + 400
    assert 10_000 <= strains.start_ms[np.argmax(strains.peak)] <= 12_000
    assert strains.start_ms[-1] <= chart.last_ms <= strains.start_ms[-1] + 400


def test_strain_sections_follow_the_rate() -> None:
    chart = ChartBuilder().stream(1000, 125, "0123" * 20).build()
    strains = strain_curve(chart, rate=1.5)

    assert strains.section_ms == 600
    assert strains.start_ms[-1] <= chart.last_ms <= strains.start_ms[-1] + 600
    assert strain_curve(ChartBuilder().note(0).build()).peak.size == 0


def test_charts_without_usable_times_are_refused() -> None:
    with pytest.raises(ChartFileError, match="stars need notes at finite times"):
        stars(Chart(np.array([np.nan]), np.zeros(1), np.array([np.nan])))
    with pytest.raises(ValueError, match=r"rate is 0, not 0\.01–100"):
        stars(ChartBuilder().note(0).build(), rate=0)


@pytest.mark.shared
def test_stars_equal_those_of_real_files(shared_data: Path) -> None:
    count = 0
    for path in sorted((shared_data / "songs").glob("*.osz"))[::10]:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if name.endswith(".osu"):
                    data = archive.read(name)
                    official = rosu.Difficulty().calculate(rosu.Beatmap(bytes=data)).stars
                    # Files may list the notes of a chord in another order, to which the official rating is sensitive.
                    assert stars(parse_osu(data.decode("utf-8-sig"), name)) == pytest.approx(official, abs=0.01)
                    count += 1
    assert count > 30


@pytest.mark.parametrize("holds", [0.0, 0.2, 0.6])
def test_the_compiled_loop_gives_the_official_stars_and_peaks(holds: float) -> None:
    random = np.random.default_rng(5)
    for interval_ms in (90, 137, 260):
        time_ms, column = np.arange(400) * interval_ms + 812.0, random.permuted(np.tile(np.arange(4), (400, 1)), axis=1)
        length_ms = np.where(random.random(400) < holds, random.integers(40, 900, 400), np.nan)
        chord = random.integers(1, 4, 400)
        chord[0] = 1  # the game ignores the first note; of a chord, one that only its own sorting decides
        row = np.repeat(np.arange(400), chord)
        key = column[row, np.concatenate([np.arange(n) for n in chord])]
        chart = Chart.from_notes(*_without_overlaps(time_ms[row], key, time_ms[row] + length_ms[row]))
        found, official = SectionPeaks.of(chart), strain_curve(chart)
        assert found.stars == pytest.approx(stars(chart), abs=1e-6)
        assert found.first * 400 == official.start_ms[0]
        assert found.peak == pytest.approx(official.peak, abs=1e-6)


def _without_overlaps(
    time_ms: np.ndarray, column: np.ndarray, end_ms: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    free_ms, kept = np.full(4, -np.inf), []
    for note in range(time_ms.size):
        if time_ms[note] > free_ms[column[note]]:
            kept.append(note)
            free_ms[column[note]] = np.nanmax([time_ms[note], end_ms[note]])
    return time_ms[kept], column[kept], end_ms[kept]


def test_charts_of_one_note_have_no_peaks() -> None:
    assert SectionPeaks.of(ChartBuilder().note(0).build()).stars == 0
    assert SectionPeaks.of(ChartBuilder().build()).peak.size == 0


def test_a_chart_is_read_once_and_forgotten_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[Chart] = []
    real = star_rating._beatmap
    monkeypatch.setattr(star_rating, "_beatmap", lambda chart: written.append(chart) or real(chart))
    chart = Chart.from_notes(np.arange(40) * 100.0, np.arange(40) % 4)
    first = [stars(chart), stars(chart, 1.5), stars(chart), stars(chart, 1.5)]
    assert first[:2] == first[2:]
    strain_curve(chart)
    assert len(written) == 1, "rosu-pp reads it once for all rates and for its strains"
    kept = len(star_rating._CHARTS)
    written.clear()
    del chart
    gc.collect()
    assert len(star_rating._CHARTS) == kept - 1
