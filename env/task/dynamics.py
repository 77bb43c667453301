"""The rules of writing a section, on plain arrays: `initial`, `put`, `step`, `observe` for many environments side by side.

One step is one action: in which of the next 96 slots (four beats) the next row falls, and which row it is; offset 96
writes nothing and moves the scan 96 slots on. Rows are legal by construction: an illegal action (a slot that is closed,
a row that does not fit the held or resting columns, a hold in the section's last two beats) writes nothing and only
moves the scan to its slot. An episode is over when the scan reaches the section's last slot or `MAX_ROWS` rows are
known; columns still held are then released on the last slot. These are the rules of `mapper.sampling.sampler`.

Nothing here draws random numbers, knows rewards or imports a learning library. Shapes use: env, row, slot, column.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from chart.grid import TICKS_PER_BEAT
from chart.model import KEYS
from env.task import kernels
from env.task.episodes import MAX_ROWS, SLOT_TOLERANCE_MS, Episode
from env.task.kernels import OFFSETS
from env.task.songs import SLOT_FEATURES, SongSet
from mapper.sampling.sampler import LAST_HOLD_BEATS
from mapper.tokens.row_codes import ROW_CODES, SYMBOLS, Rows, held_states, legal_rows

MASK_SIZE = OFFSETS + 1 + ROW_CODES
AHEAD = 2 + SLOT_FEATURES
"""Numbers observed of each slot ahead: seconds until it, whether it is open, and its features."""
LONG_IDLE_MS = 10_000.0


class StateArrays(NamedTuple):
    """Arrays that the compiled loops change."""

    numbers: NDArray[np.int64]  # [env, kernels.NUMBERS]
    rows: NDArray[np.int32]  # [env, MAX_ROWS + 1, 2]: code, slot of the song; one more for releases at the end
    event_ms: NDArray[np.float64]  # [env, column], last event of each column, −inf = none
    hold_bias: NDArray[np.float64]  # [env], log-odds of a hold that keep to the requested ratio
    hold_ratio: NDArray[np.float64]  # [env], requested holds / notes
    bar_slots: NDArray[np.int64]  # [env, bar + 1], first slot of each bar, counted from the song set's first


@dataclass
class State:
    """Environments side by side."""

    episodes: list[Episode]
    arrays: StateArrays

    @property
    def numbers(self) -> NDArray[np.int64]:
        """[env, kernels.NUMBERS] whole numbers of each environment's state."""
        return self.arrays.numbers

    @property
    def over(self) -> NDArray[np.bool_]:
        """[env], whether the episode is over."""
        return self.numbers[:, kernels.OVER] != 0

    @property
    def bars_done(self) -> NDArray[np.int64]:
        """[env], bars in which nothing more can be written."""
        return self.numbers[:, kernels.BAR]

    def rows_of(self, env: int, since_start: bool = False) -> Rows:
        """The rows known in environment `env`; with `since_start` those written in the episode."""
        first = self.numbers[env, kernels.FIRST_COUNT] if since_start else 0
        known = self.arrays.rows[env, first : self.numbers[env, kernels.COUNT]].astype(np.int64)
        return Rows(known[:, kernels.SLOT].copy(), known[:, kernels.CODE].copy())


def initial(library: SongSet, episodes: Sequence[Episode]) -> State:
    """The state of environments at the start of their episodes, which all have the same number of bars."""
    count = len(episodes)
    arrays = StateArrays(
        numbers=np.zeros((count, kernels.NUMBERS), np.int64),
        rows=np.zeros((count, MAX_ROWS + 1, 2), np.int32),
        event_ms=np.full((count, KEYS), -np.inf),
        hold_bias=np.zeros(count),
        hold_ratio=np.zeros(count),
        bar_slots=np.zeros((count, episodes[0].bars + 1), np.int64),
    )
    state = State(list(episodes), arrays)
    for env, episode in enumerate(episodes):
        put(library, state, env, episode)
    return state


def put(library: SongSet, state: State, env: int, episode: Episode) -> None:
    """Let environment `env` begin this episode."""
    state.episodes[env] = episode
    song, base = library.songs[episode.song], int(library.slot_base[episode.song])
    rows, arrays = episode.context, state.arrays
    arrays.rows[env] = 0
    arrays.rows[env, : len(rows), kernels.CODE], arrays.rows[env, : len(rows), kernels.SLOT] = rows.code, rows.slot
    arrays.event_ms[env] = -np.inf
    for column in range(KEYS):
        touched = rows.slot[SYMBOLS[rows.code, column] != 0]
        if touched.size:
            arrays.event_ms[env, column] = song.grid.slot_ms[touched[-1]]
    here = arrays.numbers[env]
    here[kernels.SCAN], here[kernels.FIRST_SLOT] = base + episode.first_slot - 1, base + episode.first_slot
    here[kernels.HELD] = held_states(rows.code)[-1] if len(rows) else 0
    here[kernels.COUNT] = here[kernels.FIRST_COUNT] = len(rows)
    here[kernels.END_SLOT], here[kernels.BASE] = base + episode.end_slot, base
    here[kernels.LATE_TICK] = song.grid.tick[episode.end_slot - 1] - LAST_HOLD_BEATS * TICKS_PER_BEAT
    here[kernels.OVER] = here[kernels.BAR] = 0
    arrays.hold_bias[env], arrays.hold_ratio[env] = episode.hold_bias, episode.target.hold_ratio
    arrays.bar_slots[env] = base + np.searchsorted(song.grid.slot_ms, episode.bar_ms - SLOT_TOLERANCE_MS)


def step(library: SongSet, state: State, offset: NDArray[np.int64], code: NDArray[np.int64]) -> NDArray[np.int64]:
    """Act in every environment that is not over; `offset`, `code` are [env]. Returns [env] ADVANCED, WROTE or ILLEGAL."""
    result = np.empty(len(state.episodes), np.int64)
    kernels.advance(state.arrays, library.slots, legal_rows(), offset, code, result)
    return result


def observe(library: SongSet, state: State) -> dict[str, NDArray]:
    """Each environment's observation, as `env.gym_api.chart_env.ChartEnv` documents it. The arrays are new ones."""
    count, numbers, slots = len(state.episodes), state.numbers, library.slots
    mask = np.empty((count, MASK_SIZE), np.int8)
    ahead = np.empty((count, OFFSETS, AHEAD), np.float32)
    kernels.look_ahead(state.arrays, slots, legal_rows(), mask, ahead, library.slot_features)
    scan, base = numbers[:, kernels.SCAN], numbers[:, kernels.BASE]
    idle = np.minimum(slots.slot_ms[scan][:, None] - state.arrays.event_ms, LONG_IDLE_MS) / 1000.0
    first, end = numbers[:, kernels.FIRST_SLOT], numbers[:, kernels.END_SLOT]
    written = (scan + 1 - first) / np.maximum(end - first, 1)
    requested = np.array([_requested(episode) for episode in state.episodes], np.float32)
    song = np.array([episode.song for episode in state.episodes])
    place = (song, scan - base, first - base, end - base, numbers[:, kernels.FIRST_COUNT], numbers[:, kernels.BAR])
    return {
        "rows": state.arrays.rows[:, :MAX_ROWS].reshape(count, -1).copy(),
        "known": numbers[:, [kernels.COUNT]].astype(np.int32),
        "mask": mask,
        "ahead": ahead.reshape(count, -1),
        "idle": idle.astype(np.float32),
        "held": (numbers[:, [kernels.HELD]] >> np.arange(KEYS) & 1).astype(np.int8),
        "target": requested[:, :4],
        "bias": np.column_stack((requested[:, 4], state.arrays.hold_bias)).astype(np.float32),
        "place": np.stack(place, axis=1).astype(np.int32),
        "progress": np.clip(written, 0.0, 1.0).astype(np.float32)[:, None],
    }


def _requested(episode: Episode) -> tuple[float, float, float, float, float]:
    target = episode.target
    return target.stars, target.notes_per_s, target.hold_ratio, float(target.style), episode.onset_bias
