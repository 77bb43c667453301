"""The planned structure of charts: bars, rhythms, begin and end, holds, and the penalties that sampling takes from it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from numpy.typing import NDArray

from chart.grid import Grid, make_grid
from chart.model import TimingPoint
from mapper.sampling.row_penalties import (
    LONGEST_RUN,
    MAX_RECALL_BIAS,
    PRESSED,
    alternation_penalty,
    last_rows,
    next_recall_bias,
    recall_odds,
    shares_column,
)
from mapper.structure.bars import SLOTS_PER_BAR, BarGrid, BarSound
from mapper.structure.dynamics import density_odds
from mapper.structure.edges import edge_bars
from mapper.structure.fit import logistic
from mapper.structure.holds import BEGIN_GAIN, hold_odds, hold_share, song_profile
from mapper.structure.idle_holds import end_idle_holds
from mapper.structure.plan import NO_ROW, ROW, Marginals, StructurePlan
from mapper.structure.rhythm import SLOT_TICK, RhythmSettings, expected_rows, plan_rows
from mapper.structure.settings import settings
from mapper.tokens.row_codes import HOLD_END, HOLD_START, TAP, Rows
from mapper.tokens.vocabulary import MOTIF_LAGS

BEAT_MS = 500.0
PLAIN = RhythmSettings(1.5, 0.2, 0.2, 0.5, 1.0, 0.0, 2.0, 1.0, 1.0)


def song(bars: int = 24, first_ms: float = 250.0) -> tuple[Grid, NDArray[np.uint8]]:
    """A grid whose first red line lies within a bar of the audio's begin, and quiet and loud phrases of clicks."""
    duration = first_ms + bars * 4 * BEAT_MS
    grid = make_grid((TimingPoint(first_ms, BEAT_MS),), 0.0, duration)
    features = np.full((int(duration / 10) + 1, 64), 8, np.uint8)
    for beat in range(bars * 4):
        at = int((first_ms + beat * BEAT_MS) / 10)
        features[at : at + 5] = 60 if beat // 16 % 2 == 0 else 140
    return grid, features


def logits(grid: Grid, seed: int = 0) -> NDArray[np.float64]:
    """Log-odds that fall from beats to fine snaps, with some noise."""
    tick = grid.beat_tick
    base = np.select([tick == 0, tick == 24, tick % 12 == 0], [2.0, 0.5, -1.0], -5.0)
    return base + np.random.default_rng(seed).normal(0, 0.7, tick.size)


def test_bars_begin_with_the_first_red_line_and_go_back_to_slots() -> None:
    grid, _ = song(first_ms=1250.0)
    bars = BarGrid(grid)
    values = np.arange(grid.slot_ms.size)
    assert (bars.back(bars.slots(values, -1)) == values).all()
    at_red_line = int(np.argmin(np.abs(grid.slot_ms - 1250.0)))
    assert bars.bar_of_slot[at_red_line] == bars.bar_of_slot[at_red_line - 1] + 1
    assert bars.start_ms[bars.bar_of_slot[at_red_line]] == pytest.approx(1250.0)


@pytest.mark.parametrize("rows", [60, 150, 260])
def test_as_many_rows_are_planned_as_wanted_and_none_in_closed_slots(rows: int) -> None:
    grid, _ = song()
    closed = np.arange(grid.slot_ms.size) % 7 == 0
    planned = plan_rows(BarGrid(grid), logits(grid), ~closed, no_likeness(grid), rows, PLAIN, 0)
    assert abs(int(planned.sum()) - rows) <= max(2, 0.02 * rows)
    assert not planned[closed].any()
    gaps = np.diff(grid.slot_ms[planned])
    assert gaps.min() >= 40.0


def no_likeness(grid: Grid) -> NDArray[np.float64]:
    return np.full((grid.cells, len(MOTIF_LAGS)), 0.5)


def figures(planned: NDArray[np.bool_], grid: Grid) -> tuple[float, float]:
    """Share of bars that recur, and that are evenly spaced, counted slowly."""
    table = BarGrid(grid).slots(planned, False)
    ticks = [tuple(SLOT_TICK[bar].tolist()) for bar in table]
    filled = [number for number, bar in enumerate(ticks) if bar]
    recurs = [any(number >= lag and ticks[number - lag] == ticks[number] for lag in (1, 2, 4, 8)) for number in filled]
    even = [len(set(np.diff(ticks[number]))) == 1 for number in filled]
    return float(np.mean(recurs)), float(np.mean(even))


def test_recurrence_and_even_cost_do_what_they_say() -> None:
    grid, _ = song(48)
    found = {}
    for name, chosen in {
        "plain": PLAIN,
        "recurring": replace(PLAIN, recurrence=6.0),
        "uneven": replace(PLAIN, even_cost=6.0),
    }.items():
        planned = plan_rows(
            BarGrid(grid), logits(grid), np.ones(grid.slot_ms.size, bool), no_likeness(grid), 300, chosen, 3
        )
        found[name] = figures(planned, grid)
    assert found["recurring"][0] > found["plain"][0] + 0.2
    assert found["uneven"][1] < min(found["plain"][1], 0.1) + 1e-9


def test_bars_that_sound_alike_recur_more() -> None:
    grid, _ = song(48)
    bars, every = BarGrid(grid), np.ones(grid.slot_ms.size, bool)
    chosen = replace(PLAIN, likeness=8.0)
    shares = [
        figures(plan_rows(bars, logits(grid), every, np.full((grid.cells, 6), alike), 300, chosen, 3), grid)[0]
        for alike in (0.1, 0.9)
    ]
    assert shares[1] > shares[0] + 0.2


def test_the_seed_acts_and_repeats() -> None:
    grid, _ = song()
    args = (BarGrid(grid), logits(grid), np.ones(grid.slot_ms.size, bool), no_likeness(grid), 150, PLAIN)
    one, again, other = plan_rows(*args, 1), plan_rows(*args, 1), plan_rows(*args, 2)
    assert (one == again).all()
    assert (one != other).any()


def test_settings_are_interpolated_between_knots() -> None:
    table = settings().rhythm
    middle = RhythmSettings.at(table, (0.9 + 2.0) / 2)
    assert middle.interval_gain == pytest.approx(np.mean(table["interval_gain"][:2]))
    assert RhythmSettings.at(table, 0.1) == RhythmSettings.at(table, 0.9)


def test_expected_rows_are_those_of_slot_by_slot_sampling() -> None:
    open_slots = np.array([True, True, False, True])
    assert expected_rows(np.array([5.0, -5.0, 5.0, 5.0]), open_slots, 1.5, 0.0, 0.2) == 2
    assert expected_rows(np.zeros(4), open_slots, 1.5, 0.0, 0.2) == 2  # three at one half each


@dataclass
class Encoding:
    onset_logit: NDArray[np.float32]
    alike: NDArray[np.float32]
    open_slots: NDArray[np.bool_]


def plan_and_encoding(dynamics: float = 1.0, charts: int = 1) -> tuple[StructurePlan, Encoding]:
    grid, features = song(48)
    logit = np.stack([logits(grid, seed) for seed in range(charts)]).astype(np.float32)
    encoding = Encoding(logit, np.full((charts, grid.cells, 6), 0.5, np.float32), np.ones(grid.slot_ms.size, bool))
    return StructurePlan(grid, features, 0.0, 5, dynamics), encoding


def test_uniforms_say_row_or_no_row_and_leave_the_edges_empty() -> None:
    plan, encoding = plan_and_encoding()
    found = plan.uniforms(encoding, [1.2], [0.0], Marginals(1.5, 0.2))
    assert set(np.unique(found)) == {np.float32(ROW), np.float32(NO_ROW)}
    within = plan.open_slots(1.2, encoding.open_slots)
    assert not (found[0, ~within] == ROW).any()
    assert (found[0, within] == ROW).sum() > 50


def test_guidance_moves_the_plan_away_from_the_unconditional_chart() -> None:
    plan, encoding = plan_and_encoding(charts=2)
    plain = plan.uniforms(encoding, [3.0], [0.0], Marginals(1.5, 0.2))
    guided = plan.uniforms(encoding, [3.0], [0.0], Marginals(1.5, 0.2, 2.0))
    expected = replace_logit(encoding, 2 * encoding.onset_logit[:1] - encoding.onset_logit[1:])
    assert (guided == plan.uniforms(expected, [3.0], [0.0], Marginals(1.5, 0.2))).all()
    assert (guided != plain).any()


def replace_logit(encoding: Encoding, logit: NDArray[np.float32]) -> Encoding:
    return Encoding(logit, encoding.alike, encoding.open_slots)


def test_dynamics_bend_density_towards_the_predicted_curve() -> None:
    plan, _ = plan_and_encoding()
    weights = np.array([1.0, 0.0, 0.0, 0.0])
    less, usual, more = (density_odds(plan.sound, weights, 3.0, dynamics) for dynamics in (0.0, 1.0, 1.5))
    loud = plan.sound.loudness > 1.0
    assert more[loud].mean() > 0 > more[~loud].mean()
    assert more - usual == pytest.approx((usual - less) / 2)
    assert less[loud].mean() < 0 < usual[loud].mean() < more[loud].mean()


def test_easy_charts_begin_later_than_hard_ones_and_edges_stay_in_the_song() -> None:
    grid, features = song(60)
    sound = BarSound.of(BarGrid(grid), features, 0.0)
    first = [edge_bars(sound, stars, settings().begin, settings().end) for stars in (1.0, 2.0, 5.0)]
    assert first[0][0] >= first[2][0]
    for begin, end in first:
        assert 0 <= begin < end < sound.loudness.size


def test_hold_share_is_one_that_people_write_and_follows_the_prediction() -> None:
    grid, features = song()
    profile = song_profile(features, grid)
    fitted = settings()
    share = hold_share(profile, fitted)
    assert fitted.hold_people[0] <= share <= fitted.hold_people[-1]
    raised = profile + 3 * fitted.hold_deviation * np.sign(fitted.hold_weights[1:])
    lowered = profile - 3 * fitted.hold_deviation * np.sign(fitted.hold_weights[1:])
    assert hold_share(lowered, fitted) < hold_share(raised, fitted)


def test_holds_are_favoured_where_the_sound_lasts() -> None:
    grid, features = song()
    lasting = 250.0 + 8 * BEAT_MS
    features[int(lasting / 10) : int(lasting / 10) + 120] = 200
    begin, end = hold_odds(features, grid, 0.0)
    at = int(np.argmin(np.abs(grid.slot_ms - lasting)))
    assert begin[at] > 0.45 * BEGIN_GAIN
    assert begin.mean() == pytest.approx(0, abs=1e-9)
    assert end[at] > end.mean()


def test_logistic_finds_the_weights_it_was_made_from() -> None:
    random = np.random.default_rng(0)
    features = np.column_stack((np.ones(20_000), random.normal(0, 2, 20_000)))
    chance = 1 / (1 + np.exp(-(features @ [-1.0, 0.5])))
    found = logistic(features, (random.random(20_000) < chance).astype(float), 1.0)
    assert found == pytest.approx([-1.0, 0.5], abs=0.08)


def code_of(mask: int) -> int:
    return sum(TAP << (2 * key) for key in range(4) if mask >> key & 1)


def rows_before(masks: list[int], gap_ms: float = 100.0) -> tuple[int, int, int]:
    code_at = np.array([code_of(mask) for mask in masks] + [0], np.int16)
    return last_rows(code_at, len(masks), np.arange(len(masks) + 1) * gap_ms)


def test_last_rows_counts_an_alternation_back() -> None:
    assert rows_before([1, 7, 8, 7, 8]) == (7, 8, 4)
    assert rows_before([1, 2, 0, 4]) == (2, 4, 2)
    assert rows_before([3, 3]) == (3, 3, 1)
    assert rows_before([7, 8], gap_ms=600.0) == (0, 0, 0)
    assert rows_before([7, 8] * 20)[2] > LONGEST_RUN


def test_two_rows_in_turn_with_a_chord_of_three_are_penalised_ever_more_and_end_after_twelve() -> None:
    second, last, rows = rows_before([7, 8, 7, 8])
    first = alternation_penalty(code_of(7), second, last, 2, 1.0)
    assert first == 1.0
    assert alternation_penalty(code_of(7), second, last, rows, 1.0) > first
    assert alternation_penalty(code_of(7), *rows_before([7, 8] * 6), 1.0) == np.inf
    assert alternation_penalty(code_of(1), second, last, rows, 1.0) == 0.0
    assert alternation_penalty(code_of(7), second, last, rows, 0.0) == 0.0
    assert alternation_penalty(code_of(1), *rows_before([1, 8]), 1.0) == 0.0  # singles may trill
    assert PRESSED[code_of(7)] == 7
    assert SLOT_TICK.size == SLOTS_PER_BAR


def test_columns_are_recalled_after_a_rest_and_chords_are_no_likelier_for_it() -> None:
    before = code_of(0b0001)
    again, other = (recall_odds(code_of(mask), before, 24, 300.0, 2.0) for mask in (0b0001, 0b0010))
    assert again - other == pytest.approx(2.0)
    sooner = [recall_odds(code_of(mask), before, 12, 120.0, 2.0) for mask in (0b0001, 0b0010)]
    assert sooner[0] - sooner[1] == pytest.approx(1.0)
    assert recall_odds(code_of(1), before, 12, 90.0, 2.0) == 0.0
    for masks in ([1, 2, 4, 8], [3, 5, 6, 9, 10, 12], [7, 11, 13, 14]):
        odds = [recall_odds(code_of(mask), before, 24, 300.0, 2.0) for mask in masks]
        assert np.mean(np.exp(odds)) == pytest.approx(1.0)
    assert shares_column(code_of(0b0101), code_of(0b0100))
    assert not shares_column(code_of(0b0101), code_of(0b1010))


def test_the_running_recall_bias_comes_to_rest_at_the_share_and_stays_bounded() -> None:
    random, bias, again = np.random.default_rng(0), 0.0, []
    for _ in range(4000):
        again.append(random.random() < 1 / (1 + np.exp(3.5 - bias)))  # a network that repeats 3 % by itself
        bias = next_recall_bias(bias, again[-1], 0.17)
    assert np.mean(again) == pytest.approx(0.17, abs=0.01)
    for _ in range(200):
        bias = next_recall_bias(bias, False, 0.17)
    assert bias == MAX_RECALL_BIAS


def test_a_hold_into_a_break_ends_where_the_sound_does() -> None:
    grid, _ = song()
    beat = np.flatnonzero((grid.beat_tick == 0) & grid.usable)
    start = HOLD_START | TAP << 2
    rows = Rows(beat[[0, 2, 20, 21]], np.array([start, HOLD_START << 4, HOLD_END | HOLD_END << 4, TAP]))
    hold_end = np.zeros(grid.slot_ms.size)
    hold_end[beat[6]], hold_end[beat[15]] = 1.0, 2.0  # the second lies too far behind the last row
    mended = end_idle_holds(rows, grid, hold_end)
    assert mended.slot.tolist() == beat[[0, 2, 6, 21]].tolist()
    assert mended.code.tolist() == [start, HOLD_START << 4, HOLD_END | HOLD_END << 4, TAP]
    again = end_idle_holds(mended, grid, hold_end)
    assert again.slot.tolist() == mended.slot.tolist()


def test_holds_over_rows_and_releases_beside_notes_stay() -> None:
    grid, _ = song()
    beat = np.flatnonzero((grid.beat_tick == 0) & grid.usable)
    short = Rows(beat[[0, 3, 6, 7]], np.array([HOLD_START, TAP << 2, TAP << 2, HOLD_END]))
    assert end_idle_holds(short, grid, np.zeros(grid.slot_ms.size)) is short
    beside = Rows(beat[[0, 12]], np.array([HOLD_START, HOLD_END | TAP << 2]))
    mended = end_idle_holds(beside, grid, np.zeros(grid.slot_ms.size))
    assert mended.slot.tolist() == beat[[0, 2, 12]].tolist()
    assert mended.code.tolist() == [HOLD_START, HOLD_END, TAP << 2]
