"""The judgement kernels against the game's own counts, against a slow twin, and rule by rule."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agents.calibration.real_plays import read_plays
from agents.judgement.accuracy import accuracy_320, accuracy_lazer, accuracy_scorev2, accuracy_stable, letter
from agents.judgement.judge import MAX_COMBO, SCORE, hit_windows, judge, presses_of
from agents.judgement.mods import mods_of
from chart.model import Chart, Difficulty
from runtime.errors import ChartFileError, ConfigError
from tests.reference_judgement import judge_slowly, windows_of

KNOWN_OFF = {
    ("05f0366dd3", "stable"): [0, 0, 4, -4, 0, 0],
    ("fc7ec551f8", "scorev2"): [0, 0, 0, 1, -1, 0],
}
"""Judgements of real plays that come out otherwise than in the game, by map; docs/agents.md says what is known of them."""
OD8 = Difficulty(hp=8.0, od=8.0)  # windows 16, 40, 73, 103, 127, 164


def chart_of(*notes: tuple[float, int, float | None], od: float = 8.0) -> Chart:
    time, column, end = zip(*notes, strict=True) if notes else ((), (), ())
    ends = [np.nan if value is None else value for value in end]
    return Chart.from_notes(time, column, ends, difficulty=Difficulty(8.0, od))


def keys(*presses: tuple[int, int, int]):
    """(column, down, up) → presses."""
    events = sorted([(down, c, True) for c, down, _ in presses] + [(up, c, False) for c, _, up in presses])
    time, column, down = (np.array(part) for part in zip(*events, strict=True)) if events else (np.zeros(0),) * 3
    return presses_of(time, column, down.astype(bool))


def grades(chart: Chart, *presses: tuple[int, int, int], mods: str = "", rules: str = "stable") -> list[int]:
    return judge(chart, keys(*presses), mods, rules).grade[0].tolist()


@pytest.mark.parametrize(
    ("od", "mods", "rules", "widths"),
    [
        (8.0, "", "stable", [16, 40, 73, 103, 127, 164]),
        (8.4, "", "stable", [16, 38, 71, 101, 125, 162]),
        (0.0, "", "stable", [16, 64, 97, 127, 151, 188]),
        (8.0, "DT", "stable", [24, 60, 109, 154, 190, 246]),
        (8.0, "HT", "stable", [12, 30, 54, 77, 95, 123]),
        (8.0, "EZ", "stable", [22, 56, 102, 144, 177, 229]),
        (8.0, "HR", "stable", [11, 28, 52, 73, 90, 117]),
        (8.0, "", "lazer", [16, 40, 73, 103, 127, 164]),
        (5.0, "", "lazer", [19, 49, 82, 112, 136, 173]),
        (10.0, "", "lazer", [13, 34, 67, 97, 121, 158]),
    ],
)
def test_windows(od: float, mods: str, rules: str, widths: list[int]) -> None:
    assert hit_windows(od, mods, rules).tolist() == widths


@pytest.mark.parametrize(
    ("error", "grade"),
    [(0, 0), (16, 0), (17, 1), (-40, 1), (41, 2), (73, 2), (-74, 3), (-103, 3), (102, 3), (103, 5), (-104, 4),
     (-127, 4), (-128, 5), (-164, 5), (-165, 5)],
)  # fmt: skip
def test_a_tap_at_each_error(error: int, grade: int) -> None:
    judged = judge(chart_of((1000, 1, None)), keys((1, 1000 + error, 1060 + error)))
    assert judged.grade[0, 0] == grade
    assert np.isnan(judged.error_ms[0, 0]) == (error in (103, -165))


@pytest.mark.parametrize(
    ("presses", "grade"),
    [
        ([(1000, 1500)], 0),
        ([(1019, 1519)], 0),
        ([(1020, 1500)], 1),
        ([(1000, 1539)], 1),
        ([(1044, 1544)], 1),
        ([(1000, 1600)], 2),
        ([(1000, 1700)], 2),  # never let go: the tail counts as the 50 window, and 127 ≤ 2 × 73
        ([(1073, 1700)], 3),
        ([(1110, 1500)], 4),
        ([(1000, 1335)], 5),  # let go before the tail's 50 window, and not held again
        ([(1000, 1372)], 5),
        ([(1000, 1373)], 2),
        ([(1000, 1200), (1300, 1500)], 4),  # the head now counts from the second press
        ([(1000, 1010), (1040, 1500)], 2),  # which may still be a good one, but the hold was broken
        ([(850, 900), (1000, 1500)], 2),
        ([(850, 1500)], 4),  # too early for a grade: as if pressed at the very end
        ([(910, 950)], 5),
        ([(1300, 1500)], 4),  # a hold without its head can still be caught
        ([(1580, 1700)], 4),
        ([(1603, 1700)], 5),
        ([], 5),
    ],
)
def test_a_hold_under_scorev1(presses: list[tuple[int, int]], grade: int) -> None:
    chart = chart_of((1000, 0, 1500))
    assert grades(chart, *[(0, down, up) for down, up in presses]) == [grade]


def test_a_short_hold_let_go_before_its_tails_window_opens_is_over_then() -> None:
    # the tail's 50 window opens at 1100 − 127 while the head's is open: the next press is too late, and before a note
    # whose start has not come the column is locked
    chart = chart_of((1000, 0, 1100), (1300, 0, None))
    assert grades(chart, (0, 940, 960), (0, 990, 1100), (0, 1300, 1350)) == [5, 0]
    assert grades(chart, (0, 940, 960), (0, 970, 1100), (0, 1300, 1350)) == [2, 0]
    # of a long one it opens after the head's has closed, and there is time to press again
    assert grades(chart_of((1000, 0, 1500)), (0, 940, 960), (0, 990, 1500)) == [2]


def test_the_earliest_note_is_hit_and_a_press_before_the_previous_note_is_ignored() -> None:
    chart = chart_of((1000, 0, None), (1100, 0, None))
    assert grades(chart, (0, 1050, 1060)) == [2, 5]
    assert grades(chart, (0, 950, 960), (0, 990, 995), (0, 1100, 1120)) == [2, 0]
    # lazer gives the second press to the first note's follower only from that note's own time on
    assert grades(chart, (0, 1101, 1120), rules="lazer") == [5, 0]


def test_columns_do_not_lock_one_another() -> None:
    chart = chart_of((1000, 0, None), (1000, 3, None))
    assert grades(chart, (3, 1000, 1050)) == [5, 0]


def test_late_50_exists_in_lazer_only() -> None:
    chart = chart_of((1000, 0, None))
    assert grades(chart, (0, 1120, 1150)) == [5]
    assert grades(chart, (0, 1120, 1150), rules="lazer") == [4]


def test_lazer_judges_head_and_tail_apart_and_caps_a_broken_hold() -> None:
    chart = chart_of((1000, 0, 2000))
    fine = judge(chart, keys((0, 1000, 2024)), rules="lazer")
    assert (fine.grade[0, 0], fine.tail_grade[0, 0]) == (0, 0)  # 24 / 1.5 is within MAX
    broken = judge(chart, keys((0, 1000, 1500), (0, 1600, 2000)), rules="lazer")
    assert (broken.grade[0, 0], broken.tail_grade[0, 0]) == (0, 4)
    held = judge(chart, keys((0, 1000, 2500)), rules="lazer")
    assert held.tail_grade[0, 0] == 5


def test_rates_scale_map_time_windows_and_real_errors() -> None:
    chart = chart_of((1000, 0, None))
    judged = judge(chart, keys((0, 1024, 1080)), "DT")
    assert judged.grade[0, 0] == 0
    assert judged.error_ms[0, 0] == pytest.approx(16.0)


def test_mirror_swaps_columns() -> None:
    assert grades(chart_of((1000, 0, None)), (3, 1000, 1050), mods="MR") == [0]


def test_scorev2_judges_head_and_tail_apart_with_stables_lock() -> None:
    chart = chart_of((1000, 0, 1500))

    def both(*presses: tuple[int, int]) -> tuple[int, int]:
        judged = judge(chart, keys(*[(0, down, up) for down, up in presses]), rules="scorev2")
        return int(judged.grade[0, 0]), int(judged.tail_grade[0, 0])

    assert both((1000, 1524)) == (0, 0)  # 24 / 1.5 is within MAX
    assert both((1000, 1525)) == (0, 1)
    assert both((1041, 1500)) == (2, 0)  # the head's windows are not widened
    assert both((1000, 1654)) == (0, 3)  # 1.5 · W100 = 154.5 late
    assert both((1000, 2000)) == (0, 3)  # held on: as if let go then
    assert both((1000, 1373)) == (0, 3)  # 127 early is 84.7 of 1.5
    assert both((1000, 1372)) == (0, 5)  # the window in which a hold may end is not widened: let go, and not held again
    assert both((1000, 1200), (1300, 1500)) == (0, 4)  # let go and held again: a 50 at best
    assert both((1000, 1200), (1501, 1560)) == (0, 5)  # by its end at the latest
    assert both((1000, 1200)) == (0, 5)
    assert both((1120, 1500)) == (5, 4)  # 103 late is a miss, but the tail can be caught
    assert both((1120, 1700)) == (5, 4)
    assert both() == (5, 5)
    two = chart_of((1000, 0, None), (1100, 0, None))
    assert grades(two, (0, 1050, 1060), rules="scorev2") == [2, 5]
    assert grades(two, (0, 950, 960), (0, 990, 995), (0, 1100, 1120), rules="scorev2") == [2, 0]


@pytest.mark.parametrize(
    ("let_go", "pressed", "expected"),
    [
        (1110, 1290, [(5, 5), (5, 5)]),  # up while its head's 50 window was open: it stays open and takes the press
        (1150, 1290, [(5, 5), (0, 0)]),  # up later, inside the tail's window: over at once
        (1110, 1355, [(5, 5), (1, 0)]),  # 1.5 · W100 after its end it is over in any case
    ],
)
def test_scorev2_a_hold_with_a_missed_head_takes_the_next_press_while_it_is_open(
    let_go: int, pressed: int, expected: list[tuple[int, int]]
) -> None:
    second = 1290 if pressed == 1290 else 1335
    chart = chart_of((900, 0, None), (1000, 0, 1200), (second, 0, second + 300))
    judged = judge(chart, keys((0, 900, let_go), (0, pressed, second + 300)), rules="scorev2")
    assert list(zip(judged.grade[0, 1:].tolist(), judged.tail_grade[0, 1:].tolist(), strict=True)) == expected


def test_a_perfect_play_scores_a_million_and_full_combo() -> None:
    chart = chart_of(*[(1000 + 200 * n, n % 4, None) for n in range(40)])
    presses = keys(*[(n % 4, 1000 + 200 * n, 1060 + 200 * n) for n in range(40)])
    for rules in ("stable", "scorev2", "lazer"):
        totals = judge(chart, presses, rules=rules).totals[0]
        assert totals[SCORE] == pytest.approx(1_000_000)
        assert totals[MAX_COMBO] == 40


def test_health_runs_out_without_hits() -> None:
    chart = chart_of(*[(1000 + 200 * n, n % 4, None) for n in range(40)])
    judged = judge(chart, keys())
    # (8 + 1) · 0.0075 a miss: empty at the 15th, which is given up 102 ms after its time
    assert judged.totals[0, 11] == 1000 + 200 * 14 + 103
    assert judged.totals[0, 10] < 0


@pytest.mark.parametrize(
    ("counts", "stable", "apart"),
    [
        ([1, 0, 0, 0, 0, 0], 1.0, 1.0),
        ([0, 1, 0, 0, 0, 0], 1.0, 300 / 305),
        ([0, 0, 1, 0, 0, 0], 200 / 300, 200 / 305),
        ([1, 0, 0, 1, 0, 0], 400 / 600, 405 / 610),
        ([0, 0, 0, 0, 1, 1], 50 / 600, 50 / 610),
        ([0] * 6, 1.0, 1.0),
    ],
)
def test_accuracy_as_each_client_shows_it(counts: list[int], stable: float, apart: float) -> None:
    assert accuracy_stable(counts) == pytest.approx(stable)
    assert accuracy_scorev2(counts) == accuracy_lazer(counts) == pytest.approx(apart)
    assert accuracy_stable([counts, counts]).tolist() == pytest.approx([stable, stable])


def test_letters() -> None:
    marks = [letter(value) for value in (1.0, 0.9999, 0.95, 0.9499, 0.9, 0.8, 0.7, 0.6999)]
    assert marks == ["SS", "S", "S", "A", "A", "B", "C", "D"]


def test_accuracy_weighs_a_max_320() -> None:
    assert accuracy_320([1, 0, 0, 0, 0, 0]) == 1.0
    assert accuracy_320([0, 1, 0, 0, 0, 0]) == pytest.approx(300 / 320)
    assert accuracy_320([0] * 6) == 1.0


NOTE = st.tuples(st.integers(60, 400), st.integers(0, 3), st.one_of(st.none(), st.integers(10, 300)))
PRESS = st.tuples(st.integers(2, 200), st.integers(0, 3), st.integers(1, 150))


def _laid_out(notes: list, presses: list) -> tuple[list, list]:
    """Gaps and lengths → notes and presses by column that do not overlap in it."""
    columns: list[list] = [[] for _ in range(4)]
    for gap, column, length in notes:
        last = columns[column][-1] if columns[column] else (500, None)
        start = (last[1] or last[0]) + gap
        columns[column].append((start, None if length is None else start + length))
    taps: list[list] = [[] for _ in range(4)]
    for gap, column, length in presses:
        down = (taps[column][-1][1] if taps[column] else 500) + gap
        taps[column].append((down, down + length))
    return columns, taps


@given(
    st.lists(NOTE, min_size=1, max_size=24),
    st.lists(PRESS, max_size=40),
    st.sampled_from([0.0, 5.0, 6.8, 8.4, 10.0]),
    st.sampled_from(["", "DT", "HR", "EZHT"]),
    st.sampled_from(["stable", "scorev2", "lazer"]),
)
@example([(400, 0, 200)], [(85, 0, 20), (60, 0, 150)], 8.4, "", "stable")
@example([(400, 0, 68), (136, 0, 137)], [(385, 0, 260), (20, 0, 90)], 7.0, "", "scorev2")
@example([(400, 0, 60)], [(340, 0, 30), (115, 0, 20)], 7.0, "", "scorev2")
def test_kernels_equal_the_slow_twin(notes: list, presses: list, od: float, mods: str, rules: str) -> None:
    columns, taps = _laid_out(notes, presses)
    chart = chart_of(*[(start, c, end) for c in range(4) for start, end in columns[c]], od=od)
    modifiers = mods_of(mods)
    windows = windows_of(od, modifiers.rate, modifiers.window_scale, rules != "stable")
    assert windows == hit_windows(od, mods, rules).tolist()
    judged = judge(chart, keys(*[(c, down, up) for c in range(4) for down, up in taps[c]]), mods, rules)
    slow = judge_slowly(columns, taps, windows, rules)
    for c in range(4):
        mine = np.flatnonzero(chart.column == c)
        assert judged.grade[0, mine].tolist() == [note["grade"] for note in slow[c]]
        for fast, name in ((judged.error_ms, "error"), (judged.release_error_ms, "tail")):
            expected = [np.nan if note[name] is None else note[name] / modifiers.rate for note in slow[c]]
            np.testing.assert_allclose(fast[0, mine], expected, rtol=1e-6)
        if rules != "stable":
            tails = [-1 if note["tail_grade"] is None else note["tail_grade"] for note in slow[c]]
            assert judged.tail_grade[0, mine].tolist() == tails


@pytest.mark.shared
def test_parity_with_the_game(shared_data: Path) -> None:
    plays = read_plays(shared_data / "players")
    assert len(plays) == 94
    assert sum(real.rules == "stable" for real in plays) == 93
    for real in plays:
        off = real.judged().totals[0, :6] - real.counts
        assert off.tolist() == KNOWN_OFF.get((real.map_name, real.rules), [0] * 6)


@pytest.mark.shared
def test_slow_twin_agrees_on_real_plays(shared_data: Path) -> None:
    plays = read_plays(shared_data / "players")
    for real in (plays[5], plays[83]):  # pure Python: one of taps, one that mashes holds
        chart, presses = real.chart, real.presses
        column = 3 - chart.column if real.mods.mirror else chart.column
        columns = [
            [(int(t), None if np.isnan(e) else int(e))
             for t, e in zip(chart.time_ms[column == c], chart.end_ms[column == c], strict=True)]
            for c in range(4)
        ]  # fmt: skip
        taps = []
        for c in range(4):
            inside = slice(presses.press_at[c], presses.press_at[c] + presses.count[0, c])
            taps.append(
                [(int(a), int(b)) for a, b in zip(presses.press[0, inside], presses.release[0, inside], strict=True)]
            )
        slow = judge_slowly(columns, taps, windows_of(chart.difficulty.od, 1.0, 1.0, False))
        fast = real.judged().grade[0]
        for c in range(4):
            assert fast[column == c].tolist() == [note["grade"] for note in slow[c]]


@pytest.mark.parametrize(
    ("mods", "message"),
    [("XX", "no modifier is called 'XX'"), ("DTHT", "contradict"), (4, "does not know"), ("EZHR", "contradict")],
)
def test_bad_mods(mods: str | int, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        mods_of(mods)


def test_other_key_counts_and_broken_times_are_refused() -> None:
    with pytest.raises(ChartFileError, match="column 6; only 4K"):
        judge(chart_of((1000, 6, None)), keys())
    with pytest.raises(ChartFileError, match="no finite time"):
        judge(chart_of((np.inf, 0, None)), keys())
    with pytest.raises(ChartFileError, match="more than the 200,000"):
        judge(Chart.from_notes(np.arange(200_001.0), np.zeros(200_001, np.int8)), keys())
    with pytest.raises(ConfigError, match="rules are 'wife'"):
        judge(chart_of((1000, 0, None)), keys(), rules="wife")
