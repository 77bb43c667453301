"""Charts of several songs sampled side by side, each within its own span of the slots."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from chart.grid import Grid
from env.task.songs import demo_songs
from mapper.sampling.encode_song import SongEncoding, encode_song
from mapper.sampling.sampler import Sampling, Span, write_rows
from mapper.tokens.conditioning_vector import Controls
from mapper.tokens.row_codes import HOLD_START, LEGAL, SYMBOLS, Rows, held_states
from tests.env_cases import tiny_mapper

SEEDS = np.array([11, 12])


def encoded(number: int) -> SongEncoding:
    song = demo_songs(number, beats=64, bpm=120.0 + 60 * number).songs[0]
    return encode_song(tiny_mapper(), song.grid, song.features, song.lag_ms, Controls([3.0], [8.0], [0.1], [1]))


def one_behind_another(parts: list[SongEncoding]) -> SongEncoding:
    grids = [part.grid for part in parts]
    grid = Grid(*(np.concatenate([getattr(one, name) for one in grids]) for name in Grid.__dataclass_fields__))
    joined = {
        name: np.concatenate([getattr(part, name) for part in parts], 1)
        for name in ("cell", "slot", "onset_logit", "alike")
    }
    control = np.concatenate([part.decoder_control for part in parts])
    return replace(
        parts[0],
        grid=grid,
        open_slots=np.concatenate([part.open_slots for part in parts]),
        decoder_control=control,
        **joined,
    )


def test_charts_of_two_songs_side_by_side_are_those_written_alone() -> None:
    parts = [encoded(0), encoded(1)]
    alone = [
        write_rows(tiny_mapper(), part, Sampling(SEEDS[[number]], np.full(1, 3.0), repeated_ratio=0.0))[0]
        for number, part in enumerate(parts)
    ]
    slots = parts[0].grid.slot_ms.size
    end = parts[1].grid.slot_ms.size
    whole = [Span.whole(part.grid) for part in parts]
    spans = [whole[0], replace(whole[1], first_slot=slots, end_slot=slots + end, song_slot=slots)]
    together = write_rows(
        tiny_mapper(), one_behind_another(parts), Sampling(SEEDS, np.full(2, 3.0), repeated_ratio=0.0), span=spans
    )
    for own, rows, first in zip(alone, together, (0, slots), strict=True):
        assert len(own) > 20
        np.testing.assert_array_equal(rows.slot - first, own.slot)
    np.testing.assert_array_equal(together[0].code, alone[0].code)


def test_a_span_begins_with_the_columns_held_and_may_leave_holds_open() -> None:
    part = encoded(0)
    first = int(np.flatnonzero(part.open_slots)[60])
    before = Rows(np.array([first - 30]), np.array([HOLD_START]))
    empty = np.full(4, -np.inf)
    spans = [Span(first, first + 300, before, empty, -empty, ends_holds=ends) for ends in (False, True)]
    open_end, ended = (write_rows(tiny_mapper(), part, Sampling(3, np.full(1, 3.0)), span=span)[0] for span in spans)
    held = np.concatenate(([1], held_states(np.concatenate((before.code, open_end.code)))[1:]))
    assert LEGAL[held[:-1], open_end.code].all(), "column 0 is held at the beginning"
    assert ended.slot[: len(open_end) - 1].tolist() == open_end.slot[:-1].tolist()


@pytest.mark.parametrize("bias", [-8.0, 8.0])
def test_a_hold_bias_at_the_beginning_moves_the_first_rows(bias: float) -> None:
    many = np.full(16, 3.0)
    sampling = Sampling(np.arange(16), many, hold_share=np.full(16, 0.1), hold_bias=np.full(16, bias))
    first = [rows.code[0] for rows in write_rows(tiny_mapper(), encoded(0).repeated([0] * 16), sampling)]
    holds = (SYMBOLS[first] == HOLD_START).any(-1).mean()
    assert holds > 0.8 if bias > 0 else holds < 0.2
