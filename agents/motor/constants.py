"""The constants of the hand model and of skill, read from `constants.json` beside this file.

`python -m agents.calibration.calibrate` derives the file from real plays and writes its fit report into it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.motor import columns
from runtime.errors import ConfigError

PATH = Path(__file__).with_name("constants.json")


@dataclass(frozen=True, slots=True)
class HandConstants:
    """Constants shared by all players. "Fitted" means to real plays by `agents.calibration.calibrate`; the rest is from REFERENCES.md §3."""

    linear_load: float = 0.35  # spread per (hand rate / speed), a hand's rate in movements/s; fitted
    steep_load: float = 0.85  # spread per (hand rate / speed)⁴; fitted
    chord_load: float = 0.15  # part of a movement that the second note of a hand's chord counts for; fitted
    chord_ease: float = 0.04  # how much steadier per further note of the row: SD 14.3, 12.5, 11.9, 10.2 for 1–4; fitted
    chord_coupling: float = 0.35  # correlation of two hands' draws where they strike together; fitted
    jack_load: float = 0.35  # spread per (shortest repeat / column gap)³; fitted
    jack_late_ms: float = 4.0  # lateness per (shortest repeat / column gap)³, before a finger's limit; fitted
    jack_early_ms: float = 5.0  # the note before the first repeat comes earlier by this, per the same ratio³; fitted
    finger_share: float = 0.08  # of the variance is a finger's own: taps of one hand in a chord differ by 4–5 ms
    finger_memory_ms: float = 2000.0  # of a finger's own error: a column's errors correlate .3 in a row; fitted
    drift_share: float = 0.08  # of the variance is a drift over seconds
    drift_memory_ms: float = 4000.0  # of that drift
    hand_memory_ms: float = 90.0  # of the hand's phase: same-hand errors correlate .4 at 50–180 ms
    tail_df: float = 12.0  # degrees of freedom of the hand's Student t; with the slips, excess kurtosis of a play 1.6
    slip_share: float = 0.002  # share of the hand's errors that are slips, …
    slip_size: float = 4.0  # … this many times as large; assumed
    repeat_jitter: float = 0.14  # SD of a finger's shortest repeat, as a share of it; fitted: people drift late softly
    trill_share: float = (
        0.5  # two fingers of a hand alternate this much faster than one repeats (Aoki & Kinoshita 2001)
    )
    flam_ms: float = 25.0  # notes of one hand nearer than this are played as one movement
    flam_pull: float = 0.5  # how far such notes are drawn together, 1 = entirely
    tire_short: float = 0.12  # loss of speed per (mean rate of the last seconds / rate that can be kept up)²
    tire_short_ms: float = 6000.0
    tire_long: float = 0.25  # the same over minutes; fitted
    tire_long_ms: float = 120_000.0  # of that mean: errors grow up to the last quarter of a song
    read_load: float = 0.25  # spread per (reading load / reading skill)⁴; assumed
    look_ahead_ms: float = 1000.0  # eye–hand span (Furneaux & Land 1999)
    chunk_cost: float = 0.35  # of each chunk of even rhythm that begins in the rows ahead, in rows; assumed
    sudden_cost: float = 0.15  # reading load per doubling of density; assumed
    lapse: float = 0.00004  # P(a note is not played) in easy places
    lapse_load: float = 0.02  # per (spread / easy spread − 1)³ · (repeat / column gap)² · 100 ms of spread; fitted
    lapse_jack: float = 0.005  # the same per (shortest repeat / column gap)⁵; fitted
    stray: float = 0.003  # stray presses a note in easy places: 2–19 per 1,000 notes
    give_up_ms: float = 140.0  # a finger this late leaves the note out; assumed
    lift_ms: float = 25.0  # shortest time between presses of a finger whatever the skill
    held_load: float = 0.15  # spread while the hand's other finger holds: 1.12–1.25 times in real plays
    held_rate: float = 0.3  # the free finger's rate weighs this much more meanwhile; fitted
    release_lag_ms: float = 8.0  # mean error of releases with no note near behind them
    release_near_ms: float = 120.0  # nearer than this the column's next note draws the release forward
    release_pull: float = 0.39  # ms earlier per ms nearer
    release_shared: float = 0.72  # of the variance is shared by fingers of a hand that let go together
    hold_jitter: float = 0.22  # SD of a tap's length, as a share of its median: 38–94 ms

    @cache  # noqa: B019 — a handful of frozen instances live as long as the program
    def for_kernel(self) -> NDArray[np.float32]:
        """[constant] in the kernel's order; read only."""
        values = np.zeros(columns.CONSTANTS, np.float32)
        for place, value in (
            (columns.LINEAR_LOAD, self.linear_load),
            (columns.STEEP_LOAD, self.steep_load),
            (columns.JACK_LOAD, self.jack_load),
            (columns.FINGER_SHARE, self.finger_share),
            (columns.DRIFT_SHARE, self.drift_share),
            (columns.REPEAT_JITTER, self.repeat_jitter),
            (columns.TRILL_SHARE, self.trill_share),
            (columns.FLAM_MS, self.flam_ms),
            (columns.TIRE_SHORT, self.tire_short),
            (columns.TIRE_LONG, self.tire_long),
            (columns.READ_LOAD, self.read_load),
            (columns.LAPSE, self.lapse),
            (columns.LAPSE_LOAD, self.lapse_load),
            (columns.STRAY, self.stray),
            (columns.GIVE_UP_MS, self.give_up_ms),
            (columns.LIFT_MS, self.lift_ms),
            (columns.RELEASE_SHARED, self.release_shared),
            (columns.HELD_LOAD, self.held_load),
            (columns.LAPSE_JACK, self.lapse_jack),
            (columns.HELD_RATE, self.held_rate),
            (columns.CHORD_EASE, self.chord_ease),
            (columns.CHORD_COUPLING, self.chord_coupling),
            (columns.JACK_LATE_MS, self.jack_late_ms),
            (columns.JACK_EARLY_MS, self.jack_early_ms),
            (columns.HOLD_JITTER, self.hold_jitter),
        ):
            values[place] = value
        values.flags.writeable = False
        return values


@dataclass(frozen=True, slots=True)
class SkillConstants:
    """Mapping of skill levels to profiles, and variance between players. Level: the stars of charts played at 96 %."""

    speed_base: float = 3.0  # movements of one hand per second at level 0
    speed_per_level: float = 2.0
    spread_base_ms: float = 22.0  # error SD of level 0 in easy places
    spread_levels: float = 6.0  # levels that divide it by e
    spread_floor_ms: float = 4.0  # no player is steadier
    repeat_floor_ms: float = 80.0  # shortest repeat of the best finger
    repeat_base_ms: float = 100.0  # more than that at level 0
    repeat_levels: float = 4.0  # levels that divide the rest by e
    stamina: float = 0.69  # share of SPEED that can be kept up (Etterna's MinaCalc)
    read_base: float = 6.0  # rows/s read at level 0
    read_per_level: float = 2.6
    release_base_ms: float = 90.0  # release error SD of level 0
    release_levels: float = 4.0  # levels that divide it by e
    release_floor_ms: float = 12.0  # no player is steadier
    hold_ms: float = 60.0  # length of a tap, median
    bias_ms: float = 2.9  # SD of a play's mean error
    # spread of skills about a player's own level, in levels (Etterna's 29,306 players, scaled by SKILL_SCALE)
    speed_sd: float = 0.35
    stamina_sd: float = 0.25
    jack_sd: float = 0.7
    reading_sd: float = 0.35
    accuracy_sd: float = 0.35
    release_sd: float = 1.0  # fitted: few practise holds
    left_sd: float = 0.03  # of the left hand's share of speed
    # players who hand in scores: levels before they choose a chart, and the accuracy below which nobody hands in one; fitted
    ranked_level: float = 4.4  # mean of the logistic distribution on a chart that requires level 0
    ranked_slope: float = 0.1  # levels by which it rises for each level required: harder charts draw better players
    ranked_scale: float = 0.34  # its scale in levels; its SD is 1.8 times as much
    ranked_least: float = 0.85  # accuracy that a level must promise on the chart for its players to hand in scores
    release_behind: float = 2.0  # levels by which real players' releases lag behind the rest; fitted


@dataclass(frozen=True, slots=True)
class Constants:
    """Everything `constants.json` holds but its fit report."""

    hand: HandConstants
    skill: SkillConstants


@cache
def constants() -> Constants:
    """The constants shipped with the package."""
    return read_constants(PATH)


def read_constants(path: Path) -> Constants:
    """Constants from a file that `agents.calibration.calibrate` wrote."""
    if not path.is_file():
        raise ConfigError(
            f"{path} is missing; run python -m agents.calibration.calibrate to make it, or install the package again"
        )
    data = json.loads(path.read_text(encoding="utf-8"))
    return Constants(_filled(HandConstants, data["hand"]), _filled(SkillConstants, data["skill"]))


def _filled(kind: type, values: dict[str, Any]) -> Any:
    names = {field.name for field in fields(kind)}
    unknown = sorted(set(values) - names)
    if unknown:
        raise ConfigError(f"the constants name {unknown[0]}, which this version does not know; calibrate again")
    return kind(**{name: float(value) for name, value in values.items()})
