"""The songs of an environment: grids, audio features of each slot and people's charts, as flat arrays.

The slots of all songs stand one behind another, so that one compiled loop serves environments on different songs:
slot `s` of song `n` is row `slot_base[n] + s` of every flat array. Shapes use: song, slot, phrase.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from chart.grid import TICKS_PER_BEAT, Grid, make_grid
from chart.model import Chart, TimingPoint
from mapper.data.corpus import Corpus
from mapper.sampling.encode_song import silent_slots
from mapper.tokens.log_mel import BANDS, FRAMES_PER_SECOND, as_network_mel
from mapper.tokens.log_mel import SCALE as NETWORK_SCALE
from mapper.tokens.row_codes import HOLD_START, SYMBOLS, TAP, Rows
from mapper.tokens.song_features import features_of_mel
from reward.core.batch_view import view_of
from reward.core.song import Song, song_of_mel

SLOT_FEATURES = 5
"""Features of a slot: phase in its beat (0–1); onset strength in three bands and loudness, about 1 on average."""
MAX_SLOT_FEATURE = 8.0


@dataclass(frozen=True)
class HumanChart:
    """A person's chart of a song."""

    rows: Rows
    stars: float
    style: int  # index into mapper.tokens.vocabulary.STYLES


@dataclass(frozen=True)
class ChartedSong:
    """A song with one timing."""

    name: str
    grid: Grid
    timing_points: tuple[TimingPoint, ...]
    features: NDArray[np.uint8]  # [frame, band], input of the mapper
    lag_ms: float
    song: Song  # input of the reward
    open_slots: NDArray[np.bool_]  # [slot], usable and not silent
    phrases: NDArray[np.float64]  # [2, phrase], start and beat length of the reward's sections, ms
    humans: tuple[HumanChart, ...]

    @property
    def last_slot(self) -> int:
        """The last slot where anything may happen."""
        return int(np.flatnonzero(self.open_slots)[-1])


class SlotArrays(NamedTuple):
    """Grid arrays of all songs, as the compiled loops take them."""

    slot_ms: NDArray[np.float64]  # [slot], chart time
    tick: NDArray[np.int64]  # [slot], 48 a beat
    open_slots: NDArray[np.bool_]  # [slot], where a row may fall


@dataclass(frozen=True)
class SongSet:
    """Songs, and their slots as flat arrays."""

    songs: tuple[ChartedSong, ...]
    slot_base: NDArray[np.int64]  # [song], first row of its slots below
    slots: SlotArrays
    slot_features: NDArray[np.float32]  # [slot, SLOT_FEATURES]

    @staticmethod
    def of(songs: Sequence[ChartedSong]) -> SongSet:
        """Lay the songs' slots one behind another."""
        assert songs, "a song set needs a song"
        sizes = [song.grid.slot_ms.size for song in songs]
        return SongSet(
            songs=tuple(songs),
            slot_base=np.concatenate(([0], np.cumsum(sizes)[:-1])).astype(np.int64),
            slots=SlotArrays(
                slot_ms=np.concatenate([song.grid.slot_ms for song in songs]),
                tick=np.concatenate([song.grid.tick for song in songs]),
                open_slots=np.concatenate([song.open_slots for song in songs]),
            ),
            slot_features=np.concatenate([_slot_features(song) for song in songs]),
        )


def _slot_features(charted: ChartedSong) -> NDArray[np.float32]:
    song = charted.song
    frame = np.round(song.frames(charted.grid.slot_ms)).astype(np.int64)
    inside = (frame >= 0) & (frame < song.loudness.size)
    frame = np.clip(frame, 0, max(song.loudness.size - 1, 0))
    columns = [*song.near_bands[frame].T, song.loudness[frame]]
    scaled = np.stack([column / max(float(column[inside].mean()), 1e-6) for column in columns], axis=1)
    strength = np.where(inside[:, None], np.minimum(scaled, MAX_SLOT_FEATURE), 0.0)
    return np.column_stack((charted.grid.beat_tick / TICKS_PER_BEAT, strength)).astype(np.float32)


def song_set_of(corpus: Corpus, charts: Sequence[int]) -> SongSet:
    """The songs of these charts; charts with the same song and timing share one."""
    together: dict[tuple, list[int]] = defaultdict(list)
    for chart in charts:
        together[corpus.charts[chart].song, corpus.charts[chart].red_lines].append(chart)
    return SongSet.of([_song(corpus, group) for group in together.values()])


def _song(corpus: Corpus, charts: list[int]) -> ChartedSong:
    first = corpus.charts[charts[0]]
    song = corpus.songs[first.song]
    humans = []
    for chart in charts:
        rows, entry = corpus.chart_rows(chart), corpus.charts[chart]
        humans.append(HumanChart(rows, entry.stars, entry.style))
    points = first.timing_points
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
    """A song from its timing and audio features."""
    log_mel = as_network_mel(features[:, :BANDS]) * np.float32(NETWORK_SCALE)
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
    features = features_of_mel(features)
    assert (SYMBOLS[code] != 0).any(-1).all()
    return SongSet.of([charted_song("demo", grid, points, features, 0.0, [HumanChart(rows, 2.5, 1)])])
