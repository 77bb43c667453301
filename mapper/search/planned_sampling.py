"""Sampling of candidates under the structure plan of their song (`mapper.structure.plan`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mapper.sampling.conditioning import ChartTarget, sampling_of
from mapper.sampling.encode_song import SongEncoding
from mapper.sampling.sampler import Sampling
from mapper.structure.plan import Marginals, StructurePlan
from mapper.structure.row_shares import RowShares

ALTERNATION_PENALTY = 1.2
"""Log-odds taken from two rows in turn with a chord of three: people write them less than half as often as the network."""
CHORD_STARS, CHORD_BIAS = (2.5, 4.8, 6.0), (0.0, 0.5, 0.8)
"""Log-odds of each note beyond a row's first that charts begin with, by stars: people's hard charts have fewer rows and
bigger chords than the network's."""
ONSET_STARS, ONSET_BIAS = (5.0, 6.0, 8.0), (0.0, 0.5, 1.2)
"""Log-odds of rows that charts begin with: conditioned on more stars than 5, the network hardly writes more (docs/LOG.md)."""


def usual_chord_bias(stars: float) -> float:
    """Log-odds of each note beyond a row's first that a difficulty's first candidates get where no patterns are requested."""
    return float(np.interp(stars, CHORD_STARS, CHORD_BIAS))


def usual_onset_bias(stars: float) -> float:
    """Log-odds added to rows of a difficulty's first candidates."""
    return float(np.interp(stars, ONSET_STARS, ONSET_BIAS))


def planned_sampling(
    plan: StructurePlan,
    encoding: SongEncoding,
    targets: Sequence[ChartTarget],
    onset_biases: Sequence[float],
    chord_biases: Sequence[float],
    row_shares: Sequence[RowShares],
    seed: int,
    guidance: float,
    plan_seed: int | None = None,
) -> Sampling:
    """Sampling of candidates, one a chart of `encoding`: places of rows planned, holds and alternations biased.

    `targets` are the requested ones, whatever the network is conditioned on; `plan_seed` is of their rhythms' noise, None:
    the plan's, which all charts of a song share.
    """
    plain = sampling_of(seed, np.array(onset_biases), targets, np.array(chord_biases), guidance)
    plain = with_row_shares(plain, row_shares)
    marginals = Marginals(plain.onset_weight, plain.hazard_temperature, guidance)
    hold_begin, hold_end = plan.hold_odds
    free = np.array([one.is_free for one in targets])
    return replace(
        plain,
        uniforms=plan.uniforms(encoding, [one.stars for one in targets], onset_biases, marginals, plan_seed),
        hold_begin=hold_begin,
        hold_end=hold_end,
        alternation=ALTERNATION_PENALTY * free,
    )


def with_row_shares(sampling: Sampling, shares: Sequence[RowShares]) -> Sampling:
    """The sampling with these shares of chords and repeated columns kept to, one of each a chart."""
    return replace(
        sampling,
        recall=np.array([one.repeats for one in shares]),
        chords=np.array([one.chords for one in shares]),
    )
