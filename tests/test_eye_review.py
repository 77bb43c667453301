"""The review: faults come first, with numbers; problems need the criteria; nothing breaks on odd charts or bad calls."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from rich.console import Console

from chart.formats.osu_read import format_osu
from chart.formats.osz import write_osz
from chart.model import Chart
from eye.critique.explanation import ModelReasons, why
from eye.critique.rule_remarks import advice
from eye.critique.types import CURVES, SEVERITIES, Finding, Review, clock, editor_time
from eye.review import main, review_chart
from eye.review_table import show
from reward.core.song import Song
from reward.rules.check import all_rules, check
from reward.rules.criteria import level_of
from tests.builders import ChartBuilder, charts
from tests.eye_charts import BEAT_MS, beat_ms, even_song, plain_chart, with_notes

NAN = float("nan")


@pytest.fixture(scope="module")
def plain() -> Chart:
    return plain_chart()


def first(chart: Chart, with_song: bool = True) -> Finding:
    return review_chart(chart, even_song(plain_chart()) if with_song else None).findings[0]


def assert_lies(finding: Finding, start_ms: float, end_ms: float) -> None:
    shared = min(finding.end_ms, end_ms) - max(finding.start_ms, start_ms)
    assert shared >= 0.5 * min(finding.end_ms - finding.start_ms, end_ms - start_ms), finding
    assert finding.end_ms - finding.start_ms <= 3 * (end_ms - start_ms), finding


def jack(chart: Chart) -> Chart:
    wall = [(beat_ms(100 + k / 4), 1, NAN) for k in range(16)]
    return with_notes(chart, wall, beat_ms(100), beat_ms(104))


def test_a_jack_wall_comes_first_with_its_numbers(plain):
    finding = first(jack(plain))
    assert finding.kind == "jack"
    assert finding.columns == (1,)
    assert_lies(finding, beat_ms(100), beat_ms(103.75))
    assert "Column 2 is pressed" in finding.reason
    assert "player loses" in finding.reason
    assert "left hand" not in finding.suggestion
    assert "right hand" in finding.suggestion


def test_an_unsnapped_run_is_a_problem_that_the_criteria_back(plain):
    inside = (plain.time_ms >= beat_ms(60) - 1) & (plain.time_ms < beat_ms(68))
    error = np.where(np.arange(len(plain)) % 2, 17.0, -13.0) * inside
    finding = first(replace(plain, time_ms=plain.time_ms + error))
    assert (finding.kind, finding.severity) == ("unsnapped", "problem")
    assert_lies(finding, beat_ms(60), beat_ms(68))
    assert "off the grid" in finding.reason


def test_a_rhythm_the_grid_has_is_rare_and_not_unsnapped(plain):
    swing = [(beat_ms(60 + k / 3), (0, 2, 1, 3)[k % 4], NAN) for k in range(24)]
    found = review_chart(with_notes(plain, swing, beat_ms(60), beat_ms(68))).findings
    kinds = {one.kind for one in found if beat_ms(59) <= one.start_ms <= beat_ms(68)}
    assert "unsnapped" not in kinds
    assert all(one.severity != "problem" for one in found)


@pytest.mark.parametrize(("hand", "name", "columns"), [(0, "left", (0, 1)), (1, "right", (2, 3))])
def test_a_hand_that_does_all_the_work_is_named(plain, hand, name, columns):
    inside = (plain.time_ms >= beat_ms(150)) & (plain.time_ms < beat_ms(164))
    column = np.where(inside, hand * 2 + plain.column % 2, plain.column)
    made = Chart.from_notes(*_unique(plain.time_ms, column))
    finding = first(replace(plain, time_ms=made.time_ms, column=made.column, end_ms=made.end_ms))
    assert finding.kind == "hand-imbalance"
    assert finding.columns == columns
    assert f"The {name} hand carries" in finding.reason
    assert_lies(finding, beat_ms(150), beat_ms(164))


def _unique(time_ms, column):
    pairs = np.unique(np.stack([time_ms, column]), axis=1)
    return pairs[0], pairs[1].astype(np.int8)


def test_a_cluster_of_holds_with_hardly_a_gap_comes_first(plain):
    cluster = [
        (beat_ms(200 + key * 0.25 + k), key, beat_ms(200 + key * 0.25 + k) + 0.88 * BEAT_MS)
        for key in range(4)
        for k in range(5)
    ]
    finding = first(with_notes(plain, cluster, beat_ms(200), beat_ms(206)))
    assert finding.kind == "holds"
    assert_lies(finding, beat_ms(200), beat_ms(206))
    assert "gaps under 1/4" in finding.reason


@pytest.mark.parametrize("with_song", [True, False])
def test_a_dense_burst_where_the_song_is_soft_comes_first(plain, with_song):
    burst = [(beat_ms(5 + k / 6), (0, 2, 1, 3)[k % 4], NAN) for k in range(24)]
    finding = first(with_notes(plain, burst, beat_ms(5), beat_ms(9)), with_song)
    assert finding.kind == "density"
    assert_lies(finding, beat_ms(5), beat_ms(9))
    assert "notes/s" in finding.reason
    assert ("quieter" in finding.reason) == with_song


def test_the_plain_chart_has_no_warning_about_a_place(plain):
    review = review_chart(plain, even_song(plain))
    assert not [one for one in review.findings if one.severity in ("problem", "warning") and one.weight >= 1.3]
    assert [one for one in review.findings if one.severity == "praise"]
    assert all(one.suggestion == "" for one in review.findings if one.severity == "praise")


@settings(max_examples=15)
@given(charts(max_notes=60))
def test_any_valid_chart_is_reviewed_and_every_problem_is_backed(chart):
    review = review_chart(chart)
    text = json.dumps(review.to_json(), allow_nan=False)
    assert json.loads(text)["notes"] == len(chart)
    backing = [breach for breach in check(chart, level_of(review.stars)) if breach.severity == "problem"]
    for finding in review.findings:
        assert finding.severity in SEVERITIES
        assert all(0 <= column <= 3 for column in finding.columns)
        if finding.severity == "problem":
            assert any(finding.start_ms - 1 <= breach.start_ms <= finding.end_ms + 1 for breach in backing)
    ranks = [(one.severity == "praise", -one.weight) for one in review.findings]
    assert ranks == sorted(ranks)
    assert set(review.curves) == set(CURVES)
    assert len({array.size for array in review.curves.values()}) == 1


def test_an_empty_chart_has_an_empty_review():
    review = review_chart(ChartBuilder().build())
    assert review.sections == ()
    assert review.curves["time_ms"].size == 0
    assert {one.kind for one in review.findings} <= {"rule/empty-column"}


@pytest.mark.parametrize("frames", [1, 2, 500])
def test_songs_in_which_nothing_sounds_and_charts_without_a_tempo_are_reviewed(frames):
    chart = Chart.from_notes(np.arange(64) * 150.0, np.arange(64) % 4)
    silence = Song(np.zeros((frames, 3), np.float32), np.zeros(frames, np.float32), 10.0)
    review = review_chart(chart, silence)
    assert review.sections
    json.dumps(review.to_json(), allow_nan=False)


def test_mirroring_moves_a_fault_to_the_other_hand_and_nowhere_else(plain):
    one, two = first(jack(plain)), first(jack(plain).mirrored())
    assert (one.kind, one.start_ms, one.end_ms) == (two.kind, two.start_ms, two.end_ms)
    assert two.columns == (2,)


def test_a_later_copy_has_its_findings_later(plain):
    one, two = first(jack(plain), False), first(jack(plain).shifted(5_000.0), False)
    assert two.start_ms - one.start_ms == pytest.approx(5_000.0)
    assert one.reason.split(". ")[0] == two.reason.split(". ")[0]  # the dice fall a little otherwise


def test_curves_fall_where_the_fault_is_and_skill_helps(plain):
    review = review_chart(jack(plain), even_song(plain), target=2.5)
    at = np.abs(review.curves["time_ms"] - beat_ms(102)).argmin()
    assert review.curves["accuracy"][at] < np.nanmedian(review.curves["accuracy"]) - 0.02
    assert review.curves["strain"][at] > np.median(review.curves["strain"])
    readable = review.curves["readability"]
    assert ((readable > 0) & (readable <= 1)).all()
    levels, accuracy = zip(*review.accuracy_by_skill, strict=True)
    assert list(levels) == sorted(levels)
    assert list(accuracy) == sorted(accuracy)
    assert review.ratings["overall"].level == pytest.approx(review.required_skill, abs=0.01)
    assert {"stream", "jack", "technical"} <= set(review.ratings)


def test_unsnapped_and_crowded_rows_are_less_readable(plain):
    off = replace(plain, time_ms=plain.time_ms + np.where(plain.time_ms > beat_ms(128), 11.0, 0.0))
    readable = review_chart(off).curves["readability"]
    assert readable[-20:].mean() < readable[:20].mean() - 0.2


def test_the_model_s_reasons_stand_in_findings_and_sections(plain):
    chart = jack(plain)
    source = np.where(chart.time_ms > beat_ms(90), chart.time_ms - 64 * BEAT_MS, NAN)
    reasons = ModelReasons(np.full(len(chart), 0.8), source, "2.00 stars, 5 notes/s")
    review = review_chart(chart, even_song(plain), reasons=reasons)
    assert review.aimed_at == "2.00 stars, 5 notes/s"
    assert "80% certainty" in review.findings[0].reason
    assert f"repeated {clock(review.findings[0].start_ms - 64 * BEAT_MS)}" in review.findings[0].reason
    assert any("80% certainty" in section.answer for section in review.sections)
    assert why(None, np.ones(3, bool)) == ""


def test_every_rule_has_advice_and_breaches_are_gathered(plain):
    assert all(advice(rule.name) for rule in all_rules())
    off = replace(plain, end_ms=np.where(np.arange(len(plain)) % 50 == 0, plain.time_ms + 10.0, NAN))
    rules = [one for one in review_chart(off).findings if one.kind == "rule/hold-under-20-ms"]
    assert len(rules) == 1
    assert rules[0].severity == "problem"
    assert "times in the chart" in rules[0].reason


def test_times_are_written_as_people_and_the_editor_do():
    assert clock(72_345.4) == "1:12.345"
    assert editor_time(72_345.4) == "01:12:345"
    assert Finding(1_000.0, 2_500.0, "note", "x", "", "").place == "00:01:000 - 00:02:500"


def test_the_text_fits_80_columns_and_tells_the_fault(plain, capsys):
    console = Console(width=80, highlight=False)
    show(review_chart(jack(plain), even_song(plain)), console)
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    assert "jack: Column 2 is pressed" in out
    assert "Done well" in out
    assert "Section by section" in out


@pytest.fixture(scope="module")
def archive(plain, tmp_path_factory) -> Path:
    """A set of two difficulties, with audio that is no audio."""
    folder = tmp_path_factory.mktemp("譜面")
    audio = folder / "audio.ogg"
    audio.write_bytes(b"no song")
    hard = replace(jack(plain), metadata=replace(plain.metadata, version="Hard"))
    write_osz([plain, hard], audio, folder / "夜.osz")
    return folder / "夜.osz"


def run(*arguments: object):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_the_command_reviews_the_requested_difficulty_also_without_a_song(archive):
    result = run(archive, "--difficulty", "hard", "--json")
    assert result.exit_code == 0, result.output
    assert "without the song" in result.stderr
    data = json.loads(result.stdout)
    assert (data["difficulty"], data["with_song"]) == ("Hard", False)
    assert data["findings"][0]["kind"] == "jack"
    assert data["findings"][0]["start_ms"] == pytest.approx(beat_ms(100), abs=BEAT_MS)
    assert data["findings"][0]["place"].startswith("00:4")
    plain_result = run(archive, "--difficulty", "Test", "--target", 3)
    assert plain_result.exit_code == 0
    assert "for 3.00 stars" in plain_result.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--difficulty", "Extra"], "no difficulty “Extra” (there are: “Test”, “Hard”)"),
        (["--target", "0"], "--target 0: give a star rating above 0 and up to 15"),
        (["--target", "99"], "--target 99: give a star rating"),
    ],
)
def test_bad_calls_get_one_line(archive, arguments, words):
    result = run(archive, *arguments)
    assert result.exit_code == 1
    assert words in result.stderr
    assert "Traceback" not in result.output


def test_a_chart_file_without_its_song_is_reviewed(plain, tmp_path):
    path = tmp_path / "map.osu"
    path.write_text(format_osu(plain), encoding="utf-8")
    result = run(path)
    assert result.exit_code == 0, result.output
    assert "Judged without the song" in " ".join(result.stdout.split())


def test_a_review_is_plain_data():
    review = Review(
        "t", "a", "d", "c", 1.0, 1.0, "Easy", 1.0, 0, 0, 0.0, False, curves={"accuracy": np.array([NAN, 0.5])}
    )
    assert review.to_json()["curves"] == {"accuracy": [None, 0.5]}


def test_the_song_is_decoded_by_another_thread_while_the_chart_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, threads = tmp_path / "plain.osu", []
    path.write_text(format_osu(plain_chart()), encoding="utf-8")
    monkeypatch.setattr("eye.review.song_of", lambda path, chart: threads.append(threading.current_thread()))
    assert run(path).exit_code == 0
    assert threads
    assert threads[0] is not threading.main_thread()
