"""Simulated plays as osu! replays."""

from __future__ import annotations

import numpy as np

from agents.judgement.judge import Presses, presses_of
from agents.simulate import Plays
from chart.formats.osr import Replay
from chart.model import KEYS
from runtime.errors import ConfigError

PLAYER = "mania4k"
"""Name in the replay, so that nobody takes it for a human's."""


def replay_of(plays: Plays, player: int, map_md5: str, mods_bits: int = 0) -> Replay:
    """One simulated play as a replay; the plays must have been made with `keep_presses=True`."""
    if plays.presses is None:
        raise ConfigError("these plays kept no key presses; play with keep_presses=True to write a replay")
    keys = plays.presses
    time, column, down = [], [], []
    for c in range(KEYS):
        inside = slice(int(keys.press_at[c]), int(keys.press_at[c] + keys.count[player, c]))
        for times, is_down in ((keys.press[player, inside], True), (keys.release[player, inside], False)):
            time.append(times.astype(np.int64))
            column.append(np.full(times.size, c, np.int8))
            down.append(np.full(times.size, is_down))
    all_time, all_column, all_down = np.concatenate(time), np.concatenate(column), np.concatenate(down)
    order = np.lexsort((all_column, all_down, all_time))
    return Replay(
        map_md5=map_md5,
        player=PLAYER,
        mods=mods_bits,
        counts=plays.counts[player],
        score=round(float(plays.score[player])),
        max_combo=int(plays.max_combo[player]),
        time_ms=all_time[order],
        column=all_column[order],
        down=all_down[order],
    )


def presses_from(replay: Replay) -> Presses:
    """The presses of a replay, ready to be judged."""
    return presses_of(replay.time_ms, replay.column, replay.down)
