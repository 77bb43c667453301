"""Every rule on hand-made charts: both sides of its threshold at 100, 180 and 260 BPM, at the right place, nowhere else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from chart.model import Chart, Difficulty, TimingPoint
from reward.core.batch_view import view_of
from reward.rules.check import all_rules, check, count
from reward.rules.criteria import Level, Rule, leniency, level_of, snap_scale

TEMPOS = (100.0, 180.0, 260.0)
SCALE = {100.0: 5 / 3, 180.0: 1.0, 260.0: 0.5}
"""By how much a snap counts; written out by hand: 1 + (120 − 100) / 30 at 100 BPM, one half above 240."""
RUN_OF_5 = {100.0: 5, 180.0: 5, 260.0: 7}
RUN_OF_9 = {100.0: 10, 180.0: 9, 260.0: 12}
ANCHOR_OF_3 = {100.0: 3, 180.0: 3, 260.0: 4}
ANCHOR_OF_5 = {100.0: 5, 180.0: 5, 260.0: 7}
START_MS = 2000.0

Note = tuple[float, int] | tuple[float, int, float]


def make(notes: list[Note], bpm: float) -> Chart:
    """A chart of (scaled beat, column[, length in scaled beats]), times rounded as in a file."""
    beat_ms = 60_000.0 / bpm / SCALE[bpm]
    time = [round(START_MS + note[0] * beat_ms) for note in notes]
    end = [round(START_MS + (note[0] + note[2]) * beat_ms) if len(note) == 3 else np.nan for note in notes]
    return Chart.from_notes(
        time, [note[1] for note in notes], end, timing_points=(TimingPoint(START_MS, 60_000 / bpm),)
    )


def run(step: float, rows: int, columns: tuple[int, ...] = (0, 1, 2, 3), start: float = 0.0) -> list[Note]:
    return [(start + step * k, columns[k % len(columns)]) for k in range(rows)]


def chords(step: float, rows: list[tuple[int, ...]], start: float = 0.0) -> list[Note]:
    return [(start + step * k, column) for k, row in enumerate(rows) for column in row]


def phrase_rows(step: float, bpm: float) -> int:
    """Rows of a run that lasts 16 beats of the song at most."""
    return int(16 * SCALE[bpm] / step + 1e-9) + 1


def mixed(rows: int) -> list[Note]:
    return run(1 / 8, rows, (0, 2, 1, 3, 1, 2))


SPLIT = ((0, 2), (1, 3))

# name → (notes that break the rule, scaled beats where it must fire), notes that just obey it; by BPM
TABLE = {
    "easy-quarter": lambda b: (run(1 / 4, 2), [0.0], run(0.3, 2)),
    "easy-half-run": lambda b: (run(1 / 2, RUN_OF_5[b] + 1), [0.0], run(1 / 2, RUN_OF_5[b])),
    "easy-chord": lambda b: (chords(2, [(0,), (0, 1, 2)]), [2.0], chords(2, [(0,), (0, 1)])),
    "easy-chord-in-run": lambda b: (chords(0.5, [(0,), (1, 2), (3,)]), [0.5], chords(0.5, [(0,), (3,), (1, 2)])),
    "easy-short-hold": lambda b: ([(0, 0, 1.0), (3, 1, 0.9)], [3.0], [(0, 0, 1.0), (3, 1, 1.0)]),
    "easy-releases": lambda b: ([(0, 0, 2.0), (0, 2, 2.9)], [0.0], [(0, 0, 2.0), (0, 2, 3.0), (0, 1, 2.0)]),
    "easy-note-in-hold": lambda b: ([(0, 0, 1.0), (0.5, 2)], [0.0], [(0, 0, 1.0), (1, 2), (4, 0, 1.2), (4.5, 2)]),
    "normal-sixth": lambda b: (run(1 / 6, 2), [0.0], run(0.2, 2)),
    "normal-quarter-run": lambda b: (run(1 / 4, RUN_OF_5[b] + 1), [0.0], run(1 / 4, RUN_OF_5[b])),
    "normal-no-rest": lambda b: (run(1 / 2, phrase_rows(0.5, b) + 1), [0.0], run(1 / 2, phrase_rows(0.5, b))),
    "normal-chord": lambda b: (
        [(0, 0, 2.0), (1, 1), (1, 2)],
        [1.0],
        [(0, 0, 2.0), (1, 2), (1, 3), (4, 0), (4, 1)],  # a double by the free hand is fine
    ),
    "normal-chord-in-run": lambda b: (chords(0.25, [(0,), (1, 2), (3,)]), [0.25], chords(0.25, [(1, 2), (0,), (3,)])),
    "normal-anchor": lambda b: (
        run(1 / 4, 2 * ANCHOR_OF_3[b] - 1, (0, 1, 0, 2)),
        [0.0],
        run(1 / 4, max(2 * ANCHOR_OF_3[b] - 3, 4), (0, 1, 2, 3)),
    ),
    "normal-quarter-jack": lambda b: (run(1 / 4, 2, (1,)), [0.0], run(0.3, 2, (1,))),
    "normal-short-hold": lambda b: ([(0, 0, 0.45)], [0.0], [(0, 0, 0.5)]),
    "normal-releases": lambda b: ([(0, 0, 1.0), (0, 2, 1.4)], [0.0], [(0, 0, 1.0), (0, 2, 1.5)]),
    "normal-note-in-hold": lambda b: ([(0, 0, 0.5), (0.25, 2)], [0.0], [(0, 0, 0.5), (0.5, 2)]),
    "normal-fast-in-hold": lambda b: ([(0, 0, 1.0), (0.4, 2)], [0.0], [(0, 0, 1.0), (0.5, 2), (1.0, 3)]),
    "normal-quarter-shield": lambda b: ([(0, 0), (0.25, 0, 1.0)], [0.25], [(0, 0), (0.3, 0, 1.0), (3, 1, 1.0)]),
    "hard-eighth": lambda b: (run(1 / 8, 4), [0.0], run(1 / 8, 3)),
    "hard-trill": lambda b: (run(1 / 4, RUN_OF_9[b] + 1, (0, 2)), [0.0], run(1 / 4, RUN_OF_9[b], (0, 2))),
    "hard-no-rest": lambda b: (run(1 / 4, phrase_rows(0.25, b) + 1), [0.0], run(1 / 4, phrase_rows(0.25, b))),
    "hard-chord": lambda b: (chords(1, [(0, 1, 2), (0, 1, 2, 3)]), [1.0], chords(1, [(0, 1, 2), (1, 2, 3)])),
    "hard-close-chords": lambda b: (
        chords(1 / 4, [(0, 1), (2,), (3,), (0, 1), (2,)]),
        [0.75],
        chords(1 / 4, [(0, 1), (2,), (3,), (2,), (0, 1)]),
    ),
    "hard-chord-in-run": lambda b: (chords(1 / 6, [(0,), (1, 2), (3,)]), [1 / 6], chords(1 / 6, [(0,), (3,), (1, 2)])),
    "hard-anchor": lambda b: (
        run(1 / 4, 2 * ANCHOR_OF_5[b] - 1, (0, 1, 0, 2, 0, 3)),
        [0.0],
        run(1 / 4, 2 * ANCHOR_OF_5[b] - 3, (0, 1, 0, 2, 0, 3)),
    ),
    "hard-quarter-jack": lambda b: (run(1 / 4, 3, (1,)), [0.0], run(1 / 4, 2, (1,)) + run(1 / 4, 2, (2,), start=1.5)),
    "hard-short-hold": lambda b: ([(0, 0, 0.2)], [0.0], [(0, 0, 0.25)]),
    "insane-complex-eighths": lambda b: (mixed(34), [0.0], [*mixed(33), *run(1 / 8, 40, start=8.0)]),
    "insane-hold-stream": lambda b: (
        [(k / 6, k % 4, 0.2) for k in range(4)],
        [0.0],
        [(k / 6, k % 4, 0.2) for k in range(3)],
    ),
    "insane-split-jumptrill": lambda b: (
        chords(1 / 4, [SPLIT[k % 2] for k in range(RUN_OF_9[b] + 1)]),
        [0.0],
        chords(1 / 4, [SPLIT[k % 2] for k in range(RUN_OF_9[b])]),
    ),
    "insane-split-to-hand": lambda b: (
        chords(1 / 4, [*(SPLIT[k % 2] for k in range(8)), (0, 1, 2)]),
        [0.0],
        chords(1 / 4, [*(SPLIT[k % 2] for k in range(7)), (0, 1, 2)]),
    ),
    "insane-chord-in-run": lambda b: (
        chords(1 / 8, [(0,), (1, 2), (3,)]),
        [1 / 8],
        chords(1 / 8, [(0,), (3,), (1, 2)]),
    ),
    "hold-under-1/12": lambda b: ([(0, 0, 0.07)], [0.0], [(0, 0, 1 / 12)]),
}


def rule(name: str) -> Rule:
    return next(one for one in all_rules() if one.name == name)


def fires_at(name: str, chart: Chart) -> list[float]:
    """Chart times at which the rule fires on its own level."""
    found = check(chart, min(rule(name).levels))
    return [finding.start_ms for finding in found if finding.rule == name]


@pytest.mark.parametrize("bpm", TEMPOS)
@pytest.mark.parametrize("name", sorted(TABLE))
def test_a_level_rule_fires_on_one_side_of_its_threshold_only(name: str, bpm: float) -> None:
    bad, beats, good = TABLE[name](bpm)
    wanted = [round(START_MS + beat * 60_000 / bpm / SCALE[bpm]) for beat in beats]
    assert fires_at(name, make(bad, bpm)) == wanted
    assert fires_at(name, make(good, bpm)) == []


MS_TABLE = {
    # name → notes as (ms, column[, end ms]) that break the rule, when it fires, notes that just obey
    "concurrent-notes": ([(0, 0), (0, 0)], [0], [(0, 0), (0, 1)]),
    "note-in-hold": ([(0, 0, 500), (400, 0)], [400], [(0, 0, 500), (400, 1), (531, 0)]),
    "hold-backwards": ([(500, 0, 500)], [500], [(500, 0, 501)]),
    "column-gap": ([(0, 0, 500), (530, 0), (560, 0)], [530, 560], [(0, 0, 500), (531, 0), (562, 0)]),
    "hold-under-20-ms": ([(0, 0, 19)], [0], [(0, 0, 20)]),
    "hold-under-30-ms": ([(0, 0, 29), (100, 0, 120)], [0, 100], [(0, 0, 30), (100, 0, 119)]),
}


@pytest.mark.parametrize("bpm", TEMPOS)
@pytest.mark.parametrize("name", sorted(MS_TABLE))
def test_a_millisecond_rule_fires_on_one_side_of_its_threshold_at_any_tempo(name: str, bpm: float) -> None:
    bad, wanted, good = MS_TABLE[name]
    for notes, times in ((bad, wanted), (good, [])):
        end = [note[2] if len(note) == 3 else np.nan for note in notes]
        points = (TimingPoint(0.0, 60_000 / bpm),)
        chart = Chart.from_notes([n[0] for n in notes], [n[1] for n in notes], end, timing_points=points)
        assert fires_at(name, chart) == times


@pytest.mark.parametrize("bpm", TEMPOS)
@pytest.mark.parametrize(("off_ms", "fires"), [(1.0, False), (-1.0, False), (2.0, True), (-2.0, True)])
def test_notes_and_releases_are_unsnapped_from_two_milliseconds_on(bpm: float, off_ms: float, fires: bool) -> None:
    beat_ms = 60_000 / bpm
    chart = Chart.from_notes([4 * beat_ms + off_ms], [0], timing_points=(TimingPoint(0.0, beat_ms),))
    assert bool(fires_at("unsnapped-note", chart)) is fires
    hold = Chart.from_notes([0.0], [0], [4 * beat_ms + off_ms], timing_points=(TimingPoint(0.0, beat_ms),))
    assert bool(fires_at("unsnapped-release", hold)) is fires
    assert not fires_at("unsnapped-note", hold)


def counted(counts: tuple[int, int, int, int]) -> Chart:
    column = np.repeat(np.arange(4), counts)
    return Chart.from_notes(np.arange(column.size) * 500.0, column, timing_points=(TimingPoint(0.0, 500.0),))


def test_column_share_warns_beyond_a_fifth_of_the_mean_and_names_the_columns() -> None:
    assert fires_at("column-share", counted((119, 94, 94, 93))) == []
    finding = next(f for f in check(counted((121, 93, 93, 93)), Level.EXPERT) if f.rule == "column-share")
    assert finding.columns == (0,)
    assert "21 %" in finding.text


def test_an_empty_column_is_a_problem() -> None:
    assert fires_at("empty-column", counted((10, 10, 10, 10))) == []
    finding = next(f for f in check(counted((10, 0, 10, 10)), Level.EXPERT) if f.rule == "empty-column")
    assert (finding.severity, finding.columns) == ("problem", (1,))


def test_a_note_in_a_break_is_a_problem() -> None:
    chart = counted((2, 2, 2, 2))
    assert fires_at("note-in-break", replace(chart, breaks=((1000.0, 1500.0),))) == []
    assert fires_at("note-in-break", replace(chart, breaks=((900.0, 1400.0),))) == [1000.0]


@pytest.mark.parametrize(("level", "cap"), [("easy", 7.0), ("normal", 7.5), ("hard", 8.0)])
def test_hp_and_od_have_caps_by_level(level: str, cap: float) -> None:
    chart = counted((2, 2, 2, 2))
    assert fires_at(f"hp-od-{level}", replace(chart, difficulty=Difficulty(hp=cap, od=cap))) == []
    assert fires_at(f"hp-od-{level}", replace(chart, difficulty=Difficulty(hp=1.0, od=cap + 0.1))) == [0.0]


@pytest.mark.parametrize(
    ("level", "low", "high"), [("normal", 0.9, 1.05), ("hard", 0.8, 1.1), ("insane", 0.7, 1.1), ("expert", 0.6, 1.1)]
)
@pytest.mark.parametrize("bpm", TEMPOS)
def test_long_term_scroll_speed_has_a_range_by_level(level: str, low: float, high: float, bpm: float) -> None:
    beat = 60_000 / bpm

    def chart(speed: float, measures: float) -> Chart:
        change, back = 8 * beat, (8 + 4 * measures) * beat
        points = (
            TimingPoint(0.0, beat),
            TimingPoint(change, -100 / speed, uninherited=False),
            TimingPoint(back, -100.0, uninherited=False),
        )
        return Chart.from_notes(np.arange(100) * beat, np.arange(100) % 4, timing_points=points)

    name = f"scroll-speed-{level}"
    assert fires_at(name, chart(low, 5)) == fires_at(name, chart(high, 5)) == []
    assert fires_at(name, chart(low - 0.05, 4)) == []  # four measures are not yet long-term
    assert fires_at(name, chart(low - 0.05, 5)) == fires_at(name, chart(high + 0.05, 5)) == [8 * beat]
    assert bool(fires_at("scroll-speed-easy", chart(0.95, 1)))


def test_normalised_tempo_changes_keep_easy_quiet() -> None:
    points = (
        TimingPoint(0.0, 500.0),
        TimingPoint(20_000.0, 250.0),
        TimingPoint(20_000.0, -200.0, uninherited=False),  # half speed at double tempo
    )
    chart = Chart.from_notes(np.arange(60) * 500.0, np.arange(60) % 4, timing_points=points)
    assert fires_at("scroll-speed-easy", chart) == []
    assert fires_at("scroll-speed-easy", replace(chart, timing_points=points[:2])) == [20_000.0]


def test_a_plain_easy_chart_has_no_findings_at_any_level() -> None:
    chart = Chart.from_notes(
        np.arange(64) * 500.0, np.arange(64) % 4, timing_points=(TimingPoint(0.0, 500.0),), difficulty=Difficulty(7, 7)
    )
    for level in Level:
        assert check(chart, level) == []


def test_findings_say_where_in_which_columns_and_what_to_do() -> None:
    chart = make([(0, 0), (4, 2), (4.25, 2)], 180.0)
    finding = next(f for f in check(chart, Level.NORMAL) if f.rule == "normal-quarter-jack")
    assert finding.columns == (2,)
    assert (finding.start_ms, finding.end_ms) == (3333.0, 3417.0)
    assert finding.text == "1/4 jack of 2; too strenuous for Normal"


@pytest.mark.parametrize(
    ("bpm", "scale"), [(45, 4), (60, 2), (90, 2), (105, 1.5), (120, 1), (180, 1), (240, 1), (241, 0.5)]
)
def test_snaps_scale_with_tempo_as_the_criteria_say(bpm: float, scale: float) -> None:
    assert snap_scale(np.array([60_000 / bpm]))[0] == pytest.approx(scale)


def test_runs_may_be_longer_where_the_beat_is_slower() -> None:
    factors = leniency(60_000 / np.array([120.0, 180.0, 240.0]))
    assert factors == pytest.approx([1.5, 1.0, 0.75])


@pytest.mark.parametrize(
    ("stars", "level"),
    [(0.5, "EASY"), (1.99, "EASY"), (2.0, "NORMAL"), (2.7, "HARD"), (4.0, "INSANE"), (5.3, "EXPERT")],
)
def test_stars_give_the_level(stars: float, level: str) -> None:
    assert level_of(stars).name == level


def test_counts_of_a_batch_are_those_of_its_charts() -> None:
    charts = [make(TABLE["easy-quarter"](180.0)[0], 180.0), make(TABLE["hard-trill"](180.0)[0], 180.0)]
    levels = [Level.EASY, Level.HARD]
    together = count(view_of(charts), levels)
    apart = [count(view_of([chart]), [level]) for chart, level in zip(charts, levels, strict=True)]
    assert together.warnings.tolist() == np.concatenate([one.warnings for one in apart]).tolist()
    assert together.problems.tolist() == np.concatenate([one.problems for one in apart]).tolist()
    for chart, level, one in zip(charts, levels, apart, strict=True):
        assert len(check(chart, level)) == one.warnings.sum() + one.problems.sum()


def test_every_rule_has_a_name_of_its_own_and_a_test() -> None:
    names = [one.name for one in all_rules()]
    assert len(names) == len(set(names))
    elsewhere = {"unsnapped-note", "unsnapped-release", "column-share", "empty-column", "note-in-break"}
    settings = {name for name in names if name.startswith(("hp-od", "scroll-speed"))}
    assert set(names) == set(TABLE) | set(MS_TABLE) | elsewhere | settings
