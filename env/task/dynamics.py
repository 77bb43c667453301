"""The rules of writing a section, on plain arrays: `initial`, `step`, `observe` for many environments side by side.

One step is one action: in which of the next 96 slots (four beats) the next row falls, and which row it is; offset 96
writes nothing and looks 96 slots further. What is written is legal by construction: an action that is not (a slot that
is closed, a row that does not fit the held columns or a column that still rests) writes nothing and only moves on to
its slot. An episode is over when nothing more can be written before the section's end, or when 256 rows are known.

Nothing here draws random numbers, knows rewards or imports a learning library. Shapes use: env, token, slot, column.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chart.grid import TICKS_PER_BEAT
from chart.model import KEYS
from env.task import kernels
from env.task.episodes import MAX_TOKENS, SLOT_TOLERANCE_MS, Section
from env.task.kernels import OFFSETS
from env.task.songs import SLOT_FEATURES, SongSet
from mapper.data.batches import LONG_AGO_TICKS
from mapper.sampling.sampler import LAST_HOLD_BEATS
from mapper.tokens.row_codes import ROW_CODES, SYMBOLS, held_states

MASK_SIZE = OFFSETS + 1 + ROW_CODES
AHEAD = 2 + SLOT_FEATURES
"""Numbers told of each slot ahead: seconds until it, whether it is open, and what the library tells of it."""
LONG_IDLE_MS = 10_000.0


@dataclass
class State:
    """Environments side by side; `env.task.kernels` names the columns."""

    sections: list[Section]
    numbers: NDArray[np.int64]  # [env, kernels.STATE]
    tokens: NDArray[np.int32]  # [env, MAX_TOKENS, kernels.TOKEN]
    event_ms: NDArray[np.float64]  # [env, column], last event of each column, −inf = none
    bar_slots: NDArray[np.int64]  # [env, bar + 1], first slot of each bar, counted from the library's first

    @property
    def over(self) -> NDArray[np.bool_]:
        """[env], whether the episode is over."""
        return self.numbers[:, kernels.OVER] != 0

    @property
    def bars_done(self) -> NDArray[np.int64]:
        """[env], bars that nothing more can be written in."""
        return self.numbers[:, kernels.BAR]

    @property
    def tokens_known(self) -> NDArray[np.int64]:
        """[env], tokens that are known: the start token, the rows before the section and those written."""
        return self.numbers[:, kernels.COUNT]


def initial(library: SongSet, sections: Sequence[Section]) -> State:
    """Environments at the begin of their sections, which all have the same number of bars."""
    count = len(sections)
    state = State(
        sections=list(sections),
        numbers=np.zeros((count, kernels.STATE), np.int64),
        tokens=np.zeros((count, MAX_TOKENS, kernels.TOKEN), np.int32),
        event_ms=np.full((count, KEYS), -np.inf),
        bar_slots=np.zeros((count, sections[0].bars + 1), np.int64),
    )
    for env, section in enumerate(sections):
        put(library, state, env, section)
    return state


def put(library: SongSet, state: State, env: int, section: Section) -> None:
    """Let environment `env` begin anew, at this section."""
    state.sections[env] = section
    piece, base = library.pieces[section.piece], int(library.slot_base[section.piece])
    rows, window = section.before, section.window_slot
    tick = piece.grid.tick
    row_tick = tick[rows.slot]
    tokens, known = state.tokens[env], len(rows) + 1
    tokens[:] = 0
    held = np.concatenate(([section.held], _held_from(section.held, rows.code)))
    tokens[0] = (0, 0, section.held, LONG_AGO_TICKS)
    tokens[1:known, kernels.CODE], tokens[1:known, kernels.SLOT] = rows.code, rows.slot - window
    tokens[1:known, kernels.HELD_AFTER_ROW] = held[1:]
    tokens[1:known, kernels.ELAPSED] = np.diff(np.concatenate(([section.tick_before], row_tick)))
    state.event_ms[env] = -np.inf
    for column in range(KEYS):
        touched = rows.slot[SYMBOLS[rows.code, column] != 0]
        if touched.size:
            state.event_ms[env, column] = piece.grid.slot_ms[touched[-1]]
    here = state.numbers[env]
    here[kernels.SCAN] = base + section.first_slot - 1
    here[kernels.LAST_TICK] = row_tick[-1] if len(rows) else section.tick_before
    here[kernels.HELD], here[kernels.COUNT], here[kernels.FIRST_COUNT] = held[-1], known, known
    here[kernels.END_SLOT], here[kernels.WINDOW_SLOT] = base + section.end_slot, base + window
    here[kernels.LATE_TICK] = int(tick[piece.last_slot]) - LAST_HOLD_BEATS * TICKS_PER_BEAT
    here[kernels.OVER] = here[kernels.BAR] = 0
    here[kernels.LAST_SLOT] = base + piece.last_slot
    edges = np.searchsorted(piece.grid.slot_ms, section.bar_ms - SLOT_TOLERANCE_MS)
    state.bar_slots[env] = base + edges


def _held_from(held: int, code: NDArray[np.int64]) -> NDArray[np.int64]:
    """[row] held state after each row, from held columns."""
    starts = sum(2 << (2 * column) for column in range(KEYS) if held >> column & 1)
    return held_states(np.concatenate(([starts], code)))[1:]


def step(library: SongSet, state: State, offset: NDArray[np.int64], code: NDArray[np.int64]) -> NDArray[np.int64]:
    """Act in every environment that is not over; `offset`, `code` are [env]. [env] what each action did (kernels)."""
    result = np.empty(len(state.sections), np.int64)
    kernels.advance(
        state.numbers,
        state.tokens,
        state.event_ms,
        state.bar_slots,
        (library.slot_ms, library.tick, library.open_slots),
        offset,
        code,
        result,
    )
    return result


def ends_song(state: State) -> NDArray[np.bool_]:
    """[env], whether nothing can be written in the piece behind the section."""
    return state.numbers[:, kernels.END_SLOT] > state.numbers[:, kernels.LAST_SLOT]


def observe(library: SongSet, state: State) -> dict[str, NDArray]:
    """What each environment shows; `env.gym_api.chart_env.ChartEnv` documents it. The arrays are new ones."""
    count = len(state.sections)
    mask = np.empty((count, MASK_SIZE), np.int8)
    ahead = np.empty((count, OFFSETS, AHEAD), np.float32)
    slots = (library.slot_ms, library.tick, library.open_slots)
    kernels.look_ahead(state.numbers, state.event_ms, slots, mask, ahead, library.heard, library.slot_ms.size)
    numbers = state.numbers
    scan_ms = library.slot_ms[numbers[:, kernels.SCAN]]
    idle = np.minimum(scan_ms[:, None] - state.event_ms, LONG_IDLE_MS) / 1000.0
    window, end = numbers[:, kernels.WINDOW_SLOT], numbers[:, kernels.END_SLOT]
    first = state.bar_slots[:, 0]
    written = (numbers[:, kernels.SCAN] + 1 - first) / np.maximum(end - first, 1)
    return {
        "rows": state.tokens.reshape(count, -1).copy(),
        "known": numbers[:, [kernels.COUNT]].astype(np.int32),
        "mask": mask,
        "ahead": ahead.reshape(count, -1),
        "idle": idle.astype(np.float32),
        "held": (numbers[:, [kernels.HELD]] >> np.arange(KEYS) & 1).astype(np.int8),
        "target": np.array([_target(section) for section in state.sections], np.float32),
        "place": np.stack(
            [
                np.array([section.piece for section in state.sections]),
                np.array([section.window_slot for section in state.sections]),
                numbers[:, kernels.SCAN] - window,
                end - window,
                numbers[:, kernels.LAST_TICK] - library.tick[window],
                numbers[:, kernels.LATE_TICK] - library.tick[window],
            ],
            axis=1,
        ).astype(np.int32),
        "progress": np.clip(written, 0.0, 1.0).astype(np.float32)[:, None],
    }


def _target(section: Section) -> tuple[float, float, float, float]:
    target = section.target
    return target.stars, target.notes_per_s, target.hold_share, float(target.style)
