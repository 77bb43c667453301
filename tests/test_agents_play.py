"""Simulated plays: determinism, sense, bad input, replays. Statistical tests state what they can miss."""

from __future__ import annotations

import threading
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import agents
from agents import Player, Population, around, everyone, mods_of, play, population_of, required_skill, skill_for
from agents.difficulty_curve import accuracy_curve, section_skill
from agents.judgement.judge import judge, notes_of
from agents.motor.population import MAX_LEVEL, MIN_LEVEL
from agents.replays import presses_from, replay_of
from agents.simulate import MAX_PLAYED
from chart.formats.osr import read_replay, write_replay
from chart.model import Chart
from runtime.errors import ChartFileError, ConfigError
from tests.builders import ChartBuilder, charts

QUARTER_180 = 60_000 / 180 / 4  # ms between 1/4 notes at 180 BPM


def pattern(columns: list[str], step_ms: float, rows: int) -> Chart:
    """Rows of columns, over and over: ["01", "2"] is a chord, then a note."""
    builder = ChartBuilder()
    for row in range(rows):
        builder.chord(1000 + row * step_ms, *map(int, columns[row % len(columns)]))
    return builder.build()


STREAM = pattern(["0", "2", "1", "3"], QUARTER_180, 400)


def mean_accuracy(chart: Chart, level: float, mods: str = "", plays: int = 96, seed: int = 5) -> float:
    """Mean of `plays` plays of one all-round player; their SD is below .02, so the mean's is below .002."""
    return float(play(chart, [skill_for(level)] * plays, seed, mods).accuracy.mean())


def same(a: agents.Plays, b: agents.Plays) -> bool:
    names = ("grade", "tail_grade", "hit_error_ms", "release_error_ms", "accuracy", "score", "health", "fail_ms")
    return all(getattr(a, name).tobytes() == getattr(b, name).tobytes() for name in names)


def test_the_seed_decides_whatever_the_number_of_threads() -> None:
    players = around(4.0, 70, np.random.default_rng(1))
    one = play(STREAM, players, seed=3)
    assert same(one, play(STREAM, players, seed=3))
    assert same(one, play(STREAM, players, seed=3, threads=3))
    assert not same(one, play(STREAM, players, seed=4))


def test_plays_at_the_same_time_do_not_disturb_one_another() -> None:
    players = around(4.0, 40, np.random.default_rng(1))
    alone = play(STREAM, players, seed=3)
    got: list[agents.Plays] = []
    workers = [threading.Thread(target=lambda: got.append(play(STREAM, players, seed=3))) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(got) == 3
    assert all(same(alone, one) for one in got)


def test_a_player_is_independent_of_who_plays_beside() -> None:
    players = around(4.0, 40, np.random.default_rng(1))
    fewer = Population(players.skills[:7])
    assert play(STREAM, players, 3).grade[:7].tobytes() == play(STREAM, fewer, 3).grade.tobytes()


@pytest.mark.parametrize(
    "chart",
    [
        STREAM,
        pattern(["01", "23"], 120, 300),
        pattern(["0", "0", "3", "3"], 160, 300),
        pattern(["0", "1", "3"], 500, 120),
    ],
)
def test_more_skill_never_lowers_expected_accuracy(chart: Chart) -> None:
    accuracy = [mean_accuracy(chart, level) for level in np.arange(0.0, 10.5, 1.0)]
    # sees falls of .01 (5 SD of a difference of means); more skill pays off in the end
    assert (np.diff(accuracy) > -0.01).all()
    assert accuracy[-1] > accuracy[0] + 0.01


@pytest.mark.parametrize("level", [3.0, 5.0, 7.0])
def test_double_time_is_harder_and_half_time_easier(level: float) -> None:
    normal = mean_accuracy(STREAM, level)
    assert mean_accuracy(STREAM, level, "DT") < normal < mean_accuracy(STREAM, level, "HT")


@pytest.mark.parametrize("level", [3.0, 5.0, 7.0])
def test_jacks_at_180_bpm_cost_more_than_a_stream_of_equal_density(level: float) -> None:
    jacks = pattern(["0"] * 8 + ["2"] * 8 + ["1"] * 8 + ["3"] * 8, QUARTER_180, 400)
    assert mean_accuracy(jacks, level) < mean_accuracy(STREAM, level) - 0.02


@pytest.mark.parametrize("level", [3.0, 5.0])
def test_one_hand_costs_more_than_two(level: float) -> None:
    one = pattern(["0", "1"], QUARTER_180 * 1.5, 400)
    two = pattern(["0", "3", "1", "2"], QUARTER_180 * 1.5, 400)
    assert mean_accuracy(one, level) < mean_accuracy(two, level) - 0.004


def spread(chart: Chart, level: float, from_s: float, to_s: float, plays: int = 64) -> float:
    """Mean SD of the hit errors between two times after the first note, ms."""
    errors = play(chart, [skill_for(level)] * plays, 5).hit_error_ms
    after_s = (chart.time_ms - chart.time_ms[0]) / 1000
    return float(np.nanstd(errors[:, (after_s >= from_s) & (after_s < to_s)], axis=1).mean())


LOOPS = [
    (["0", "2", "1", "3"], QUARTER_180),
    (["02", "1", "3", "0", "13", "2"], 90.0),
    (["01", "23"], 110.0),
    (["0", "1"], 110.0),
    (["0"] * 4 + ["3"] * 4, 120.0),
]


@pytest.mark.parametrize("level", [3.0, 5.0, 7.0])
@pytest.mark.parametrize(("columns", "step_ms"), LOOPS)
def test_longer_of_the_same_is_never_easier(columns: list[str], step_ms: float, level: float) -> None:
    # as many notes are played at each length, so that the SD of each mean is below .0003 (.001 where most is missed)
    accuracy = [
        mean_accuracy(pattern(columns, step_ms, rows), level, plays=245_760 // rows) for rows in (60, 240, 960, 3840)
    ]
    assert (np.diff(accuracy) < 0.001).all()
    if accuracy[0] < 0.97:  # where hands have to work, every length costs more than the one before
        assert (np.diff(accuracy) < -0.001).all()
        assert accuracy[-1] < accuracy[0] - 0.005


@given(
    st.lists(st.sets(st.integers(0, 3), min_size=1, max_size=3), min_size=2, max_size=8),
    st.floats(70.0, 250.0),
    st.floats(1.0, 9.0),
)
@settings(max_examples=25)
def test_whatever_is_repeated_longer_is_not_easier(rows: list[set[int]], step_ms: float, level: float) -> None:
    # sees falls of .01: where most is missed, plays differ more than those above do
    columns = ["".join(map(str, sorted(row))) for row in rows]
    short, long = (mean_accuracy(pattern(columns, step_ms, n * len(rows)), level, plays=3200 // n) for n in (10, 160))
    assert long < short + 0.01


@pytest.mark.parametrize(("columns", "step_ms"), LOOPS)
def test_longer_of_the_same_asks_for_more_skill(columns: list[str], step_ms: float) -> None:
    levels = [
        np.mean([required_skill(pattern(columns, step_ms, rows), 0.93, seed=seed) for seed in range(4)])
        for rows in (120, 600, 3000)
    ]
    assert (np.diff(levels) > 0.03).all()


def test_a_fast_repeat_is_begun_early_and_ends_late() -> None:
    single, double = ChartBuilder(), ChartBuilder()
    for row in range(300):
        single.note(1000 + 1000 * row, 0)
        double.note(1000 + 1000 * row, 0).note(1080 + 1000 * row, 0)
    players = [skill_for(5.0)] * 32  # 9,600 notes: a mean's SD is below .5 ms
    alone = np.nanmean(play(single.build(), players, 3).hit_error_ms)
    pairs = np.nanmean(play(double.build(), players, 3).hit_error_ms, axis=0)
    assert pairs[::2].mean() < alone - 5  # people: 14 ms at this gap
    assert pairs[1::2].mean() > alone + 5


def test_a_finger_errs_alike_from_note_to_note() -> None:
    chords = pattern(["01"], 500.0, 400)
    error = play(chords, [skill_for(5.0)] * 16, 3).hit_error_ms
    between = np.nan_to_num(error[:, ::2] - error[:, 1::2])  # what is not shared by the hand is each finger's own
    later = [np.corrcoef(between[:, :-lag].ravel(), between[:, lag:].ravel())[0, 1] for lag in (1, 40)]
    assert later[0] > 0.6  # people's own errors decay over some 2.5 s …
    assert abs(later[1]) < 0.1  # … and are forgotten in 20


def test_hands_tire_within_seconds_and_over_minutes() -> None:
    stream = pattern(["0", "2", "1", "3"], 62.0, 3600)  # 223 s of 16 notes/s
    seconds, half_minute, end = (spread(stream, 5.0, *part) for part in ((1, 4), (18, 33), (190, 223)))
    assert 1.02 * seconds < half_minute
    assert 1.04 * half_minute < end
    # by quarters people's errors grow from 12.9 to 14.6 ms at 14–20 notes/s, and not at 8–14
    hard, easy = (pattern(["0", "2", "1", "3"], step, round(180_000 / step)) for step in (62.0, 125.0))
    assert 1.05 < spread(hard, 5.0, 135, 180) / spread(hard, 5.0, 0, 45) < 1.3
    assert spread(easy, 5.0, 135, 180) / spread(easy, 5.0, 0, 45) < 1.04


def test_hands_recover_in_a_rest() -> None:
    def second_block(rest_ms: float) -> float:
        builder = ChartBuilder().stream(1000, 62, "0213" * 500)
        builder.stream(1000 + 62 * 2000 + rest_ms, 62, "0213" * 60)
        chart = builder.build()
        return spread(chart, 5.0, 124 + rest_ms / 1000, 1e6)

    after = [second_block(rest_ms) for rest_ms in (500.0, 10_000.0, 240_000.0)]
    assert after[0] > 1.01 * after[1] > 1.02 * after[2]
    assert after[2] == pytest.approx(spread(pattern(["0", "2", "1", "3"], 62.0, 240), 5.0, 0, 1e6), rel=0.03)


def test_a_hands_chord_is_one_movement() -> None:
    chords, apart = pattern(["01"], 160.0, 200), pattern(["0", "1"], 80.0, 400)  # as many notes a second
    assert 1.1 * spread(chords, 5.0, 0, 60) < spread(apart, 5.0, 0, 60)


def test_fingers_of_a_chord_err_together_and_hands_nearly_apart() -> None:
    errors = {
        columns: play(pattern([columns], 250.0, 400), [skill_for(5)] * 64, 5).hit_error_ms for columns in ("01", "02")
    }
    one_hand, two_hands = (float(np.nanstd(np.diff(e.reshape(64, -1, 2)))) for e in errors.values())
    alone = float(np.nanstd(errors["02"] - np.nanmean(errors["02"], axis=1, keepdims=True)))
    assert 0.2 * alone < one_hand < 0.7 * alone
    assert 0.9 * alone < two_hands < 1.35 * alone  # were they independent, √2


def test_fast_repeats_drift_late_and_slow_ones_do_not() -> None:
    def lateness(step_ms: float) -> list[float]:
        builder = ChartBuilder()
        for group in range(150):
            builder.stream(1000 + 1500 * group, step_ms, "0000" if group % 2 else "3333")
        errors = play(builder.build(), [skill_for(6)] * 64, 5).hit_error_ms.reshape(64, -1, 4)
        mean: list[float] = (np.nanmean(errors, axis=(0, 1)) - np.nanmean(errors[:, :, 0])).tolist()
        return mean

    fast, slow = lateness(78.0), lateness(160.0)
    assert 5 < fast[1] < fast[2] < fast[3]
    assert max(np.abs(slow)) < 3


def test_mirror_changes_nothing_but_by_handedness() -> None:
    left_heavy = pattern(["0", "1", "0", "2"], 110, 400)
    plain, mirrored = (mean_accuracy(left_heavy, 4.0, mods) for mods in ("", "MR"))
    assert plain == pytest.approx(mirrored, abs=0.006)
    lefty = Player(4, 4, 4, 4, 4, 4, left=1.2)
    as_is, swapped = (play(left_heavy, [lefty] * 96, 5, mods).accuracy.mean() for mods in ("", "MR"))
    assert as_is > swapped + 0.006
    assert (
        play(left_heavy.mirrored(), [lefty] * 8, 5, "MR").grade.tobytes()
        == play(left_heavy, [lefty] * 8, 5).grade.tobytes()
    )


@pytest.mark.parametrize("skill", ["speed", "stamina", "jack", "reading", "accuracy", "release"])
def test_each_skill_matters_where_it_should(skill: str) -> None:
    builder = ChartBuilder()
    for row in range(300):
        builder.hold(1000 + row * 200, 1000 + row * 200 + 120, row % 4)
    demanding = {
        "speed": STREAM,
        "stamina": pattern(["0", "2", "1", "3"], 65.0, 2500),
        "jack": pattern(["0"] * 6 + ["3"] * 6, 110, 400),
        "reading": pattern(["0", "3", "1", "2"], 70.0, 600),
        "accuracy": pattern(["0", "2", "1", "3"], 300, 300),
        "release": builder.build(),
    }[skill]
    base = dict.fromkeys(("speed", "stamina", "jack", "reading", "accuracy", "release"), 4.0)
    weak, strong = (
        play(demanding, [Player(**(base | {skill: level}))] * 96, 5).accuracy.mean() for level in (2.0, 7.0)
    )
    assert strong > weak + 0.003


def test_defined_results_for_strange_charts() -> None:
    players = [skill_for(level) for level in (1.0, 5.0)]
    empty = play(Chart.from_notes([], []), players)
    assert empty.accuracy.tolist() == [1.0, 1.0]
    assert empty.passed.all()
    assert empty.grade.shape == (2, 0)
    assert required_skill(Chart.from_notes([], [])) == MIN_LEVEL
    one = play(Chart.from_notes([500.0], [2]), players)
    assert one.counts.sum(axis=1).tolist() == [1, 1]
    doubled = play(Chart.from_notes([500.0, 500.0, 500.0], [2, 2, 2]), players)
    assert doubled.counts.sum(axis=1).tolist() == [3, 3]
    short = ChartBuilder()
    for row in range(50):
        short.hold(500 + 100 * row, 510 + 100 * row, row % 4)
    held = play(short.build(), players)
    assert np.isfinite(held.accuracy).all()
    assert held.counts.sum(axis=1).tolist() == [50, 50]
    nobody = play(STREAM, [])
    assert nobody.accuracy.shape == (0,)


def test_a_hundred_thousand_notes() -> None:
    chart = Chart.from_notes(500 + 75.0 * np.arange(100_000), np.arange(100_000) % 4)
    plays = play(chart, [skill_for(6.0)] * 2)
    assert plays.counts.sum(axis=1).tolist() == [100_000, 100_000]


@given(
    charts(),
    st.integers(0, 2**32),
    st.sampled_from(["", "DT", "EZ", "HTMR"]),
    st.sampled_from(["stable", "scorev2", "lazer"]),
)
@settings(max_examples=40)
def test_invariants_on_any_chart(chart: Chart, seed: int, mods: str, rules: str) -> None:
    plays = play(chart, around(4.0, 3, np.random.default_rng(seed)), seed, mods, rules=rules, keep_presses=True)
    judgements = len(chart) + (int(chart.is_hold.sum()) if rules != "stable" else 0)
    assert (plays.counts.sum(axis=1) == judgements).all()
    assert ((plays.accuracy >= 0) & (plays.accuracy <= 1)).all()
    assert ((plays.score >= 0) & (plays.score <= 1_000_001)).all()
    assert (plays.health <= 1).all()
    assert (plays.passed | (plays.health < 1)).all()
    assert np.isnan(plays.release_error_ms[:, ~chart.is_hold]).all()
    keys = plays.presses
    assert keys is not None
    for c in range(4):
        for player in range(3):
            inside = slice(keys.press_at[c], keys.press_at[c] + keys.count[player, c])
            press, release = keys.press[player, inside], keys.release[player, inside]
            assert (release > press).all()
            assert (press[1:] > release[:-1]).all()


@pytest.mark.parametrize(("mods", "rules"), [("", "stable"), ("DT", "stable"), ("MR", "lazer"), ("MR", "scorev2")])
def test_a_replay_reads_back_to_the_same_judgement(tmp_path: Path, mods: str, rules: str) -> None:
    builder = ChartBuilder()
    for row in range(200):
        builder.hold(1000 + 150 * row, 1100 + 150 * row, row % 4)
        builder.note(1000 + 150 * row, (row + 2) % 4)
    chart = builder.build()
    plays = play(chart, around(3.0, 5, np.random.default_rng(2)), 1, mods, rules=rules, keep_presses=True)
    for player in range(5):
        path = tmp_path / f"{player}.osr"
        write_replay(replay_of(plays, player, "0" * 32, mods_of(mods).bits), path)
        back = read_replay(path)
        again = judge(chart, presses_from(back), mods, rules)
        assert again.grade[0].tolist() == plays.grade[player].tolist()
        assert again.tail_grade[0].tolist() == plays.tail_grade[player].tolist()
        assert back.counts.tolist() == plays.counts[player].tolist()
        assert back.mods == mods_of(mods).bits
        np.testing.assert_array_equal(again.error_ms[0], plays.hit_error_ms[player])
    with pytest.raises(ConfigError, match="kept no key presses"):
        replay_of(play(chart, [skill_for(3)]), 0, "0" * 32)


def test_calls_do_not_leak() -> None:
    chart = pattern(["0", "1", "2", "3"], 150, 20)
    players = [skill_for(4.0)] * 2
    for _ in range(20):
        play(chart, players)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(150):
        play(chart, players)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 15_000


def test_bad_options() -> None:
    with pytest.raises(ConfigError, match="not a finite number"):
        play(STREAM, [skill_for(4).shifted(float("nan"))])
    with pytest.raises(ConfigError, match="give a number of stars"):
        skill_for(float("inf"))
    with pytest.raises(ConfigError, match="seed is -1"):
        play(STREAM, [skill_for(4)], seed=-1)
    with pytest.raises(ConfigError, match="play fewer at a time"):
        play(STREAM, Population(np.ones((MAX_PLAYED // 400 + 1, 9))))
    with pytest.raises(ChartFileError, match="only 4K"):
        play(Chart.from_notes([100.0], [5]), [skill_for(4)])
    with pytest.raises(ConfigError, match="accuracy is 96"):
        required_skill(STREAM, 96)
    with pytest.raises(ConfigError, match="are no sections"):
        section_skill(STREAM, section_ms=0)
    with pytest.raises(ConfigError, match="two times that rise"):
        section_skill(STREAM, bounds_ms=[5.0, 5.0])


def test_required_skill_follows_the_target_and_the_section() -> None:
    curve = accuracy_curve(STREAM)
    assert (np.diff(curve.accuracy) >= 0).all()
    assert required_skill(STREAM, 0.9) < required_skill(STREAM, 0.97)
    builder = ChartBuilder().stream(1000, 200, "0213" * 12).stream(11_500, 70, "0213" * 70)
    sections = section_skill(builder.build(), bounds_ms=[0, 11_000, 40_000, 50_000])
    assert sections.notes.tolist() == [48, 280, 0]
    assert sections.level[0] + 1 < sections.level[1]
    assert sections.level[2] == MIN_LEVEL
    assert section_skill(STREAM, section_ms=5000).level.size == 7


def test_populations() -> None:
    rng = np.random.default_rng(7)
    some = around(4.0, 2000, rng)
    assert len(some) == 2000
    assert np.median(some.skills[:, :5]) == pytest.approx(4.0, abs=0.1)
    assert np.median(some.skills[:, 5]) < 4.0  # few practise holds
    assert some.skills[:, :6].std(axis=0).min() > 0.1
    assert population_of(some.players()).skills == pytest.approx(some.skills)
    anybody = everyone(4000, rng)
    # p5, p50 and p95 of Etterna's ratings (4.9, 15.3, 28.2) at 3.9 a level
    assert np.percentile(anybody.skills[:, :5].mean(axis=1), [5, 50, 95]) == pytest.approx([1.26, 3.9, 7.2], abs=0.5)
    assert anybody.level.max() < MAX_LEVEL


def test_exported_names_are_sorted_and_exist() -> None:
    assert list(agents.__all__) == sorted(agents.__all__)
    assert all(hasattr(agents, name) for name in agents.__all__)


def test_importing_the_command_leaves_play_callable() -> None:
    import agents.play

    assert agents.play(STREAM, [skill_for(4)]).accuracy.size == 1
    assert notes_of(STREAM).start.size == 400
