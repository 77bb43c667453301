"""`Mania4KChart-v2`: write a section of an osu!mania 4K chart, row by row, rewarded by simulated players and rules."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from env.gym_api.session import Session
from env.returns.section_return import Job, Scorer, ScoringConfig, chart_of
from env.task import dynamics
from env.task.dynamics import AHEAD, MASK_SIZE
from env.task.episodes import MAX_ROWS, PHRASE_BARS, Drafter, EpisodeConfig
from env.task.kernels import OFFSETS
from env.task.songs import SongSet, demo_songs
from mapper.pretraining.piano_roll import piano_roll
from mapper.tokens.row_codes import ROW_CODES

FAR = 1_000_000
"""Bound on slots in an observation."""


def observation_space() -> spaces.Dict:
    """The observation space that the docstring of `ChartEnv` describes."""
    whole = np.int32
    return spaces.Dict(
        {
            "rows": spaces.Box(-FAR, FAR, (MAX_ROWS * 2,), whole),
            "known": spaces.Box(0, MAX_ROWS + 1, (1,), whole),
            "mask": spaces.Box(0, 1, (MASK_SIZE,), np.int8),
            "ahead": spaces.Box(0.0, 1e4, (OFFSETS * AHEAD,), np.float32),
            "idle": spaces.Box(-1e4, dynamics.LONG_IDLE_MS, (4,), np.float32),
            "held": spaces.Box(0, 1, (4,), np.int8),
            "target": spaces.Box(0.0, 100.0, (4,), np.float32),
            "bias": spaces.Box(-100.0, 100.0, (2,), np.float32),
            "place": spaces.Box(-FAR, FAR, (6,), whole),
            "progress": spaces.Box(0.0, 1.0, (1,), np.float32),
        }
    )


def action_space() -> spaces.MultiDiscrete:
    """The action space that the docstring of `ChartEnv` describes."""
    return spaces.MultiDiscrete([OFFSETS + 1, ROW_CODES])


class ChartEnv(gymnasium.Env):
    """
    ## Description

    A song plays; some of its chart exists already. The agent writes the next eight bars, one row (the events of the four
    columns at one moment) a step, so that the chart is as hard as requested, readable, comfortable for two hands, follows
    the song and keeps the ranking criteria. The chart around the section is a person's up to the section or nothing
    (context "open"), a person's on both sides ("chart", the default of `Mania4KEdit-v2`), or the mapper's own draft
    ("draft", which needs a `drafter`).

    ## Action Space

    `MultiDiscrete([97, 256])`: in which of the next 96 slots (four beats at 24 slots a beat) the next row falls, 96 for
    none of them; and the row, two bits a column from column 0 up: 0 nothing, 1 tap, 2 hold start, 3 hold end. With 96
    the row is ignored. `action_masks()` (also in the observation) says which slots are open (on the grid, sounding, in
    the section, some column rested for 60 ms) and which rows fit the held columns. Both may be open and yet not fit
    together: a column that still rests at that slot, or a hold in the section's last two beats. An illegal action writes
    nothing, moves the scan to its slot and costs 0.01. Columns still held at the end are released on the last slot.

    ## Observation Space

    A `Dict` of flat arrays; slots count from the song's first.

    | key | size | meaning |
    |---|---|---|
    | `rows` | 320 × 2 | rows known, oldest first, zeros behind: code, slot |
    | `known` | 1 | how many of them there are |
    | `mask` | 353 | `action_masks()`: 97 offsets, 256 rows |
    | `ahead` | 96 × 7 | each slot ahead: seconds until it, open, phase in its beat, onset strength low, middle, high, loudness (about 1 on average); zeros behind the section |
    | `idle` | 4 | seconds since each column's last event, at most 10; negative while the scan stands before it |
    | `held` | 4 | columns held |
    | `target` | 4 | requested stars, notes a second, hold ratio; style (1 keyboard, 2 pad) |
    | `bias` | 2 | log-odds with which the mapper's sampler writes: of a row (that of the draft), of a hold |
    | `place` | 6 | number of the song; slot of the last step, first slot of the section, first slot behind it; rows known at the beginning; bars written |
    | `progress` | 1 | fraction of the section written |

    ## Rewards

    The rise of a potential in 0–1 whenever a bar is finished (`env.returns.section_return`), 0 in between: they sum to the
    value of the section, less that of the rows that the section had. With the last bar of a section that lies in a chart
    comes the rise of the whole chart's worth above the chart as it was (`env.returns.chart_return`). `info` has every
    term (`fairness/level` …, 0–1), its measure (`measure/fairness/level` …), the phrase's `value`, the `potential`, and at
    the end `chart/total` and `chart/off` (levels off the target). The players are drawn anew for every episode.

    ## Starting State

    Song, section, target and the chart around the section are drawn from the seed. In the open context half of the
    episodes continue a person's chart at that chart's stars, half begin with no row known at 1.5–6 requested stars.

    ## Episode End

    Terminated when the section is written or 320 rows are known. Never truncated: the section is the task.

    ## Arguments

    `library`: songs to write on (default: a synthetic one); `episodes`, `scoring`: `EpisodeConfig`, `ScoringConfig`;
    `drafter`: writes whole charts (`env.policy.chart_sampler`); `render_mode`: `rgb_array` draws a piano-roll.

    ## Version History

    v2: contexts; whole charts are part of the reward; rows keep the sampler's rules (holds end in the section, a bias
    keeps their ratio); observations without start token, ticks and windows; a written section terminates.
    v1: first version.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 4}  # noqa: RUF012 - as gymnasium declares it

    def __init__(
        self,
        library: SongSet | None = None,
        episodes: EpisodeConfig | None = None,
        scoring: ScoringConfig | None = None,
        drafter: Drafter | None = None,
        render_mode: str | None = None,
    ) -> None:
        self.render_mode = render_mode
        self.observation_space, self.action_space = observation_space(), action_space()
        self.library = library or demo_songs()
        scorer = Scorer(self.library, scoring)
        self.session = Session(self.library, scorer, episodes or EpisodeConfig(), 1, drafter)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, NDArray], dict[str, Any]]:
        """Begin a new section; the same seed gives the same sections and players."""
        super().reset(seed=seed)
        variant = int(self.np_random.integers(2))
        self.session.begin([[0]], [self.session.draw(self.np_random, variant)])
        return self._observation(), {}

    def step(self, action: NDArray[np.int64]) -> tuple[dict[str, NDArray], float, bool, bool, dict[str, Any]]:
        """One row; see the class."""
        stepped = self.session.step(np.asarray(action)[None])
        return self._observation(), float(stepped.reward[0]), bool(stepped.ended[0]), False, stepped.infos[0]

    def action_masks(self) -> NDArray[np.bool_]:
        """[353] offsets and rows that may be chosen."""
        return self._observation()["mask"].astype(bool)

    def render(self) -> NDArray[np.uint8] | None:
        """[height, width, 3] piano-roll of the section as far as it is written and of the rows before it."""
        if self.render_mode != "rgb_array":
            return None
        state = self.session.state
        assert state is not None, "reset before rendering"
        episode = state.episodes[0]
        job = Job(0, episode.bars // PHRASE_BARS - 1, PHRASE_BARS, 0)
        chart = chart_of(self.library, state, job, whole_section=True)
        return piano_roll(chart, float(episode.bar_ms[0]) - 4000.0, float(episode.bar_ms[-1]))

    def _observation(self) -> dict[str, NDArray]:
        assert self.session.state is not None, "reset before the first step"
        return {name: array[0] for name, array in dynamics.observe(self.library, self.session.state).items()}
