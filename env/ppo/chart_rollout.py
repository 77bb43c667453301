"""Rollouts inside whole charts: charts written as `mapper.generate` writes them, then sections of them written anew.

Of some songs charts are written by the sampler, half of them leaning to more rows than the mapper would write, half to as many
fewer: how far each is off its target teaches how dense charts are to be (`env.ppo.density_bias`). In each chart, one section is written
anew by the policy in several versions, and what each is worth is what its *whole chart* is worth with it. Versions differ in
nothing else, so there is little noise; contexts are the mapper's own rows; and nothing of the reward is out of sight.
Shapes use: chart, version, phrase, env, bar.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from chart.model import Chart
from env.monitor.evaluate import chart_from, sampling_for
from env.policy.torch_decoder import Windows, controls_of, windows_of
from env.ppo.density_bias import DENSITY_PERTURBATION, DensityBiasSamples
from env.ppo.rollout import GoingOn, leave_one_out_advantage
from env.returns.chart_return import ChartValues, value_charts
from env.returns.section_return import chart_of_tokens
from env.task import kernels
from env.task.dynamics import State
from env.task.episodes import PHRASE_BARS, Section, SectionConfig, Target, draw_song, section_at
from env.task.songs import ChartedSong, SongSet
from mapper.network.model import Mapper
from mapper.sampling.encode_song import encode_song
from mapper.sampling.kernels import next_hold_bias
from mapper.sampling.sampler import write_rows
from mapper.tokens.row_codes import Rows
from reward.total import Weights

CHART_SHARE = 1.0
"""What whole charts count beside the phrases. Players' dice are .0005 of the .007 by which versions' whole rewards differ."""


@dataclass(frozen=True)
class Charts:
    """Charts that were written, one after another of each song, with the section of each that is to be written anew."""

    rows: list[Rows]  # [chart]
    sections: list[Section]  # [chart]
    seeds: NDArray[np.int64]  # [chart], of the players
    going_on: GoingOn
    leanings: DensityBiasSamples
    values: list[ChartValues]  # [song]


@torch.no_grad()
def write_charts(
    library: SongSet, model: Mapper, songs: int, charts: int, drawing: SectionConfig, random: np.random.Generator
) -> Charts:
    """Write and value `charts` charts (an even number) of each of so many songs, at random targets."""
    of_song = np.repeat(np.array([DENSITY_PERTURBATION, -DENSITY_PERTURBATION], np.float32), charts // 2)
    parts = [_write_song(library, model, of_song, drawing, random) for _ in range(songs)]
    drawn = np.tile(of_song, songs)
    rows = [one for part in parts for one in part.rows]
    sections = [one for part in parts for one in part.sections]
    windows = Windows.joined([part.windows for part in parts])
    lean = windows.leans(model) + torch.from_numpy(drawn).to(windows.control.device)
    holds = np.array([_hold_lean(one, section) for one, section in zip(rows, sections, strict=True)], np.float32)
    heard = np.stack([part.heard for part in parts]).repeat(charts, axis=0)
    off = np.concatenate([part.values.off for part in parts]).astype(np.float32)
    stars = np.array([section.target.stars for section in sections], np.float32)
    own = model.lean(torch.from_numpy(heard).to(model.lean.weight)).squeeze(-1).cpu().numpy()
    leanings = DensityBiasSamples(heard, own + drawn, stars, off)
    seeds = np.repeat([part.seed for part in parts], charts)
    return Charts(rows, sections, seeds, GoingOn(windows, lean, holds), leanings, [part.values for part in parts])


@dataclass(frozen=True)
class _Song:
    """The charts of one song, all at one target."""

    heard: NDArray[np.float32]  # [width], mean of the cells
    rows: list[Rows]  # [chart]
    values: ChartValues
    sections: list[Section]  # [chart]
    windows: Windows  # [chart]
    seed: int


def _write_song(
    library: SongSet, model: Mapper, drawn: NDArray[np.float32], drawing: SectionConfig, random: np.random.Generator
) -> _Song:
    """Charts of a random song at a random target, one for each lean `drawn`."""
    number, phrases = draw_song(library, drawing.phrases, random)
    piece, charts = library.pieces[number], drawn.size
    stars = float(random.uniform(drawing.min_stars, drawing.max_stars))
    style = piece.humans[int(random.integers(len(piece.humans)))].style
    target, seed = Target.typical(stars, style), int(random.integers(2**31))
    heard = encode_song(model, piece.grid, piece.features, piece.lag_ms, controls_of([target]))
    each = heard.repeated([0] * charts)
    leaning = replace(each, onset_logit=each.onset_logit + drawn[:, None])
    rows = write_rows(model, leaning, sampling_for([target] * charts, seed))
    values = value_charts([chart_from(one, piece, stars) for one in rows], piece, stars, seed)
    chosen = random.choice(phrases, charts)
    sections = [
        section_at(library, number, int(phrase), drawing.phrases, target, one)
        for phrase, one in zip(chosen, rows, strict=True)
    ]
    device = next(model.parameters()).device
    return _Song(heard.cell[0].mean(0), rows, values, sections, windows_of(heard, sections, device), seed)


def _hold_lean(rows: Rows, section: Section) -> float:
    """Log-odds of a hold that the sampler had come to when the section began."""
    lean = 0.0
    for code in rows.code[rows.slot < section.first_slot].tolist():
        lean = next_hold_bias(lean, code, section.target.hold_share)
    return lean


def chart_returns(
    library: SongSet, charts: Charts, state: State, versions: int, weights: Weights
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """([env, bar] what each version of a section is worth against its siblings, [env] whole reward of its chart).

    A phrase's own value, by `weights`, is paid with its last bar; with the section's last one what its whole chart is worth,
    as many times as sections go into the chart.
    """
    reward, total = [], []
    for number, section in enumerate(charts.sections):
        piece, own = library.pieces[section.piece], slice(number * versions, (number + 1) * versions)
        spliced = [
            chart_with(charts.rows[number], section, piece, state.tokens[env, first:known])
            for env, first, known in zip(
                range(own.start, own.stop),
                state.numbers[own, kernels.FIRST_COUNT],
                state.numbers[own, kernels.COUNT],
                strict=True,
            )
        ]
        values = value_charts(spliced, piece, section.target.stars, int(charts.seeds[number]), weights)
        reward.append(_by_bar(values, section, piece))
        total.append(values.total)
    return leave_one_out_advantage(np.concatenate(reward), versions), np.concatenate(total)


def _by_bar(values: ChartValues, section: Section, piece: ChartedSong) -> NDArray[np.float64]:
    """[version, bar] see `chart_returns`."""
    phrases, all_phrases = section.bars // PHRASE_BARS, piece.phrases.shape[1]
    first = int(np.argmin(np.abs(piece.phrases[0] - section.bar_ms[0])))
    reward = np.zeros((len(values.whole), section.bars))
    reward[:, PHRASE_BARS - 1 :: PHRASE_BARS] = values.phrase[:, first : first + phrases] / phrases
    reward[:, -1] += CHART_SHARE * values.whole * all_phrases / phrases
    return reward


def chart_with(rows: Rows, section: Section, piece: ChartedSong, tokens: NDArray[np.int32]) -> Chart:
    """The chart with the rows of `tokens` [row, kernels.TOKEN], which count from the window, in the section's place."""
    before, after = rows.slot < section.first_slot, rows.slot >= section.end_slot
    slot = np.concatenate((rows.slot[before], tokens[:, kernels.SLOT] + section.window_slot, rows.slot[after]))
    code = np.concatenate((rows.code[before], tokens[:, kernels.CODE], rows.code[after]))
    whole = np.zeros((slot.size, kernels.TOKEN), np.int32)
    whole[:, kernels.SLOT], whole[:, kernels.CODE] = slot, code
    slot_ms = piece.grid.slot_ms
    return chart_of_tokens(whole, float(slot_ms[piece.last_slot]), slot_ms, piece, section.target.stars)
