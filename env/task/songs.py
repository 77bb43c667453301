"""The songs that an environment writes on: grids, what sounds at each slot, and people's charts, as flat arrays.

The slots of all pieces stand one behind another, so that one compiled loop serves environments on different songs:
slot `s` of piece `p` is row `slot_base[p] + s` of every flat array. Shapes use: piece, slot, phrase.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chart.grid import TICKS_PER_BEAT, Grid, make_grid
from chart.model import Chart, TimingPoint
from mapper.data.corpus import Corpus
from mapper.sampling.encode_song import silent_slots
from mapper.tokens.log_mel import BANDS, FRAMES_PER_SECOND, as_network_input
from mapper.tokens.log_mel import SCALE as NETWORK_SCALE
from mapper.tokens.row_codes import HOLD_START, SYMBOLS, TAP, Rows, held_states
from reward.core.batch_view import view_of
from reward.core.song import Song, song_of_mel

SLOT_FEATURES = 5
"""What is told of a slot: phase in its beat (0–1); onset strength in three bands and loudness, about 1 on average."""
MAX_SLOT_FEATURE = 8.0


@dataclass(frozen=True)
class HumanChart:
    """A person's chart of a piece."""

    rows: Rows
    held: NDArray[np.int64]  # [row], held state after each row
    stars: float
    style: int  # index into mapper.network.model.STYLES


@dataclass(frozen=True)
class ChartedSong:
    """A song with one timing."""

    name: str
    grid: Grid
    timing_points: tuple[TimingPoint, ...]
    features: NDArray[np.uint8]  # [frame, band], what the mapper hears
    lag_ms: float
    song: Song  # what the reward hears
    open_slots: NDArray[np.bool_]  # [slot], usable and not silent
    phrases: NDArray[np.float64]  # [2, phrase], start and beat length of the reward's sections, ms
    humans: tuple[HumanChart, ...]

    @property
    def last_slot(self) -> int:
        """The last slot where anything may happen."""
        return int(np.flatnonzero(self.open_slots)[-1])


@dataclass(frozen=True)
class SongSet:
    """Pieces, and their slots as flat arrays."""

    pieces: tuple[ChartedSong, ...]
    slot_base: NDArray[np.int64]  # [piece], first row of its slots below
    slot_ms: NDArray[np.float64]  # [slot], chart time
    tick: NDArray[np.int64]  # [slot], 48 a beat
    open_slots: NDArray[np.bool_]  # [slot]
    heard: NDArray[np.float32]  # [slot, HEARD]

    @staticmethod
    def of(pieces: Sequence[ChartedSong]) -> SongSet:
        """Lay the pieces' slots one behind another."""
        assert pieces, "a library needs a piece"
        sizes = [piece.grid.slot_ms.size for piece in pieces]
        return SongSet(
            pieces=tuple(pieces),
            slot_base=np.concatenate(([0], np.cumsum(sizes)[:-1])).astype(np.int64),
            slot_ms=np.concatenate([piece.grid.slot_ms for piece in pieces]),
            tick=np.concatenate([piece.grid.tick for piece in pieces]),
            open_slots=np.concatenate([piece.open_slots for piece in pieces]),
            heard=np.concatenate([_heard(piece) for piece in pieces]),
        )


def _heard(piece: ChartedSong) -> NDArray[np.float32]:
    song = piece.song
    frame = np.round(song.frames(piece.grid.slot_ms)).astype(np.int64)
    inside = (frame >= 0) & (frame < song.loudness.size)
    frame = np.clip(frame, 0, max(song.loudness.size - 1, 0))
    columns = [*song.near_bands[frame].T, song.loudness[frame]]
    scaled = np.stack([column / max(float(column[inside].mean()), 1e-6) for column in columns], axis=1)
    heard = np.where(inside[:, None], np.minimum(scaled, MAX_SLOT_FEATURE), 0.0)
    return np.column_stack((piece.grid.beat_tick / TICKS_PER_BEAT, heard)).astype(np.float32)


def song_set_of(corpus: Corpus, charts: Sequence[int]) -> SongSet:
    """The pieces of these charts; charts with the same song and timing share one."""
    together: dict[tuple, list[int]] = defaultdict(list)
    for chart in charts:
        together[corpus.charts[chart].song, corpus.charts[chart].red_lines].append(chart)
    return SongSet.of([_piece(corpus, group) for group in together.values()])


def _piece(corpus: Corpus, charts: list[int]) -> ChartedSong:
    first = corpus.charts[charts[0]]
    song = corpus.songs[first.song]
    humans = []
    for chart in charts:
        rows, entry = corpus.chart_rows(chart), corpus.charts[chart]
        humans.append(HumanChart(rows, held_states(rows.code), entry.stars, entry.style))
    points = tuple(TimingPoint(time, beat, int(meter)) for time, beat, meter in first.red_lines)
    return charted_song(
        song.name, corpus.grid(charts[0]), points, np.asarray(corpus.features(charts[0])), song.lag_ms, humans
    )


def charted_song(
    name: str,
    grid: Grid,
    timing_points: tuple[TimingPoint, ...],
    features: NDArray[np.uint8],
    lag_ms: float,
    humans: Sequence[HumanChart] = (),
) -> ChartedSong:
    """A piece from its timing and features."""
    log_mel = as_network_input(features) * np.float32(NETWORK_SCALE)
    song = song_of_mel(log_mel, FRAMES_PER_SECOND, lag_ms)
    nothing = Chart.from_notes([], [], timing_points=timing_points)
    view = view_of([nothing], [song.span_ms])
    phrases = np.stack([view.section_start_ms - view.offset_ms[0], view.section_beat_ms])
    open_slots = grid.usable & ~silent_slots(grid, features, lag_ms)
    return ChartedSong(name, grid, timing_points, features, lag_ms, song, open_slots, phrases, tuple(humans))


def demo_songs(seed: int = 0, beats: int = 160, bpm: float = 150.0) -> SongSet:
    """One synthetic song of drum-like bursts with a simple chart: an environment that needs no data."""
    random = np.random.default_rng(seed)
    points = (TimingPoint(500.0, 60_000 / bpm),)
    duration_ms = 500.0 + beats * points[0].beat_length_ms
    grid = make_grid(points, 0.0, duration_ms)
    features = random.integers(3, 8, (int(duration_ms / 1000 * FRAMES_PER_SECOND) + 1, BANDS)).astype(np.uint8)
    slots = np.flatnonzero((grid.beat_tick % (TICKS_PER_BEAT // 2) == 0) & grid.usable)
    slots = slots[random.random(slots.size) < 0.8]
    for at in np.round(grid.slot_ms[slots] / 1000 * FRAMES_PER_SECOND).astype(int):
        band = 20 * int(random.integers(3))
        features[max(at, 0) : at + 4, band : band + 20] = 120
    columns = random.integers(0, 4, slots.size)
    symbol = np.full(slots.size, TAP)
    symbol[:-1:9], code = HOLD_START, np.zeros(slots.size, np.int64)
    code = symbol << (2 * columns)
    holds = np.flatnonzero(symbol == HOLD_START)
    code[holds + 1] = (3 << (2 * columns[holds])) | (TAP << (2 * ((columns[holds] + 1) % 4)))
    rows = Rows(slots, code)
    assert (SYMBOLS[code] != 0).any(-1).all()
    return SongSet.of(
        [charted_song("demo", grid, points, features, 0.0, [HumanChart(rows, held_states(code), 2.5, 1)])]
    )
