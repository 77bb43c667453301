"""What an episode is about: a section of a piece, the chart asked for, and the rows around it.

Sections are whole phrases of the reward (16 felt beats), so that every bar and phrase of an episode can be scored.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chart.grid import SLOTS_PER_CELL
from env.task.songs import ChartedSong, SongSet
from mapper.data.batches import CELLS, LONG_AGO_TICKS
from mapper.sampling.conditioning import DENSITY, HOLD_SHARE
from mapper.tokens.row_codes import Rows, held_states
from mapper.tokens.vocabulary import STYLES
from runtime.errors import ConfigError

PHRASE_BARS = 4
"""Bars of a phrase: four beats each."""
BAR_BEATS = 4
MAX_TOKENS = 256
"""Rows an episode may know: the start token, those before the section and those it writes (mapper.data.batches.MAX_ROWS)."""
CONTEXT_ROWS = 96
"""Rows before the section that are read at most."""
CONTEXT_CELLS = 160
"""Cells (quarter beats) before the section that are heard and read at most: half of the encoder's window."""
CELLS_BEHIND = 16
"""Cells behind the section that are heard at least."""
MIN_STARS, MAX_STARS = 1.5, 6.0
SLOT_TOLERANCE_MS = 2.0
"""A slot this close before a bar's edge belongs to the bar."""


@dataclass(frozen=True)
class Target:
    """The chart asked for."""

    stars: float
    notes_per_s: float
    hold_share: float  # holds / notes
    style: int  # index into mapper.network.model.STYLES

    @staticmethod
    def typical(stars: float, style: int) -> Target:
        """As dense and with as many holds as people's charts of these stars (mapper.search.closed_loop)."""
        slope, intercept = DENSITY[STYLES[style]]
        return Target(stars, max(slope * stars + intercept, 0.5), HOLD_SHARE, style)


@dataclass(frozen=True)
class Section:
    """Where an episode happens. Slots count from the piece's first; `window_slot` begins a cell."""

    piece: int
    target: Target
    window_slot: int  # where the decoder's start token stands and the encoder's window begins
    first_slot: int  # first slot that may be written
    end_slot: int  # first slot after the section
    bar_ms: NDArray[np.float64]  # [bar + 1], edges of the section's bars
    before: Rows  # rows from the window's begin to the section
    held: int  # held state at the window's begin
    tick_before: int  # tick of the last row before the window, or long ago
    draft: Rows | None = None  # editing: the rows that the section had
    after: Rows | None = None  # editing: the rows of the phrase behind the section, which stay

    @property
    def bars(self) -> int:
        """Number of bars."""
        return int(self.bar_ms.size - 1)


@dataclass(frozen=True)
class SectionConfig:
    """How episodes are drawn."""

    phrases: int = 2  # of 16 beats; two are eight bars
    min_stars: float = MIN_STARS
    max_stars: float = MAX_STARS
    human_share: float = 0.5  # episodes that go on from a person's chart at that chart's stars; the others from nothing
    edit: bool = False  # rewrite a section of a person's chart, whose rows before and behind it stay

    def __post_init__(self) -> None:
        if not 1 <= self.phrases <= 4:
            raise ConfigError(f"--phrases is {self.phrases}; give 1–4 phrases of 16 beats")
        if not 0 < self.min_stars <= self.max_stars:
            raise ConfigError(f"--min-stars {self.min_stars} and --max-stars {self.max_stars} are no range of stars")


def possible_starts(piece: ChartedSong, phrases: int) -> NDArray[np.int64]:
    """Phrases at which a section of so many phrases may begin: it sounds throughout, and lies on the grid."""
    start, beat = piece.phrases
    if start.size < phrases + 1:
        return np.empty(0, np.int64)
    slots = np.searchsorted(piece.grid.slot_ms, start - SLOT_TOLERANCE_MS)
    sounding = np.concatenate(([0], np.cumsum(piece.open_slots)))
    first, end = slots[:-phrases], slots[phrases:]
    share = (sounding[end] - sounding[first]) / np.maximum(end - first, 1)
    even = np.abs((start[phrases:] - start[:-phrases]) / (16 * phrases * beat[:-phrases]) - 1) < 0.01
    return np.flatnonzero((share > 0.5) & even & (first > 0))


MAX_DRAWS = 1000
"""Draws after which a library is taken to have no song that fits."""


def draw_song(library: SongSet, phrases: int, random: np.random.Generator) -> tuple[int, NDArray[np.int64]]:
    """(a random piece with room for so many phrases, those at which they may begin); raises ConfigError if there is none."""
    for _ in range(MAX_DRAWS):
        number = int(random.integers(len(library.pieces)))
        starts = possible_starts(library.pieces[number], phrases)
        if starts.size:
            return number, starts
    raise ConfigError(f"no song of the library has room for sections of {phrases} phrases; give longer songs")


def draw_section(library: SongSet, config: SectionConfig, random: np.random.Generator) -> Section:
    """A random section: each piece with room for one is as likely as any other."""
    for _ in range(MAX_DRAWS):
        number, starts = draw_song(library, config.phrases, random)
        piece = library.pieces[number]
        phrase = int(random.choice(starts))
        wanted = [one for one in piece.humans if config.min_stars <= one.stars <= config.max_stars]
        if config.edit and not wanted:
            continue
        if config.edit or (wanted and random.random() < config.human_share):
            human = wanted[int(random.integers(len(wanted)))]
            target = Target.typical(human.stars, human.style)
            return section_at(library, number, phrase, config.phrases, target, human.rows, config.edit)
        style = 2 if random.random() < 0.25 else 1
        target = Target.typical(float(random.uniform(config.min_stars, config.max_stars)), style)
        return section_at(library, number, phrase, config.phrases, target, None)
    raise ConfigError(f"no song of the library has room for sections of {config.phrases} phrases; give longer songs")


def section_at(
    library: SongSet,
    number: int,
    phrase: int,
    phrases: int,
    target: Target,
    rows: Rows | None,
    edit: bool = False,
) -> Section:
    """The section of `phrases` phrases from `phrase` on, behind (and with `edit` also before) `rows` of its piece."""
    piece = library.pieces[number]
    start, beat = piece.phrases
    bar_ms = start[phrase] + beat[phrase] * BAR_BEATS * np.arange(phrases * PHRASE_BARS + 1)
    first, end = np.searchsorted(piece.grid.slot_ms, bar_ms[[0, -1]] - SLOT_TOLERANCE_MS)
    first_cell = int(first) // SLOTS_PER_CELL
    room = CELLS - (int(end) // SLOTS_PER_CELL - first_cell) - CELLS_BEHIND
    window = max(first_cell - min(CONTEXT_CELLS, room), 0) * SLOTS_PER_CELL
    before, held, tick_before = Rows(np.empty(0, np.int64), np.empty(0, np.int64)), 0, -LONG_AGO_TICKS
    draft = after = None
    if rows is None:
        window = first_cell * SLOTS_PER_CELL
    else:
        window, before, held, tick_before = _context(piece, rows, window, int(first))
    if edit and rows is not None:
        last = np.searchsorted(piece.grid.slot_ms, 2 * bar_ms[-1] - bar_ms[-1 - PHRASE_BARS] - SLOT_TOLERANCE_MS)
        draft, after = _between(rows, int(first), int(end)), _between(rows, int(end), int(last))
    if tick_before == -LONG_AGO_TICKS:
        tick_before += int(piece.grid.tick[window])
    return Section(number, target, window, int(first), int(end), bar_ms, before, held, tick_before, draft, after)


def _between(rows: Rows, first: int, end: int) -> Rows:
    inside = (rows.slot >= first) & (rows.slot < end)
    return Rows(rows.slot[inside], rows.code[inside])


def _context(piece: ChartedSong, rows: Rows, window: int, first: int) -> tuple[int, Rows, int, int]:
    """(window's begin, rows in it before the section, held state at its begin, tick of the row before it)."""
    last = int(np.searchsorted(rows.slot, first))
    begin = max(int(np.searchsorted(rows.slot, window)), last - CONTEXT_ROWS)
    if begin < last and begin == last - CONTEXT_ROWS:
        window = int(rows.slot[begin]) // SLOTS_PER_CELL * SLOTS_PER_CELL
        begin = int(np.searchsorted(rows.slot, window))
    held = int(held_states(rows.code[:begin])[-1]) if begin else 0
    tick_before = int(piece.grid.tick[rows.slot[begin - 1]]) if begin else -LONG_AGO_TICKS
    return window, Rows(rows.slot[begin:last], rows.code[begin:last]), held, tick_before
