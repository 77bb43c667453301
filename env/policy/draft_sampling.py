"""Sampling of whole drafts under the structure plans of their songs, as `mapper.search` samples its first candidates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from env.task.episodes import Target
from mapper.sampling.conditioning import ChartTarget
from mapper.sampling.encode_song import SongEncoding
from mapper.sampling.sampler import Sampling
from mapper.search.planned_sampling import planned_sampling, usual_chord_bias
from mapper.structure.plan import NO_ROW, StructurePlan
from mapper.structure.row_shares import RowShares
from mapper.tokens.vocabulary import STYLES


@dataclass(frozen=True)
class Draft:
    """A whole chart to be sampled."""

    target: Target
    seed: int
    rate_bias: float  # log-odds added to the hazard
    encoding: SongEncoding  # of the song, for this target
    plan: StructurePlan  # of the song

    def sampling(self) -> Sampling:
        """Sampling of this chart alone, on its song's own slots."""
        target = ChartTarget(self.target.stars, STYLES[self.target.style], hold_share=self.target.hold_ratio)
        biases = [self.rate_bias], [usual_chord_bias(self.target.stars)]
        arguments = ([target], *biases, [RowShares.of(target)], self.seed)
        return planned_sampling(self.plan, self.encoding, *arguments, guidance=1.0, plan_seed=self.seed)


def draft_sampling(drafts: Sequence[Draft], shift: NDArray[np.int64], slots: int) -> Sampling:
    """Sampling of the drafts on a timeline of so many slots, where each song begins at the slot `shift` [chart]."""
    own = [draft.sampling() for draft in drafts]
    uniforms = np.full((len(own), slots), NO_ROW, np.float32)
    hold_begin, hold_end = np.zeros(slots), np.zeros(slots)
    for number, (one, first) in enumerate(zip(own, shift.tolist(), strict=True)):
        assert one.uniforms is not None
        assert one.hold_begin is not None
        assert one.hold_end is not None
        stretch = slice(first, first + one.hold_begin.size)
        uniforms[number, stretch] = one.uniforms[0]
        hold_begin[stretch], hold_end[stretch] = one.hold_begin, one.hold_end
    arrays: dict[str, Any] = {
        name: np.concatenate([getattr(one, name) for one in own])
        for name in ("rate_bias", "row_bias", "hold_share", "alternation", "recall", "chords")
    }
    seeds = np.array([draft.seed for draft in drafts])
    return replace(own[0], seed=seeds, uniforms=uniforms, hold_begin=hold_begin, hold_end=hold_end, **arrays)
