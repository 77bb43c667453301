"""The one sum: terms, weights, a whole chart's total in 0–1, and the potential for shaping section by section.

    result = score(chart, stars=3.5, song=song)        # plays are simulated unless given
    result.total, result.flat()["readability/rhythm"]

A term's score for a chart is the mean of two views: the chart as a whole, and the average of its sections. Terms with
nothing to measure (no holds, no song) are left out and the other weights are scaled up. A chart with fewer than
`MIN_ROWS` rows scores 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from agents import Plays
from chart.model import Chart
from reward.band_table import CHART_BANDS, SECTION_BANDS
from reward.core.bands import Bands, Term
from reward.core.batch_view import View, view_of
from reward.core.inputs import Inputs
from reward.core.song import Song
from reward.terms import criteria as rule_terms
from reward.terms import ergonomics, fairness, musicality, readability, rhythm, sound
from reward.terms import instrument as voice
from reward.terms import local_musicality as following

TERMS: tuple[Term, ...] = (
    *fairness.TERMS,
    *readability.TERMS,
    *ergonomics.TERMS,
    *musicality.TERMS,
    *following.TERMS,
    *voice.TERMS,
    *rhythm.TERMS,
    *sound.TERMS,
    *rule_terms.TERMS,
)
MIN_ROWS = 16
"""Charts with fewer rows score 0; one section of whole notes has as many."""
UNKNOWN = 0.5
"""Score of a term in a section where it has nothing to measure: below that of human sections, so that a policy gains by
writing there, above that of bad ones."""


@dataclass(frozen=True)
class Weights:
    """Weight of each term in the sum; fields are the terms' names with "_" for "/".

    Tuned on human `train` charts against the probes, then rounded by hand: terms that tell a song's own chart from
    another's and columns written from columns drawn weigh most; terms that follow others (load, slope, fails) least.
    """

    fairness_level: float = 1.5
    fairness_spikes: float = 0.75
    fairness_slope: float = 0.25
    fairness_fails: float = 0.25
    readability_density: float = 0.75
    readability_rhythm: float = 3.5
    readability_surprise: float = 2.0
    readability_chords: float = 0.5
    readability_holds: float = 1.5
    ergonomics_hands: float = 1.0
    ergonomics_columns: float = 0.75
    ergonomics_repeats: float = 0.75
    ergonomics_anchors: float = 0.5
    ergonomics_one_handed: float = 0.75
    ergonomics_strain: float = 3.0
    ergonomics_hand_load: float = 0.5
    ergonomics_stamina: float = 0.25
    musicality_onsets: float = 2.75
    musicality_support: float = 0.75
    musicality_coverage: float = 1.0
    musicality_emphasis: float = 0.5
    musicality_energy: float = 1.0
    musicality_silence: float = 0.5
    musicality_repetition: float = 2.5
    musicality_presence: float = 3.5
    musicality_swells: float = 3.5
    musicality_choice: float = 3.0
    musicality_voice: float = 3.0
    rhythm_even: float = 0.75
    rhythm_recurrence: float = 0.75
    rhythm_intervals: float = 0.75
    rhythm_even_run: float = 0.5
    rhythm_dynamics: float = 1.5
    ergonomics_alternation: float = 1.5
    ergonomics_dominance: float = 0.75
    musicality_accents: float = 1.0
    musicality_sustain: float = 1.0
    rules_problems: float = 2.0
    rules_warnings: float = 1.0

    def __post_init__(self) -> None:
        for field in fields(self):
            assert getattr(self, field.name) >= 0, f"weight {field.name} is negative"

    def of(self, name: str) -> float:
        """The weight of the term `name`."""
        return float(getattr(self, name.replace("/", "_")))


@dataclass(frozen=True)
class Score:
    """Scores of a batch. Everything but the measures lies in 0–1."""

    total: NDArray[np.float64]  # [chart]
    terms: dict[str, NDArray[np.float64]]  # name → [chart], nan = nothing to measure
    measures: dict[str, NDArray[np.float64]]  # name → [chart], in the term's unit
    section_terms: dict[str, NDArray[np.float64]]  # name → [section], nan = nothing to measure
    section_value: NDArray[np.float64]  # [section], weighted mean of the section's terms, unknown ones at 0.5
    potential: NDArray[np.float64]  # [section], of the chart up to the section's end: sum of values / sections
    view: View
    lost: fairness.Lost  # of the plays, by section and chart

    def flat(self, index: int = 0) -> dict[str, float]:
        """One chart's terms, measures (as "measure/…") and total in a flat dict for logging; nan terms left out."""
        result = {"total": float(self.total[index])}
        for name, values in self.terms.items():
            if not np.isnan(values[index]):
                result[name] = float(values[index])
                result[f"measure/{name}"] = float(self.measures[name][index])
        return result


def score(
    chart: Chart,
    stars: float,
    song: Song | None = None,
    *,
    plays: Plays | None = None,
    seed: int = 0,
    weights: Weights | None = None,
) -> Score:
    """Score one chart that aims at `stars`; without `plays` the skill grid of `reward.terms.fairness` plays it."""
    return score_batch([chart], [stars], [song], plays=None if plays is None else [plays], seed=seed, weights=weights)


def score_batch(
    charts: Sequence[Chart],
    stars: Sequence[float],
    songs: Sequence[Song | None] | None = None,
    *,
    plays: Sequence[Plays | None] | None = None,
    seed: int = 0,
    weights: Weights | None = None,
) -> Score:
    """Score a batch; `stars` and `songs` are per chart."""
    assert len(stars) == len(charts), "one target for each chart"
    songs = songs if songs is not None else [None] * len(charts)
    aim = np.asarray(stars, np.float64)
    if plays is None:
        plays = [fairness.playtest(chart, float(aim[k]), seed) for k, chart in enumerate(charts)]
    view = view_of(charts, [_span(chart, song) for chart, song in zip(charts, songs, strict=True)])
    inputs = Inputs(aim, songs, plays)
    inputs = replace(inputs, lost=fairness.lost_of(view, aim, plays), counts=rule_terms.counts_of(view, aim))
    return _sum(view, inputs, weights or Weights())


def _span(chart: Chart, song: Song | None) -> tuple[float, float]:
    return song.span_ms if song is not None else (np.inf, -np.inf)


def _sum(view: View, inputs: Inputs, weights: Weights) -> Score:
    measured = [term.measure(view, inputs) for term in TERMS]
    measures = np.stack([one.chart for one in measured])  # [term, chart]
    names = [term.name for term in TERMS]
    whole = Bands.of(CHART_BANDS, names).score(measures, inputs.stars)
    in_sections = Bands.of(SECTION_BANDS, names).score(
        np.stack([one.section for one in measured]), inputs.stars[view.section_chart]
    )  # [term, section]
    average = np.stack([view.per_chart(values) for values in in_sections])
    scores = np.where(np.isnan(average), whole, (whole + average) / 2)  # [term, chart]
    weight = np.array([weights.of(name) for name in names])
    rows = np.bincount(view.row_chart, minlength=view.n_charts)
    total = np.where(rows >= MIN_ROWS, np.nan_to_num(_weighted(scores, weight)), 0.0)
    value = _weighted(np.where(np.isnan(in_sections), UNKNOWN, in_sections), weight)
    return Score(
        total=total,
        terms=dict(zip(names, scores, strict=True)),
        measures=dict(zip(names, measures, strict=True)),
        section_terms=dict(zip(names, in_sections, strict=True)),
        section_value=value,
        potential=_potential(view, value),
        view=view,
        lost=inputs.lost,
    )


def _weighted(values: NDArray[np.float64], weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """[item] weighted mean over terms of [term, item] values, nan values left out; nan where there is none."""
    weights = weight[:, None] * ~np.isnan(values)
    total = weights.sum(axis=0)
    result = np.full(total.shape, np.nan)
    np.divide((np.nan_to_num(values) * weights).sum(axis=0), total, out=result, where=total > 0)
    return result


def _potential(view: View, value: NDArray[np.float64]) -> NDArray[np.float64]:
    """[section] sum of the chart's section values up to and with this one, over its number of sections."""
    running = np.cumsum(value)
    first = np.searchsorted(view.section_chart, np.arange(view.n_charts))
    before = (running - value)[first]
    sections = np.bincount(view.section_chart, minlength=view.n_charts)
    return (running - before[view.section_chart]) / sections[view.section_chart]
