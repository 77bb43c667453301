"""How good is what has been written so far? The reward's own terms, phrase by phrase, as a bounded potential.

    potential = (sum of the values of finished phrases + share of the current one · its value so far) / phrases

A phrase is a section of the reward (four bars); its value is the weighted mean of the reward's section terms (0–1; terms
with nothing to measure count `reward.total.UNKNOWN`), but that the level is held to the middle of people's band. After each
bar the terms that read notes alone are measured; when a phrase is finished, the simulated players play it and the song's
terms are measured too. The reward of a step is the rise of the potential, so an episode's rewards sum to the value of its
section.

Left out are terms that compare a phrase with the rest of its song (spikes, slope, fails, emphasis, energy, swells,
repetition, stamina): of a section they say little, and whole charts are watched by the held-out evaluation.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from agents import Plays, Population, play
from chart.model import KEYS, Chart, Difficulty
from env.returns import slot_musicality as following
from env.task import kernels
from env.task.dynamics import State
from env.task.episodes import PHRASE_BARS
from env.task.songs import ChartedSong, SongSet
from mapper.output.metadata import SETTINGS
from mapper.tokens.row_codes import MIN_COLUMN_GAP_MS, STARTS_NOTE
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
TERM_NAMES = ("fairness/level", *(term.name for term in NOTE_TERMS), *following.TERMS)
OFF_GRID_RULES = frozenset({"unsnapped-note", "unsnapped-release"})
RULES = tuple(rule for rule in (*GENERAL_RULES, *LEVEL_RULES) if rule.name not in OFF_GRID_RULES)
"""What rows on the grid can break: not the snap, and not the settings, which are given when a chart is packed."""
LEVEL_SOFTNESS = 0.8
"""Levels off the middle of people's band at which `fairness/level` is worth half. People's phrases differ by more than a
level within a chart, so their band tells hardly anything of the level asked for: with it, refinement made charts easier."""
SKILL_SPREAD = 0.3
"""Levels by which each skill of a simulated player is off, drawn afresh for each episode: no player is met twice."""
REST_BETWEEN_MS = 300_000.0
"""Rest of the players between the versions of a phrase that they play in one sitting: what tires has long passed."""


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
    """Values of jobs."""

    value: NDArray[np.float64]  # [job], 0–1
    terms: NDArray[np.float64]  # [term, job] by TERM_NAMES, 0–1, nan = nothing to measure
    measures: NDArray[np.float64]  # [term, job], in the terms' units


class Scorer:
    """Values phrases of environments that write on a library."""

    def __init__(self, library: SongSet, config: ScoringConfig | None = None) -> None:
        self.library, self.config = library, config or ScoringConfig()
        self.offers = [following.onset_features(piece) for piece in library.pieces]
        self.bands = _at_the_target(Bands.of(SECTION_BANDS, TERM_NAMES))
        self.weight = np.array([self.config.weights.of(name) for name in TERM_NAMES])

    def value(self, state: State, jobs: Sequence[Job]) -> Valued:
        """Value all jobs; finished phrases in full, others by their notes alone."""
        charts = [chart_of(self.library, state, job) for job in jobs]
        spans = [phrase_ms(state, job) for job in jobs]
        stars = np.array([state.sections[job.env].target.stars for job in jobs])
        view = view_of(charts, [(start, end - 1.0) for start, end in spans])
        section = _section_of(view, np.array([start for start, _ in spans]))
        measures = np.full((len(TERM_NAMES), len(jobs)), np.nan)
        if len(view.note_ms):
            notes = Inputs(stars, counts=count(view, [level_of(float(asked)) for asked in stars], RULES))
            for row, term in enumerate(NOTE_TERMS, 1):
                measures[row] = term.measure(view, notes).section[section]
        self._play(state, jobs, charts, view, section, measures)
        self._listen(state, jobs, spans, measures)
        terms = self.bands.score(measures, stars)
        return Valued(value_of(terms, self.weight), terms, measures)

    def _play(
        self, state: State, jobs: Sequence[Job], charts: list[Chart], view: View, section: NDArray, out: NDArray
    ) -> None:
        """The level that finished phrases ask of the players, into the first row of `out`."""
        together: dict[tuple[float, int], list[int]] = defaultdict(list)
        for number, job in enumerate(jobs):
            if job.whole and len(charts[number]) >= fairness.MIN_NOTES:
                together[state.sections[job.env].target.stars, job.seed].append(number)
        plays: list[Plays | None] = [None] * len(jobs)
        for (stars, seed), numbers in together.items():
            for number, one in zip(
                numbers, play_all([charts[k] for k in numbers], seed, stars, self.config.players), strict=True
            ):
                plays[number] = one
        stars_of = np.array([state.sections[job.env].target.stars for job in jobs])
        lost = fairness.lost_of(view, stars_of, plays)
        out[0] = lost.section_level[section]

    def _listen(self, state: State, jobs: Sequence[Job], spans: list[tuple[float, float]], out: NDArray) -> None:
        """How finished phrases follow their songs, into the rows of `following.TERMS`."""
        first = TERM_NAMES.index(following.TERMS[0])
        for number, job in enumerate(jobs):
            if job.whole:
                section = state.sections[job.env]
                piece, offer = self.library.pieces[section.piece], self.offers[section.piece]
                tokens = state.tokens[job.env, 1 : state.tokens_known[job.env]]
                slots = tokens[STARTS_NOTE[tokens[:, kernels.CODE]], kernels.SLOT] + section.window_slot
                first_slot, end_slot = np.searchsorted(piece.grid.slot_ms, np.array(spans[number]) - 2.0)
                heads = slots[(slots >= first_slot) & (slots < end_slot)].astype(np.int64)
                found = following.follow(piece, offer, heads, *spans[number])
                out[first : first + len(following.TERMS), number] = found


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
    bar_ms = state.sections[job.env].bar_ms
    first = job.phrase * PHRASE_BARS
    return float(bar_ms[first]), float(bar_ms[first + job.bars])


def chart_of(library: SongSet, state: State, job: Job, whole_section: bool = False) -> Chart:
    """The phrase as far as it is written, with a phrase of what stands before it; edited, also with what stands behind."""
    section = state.sections[job.env]
    piece = library.pieces[section.piece]
    tokens = state.tokens[job.env, : state.tokens_known[job.env]]
    slot_ms = piece.grid.slot_ms[section.window_slot :]
    start, end = phrase_ms(state, job)
    phrase_long = section.bar_ms[PHRASE_BARS] - section.bar_ms[0]
    reach = section.bar_ms[0] if whole_section else start
    slots = np.searchsorted(slot_ms, [reach - phrase_long - 2.0, end - 2.0])
    first = max(int(np.searchsorted(tokens[:, kernels.SLOT], slots[0])), 1)
    last = max(int(np.searchsorted(tokens[:, kernels.SLOT], slots[1])), first)
    near = tokens[first:last]
    if section.after is not None and job.phrase * PHRASE_BARS + job.bars == section.bars:
        near = np.concatenate((near, _as_tokens(section.after.code, section.after.slot - section.window_slot)))
    return chart_of_tokens(near, end, slot_ms, piece, section.target.stars)


def chart_of_tokens(
    tokens: NDArray[np.int32], end_ms: float, slot_ms: NDArray[np.float64], piece: ChartedSong, stars: float
) -> Chart:
    """Rows [row, kernels.TOKEN] as a chart of these stars; holds that are not released end at `end_ms`.

    The rows' slots are counted as those of `slot_ms` [slot].
    """
    note = np.empty((KEYS * (len(tokens) + 1), 3))
    count = kernels.write_notes(tokens, end_ms, slot_ms, note)
    return Chart(
        note[:count, 0],
        note[:count, 1].astype(np.int8),
        note[:count, 2],
        timing_points=piece.timing_points,
        difficulty=settings_of(stars),
    )


def _as_tokens(code: NDArray[np.int64], slot: NDArray[np.int64]) -> NDArray[np.int32]:
    rows = np.zeros((code.size, kernels.TOKEN), np.int32)
    rows[:, kernels.CODE], rows[:, kernels.SLOT] = code, slot
    return rows


@lru_cache(maxsize=4096)
def settings_of(stars: float) -> Difficulty:
    """HP and OD that a chart of these stars is given when it is packed."""
    return SETTINGS[Level(level_of(stars))]


def play_all(charts: Sequence[Chart], seed: int, stars: float, count: int) -> list[Plays | None]:
    """Each chart's plays by one ladder of players, all in one sitting with long rests; None if they cannot be played.

    The ladder reaches two levels to both sides of the target; each player's single skills are drawn from the seed.
    """
    population = fairness.ladder(stars, count)
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


def weights_with(changes: dict[str, float]) -> Weights:
    """The default scoring weights with some changed, by term name such as `fairness/level`."""
    known = {one.name: getattr(ScoringConfig().weights, one.name) for one in fields(Weights)}
    for name, value in changes.items():
        if name not in TERM_NAMES:
            raise ConfigError(f"there is no term {name!r} in a section; terms are {', '.join(TERM_NAMES)}")
        known[name.replace("/", "_")] = value
    return Weights(**known)
