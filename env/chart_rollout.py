"""Rollouts of whole charts: written as `mapper.generate` writes them, played from end to end, and learnt from in sections.

A *group* are the versions of one chart: same song, same target, same players. Half of them lean to more rows than the mapper
would write, half to fewer: what the better half earns teaches how dense the chart is to be (`env.lean`). Rows are learnt
against the siblings of the same half: what a version's phrase is worth above theirs, and a share of what its whole chart is.
Contexts are thus the mapper's own rows, and nothing of the reward is out of sight. Shapes use: version, phrase, env, bar.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from chart.errors import ConfigError
from env.chart_value import ChartValues, value_charts
from env.decoding import Windows, controls_of
from env.heldout import chart_from, sampling_for
from env.lean import DRAWN, Pairs
from env.library import Library
from env.replay import replay, windows_of
from env.rollout import Written, against_siblings
from env.sections import PHRASE_BARS, Section, SectionConfig, Target, possible_starts, section_at
from mapper.hearing import hear
from mapper.model import Mapper
from mapper.rows import Rows
from mapper.sampling import write_rows
from reward.total import Weights

CHART_SHARE = 0.25
"""What a version's whole chart counts beside a phrase of it. A phrase is one of some thirty: more is mostly noise, and 2.0 drowned
what phrases tell (docs/LOG.md)."""


@dataclass(frozen=True)
class ChartRollout:
    """How many charts are written, and how much of them is learnt from."""

    songs: int = 4  # each at one target
    versions: int = 8  # of each chart; an even number, half of them lean each way
    sections: int = 4  # of each chart


@dataclass(frozen=True)
class Group:
    """The versions of one chart."""

    piece: int
    target: Target
    heard: NDArray[np.float32]  # [width], mean of the cells
    rows: list[Rows]  # [version]
    values: ChartValues
    sections: list[Section]  # [section · version], those that are learnt from
    windows: Windows  # [section · version]


@dataclass(frozen=True)
class Played:
    """A rollout."""

    written: Written  # sections of the charts; env (group · sections + section) · versions + version
    reward: NDArray[np.float64]  # [env, bar], against siblings
    pairs: Pairs
    total: NDArray[np.float64]  # [chart], the whole reward, 0–1; the versions of a group one behind another
    terms: dict[str, NDArray[np.float64]]  # name → [chart], 0–1, nan = nothing to measure


@torch.no_grad()
def play_charts(
    library: Library,
    model: Mapper,
    config: ChartRollout,
    sections: SectionConfig,
    weights: Weights,
    random: np.random.Generator,
) -> Played:
    """Write, play and value the charts of a rollout."""
    drawn = np.repeat(np.array([DRAWN, -DRAWN], np.float32), config.versions // 2)
    groups = [_play_group(library, model, config, sections, weights, drawn, random) for _ in range(config.songs)]
    windows = Windows.joined([group.windows for group in groups])
    leaning = torch.from_numpy(np.tile(drawn, config.songs * config.sections)).to(windows.control.device)
    written = replay(
        library,
        [section for group in groups for section in group.sections],
        [rows for group in groups for _ in range(config.sections) for rows in group.rows],
        windows,
        windows.leans(model) + leaning,
    )
    reward = np.concatenate([_reward(group, library, config) for group in groups])
    heard = np.stack([group.heard for group in groups]).repeat(config.versions, axis=0)
    earned = np.concatenate([group.values.aimed - group.values.aimed.mean() for group in groups])
    pairs = Pairs(heard, np.tile(drawn, config.songs), earned.astype(np.float32))
    total = np.concatenate([group.values.total for group in groups])
    terms = {name: np.concatenate([group.values.terms[name] for group in groups]) for name in groups[0].values.terms}
    return Played(written, against_siblings(reward, config.versions // 2), pairs, total, terms)


def _play_group(
    library: Library,
    model: Mapper,
    config: ChartRollout,
    drawing: SectionConfig,
    weights: Weights,
    drawn: NDArray[np.float32],
    random: np.random.Generator,
) -> Group:
    """The versions of one chart, of a random song at a random target, and the sections that are learnt from."""
    number, phrases = _draw_song(library, config, drawing, random)
    piece = library.pieces[number]
    stars = float(random.uniform(drawing.min_stars, drawing.max_stars))
    style = piece.humans[int(random.integers(len(piece.humans)))].style
    target, seed = Target.typical(stars, style), int(random.integers(2**31))
    heard = hear(model, piece.grid, piece.features, piece.lag_ms, controls_of([target]))
    each = heard.repeated([0] * config.versions)
    leaning = replace(each, onset_logit=each.onset_logit + drawn[:, None])
    rows = write_rows(model, leaning, sampling_for([target] * config.versions, seed))
    values = value_charts([chart_from(one, piece, stars) for one in rows], piece, stars, seed, weights)
    chosen = [section_at(library, number, phrase, drawing.phrases, target, one) for phrase in phrases for one in rows]
    device = next(model.parameters()).device
    return Group(number, target, heard.cell[0].mean(0), rows, values, chosen, windows_of(heard, chosen, device))


def _draw_song(
    library: Library, config: ChartRollout, drawing: SectionConfig, random: np.random.Generator
) -> tuple[int, list[int]]:
    """(a piece with enough room, phrases at which the sections begin)."""
    for _ in range(1000):
        number = int(random.integers(len(library.pieces)))
        starts = possible_starts(library.pieces[number], drawing.phrases)[:: drawing.phrases]
        if starts.size >= config.sections:
            return number, random.choice(starts, config.sections, replace=False).tolist()
    raise ConfigError(
        f"no song of the library has room for {config.sections} sections of {drawing.phrases} phrases; give longer songs"
    )


def _reward(group: Group, library: Library, config: ChartRollout) -> NDArray[np.float64]:
    """[section · version, bar] what each phrase and its chart are worth, paid with the phrase's last bar."""
    values, bars = group.values, group.sections[0].bars
    start_ms = library.pieces[group.piece].phrases[0]
    reward = np.zeros((len(group.sections), bars))
    phrases = bars // PHRASE_BARS
    for number, section in enumerate(group.sections):
        version, first = number % config.versions, int(np.argmin(np.abs(start_ms - section.bar_ms[0])))
        paid = values.phrase[version, first : first + phrases] + CHART_SHARE * values.whole[version]
        reward[number, PHRASE_BARS - 1 :: PHRASE_BARS] = paid / phrases
    return reward
