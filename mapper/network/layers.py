"""Layers of the network: transformer block with rotary positions, convolutional stem, motif memory."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from chart.grid import SLOTS_PER_CELL
from chart.model import KEYS
from mapper.tokens.vocabulary import (
    LONGEST_PERIOD_LOG2,
    MOTIF_KEY_WIDTH,
    MOTIF_LAGS,
    SYMBOLS_PER_COLUMN,
    ModelConfig,
)

MASKED = -1e4
"""Score of a key that may not be seen; finite also in half precision."""


class Block(nn.Module):
    """Pre-norm transformer block with rotary positions; causal with a key-value cache, or bidirectional."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.norm_attention = nn.LayerNorm(width)
        self.norm_feed_forward = nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width, bias=False)
        self.attention_out = nn.Linear(width, width, bias=False)
        self.feed_forward = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def qkv(self, x: Tensor, rotation: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """[batch, step, width] → three of [batch, head, step, head width], queries and keys rotated."""
        batch, step, width = x.shape
        qkv = self.query_key_value(self.norm_attention(x)).view(batch, step, 3, self.heads, width // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        return rotate(query, *rotation), rotate(key, *rotation), value

    def finish(self, x: Tensor, attended: Tensor) -> Tensor:
        """Residual of the attention [batch, head, step, head width], then the feed-forward."""
        joined = attended.transpose(1, 2).flatten(2)
        x = x + self._drop(self.attention_out(joined))
        return x + self._drop(self.feed_forward(self.norm_feed_forward(x)))

    def forward(self, x: Tensor, rotation: tuple[Tensor, Tensor], mask: Tensor | None, causal: bool) -> Tensor:
        """`mask`: [batch, 1, 1, key] true where a key may be seen."""
        query, key, value = self.qkv(x, rotation)
        return self.finish(x, attend(query, key, value, mask, causal))

    def _drop(self, x: Tensor) -> Tensor:
        return drop_channels(x, self.dropout if self.training else 0.0)


class _PlainAttention(torch.autograd.Function):
    """Softmax attention by matrix products: in bfloat16, CPUs differentiate it faster than torch's fused kernel, in float32 slower."""

    @staticmethod
    def forward(context: Any, query: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> Tensor:
        """[head, step, head width], queries scaled; `bias` [head, step, step] is added to the scores."""
        share = torch.softmax(torch.baddbmm(bias, query, key.transpose(1, 2)), -1)
        context.save_for_backward(query, key, value, share)
        return torch.bmm(share, value)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, share = context.saved_tensors
        gradient = gradients[0].contiguous()
        by_share = torch.bmm(gradient, value.transpose(1, 2))
        by_score = torch._softmax_backward_data(by_share, share, -1, share.dtype)
        by_value = torch.bmm(share.transpose(1, 2), gradient)
        return torch.bmm(by_score, key), torch.bmm(by_score.transpose(1, 2), query), by_value, None


def attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, causal: bool) -> Tensor:
    """Attention of [batch, head, step, head width]; `mask` [batch, 1, 1, key] is true where a key may be seen."""
    if query.device.type != "cpu" or value.dtype != torch.bfloat16 or not query.requires_grad:
        return functional.scaled_dot_product_attention(query, key, value, attn_mask=mask, is_causal=causal)
    batch, heads, steps, width = query.shape
    bias = torch.zeros(batch, 1, steps, steps, dtype=value.dtype)
    if mask is not None:
        bias = bias.masked_fill(~mask, MASKED)
    if causal:
        bias = bias.masked_fill(torch.ones(steps, steps, dtype=torch.bool).triu(1), MASKED)
    scaled = (query * width**-0.5).to(value.dtype).flatten(0, 1), key.to(value.dtype).flatten(0, 1)
    out = _PlainAttention.apply(*scaled, value.flatten(0, 1), bias.expand(-1, heads, -1, -1).flatten(0, 1))
    return cast(Tensor, out).unflatten(0, (batch, heads))


def drop_channels(x: Tensor, share: float) -> Tensor:
    """[batch, step, channel] with this share of the channels dropped in all steps: random numbers for each step are slow on CPUs."""
    if not share:
        return x
    kept = torch.rand(x.shape[0], 1, x.shape[2], device=x.device) >= share
    return x * (kept / (1 - share)).to(x.dtype)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary position embedding of [batch, head, step, head width] by [batch, 1, step, head width / 2]."""
    left, right = x.chunk(2, -1)
    return torch.cat((left * cos - right * sin, left * sin + right * cos), -1)


def rotation_of(*positions: Tensor, head_width: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines for positions [batch, step] that share a head's width equally among them.

    Periods are powers of two from 1, so that musical positions in beats meet again at beats, bars and phrases.
    """
    pairs = head_width // 2 // len(positions)
    period = 2 ** (torch.arange(pairs, device=positions[0].device) * (LONGEST_PERIOD_LOG2 / pairs))
    frequency = 2 * torch.pi / period
    angle = torch.cat([position[..., None].float() * frequency for position in positions], -1)[:, None]
    return angle.cos(), angle.sin()


class Stem(nn.Module):
    """Convolutions over log-mel frames; their output and the side channels are interpolated at each slot's time."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        width = config.stem_width
        self.bands = config.bands
        self.convolutions = nn.Sequential(
            nn.Conv1d(config.bands, width, 5, padding=2),
            nn.GELU(),
            nn.Conv1d(width, width, 5, padding=4, dilation=2),
            nn.GELU(),
            nn.Conv1d(width, width, 3, padding=4, dilation=4),
        )

    def forward(self, features: Tensor, slot_frame: Tensor) -> tuple[Tensor, Tensor]:
        """[batch, frame, channel], [batch, slot] → [batch, slot, stem width] and [batch, slot, side channel]."""
        mel, side = features.split((self.bands, features.shape[2] - self.bands), 2)
        convolved = self.convolutions(mel.transpose(1, 2)).transpose(1, 2)
        return read_off(convolved, slot_frame), read_off(side, slot_frame)


def read_off(frames: Tensor, slot_frame: Tensor) -> Tensor:
    """[batch, slot, value]: linear interpolation of frames [batch, frame, value] at each slot's time."""
    position = slot_frame.clamp(0, frames.shape[1] - 1.001)
    before = position.long()
    if torch.is_grad_enabled():
        return _read_off_by_bags(frames, before, position - before)
    share = (position - before)[..., None].to(frames.dtype)
    rows = torch.arange(frames.shape[0], device=frames.device)[:, None]
    return torch.lerp(frames[rows, before], frames[rows, before + 1], share)


def _read_off_by_bags(frames: Tensor, before: Tensor, share: Tensor) -> Tensor:
    """As `read_off`, by a kernel whose gradient does not scatter value by value: ten times as fast while training."""
    batch, count, width = frames.shape
    first = (before + torch.arange(batch, device=frames.device)[:, None] * count).flatten()
    weights = torch.stack((1 - share, share), -1).flatten(0, 1).float()
    with torch.autocast(frames.device.type, enabled=False):
        rows = frames.reshape(batch * count, width).float()
        bags = functional.embedding_bag(
            torch.stack((first, first + 1), 1), rows, mode="sum", per_sample_weights=weights
        )
    return bags.unflatten(0, (batch, -1))


class Motif(nn.Module):
    """Motif memory: look-up of the rows some beats or bars before a slot, weighted by the similarity of the song there.

    The decoder's state follows the last row and does not depend on the slot of the next; this looks up, for any slot, the
    rows at the same place of earlier beats and bars.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        lags = len(MOTIF_LAGS)
        self.key = nn.Linear(width, MOTIF_KEY_WIDTH)
        self.sharpness = nn.Parameter(torch.full((lags,), 4.0))
        self.bias = nn.Parameter(torch.zeros(lags))
        self.symbol = nn.Embedding(lags * KEYS * SYMBOLS_PER_COLUMN, width)
        self.rhythm = nn.Parameter(torch.zeros(lags, 2))  # log-odds of a row where there was none, and where one was

    def alike(self, cell: Tensor) -> Tensor:
        """[batch, cell, lag], 0–1: similarity of each cell to the one a lag before; 0 where there is none."""
        key = functional.normalize(self.key(cell), dim=-1)
        found = []
        for number, lag in enumerate(MOTIF_LAGS):
            cells = lag // SLOTS_PER_CELL
            match = (key[:, cells:] * key[:, :-cells]).sum(-1)
            gate = torch.sigmoid(self.sharpness[number] * match + self.bias[number])
            found.append(functional.pad(gate, (min(cells, cell.shape[1]), 0)))
        return torch.stack(found, -1)

    @staticmethod
    def earlier(code_at: Tensor) -> Tensor:
        """[batch, slot] row codes → [batch, slot, lag], the code a lag before; 0 where there is none."""
        slots = code_at.shape[1]
        return torch.stack([functional.pad(code_at, (min(lag, slots), 0))[:, :slots] for lag in MOTIF_LAGS], -1)

    def rhythm_logit(self, earlier: Tensor, alike: Tensor) -> Tensor:
        """[…], log-odds for a row, from codes and similarities [… , lag]."""
        return (alike * torch.where(earlier > 0, self.rhythm[:, 1], self.rhythm[:, 0])).sum(-1)

    def table(self, symbols_of_code: Tensor) -> Tensor:
        """[lag, code, width]: embedding of each earlier row."""
        lags = torch.arange(len(MOTIF_LAGS), device=symbols_of_code.device)
        symbols = symbols_of_code + (lags * KEYS * SYMBOLS_PER_COLUMN)[:, None, None]
        return self.symbol(symbols).sum(-2)

    def row_vector(self, earlier: Tensor, alike: Tensor, symbols_of_code: Tensor) -> Tensor:
        """[…, width] for the row head, from codes and similarities [… , lag]."""
        lags = torch.arange(len(MOTIF_LAGS), device=earlier.device)
        return (self.table(symbols_of_code)[lags, earlier] * alike[..., None]).sum(-2)
