"""Takes asked for until a chart is met, and the words for what is not."""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest

from chart.analysis.pattern_mix import FAMILIES
from chart.model import Chart, TimingPoint
from mapper.request.style_reference import target_at
from mapper.sampling.conditioning import ChartTarget
from mapper.search.candidate_measures import Spliced
from mapper.search.closed_loop import MAX_BIAS, MAX_STAR_OFFSET, Candidate, SearchConfig, _is_stalled, _next_takes
from mapper.search.objective import FINDINGS_ALLOWED
from mapper.search.unmet import shortfall, unmet_constraints
from mapper.structure.row_shares import RowShares
from mapper.tokens.row_codes import Rows
from reward.chart_metrics import metrics_of
from reward.rules.criteria import Level

NOTHING = Rows(np.zeros(0, np.int64), np.zeros(0, np.int64))


def take(push: float, stars: float, **fields: object) -> Candidate:
    metrics = SimpleNamespace(section_peaks=SimpleNamespace(stars=stars), pattern_mix=np.zeros(len(FAMILIES)))
    return Candidate(0, 0, push, 0.0, 0.0, RowShares(), NOTHING, metrics, **fields)  # type: ignore[arg-type]


def spliced(stars: float, findings: float = 0.0) -> Spliced:
    chart = Chart.from_notes([0, 500, 1000, 1500], [0, 1, 2, 3], timing_points=(TimingPoint(0, 500),))
    return Spliced(chart, NOTHING, stars, findings, 5.0)


def pushes(takes: list[Candidate]) -> list[float]:
    return [one.push for one in takes]


@dataclass(frozen=True)
class Known:
    stars: float = 3.0
    findings: float = 0.0
    player_level: float = 3.0
    density_miss: float = 0.0


def test_the_first_takes_lie_on_both_sides():
    first = _next_takes(0, ChartTarget(3.0), [], None, SearchConfig())
    assert pushes(first) == [-0.5, 0.0, 0.5]
    assert len({one.chord_bias for one in first}) == 3, "takes differ in chords too"
    assert len({one.row_shares.repeats for one in first}) == 1
    requested = ChartTarget(3.0, patterns=(0.3,) * len(FAMILIES))
    varied = _next_takes(0, requested, [], None, SearchConfig())
    assert len({one.row_shares.repeats for one in varied}) == len({one.row_shares.chords for one in varied}) == 3


def test_later_takes_are_conditioned_on_what_the_first_lacked():
    tried = [take(-0.5, 2.0), take(0.0, 2.5), take(0.5, 3.0)]
    later = _next_takes(0, ChartTarget(3.3), tried, spliced(3.0), SearchConfig())
    assert np.mean(pushes(later)) == pytest.approx(0.8)
    assert all(one.bias == 0 for one in later)
    far = _next_takes(0, ChartTarget(9.0), tried, spliced(3.0), SearchConfig())
    assert max(pushes(far)) == MAX_STAR_OFFSET
    assert far[0].bias == MAX_BIAS


def test_broken_rules_make_fewer_chords():
    tried = [take(-0.5, 2.0), take(0.0, 2.5), take(0.5, 3.0)]
    clean, broken = (
        _next_takes(0, ChartTarget(2.5), tried, spliced(2.5, findings), SearchConfig()) for findings in (0.0, 400.0)
    )
    assert np.mean([one.chord_bias for one in broken]) < np.mean([one.chord_bias for one in clean])


def test_hard_charts_begin_with_more_rows_and_bigger_chords():
    hard, usual = (_next_takes(0, ChartTarget(stars), [], None, SearchConfig()) for stars in (6.0, 4.0))
    assert min(one.bias for one in hard) > max(one.bias for one in usual) == 0
    assert np.mean([one.chord_bias for one in hard]) > np.mean([one.chord_bias for one in usual])


def test_a_round_that_brings_little_of_what_is_missing_is_the_last():
    target = ChartTarget(3.0)
    first, nearer, hardly = (spliced(stars) for stars in (2.5, 2.8, 2.52))
    assert not _is_stalled(target, None, first, 0.05)
    assert not _is_stalled(target, first, nearer, 0.05)
    assert _is_stalled(target, first, hardly, 0.05)
    assert _is_stalled(target, first, first, 0.05)


def test_only_what_a_bound_concerns_falls_short():
    chart = metrics_of(spliced(3.0).chart)
    for known in (Known(), Known(findings=FINDINGS_ALLOWED[Level.HARD]), Known(density_miss=0.2)):
        assert shortfall(ChartTarget(3.0), chart, known, 0.05) == 0
    for known in (Known(stars=3.2), Known(findings=99), Known(player_level=1.0), Known(density_miss=0.3)):
        assert shortfall(ChartTarget(3.0), chart, known, 0.05) > 0
    assert shortfall(ChartTarget(3.0, hold_share=0.5), chart, Known(), 0.05) == pytest.approx(48)


def test_each_chart_follows_the_map_s_chart_with_the_nearest_stars():
    references = (ChartTarget(2.0, hold_share=0.1), ChartTarget(5.0, hold_share=0.5))
    assert target_at(references, 2.4) == ChartTarget(2.4, hold_share=0.1)
    assert target_at(references, 4.4).hold_share == 0.5


@pytest.mark.parametrize(
    ("target", "known", "words"),
    [
        (ChartTarget(3.0), Known(), []),
        (ChartTarget(3.04), Known(), []),
        (ChartTarget(3.1), Known(), ["3.00 stars instead of 3.10"]),
        (ChartTarget(3.0), Known(findings=99), [f"(people: {FINDINGS_ALLOWED[Level.HARD]:g})"]),
        (ChartTarget(3.0), Known(player_level=1.0), ["plays like 1.0 stars, far from 3.00"]),
        (ChartTarget(3.0), Known(density_miss=0.25), ["25% of the notes in other bars"]),
        (ChartTarget(3.0, hold_share=0.5), Known(), ["0% holds instead of 50%"]),
        (
            ChartTarget(3.0, patterns=tuple(0.5 if name == "jack" else np.nan for name in FAMILIES)),
            Known(),
            ["0% jack instead of 50%"],
        ),
    ],
)
def test_what_is_missing_is_said(target, known, words):
    said = unmet_constraints(target, metrics_of(spliced(3.0).chart), known, 0.05)
    assert len(said) == len(words)
    for text, word in zip(said, words, strict=True):
        assert word in text
