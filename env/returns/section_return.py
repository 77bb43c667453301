"""The value of a section as far as it is written: the reward's section terms, phrase by phrase, as a bounded potential.

    potential = (sum of the values of finished phrases + fraction of the current one · its value so far) / phrases

A phrase is a section of the reward (four bars); its value is the weighted mean of the reward's section terms (0–1; terms
with nothing to measure count `reward.total.UNKNOWN`), but the level is held to the middle of people's band. After each
bar the terms that read notes alone are measured; when a phrase is finished, the simulated players play it and the song's
terms are measured too. The reward of a step is the rise of the potential, so an episode's rewards sum to the value of its
section.

Terms that compare a phrase with the rest of its song are left out (spikes, slope, fails, emphasis, energy, swells,
repetition, stamina): of a section they say little. Whole charts have them (`env.returns.chart_return`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from agents import Plays, Population, play
from chart.model import Chart, Difficulty
from env.returns import slot_musicality
from env.task.dynamics import State
from env.task.episodes import PHRASE_BARS, SLOT_TOLERANCE_MS
from env.task.songs import ChartedSong, SongSet
from mapper.output.metadata import SETTINGS
from mapper.tokens.row_codes import MIN_COLUMN_GAP_MS, STARTS_NOTE, Rows, notes_of
from reward.band_table import SECTION_BANDS
from reward.core.bands import Bands
from reward.core.batch_view import View, view_of
from reward.core.inputs import Inputs
from reward.rules.check import count
from reward.rules.criteria import Level, level_of
from reward.rules.general import GENERAL_RULES
from reward.rules.levels import LEVEL_RULES
from reward.terms import criteria as rule_terms
from reward.terms import ergonomics, fairness, readability
from reward.total import UNKNOWN, Weights
from runtime.errors import ConfigError, Mania4KError

NOTE_TERMS = tuple(
    term for term in (*readability.TERMS, *ergonomics.TERMS, *rule_terms.TERMS) if term.name != "ergonomics/stamina"
)
TERM_NAMES = ("fairness/level", *(term.name for term in NOTE_TERMS), *slot_musicality.TERMS)
OFF_GRID_RULES = frozenset({"unsnapped-note", "unsnapped-release"})
RULES = tuple(rule for rule in (*GENERAL_RULES, *LEVEL_RULES) if rule.name not in OFF_GRID_RULES)
"""Rules that rows on the grid can break: not the snap, and not the settings, which a chart gets when it is packed."""
LEVEL_SOFTNESS = 0.8
"""Levels off the middle of people's band at which `fairness/level` scores half. People's phrases differ by more than a level
within a chart, so their band says little about the requested level: with it, refinement made charts easier."""
SKILL_SPREAD = 0.3
"""Standard deviation of each skill of a simulated player, in levels, drawn anew for each episode."""
REST_BETWEEN_MS = 300_000.0
"""Rest of the players between the phrases that they play in one sitting: fatigue has long passed."""


@dataclass(frozen=True)
class ScoringConfig:
    """Weights of the terms and the size of a playtest."""

    weights: Weights = field(
        default_factory=lambda: Weights(
            fairness_level=3.0,
            musicality_support=1.5,
            musicality_choice=6.0,
            rules_problems=4.0,
            rules_warnings=4.0,
        )
    )
    players: int = 32

    def __post_init__(self) -> None:
        if not 4 <= self.players <= 512:
            raise ConfigError(f"--players is {self.players}; give 4–512 simulated players")


@dataclass(frozen=True)
class Job:
    """A phrase of one environment to be valued."""

    env: int
    phrase: int  # of the section, from 0
    bars: int  # finished bars of the phrase, 1–4
    seed: int  # of the players; phrases with the same seed and target are played by the same ones

    @property
    def whole(self) -> bool:
        """Whether the phrase is finished."""
        return self.bars == PHRASE_BARS


@dataclass(frozen=True)
class Valued:
    """Values, terms and measures of a batch of jobs."""

    value: NDArray[np.float64]  # [job], 0–1
    terms: NDArray[np.float64]  # [term, job] by TERM_NAMES, 0–1, nan = nothing to measure
    measures: NDArray[np.float64]  # [term, job], in the terms' units


class Scorer:
    """Values phrases of environments on a song set."""

    def __init__(self, library: SongSet, config: ScoringConfig | None = None) -> None:
        self.library, self.config = library, config or ScoringConfig()
        self.onset_features = [slot_musicality.onset_features(song) for song in library.songs]
        self.bands = _at_the_target(Bands.of(SECTION_BANDS, TERM_NAMES))
        self.weight = np.array([self.config.weights.of(name) for name in TERM_NAMES])

    def value(self, state: State, jobs: Sequence[Job]) -> Valued:
        """Value all jobs; finished phrases in full, others by their notes alone."""
        charts = [chart_of(self.library, state, job) for job in jobs]
        spans = [phrase_ms(state, job) for job in jobs]
        stars = np.array([state.episodes[job.env].target.stars for job in jobs])
        view = view_of(charts, [(start, end - 1.0) for start, end in spans])
        section = _section_of(view, np.array([start for start, _ in spans]))
        measures = np.full((len(TERM_NAMES), len(jobs)), np.nan)
        if len(view.note_ms):
            notes = Inputs(stars, counts=count(view, [level_of(float(one)) for one in stars], RULES))
            for row, term in enumerate(NOTE_TERMS, 1):
                measures[row] = term.measure(view, notes).section[section]
        measures[0] = self._levels(stars, jobs, charts, view)[section]
        first = TERM_NAMES.index(slot_musicality.TERMS[0])
        for number, job in enumerate(jobs):
            if job.whole:
                measures[first : first + len(slot_musicality.TERMS), number] = self._musicality(
                    state, job, spans[number]
                )
        terms = self.bands.score(measures, stars)
        return Valued(value_of(terms, self.weight), terms, measures)

    def _levels(self, stars: NDArray, jobs: Sequence[Job], charts: list[Chart], view: View) -> NDArray[np.float64]:
        """[section of the view] levels that finished phrases demand of the players, less the target."""
        together: dict[tuple[float, int], list[int]] = defaultdict(list)
        for number, job in enumerate(jobs):
            if job.whole and len(charts[number]) >= fairness.MIN_NOTES:
                together[float(stars[number]), job.seed].append(number)
        plays: list[Plays | None] = [None] * len(jobs)
        for (target, seed), numbers in together.items():
            played = play_all([charts[one] for one in numbers], seed, target, self.config.players)
            for number, one in zip(numbers, played, strict=True):
                plays[number] = one
        return fairness.lost_of(view, stars, plays).section_level

    def _musicality(self, state: State, job: Job, span: tuple[float, float]) -> NDArray[np.float64]:
        """[slot_musicality.TERMS] measures of a finished phrase between the times of `span`."""
        episode, rows = state.episodes[job.env], state.rows_of(job.env)
        song = self.library.songs[episode.song]
        first, end = np.searchsorted(song.grid.slot_ms, np.array(span) - SLOT_TOLERANCE_MS)
        heads = rows.slot[STARTS_NOTE[rows.code] & (rows.slot >= first) & (rows.slot < end)]
        return slot_musicality.follow(song, self.onset_features[episode.song], heads, *span)


def value_of(terms: NDArray[np.float64], weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """[phrase] weighted mean of [term, phrase] scores; those with nothing to measure count `UNKNOWN`."""
    value: NDArray[np.float64] = weight @ np.where(np.isnan(terms), UNKNOWN, terms) / weight.sum()
    return value


def _at_the_target(bands: Bands) -> Bands:
    """The bands with the level of `fairness/level` drawn together to its middle."""
    limits = bands.limits.copy()
    limits[:2, 0] = limits[:2, 0].mean(0)
    limits[2:, 0] = LEVEL_SOFTNESS
    return Bands(limits)


def _section_of(view: View, start_ms: NDArray[np.float64]) -> NDArray[np.int64]:
    """[chart] the section of the view that begins at `start_ms` (chart time)."""
    at = start_ms + view.offset_ms
    return np.searchsorted(view.section_start_ms, at + MIN_COLUMN_GAP_MS, side="right") - 1


def phrase_ms(state: State, job: Job) -> tuple[float, float]:
    """Begin and end of the part of the phrase that is valued, chart time."""
    bar_ms = state.episodes[job.env].bar_ms
    first = job.phrase * PHRASE_BARS
    return float(bar_ms[first]), float(bar_ms[first + job.bars])


def chart_of(library: SongSet, state: State, job: Job, whole_section: bool = False) -> Chart:
    """The phrase as far as it is written, with a phrase of the rows before it and, at the section's end, behind it."""
    episode, rows = state.episodes[job.env], state.rows_of(job.env)
    song = library.songs[episode.song]
    start, end = phrase_ms(state, job)
    phrase_long = episode.bar_ms[PHRASE_BARS] - episode.bar_ms[0]
    begin = (episode.bar_ms[0] if whole_section else start) - phrase_long
    times = np.array([begin, end, end + phrase_long]) - SLOT_TOLERANCE_MS
    slots = np.searchsorted(song.grid.slot_ms, times)
    first, last = np.searchsorted(rows.slot, slots[:2])
    near = Rows(rows.slot[first:last], rows.code[first:last])
    if episode.after is not None and job.phrase * PHRASE_BARS + job.bars == episode.bars:
        behind = int(np.searchsorted(episode.after.slot, slots[2]))
        near = Rows(
            np.concatenate((near.slot, episode.after.slot[:behind])),
            np.concatenate((near.code, episode.after.code[:behind])),
        )
    return chart_from(near, song, episode.target.stars, end)


def chart_from(rows: Rows, song: ChartedSong, stars: float, open_end_ms: float = np.inf) -> Chart:
    """Rows of a song as a chart with the settings of these stars; holds that are not released end at `open_end_ms`."""
    notes = notes_of(rows, song.grid, open_end_ms)
    return Chart(*notes, timing_points=song.timing_points, difficulty=settings_of(stars))


@lru_cache(maxsize=4096)
def settings_of(stars: float) -> Difficulty:
    """HP and OD that a chart of these stars is given when it is packed."""
    return SETTINGS[Level(level_of(stars))]


def play_all(charts: Sequence[Chart], seed: int, stars: float, count: int) -> list[Plays | None]:
    """Plays of each chart by one skill grid of players, in one sitting with long rests; None if it cannot be played.

    The grid reaches two levels to both sides of the target; each player's single skills are drawn from the seed.
    """
    population = fairness.skill_grid(stars, count)
    skills = population.skills.copy()
    off = np.random.default_rng([seed, 1]).normal(0.0, SKILL_SPREAD, (count, 6))
    skills[:, :6] = np.maximum(skills[:, :6] + off, 0.0)
    start = np.array([chart.time_ms[0] for chart in charts])
    length = np.array([chart.last_ms for chart in charts]) - start
    shift = np.concatenate(([0.0], np.cumsum(length + REST_BETWEEN_MS)[:-1])) - start
    sitting = Chart(
        np.concatenate([chart.time_ms + by for chart, by in zip(charts, shift, strict=True)]),
        np.concatenate([chart.column for chart in charts]),
        np.concatenate([chart.end_ms + by for chart, by in zip(charts, shift, strict=True)]),
        difficulty=charts[0].difficulty,
    )
    try:
        plays = play(sitting, Population(skills), seed)
    except Mania4KError:
        return [None] * len(charts)
    ends = np.cumsum([len(chart) for chart in charts])
    return [
        replace(
            plays, grade=plays.grade[:, end - len(chart) : end], tail_grade=plays.tail_grade[:, end - len(chart) : end]
        )
        for chart, end in zip(charts, ends, strict=True)
    ]
