"""Takes joined at bar lines: legal, unchanged within bars, and as near to what was asked as they allow."""

import numpy as np
import pytest
import rosu_pp_py as rosu
from hypothesis import given
from hypothesis import strategies as st

from chart.analysis.pattern_mix import FAMILIES
from chart.analysis.star_rating import strain_curve
from chart.formats.osu_read import format_osu
from chart.grid import SLOTS_PER_CELL, make_grid
from chart.model import Chart, TimingPoint
from chart.problems import find_problems
from mapper.sampling.conditioning import ChartTarget
from mapper.search.candidates import CandidateSet, bar_starts
from mapper.search.objective import playtest_miss
from mapper.search.splice import CandidateSplicer
from mapper.search.splice_kernels import PEAK_WEIGHT, STARS_PER_STRAIN, exchanged_stars
from mapper.tokens.row_codes import LEGAL, MIN_COLUMN_GAP_MS, Rows, held_states, notes_of, rows_of
from reward.chart_metrics import metrics_of

RED = TimingPoint(100.0, 400.0)
GRID = make_grid([RED], 0.0, 48_000.0)


def take(seed: int, rows_a_beat: float, hold_share: float = 0.1) -> Rows:
    """Random notes on quarter beats, in columns that are free."""
    random = np.random.default_rng(seed)
    time, column, end = [], [], []
    free_ms = np.zeros(4)
    for slot in np.arange(0, GRID.slot_ms.size - 200, SLOTS_PER_CELL):
        ms = GRID.slot_ms[slot]
        if random.random() < rows_a_beat / 4:
            key = int(random.choice(np.flatnonzero(free_ms <= ms)))
            until = GRID.slot_ms[slot + 12] if random.random() < hold_share else np.nan
            free_ms[key] = np.nanmax([ms, until]) + 100
            time.append(ms)
            column.append(key)
            end.append(until)
    return rows_of(Chart.from_notes(time, column, end), GRID)


def chart_of(rows: Rows) -> Chart:
    return Chart.from_notes(*notes_of(rows, GRID), timing_points=(RED,))


TAKES = CandidateSet(GRID, [take(seed, rows) for seed, rows in enumerate((1.0, 1.6, 2.2, 3.0, 3.6))])


@given(st.lists(st.integers(0, 4), min_size=TAKES.bars.size, max_size=TAKES.bars.size))
def test_joined_takes_are_legal_rows_of_the_takes(wanted):
    choice = [wanted[0]]
    for bar, one in enumerate(wanted[1:], 1):
        choice.append(one if TAKES.joins[bar, choice[-1], one] else choice[-1])
    joined = TAKES.joined(np.array(choice))
    held = np.append(0, held_states(joined.code))
    assert LEGAL[held[:-1], joined.code].all()
    assert find_problems(chart_of(joined)) == []
    edges = np.append(TAKES.bars, GRID.slot_ms.size)
    for bar, one in enumerate(choice):
        inside = (joined.slot >= edges[bar]) & (joined.slot < edges[bar + 1])
        source = TAKES.rows[one]
        mine = (source.slot >= edges[bar]) & (source.slot < edges[bar + 1])
        assert joined.slot[inside].tolist() == source.slot[mine].tolist()
        assert joined.code[inside].tolist() == source.code[mine].tolist()


def test_columns_rest_and_make_no_jack_across_joins():
    forbidden = ~TAKES.joins
    assert forbidden.any(), "some joins must be refused, or the test says nothing"
    bars, first, second = np.nonzero(TAKES.joins)
    for bar, one, two in zip(bars[::7], first[::7], second[::7], strict=True):
        if one == two or bar == 0:
            continue
        line_ms = GRID.slot_ms[TAKES.bars[bar]]
        before, after = chart_of(TAKES.rows[one]), chart_of(TAKES.rows[two])
        for key in range(4):
            ends = np.fmax(before.time_ms, before.end_ms)[(before.column == key) & (before.time_ms < line_ms)]
            starts = after.time_ms[(after.column == key) & (after.time_ms >= line_ms)]
            held = ends.size and ends.max() > line_ms
            if ends.size and starts.size and not held:
                assert starts.min() - ends.max() >= MIN_COLUMN_GAP_MS
                last, following = before.time_ms[before.time_ms < line_ms].max(), starts.min()
                near = following == after.time_ms[after.time_ms >= line_ms].min() and following - last <= 200
                assert not (near and before.column[before.time_ms == last][0] == key)


def test_bars_begin_at_the_song_and_at_each_downbeat():
    assert bar_starts(GRID)[0] == 0
    assert GRID.slot_ms[bar_starts(GRID)[1:3]].tolist() == [100.0, 1700.0]


@pytest.mark.parametrize("wanted", [1.6, 1.9, 2.4])
def test_the_spliced_chart_has_the_target_stars(wanted):
    splicer = CandidateSplicer(TAKES, chart_of)
    assert splicer.measures.stars.min() < wanted < splicer.measures.stars.max()
    found = splicer.splice(ChartTarget(wanted))
    assert found.stars == pytest.approx(wanted, abs=0.05)
    text = format_osu(found.chart)
    assert rosu.Difficulty().calculate(rosu.Beatmap(content=text)).stars == pytest.approx(found.stars, abs=1e-3)


def test_the_spliced_chart_is_nearer_to_the_target_than_any_take():
    splicer, target = CandidateSplicer(TAKES, chart_of), ChartTarget(1.9)
    alone = [splicer.splice(target, usable=[number]) for number in range(len(TAKES))]
    found = splicer.splice(target)
    assert found.cost < min(one.cost for one in alone)
    assert splicer.splice(target, usable=[2]).chart == alone[2].chart


def test_density_is_missed_by_the_notes_in_other_bars():
    splicer = CandidateSplicer(TAKES, chart_of)
    alone = splicer.splice(ChartTarget(2.0), usable=[2])
    assert alone.density_miss == pytest.approx(0, abs=1e-9), "a take alone is what is usual"
    beside = splicer.splice(ChartTarget(float(splicer.measures.stars[2])), usable=[2, 4])
    assert 0 < beside.density_miss < 0.5


def test_hold_share_and_pattern_mix_move_to_the_request():
    takes = CandidateSet(GRID, [take(seed, 2.5, share) for seed, share in enumerate((0.0, 0.1, 0.4, 0.5))])
    splicer = CandidateSplicer(takes, chart_of)
    for share in (0.1, 0.3):
        found = splicer.splice(ChartTarget(2.0, hold_share=share))
        assert float(found.chart.is_hold.mean()) == pytest.approx(share, abs=0.06)
    mixes = []
    for share in (0.0, 1.0):
        patterns = tuple(share if name == "stream" else np.nan for name in FAMILIES)
        target = ChartTarget(2.0, patterns=patterns)
        mixes.append(float(target.mix_of(metrics_of(splicer.splice(target).chart))[0]))
    assert mixes[1] > mixes[0]


def test_equal_takes_give_equal_charts():
    first, again = (CandidateSplicer(TAKES, chart_of).splice(ChartTarget(1.9)) for _ in range(2))
    assert first.chart == again.chart


def slow_stars(peaks: list[float]) -> float:
    ordered = sorted(peaks, reverse=True)
    return sum(value * PEAK_WEIGHT**rank for rank, value in enumerate(ordered)) * STARS_PER_STRAIN


peak_lists = st.lists(st.floats(0, 900), min_size=1, max_size=30)


@given(peak_lists, st.data())
def test_exchanged_stars_are_those_of_the_exchanged_peaks(peaks, data):
    begin = data.draw(st.integers(0, len(peaks)))
    end = data.draw(st.integers(begin, len(peaks)))
    other = data.draw(st.lists(st.floats(0, 900), min_size=len(peaks), max_size=len(peaks)))
    peak, result = np.array(peaks), np.zeros(1)
    order = np.argsort(-peak, kind="stable")
    one = np.zeros(1, np.int64)
    exchanged_stars(peak, order, np.array([other]), one, one + begin, one + end, result)
    assert result[0] == pytest.approx(slow_stars(peaks[:begin] + other[begin:end] + peaks[end:]), abs=1e-3)


def test_peaks_sum_to_the_official_stars():
    chart = chart_of(TAKES.rows[3])
    assert slow_stars(strain_curve(chart).peak.tolist()) == pytest.approx(
        CandidateSplicer(TAKES, chart_of).measures.stars[3], abs=1e-3
    )


def test_playing_like_people_s_charts_costs_nothing():
    assert playtest_miss(3.0, 3.2) == 0
    assert playtest_miss(2.0, 3.2) == pytest.approx(0.17)
    assert playtest_miss(5.0, 3.2) == pytest.approx(0.6)
