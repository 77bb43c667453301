"""`Mania4KChart-v1`: write a section of an osu!mania 4K chart, row by row, and be paid as players and rules see it."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from env.gym_api.session import Session
from env.returns.section_return import Job, Scorer, ScoringConfig, chart_of
from env.task import dynamics as core
from env.task.dynamics import AHEAD, MASK_SIZE
from env.task.episodes import MAX_TOKENS, PHRASE_BARS, SectionConfig
from env.task.kernels import OFFSETS, TOKEN
from env.task.songs import SongSet, demo_songs
from mapper.pretraining.piano_roll import piano_roll
from mapper.tokens.row_codes import ROW_CODES

FAR = 1_000_000
"""Bound on slots and ticks in an observation."""


def observation_space() -> spaces.Dict:
    """Documented in `ChartEnv`."""
    whole = np.int32
    return spaces.Dict(
        {
            "rows": spaces.Box(-FAR, FAR, (MAX_TOKENS * TOKEN,), whole),
            "known": spaces.Box(1, MAX_TOKENS, (1,), whole),
            "mask": spaces.Box(0, 1, (MASK_SIZE,), np.int8),
            "ahead": spaces.Box(0.0, 1e4, (OFFSETS * AHEAD,), np.float32),
            "idle": spaces.Box(-1e4, core.LONG_IDLE_MS, (4,), np.float32),
            "held": spaces.Box(0, 1, (4,), np.int8),
            "target": spaces.Box(0.0, 100.0, (4,), np.float32),
            "place": spaces.Box(-FAR, FAR, (6,), whole),
            "progress": spaces.Box(0.0, 1.0, (1,), np.float32),
        }
    )


def action_space() -> spaces.MultiDiscrete:
    """Documented in `ChartEnv`."""
    return spaces.MultiDiscrete([OFFSETS + 1, ROW_CODES])


class ChartEnv(gymnasium.Env):
    """
    ## Description

    A song plays; some of its chart exists already. The agent writes the next eight bars, one row (everything that the
    four columns do at one moment) a step, so that the chart is as hard as asked, readable, kind to two hands, follows
    the song and keeps the ranking criteria. `Mania4KEdit-v1` is the same, but the eight bars lie within a person's chart
    whose rows on both sides stay, and the reward is what the new version earns above the old one.

    ## Action Space

    `MultiDiscrete([97, 256])`: in which of the next 96 slots (four beats at 24 slots a beat) the next row falls, 96 for
    none of them; and the row, two bits a column from column 0 up: 0 nothing, 1 tap, 2 a hold begins, 3 it ends. With
    96 the row is ignored. `action_masks()` (also in the observation) tells which slots are open (on the grid, sounding,
    before the section's end, some column has rested 60 ms) and which rows fit the held columns. Both may be open and
    yet not fit together: a column that still rests at that slot, or a hold in a song's last two beats. An action that
    is not possible writes nothing, moves on to its slot and costs 0.01.

    ## Observation Space

    A `Dict` of flat arrays; slots and ticks (48 a beat) count from the first slot of a window of up to 80 beats around the section.

    | key | size | meaning |
    |---|---|---|
    | `rows` | 256 × 4 | rows known, oldest first, zeros behind: code, slot, held columns after it (bit mask), ticks since the row before. The first is a start token with code 0 |
    | `known` | 1 | how many of them there are |
    | `mask` | 353 | `action_masks()`: 97 offsets, 256 rows |
    | `ahead` | 96 × 7 | each slot ahead: seconds until it, open, phase in its beat, onset strength low, middle, high, loudness (about 1 on average); zeros behind the section |
    | `idle` | 4 | seconds since each column's last event, at most 10; negative while the scan stands before it |
    | `held` | 4 | columns held |
    | `target` | 4 | stars, notes a second, share of holds asked; style (1 keyboard, 2 pad) |
    | `place` | 6 | number of the piece, the window's first slot in it; slot of the last step, first slot behind the section, tick of the last row, tick from which no hold may begin |
    | `progress` | 1 | share of the section written |

    ## Rewards

    The rise of a potential in 0–1 whenever a bar is finished (`env.returns.section_return`), 0 in between; an episode's rewards sum to
    the value of its section (of an edit: less the value of the old version). `info` carries every term
    (`fairness/level` …, 0–1), its measure (`measure/fairness/level` …), the phrase's `value` and the `potential`.
    The players are drawn anew for every episode.

    ## Starting State

    Song, section, target and the rows before it are drawn from the seed: half of the episodes go on from a person's
    chart at that chart's stars, half begin with no row known and 1.5–6 stars asked.

    ## Episode End

    Truncated when the section is written (or 256 rows are known), terminated when the song ends with it.

    ## Arguments

    `library`: songs to write on (default: a synthetic one); `sections`, `scoring`: `SectionConfig`, `ScoringConfig`;
    `render_mode`: `rgb_array` draws a piano-roll.

    ## Version History

    v1: first version.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 4}  # noqa: RUF012 - as gymnasium declares it

    def __init__(
        self,
        library: SongSet | None = None,
        sections: SectionConfig | None = None,
        scoring: ScoringConfig | None = None,
        render_mode: str | None = None,
    ) -> None:
        self.render_mode = render_mode
        self.observation_space, self.action_space = observation_space(), action_space()
        self.library = library or demo_songs()
        self.session = Session(self.library, Scorer(self.library, scoring), sections or SectionConfig(), 1)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, NDArray], dict[str, Any]]:
        """Begin a new section; the same seed gives the same sections and players."""
        super().reset(seed=seed)
        self.session.random = [self.np_random]
        self.session.reset(0)
        return self._observation(), {}

    def step(self, action: NDArray[np.int64]) -> tuple[dict[str, NDArray], float, bool, bool, dict[str, Any]]:
        """One row; see the class."""
        stepped = self.session.step(np.asarray(action)[None])
        return (
            self._observation(),
            float(stepped.reward[0]),
            bool(stepped.terminated[0]),
            bool(stepped.truncated[0]),
            stepped.infos[0],
        )

    def action_masks(self) -> NDArray[np.bool_]:
        """[353] which offsets and which rows may be chosen."""
        return self._observation()["mask"].astype(bool)

    def render(self) -> NDArray[np.uint8] | None:
        """[height, width, 3] piano-roll of the section as far as it is written and of what stands before it."""
        if self.render_mode != "rgb_array":
            return None
        state = self.session.state
        assert state is not None, "reset before rendering"
        section = state.sections[0]
        job = Job(0, section.bars // PHRASE_BARS - 1, PHRASE_BARS, 0)
        chart = chart_of(self.library, state, job, whole_section=True)
        return piano_roll(chart, float(section.bar_ms[0]) - 4000.0, float(section.bar_ms[-1]))

    def _observation(self) -> dict[str, NDArray]:
        assert self.session.state is not None, "reset before the first step"
        return {name: array[0] for name, array in core.observe(self.library, self.session.state).items()}
