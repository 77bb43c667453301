"""Episodes: a song, a target, the chart around a section, and the section to be written.

Sections are whole phrases of the reward (16 felt beats), so that every bar and phrase of an episode can be scored. The
chart around a section is the mapper's own draft, a person's chart, a person's chart up to the section, or nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chart.model import KEYS
from env.task.songs import ChartedSong, SongSet
from mapper.sampling.conditioning import DENSITY, HOLD_SHARE
from mapper.sampling.kernels import next_hold_bias
from mapper.sampling.sampler import Span, last_slot_of
from mapper.tokens.row_codes import HOLD_END, HOLD_START, SYMBOLS, Rows, held_states
from mapper.tokens.vocabulary import STYLES
from runtime.errors import ConfigError

PHRASE_BARS = 4
"""Bars of a phrase: four beats each."""
BAR_BEATS = 4
MAX_ROWS = 320
"""Rows that an episode holds at most: those before the section and those written."""
CONTEXT_ROWS = 128
"""Rows before the section that an observation shows at most; the mapper's sampler reads 48."""
MIN_STARS, MAX_STARS = 1.5, 6.0
SLOT_TOLERANCE_MS = 2.0
"""A slot this close before a bar's edge belongs to the bar."""
DENSITY_PERTURBATION = 0.4
"""Onset log-odds added to one half of a song's drafts and taken from the other: about ±6 % of the notes."""
CONTEXTS = ("open", "chart", "draft")
MAX_DRAWS = 1000
"""Draws after which a song set is taken to have no song that fits."""
NO_ROWS = Rows(np.empty(0, np.int64), np.empty(0, np.int64))


@dataclass(frozen=True)
class Target:
    """Properties requested of a chart."""

    stars: float
    notes_per_s: float
    hold_ratio: float  # holds / notes
    style: int  # index into mapper.tokens.vocabulary.STYLES

    @staticmethod
    def typical(stars: float, style: int) -> Target:
        """Density and hold ratio of people's charts of these stars (mapper.sampling.conditioning).

        Numbers are rounded to 32 bits, as observations hold them.
        """
        slope, intercept = DENSITY[STYLES[style]]
        numbers = (stars, max(slope * stars + intercept, 0.5), HOLD_SHARE)
        stars, notes_per_s, hold_ratio = (float(np.float32(one)) for one in numbers)
        return Target(stars, notes_per_s, hold_ratio, style)


@dataclass(frozen=True)
class Outline:
    """An episode before the chart around its section is known."""

    song: int
    phrase: int  # of the song, where the section begins
    target: Target
    seed: int  # of the players and of the draft
    onset_bias: float = 0.0  # log-odds added to every slot's onset, in the draft and in the section
    human: Rows | None = None  # a person's chart


Drafter = Callable[[Sequence[Outline]], list[Rows]]
"""Writes the whole chart of each outline: the mapper's sampler (`env.policy.chart_sampler`)."""


@dataclass(frozen=True)
class Episode:
    """One section to be written. Slots count from the song's first."""

    song: int
    target: Target
    first_slot: int  # first slot that may be written
    end_slot: int  # first slot after the last one that may be written
    bar_ms: NDArray[np.float64]  # [bar + 1], edges of the section's bars, chart time
    before: Rows  # all rows before the section
    seed: int = 0  # of the players
    onset_bias: float = 0.0
    hold_bias: float = 0.0  # log-odds of a hold when the section begins, `mapper.sampling.kernels.next_hold_bias`
    draft: Rows | None = None  # rows that the section had
    after: Rows | None = None  # rows behind the section, which stay

    @property
    def bars(self) -> int:
        """Number of bars of the section."""
        return int(self.bar_ms.size - 1)

    @property
    def context(self) -> Rows:
        """The last rows before the section; no column is held before the first of them."""
        rows = self.before
        free = np.flatnonzero(np.concatenate(([0], held_states(rows.code)))[:-1] == 0) if len(rows) else NO_ROWS.slot
        free = free[free >= len(rows) - CONTEXT_ROWS]
        begin = int(free[0]) if free.size else len(rows)
        return Rows(rows.slot[begin:], rows.code[begin:])

    def chart_with(self, section: Rows) -> Rows:
        """The rows of the whole chart with these rows in the section's place."""
        parts = (self.before, section, self.after or NO_ROWS)
        return Rows(np.concatenate([one.slot for one in parts]), np.concatenate([one.code for one in parts]))


@dataclass(frozen=True)
class EpisodeConfig:
    """Settings by which episodes are drawn.

    `context` is the chart around the section. "open": a person's rows up to the section in `human_ratio` of the
    episodes, nothing in the others. "chart": a person's chart on both sides. "draft": the mapper's own draft.
    """

    phrases: int = 2  # of 16 beats; two are eight bars
    min_stars: float = MIN_STARS
    max_stars: float = MAX_STARS
    human_ratio: float = 0.5
    context: str = "open"

    def __post_init__(self) -> None:
        if not 1 <= self.phrases <= 4:
            raise ConfigError(f"--phrases is {self.phrases}; give 1–4 phrases of 16 beats")
        if not 0 < self.min_stars <= self.max_stars:
            raise ConfigError(f"--min-stars {self.min_stars} and --max-stars {self.max_stars} are no range of stars")
        if self.context not in CONTEXTS:
            raise ConfigError(f"context is {self.context!r}; give one of {', '.join(CONTEXTS)}")


def possible_starts(song: ChartedSong, phrases: int) -> NDArray[np.int64]:
    """Phrases at which a section of so many phrases may begin: most of it sounds, and its tempo is even."""
    start, beat = song.phrases
    if start.size < phrases + 1:
        return np.empty(0, np.int64)
    slots = np.searchsorted(song.grid.slot_ms, start - SLOT_TOLERANCE_MS)
    sounding = np.concatenate(([0], np.cumsum(song.open_slots)))
    first, end = slots[:-phrases], slots[phrases:]
    ratio = (sounding[end] - sounding[first]) / np.maximum(end - first, 1)
    even = np.abs((start[phrases:] - start[:-phrases]) / (16 * phrases * beat[:-phrases]) - 1) < 0.01
    return np.flatnonzero((ratio > 0.5) & even & (first > 0))


def draw_outline(library: SongSet, config: EpisodeConfig, random: np.random.Generator, variant: int = 0) -> Outline:
    """Draw an episode; every song with room for a section is equally likely.

    Drafts of one song and target differ in `variant`: its section, and whether its onset bias is positive (even) or
    negative (odd). Raises ConfigError when no song fits.
    """
    for _ in range(MAX_DRAWS):
        number = int(random.integers(len(library.songs)))
        song = library.songs[number]
        starts = possible_starts(song, config.phrases)
        humans = [one for one in song.humans if config.min_stars <= one.stars <= config.max_stars]
        if not starts.size or (config.context == "chart" and not humans):
            continue
        seed = int(random.integers(2**31))
        phrase = int(np.random.default_rng([seed, variant]).choice(starts))
        if config.context == "chart" or (config.context == "open" and humans and random.random() < config.human_ratio):
            human = humans[int(random.integers(len(humans)))]
            return Outline(number, phrase, Target.typical(human.stars, human.style), seed, human=human.rows)
        stars = float(random.uniform(config.min_stars, config.max_stars))
        styles = [human.style for human in song.humans] if config.context == "draft" else []
        style = int(random.choice(styles)) if styles else 2 if random.random() < 0.25 else 1
        bias = DENSITY_PERTURBATION * (-1) ** variant if config.context == "draft" else 0.0
        return Outline(number, phrase, Target.typical(stars, style), seed, bias)
    raise ConfigError(f"no song of the library has room for sections of {config.phrases} phrases; give longer songs")


def episode_of(library: SongSet, outline: Outline, config: EpisodeConfig, rows: Rows | None) -> Episode:
    """The episode of an outline; `rows` are the whole chart around it (its section's included), None: nothing."""
    song = library.songs[outline.song]
    start, beat = song.phrases[:, outline.phrase]
    bar_ms = start + beat * BAR_BEATS * np.arange(config.phrases * PHRASE_BARS + 1)
    first, end = np.searchsorted(song.grid.slot_ms, bar_ms[[0, -1]] - SLOT_TOLERANCE_MS).tolist()
    before = _between(rows, 0, first) if rows else NO_ROWS
    surrounded = rows is not None and config.context != "open"
    after = _without_releases(_between(rows, end, song.grid.slot_ms.size)) if rows and surrounded else None
    span = Span(first, end, before, np.full(KEYS, -np.inf), _first_event_ms(after or NO_ROWS, song))
    return Episode(
        song=outline.song,
        target=outline.target,
        first_slot=first,
        end_slot=last_slot_of(song.grid, song.open_slots, span) + 1,
        bar_ms=bar_ms,
        before=before,
        seed=outline.seed,
        onset_bias=outline.onset_bias,
        hold_bias=_hold_bias(before, outline.target.hold_ratio) if config.context == "draft" else 0.0,
        draft=_between(rows, first, end) if rows and surrounded else None,
        after=after,
    )


def _between(rows: Rows, first: int, end: int) -> Rows:
    inside = (rows.slot >= first) & (rows.slot < end)
    return Rows(rows.slot[inside], rows.code[inside])


def _without_releases(rows: Rows) -> Rows:
    """The rows without the releases of holds that began before the first of them."""
    symbols = SYMBOLS[rows.code]
    started = np.cumsum(symbols == HOLD_START, axis=0) > 0
    kept = np.where((symbols == HOLD_END) & ~started, 0, symbols)
    code = (kept << (2 * np.arange(KEYS))).sum(-1)
    return Rows(rows.slot[code > 0], code[code > 0])


def _first_event_ms(rows: Rows, song: ChartedSong) -> NDArray[np.float64]:
    """[column] time of each column's first event, inf where there is none."""
    result = np.full(KEYS, np.inf)
    for column in range(KEYS):
        slots = rows.slot[SYMBOLS[rows.code, column] != 0]
        if slots.size:
            result[column] = song.grid.slot_ms[slots[0]]
    return result


def _hold_bias(rows: Rows, hold_ratio: float) -> float:
    """Log-odds of a hold that the sampler has reached after these rows."""
    bias = 0.0
    for code in rows.code.tolist():
        bias = next_hold_bias(bias, code, hold_ratio)
    return bias
