"""What the tests of `env` share: the demo library, a small mapper, an agent that obeys the mask."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray

from env.task.kernels import OFFSETS
from env.task.songs import SongSet, demo_songs
from mapper.network.model import Mapper
from mapper.tokens.vocabulary import ModelConfig

TINY = ModelConfig(stem_width=16, width=48, heads=2, encoder_layers=1, decoder_layers=2, hazard_width=16, dropout=0.1)


@lru_cache(maxsize=1)
def library() -> SongSet:
    """Two synthetic songs at two tempi."""
    one, two = demo_songs(0), demo_songs(1, bpm=180.0)
    return SongSet.of([*one.pieces, *two.pieces])


def tiny_mapper(seed: int = 0) -> Mapper:
    """A mapper of few parameters, drawn from the seed, whose hazard is neither 0 nor 1."""
    torch.manual_seed(seed)
    model = Mapper(TINY)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
        model.onset[-1].bias.fill_(-1.0)
        model.lean.weight.zero_()
        model.lean.bias.zero_()
    return model.eval()


def obedient(mask: NDArray, random: np.random.Generator) -> NDArray[np.int64]:
    """[env, 2] actions that the mask [env, 353] allows, mostly near slots."""
    actions = []
    for row in np.atleast_2d(mask).astype(bool):
        offsets, codes = np.flatnonzero(row[:OFFSETS]), np.flatnonzero(row[OFFSETS + 1 :])
        offset = offsets[min(int(random.geometric(0.2)) - 1, offsets.size - 1)] if offsets.size else OFFSETS
        actions.append((offset, random.choice(codes)))
    return np.array(actions)
