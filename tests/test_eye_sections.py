"""Sections: letters by sound, primes by rows, and what is said of both."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings

from chart.analysis.patterns import RECOGNISERS
from chart.analysis.rows import rows_of
from chart.model import Chart, TimingPoint
from eye.critique.pattern_rows import FAMILIES, NAMES, commonest, families_of
from eye.critique.row_measures import measure
from eye.critique.structure import sections_of
from reward.core.song import Song
from tests.builders import ChartBuilder, charts
from tests.eye_charts import BEAT_MS, HOP_MS, START_MS

PHRASE_MS = 16 * BEAT_MS


def song_of_form(form: str) -> Song:
    """Two phrases a letter: A is soft on beats, B loud on quarter beats."""
    frames = int((START_MS + 2 * len(form) * PHRASE_MS) / HOP_MS)
    onset, loudness = np.full((frames, 3), 0.05, np.float32), np.ones(frames, np.float32)
    for index, letter in enumerate(form):
        start = START_MS + 2 * index * PHRASE_MS
        step, height, loud = (BEAT_MS, 0.5, 0.5) if letter == "A" else (BEAT_MS / 4, 1.5, 1.0)
        at = np.round((start + np.arange(0, 2 * PHRASE_MS - 1, step)) / HOP_MS).astype(int)
        onset[at] += height
        loudness[int(start / HOP_MS) : int((start + 2 * PHRASE_MS) / HOP_MS)] = loud
    loudness[: int(START_MS / HOP_MS)] = 0.5 if form[0] == "A" else 1.0
    return Song(onset, loudness, HOP_MS)


def chart_of_form(form: str, seeds: str) -> Chart:
    """Rows on the sounds of `song_of_form`; sections of one seed have equal columns."""
    time, column = [], []
    for index, (letter, seed) in enumerate(zip(form, seeds, strict=True)):
        step = BEAT_MS if letter == "A" else BEAT_MS / 4
        at = START_MS + 2 * index * PHRASE_MS + np.arange(0, 2 * PHRASE_MS - 1, step)
        time.append(at)
        column.append(np.random.default_rng(ord(seed)).integers(0, 4, at.size))
    return Chart.from_notes(
        np.concatenate(time), np.concatenate(column), timing_points=(TimingPoint(START_MS, BEAT_MS),)
    )


def sections(form: str, seeds: str):
    chart = chart_of_form(form, seeds)
    return sections_of(measure(chart, song_of_form(form), 2.0), song_of_form(form))


def test_sections_follow_the_sound():
    found = sections("ABAB", "abab")
    assert [section.label for section in found] == ["A", "B", "A", "B"]
    for index, section in enumerate(found):
        assert section.start_ms == pytest.approx(START_MS + 2 * index * PHRASE_MS, abs=PHRASE_MS)
    assert found[1].energy > found[0].energy + 0.3
    assert found[1].intent.startswith("full")
    assert found[0].intent.startswith("quiet")
    assert "A again" in found[2].intent
    assert "takes up 100% of A" in found[2].answer


def test_a_return_with_other_rows_is_primed():
    found = sections("ABAB", "abxb")
    assert [section.label for section in found] == ["A", "B", "A′", "B"]
    assert "new patterns for A" in found[2].answer


def test_a_mirrored_return_is_no_variation():
    chart = chart_of_form("ABAB", "abab")
    third = (chart.time_ms >= START_MS + 4 * PHRASE_MS) & (chart.time_ms < START_MS + 6 * PHRASE_MS)
    mirrored = Chart.from_notes(
        chart.time_ms, np.where(third, 3 - chart.column, chart.column), timing_points=chart.timing_points
    )
    found = sections_of(measure(mirrored, song_of_form("ABAB"), 2.0), song_of_form("ABAB"))
    assert found[2].label == "A"


def test_a_dense_answer_to_soft_music_is_remarked():
    form = "ABAB"
    chart = chart_of_form("BABA", "abab")
    found = sections_of(measure(chart, song_of_form(form), 2.0), song_of_form(form))
    assert any("busier than the music asks" in section.answer for section in found)
    assert any("sparser than the music asks" in section.answer for section in found)


@settings(max_examples=25)
@given(charts(min_notes=1, max_notes=60))
def test_without_a_song_sections_still_cover_the_chart(chart):
    found = sections_of(measure(chart, None, 2.0), None)
    assert found[0].start_ms <= chart.time_ms[0] + 2.0
    for one, two in pairwise(found):
        assert one.end_ms == two.start_ms
    assert all(0 <= section.energy <= 1 for section in found)
    assert all(section.intent.startswith("no audio") for section in found)


def test_rows_have_the_family_that_says_most():
    chart = ChartBuilder().bpm(150).stream(0, 100, "0123" * 4).stream(3_000, 100, "11111").note(5_000).build()
    family = families_of(rows_of(chart))
    assert {NAMES[index] for index in family[:16]} == {"roll"}
    assert {NAMES[index] for index in family[16:21]} == {"jack"}
    assert NAMES[family[21]] == "single"
    assert commonest(family) == ["roll", "jack"]
    assert {name for names in FAMILIES.values() for name in names} <= set(RECOGNISERS)
