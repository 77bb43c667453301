"""The mapper reading sections: encoded windows, and a cached decoder whose environments advance one row at a time.

Environments of different songs and lengths stand side by side; each has its own number of tokens in the cache.
Shapes use: env, token, head, slot, cell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from chart.grid import SLOT_TICKS, SLOTS_PER_CELL, TICKS_PER_BEAT, TICKS_PER_CELL
from env.task import kernels
from env.task.episodes import MAX_TOKENS, Section, Target
from env.task.songs import SongSet
from mapper.data.batches import stacked
from mapper.network.model import Encoding, Mapper, RowTokens, cells_of, time_gap_bin
from mapper.sampling.encode_song import SongEncoding
from mapper.tokens.conditioning_vector import Controls
from mapper.tokens.window import CELLS, cell_arrays

WINDOWS_AT_ONCE = 8
"""Windows encoded in one call; more would only need more memory."""
GROWTH = 32
"""Tokens by which a cache grows."""


@dataclass(frozen=True)
class Windows:
    """What the encoder hears around sections, for their controls; slots count from the window's first."""

    encoding: Encoding  # [env, cell or slot, …]
    control: Tensor  # [env, 1, width], the decoder's

    def picked(self, numbers: Sequence[int] | NDArray | Tensor) -> Windows:
        """Those of these numbers, in this order."""
        at = torch.as_tensor(numbers)
        return Windows(Encoding(*[tensor[at] for tensor in _tensors(self.encoding)]), self.control[at])

    def leans(self, model: Mapper) -> Tensor:
        """[env] `Mapper.lean` of each window, now."""
        assert self.encoding.whole is not None
        return model.lean(self.encoding.whole).squeeze(-1)

    @staticmethod
    def joined(parts: Sequence[Windows]) -> Windows:
        """Several as one batch, in this order."""
        tensors = zip(*[_tensors(part.encoding) for part in parts], strict=True)
        return Windows(Encoding(*map(torch.cat, tensors)), torch.cat([part.control for part in parts]))


def _tensors(encoding: Encoding) -> list[Tensor]:
    assert encoding.alike is not None
    assert encoding.whole is not None
    return [encoding.cell, encoding.slot, encoding.onset_logit, encoding.alike, encoding.whole]


def windows_of(heard: SongEncoding, sections: Sequence[Section], device: torch.device) -> Windows:
    """What a mapper heard of the whole song around sections of it, [section]; `heard` is of one chart."""
    parts = [_part(heard, section.window_slot // SLOTS_PER_CELL) for section in sections]
    tensors = [torch.from_numpy(np.stack(one)).to(device) for one in zip(*parts, strict=True)]
    control = torch.from_numpy(heard.decoder_control).to(device)[:, None]
    return Windows(Encoding(*tensors), control.expand(len(sections), -1, -1))


def _part(heard: SongEncoding, first: int) -> list[NDArray[np.float32]]:
    """Cells, slots, log-odds of rows, likeness and mean of the window from this cell on; nothing behind the song's end."""
    cells, slots = slice(first, first + CELLS), slice(first * SLOTS_PER_CELL, (first + CELLS) * SLOTS_PER_CELL)
    arrays = (heard.cell[0, cells], heard.slot[0, slots], heard.onset_logit[0, slots], heard.alike[0, cells])
    lengths = (CELLS, CELLS * SLOTS_PER_CELL, CELLS * SLOTS_PER_CELL, CELLS)
    padded = [
        np.pad(one, [(0, length - len(one))] + [(0, 0)] * (one.ndim - 1))
        for one, length in zip(arrays, lengths, strict=True)
    ]
    return [*padded, arrays[0].mean(0)]


@torch.no_grad()
def hear(model: Mapper, library: SongSet, sections: Sequence[Section]) -> Windows:
    """Encode the window of each section: half a minute from the first row that the decoder reads on."""
    return Windows.joined(
        [_hear(model, library, sections[at : at + WINDOWS_AT_ONCE]) for at in range(0, len(sections), WINDOWS_AT_ONCE)]
    )


def _hear(model: Mapper, library: SongSet, sections: Sequence[Section]) -> Windows:
    arrays = []
    for section in sections:
        piece = library.pieces[section.piece]
        first = section.window_slot // SLOTS_PER_CELL
        arrays.append(
            cell_arrays(piece.grid, slice(first, min(first + CELLS, piece.grid.cells)), piece.features, piece.lag_ms)
        )
    lengths = dict.fromkeys(arrays[0], CELLS) | dict.fromkeys(("slot_frame", "usable"), CELLS * SLOTS_PER_CELL)
    lengths["mel"] = max(len(one["mel"]) for one in arrays)
    padded = {name: stacked([one[name] for one in arrays], length) for name, length in lengths.items()}
    valid = stacked([np.ones(one["quarter"].size, bool) for one in arrays], CELLS)
    padded["beat_ms"] = torch.where(valid, padded["beat_ms"], 400.0)
    device = next(model.parameters()).device
    controls = controls_of([section.target for section in sections])
    encoder_control, decoder_control = model.control_vectors(torch.from_numpy(controls.features()).to(device))
    cells = cells_of({name: tensor.to(device) for name, tensor in padded.items()}, valid.to(device))
    return Windows(model.encode(cells, encoder_control), decoder_control)


def controls_of(targets: Sequence[Target]) -> Controls:
    """What the mapper is told."""
    return Controls(
        [target.stars for target in targets],
        [target.notes_per_s for target in targets],
        [target.hold_share for target in targets],
        [target.style for target in targets],
    )


def ticks_of(slot: Tensor) -> Tensor:
    """Ticks from the window's first slot to each slot of it."""
    table = torch.as_tensor(SLOT_TICKS, device=slot.device)
    cell = torch.div(slot, SLOTS_PER_CELL, rounding_mode="floor")
    return cell * TICKS_PER_CELL + table[slot % SLOTS_PER_CELL]


def row_tokens(tokens: NDArray[np.int32] | Tensor, first_index: Tensor | None = None) -> RowTokens:
    """[env, token, TOKEN] as the decoder reads them; `first_index` [env] is the number of the first, default 0."""
    rows = torch.as_tensor(tokens).long()
    slot = rows[..., kernels.SLOT]
    index = torch.arange(rows.shape[1], device=rows.device).expand(rows.shape[:2])
    if first_index is not None:
        index = index + first_index[:, None]
    return RowTokens(
        code=rows[..., kernels.CODE],
        held=rows[..., kernels.HELD_AFTER_ROW],
        slot=slot,
        elapsed=time_gap_bin(rows[..., kernels.ELAPSED]),
        beat=ticks_of(slot).float() / TICKS_PER_BEAT,
        index=index.float(),
    )


class Decoder:
    """The decoder's memory of environments that are being written.

    Invariant: the cache of environment e holds the keys and values of its tokens `0 … length[e] - 1`, and `state[e]`
    follows the last of them.
    """

    def __init__(self, model: Mapper, windows: Windows, tokens: NDArray[np.int32], known: NDArray[np.int64]) -> None:
        """Read the first `known` [env] of `tokens` [env, token, TOKEN] in one pass."""
        self.model, self.windows = model, windows
        device = windows.control.device
        self.length = torch.as_tensor(known, device=device).clone()
        longest = int(self.length.max())
        rows = row_tokens(torch.as_tensor(tokens[:, :longest], device=device))
        x = model.embed_rows(rows, windows.encoding, windows.control)
        rotation = model.row_rotation(rows)
        self.cache: list[tuple[Tensor, Tensor]] = []
        for block in model.decoder_blocks():
            query, key, value = block.qkv(x, rotation)
            x = block.finish(x, functional.scaled_dot_product_attention(query, key, value, is_causal=True))
            self.cache.append((_room(key, GROWTH), _room(value, GROWTH)))
        self.state = model.decoder_norm(x)[torch.arange(len(x)), self.length - 1]

    def read(self, tokens: NDArray[np.int32], fresh: NDArray[np.bool_]) -> None:
        """Read one more token [env, TOKEN] in each environment that is `fresh` [env]; the others stay as they are.

        All are computed, fresh or not: picking some would copy the cache. What a stale one leaves in its next place is
        hidden until it is overwritten.
        """
        model, length = self.model, self.length
        longest = int(length.max()) + 1
        if longest > self.cache[0][0].shape[2]:
            self.cache = [(_room(key, GROWTH), _room(value, GROWTH)) for key, value in self.cache]
        rows = row_tokens(torch.as_tensor(tokens, device=length.device)[:, None], length)
        every = torch.arange(len(length), device=length.device)
        x = model.embed_rows(
            replace(rows, slot=torch.zeros_like(rows.slot)), self._heard_at(rows.slot[:, 0]), self.windows.control
        )
        rotation = model.row_rotation(rows)
        hidden = torch.arange(longest, device=length.device) > length[:, None]  # [env, token]
        for block, (keys, values) in zip(model.decoder_blocks(), self.cache, strict=True):
            query, key, value = block.qkv(x, rotation)
            keys[every, :, length], values[every, :, length] = key[:, :, 0], value[:, :, 0]
            x = block.finish(x, _attend(query, keys[:, :, :longest], values[:, :, :longest], hidden))
        read = torch.as_tensor(fresh, device=length.device)
        self.length = length + read
        self.state = torch.where(read[:, None], model.decoder_norm(x[:, 0]), self.state)

    def _heard_at(self, slot: Tensor) -> Encoding:
        """What is heard at one slot [env] of each environment, as an encoding of that slot alone."""
        env, one = torch.arange(len(slot), device=slot.device), self.windows.encoding
        cell = torch.div(slot, SLOTS_PER_CELL, rounding_mode="floor")
        return Encoding(one.cell[env, cell][:, None], one.slot[env, slot][:, None], one.onset_logit[env, slot][:, None])

    def keep(self, envs: Tensor) -> None:
        """Forget all environments but these, which are renumbered in this order."""
        self.windows = self.windows.picked(envs)
        self.cache = [(key[envs], value[envs]) for key, value in self.cache]
        self.length, self.state = self.length[envs], self.state[envs]


def _room(cache: Tensor, more: int) -> Tensor:
    """[env, head, token, …] with room for `more` tokens."""
    return functional.pad(cache, (0, 0, 0, min(more, MAX_TOKENS + GROWTH - cache.shape[2])))


def _attend(query: Tensor, key: Tensor, value: Tensor, hidden: Tensor) -> Tensor:
    """Attention of one new token [env, head, 1, width] over the cache; `hidden` [env, token] keys are not seen."""
    score = query @ key.transpose(2, 3) / query.shape[-1] ** 0.5
    weight = score.masked_fill(hidden[:, None, None], -torch.inf).softmax(-1)
    return weight @ value
