"""The mapper's network: an audio encoder over grid cells and a causal decoder over rows.

The encoder hears the song around each cell (a quarter beat) and looks both ways; the decoder advances only on rows
that have notes. Two heads answer, from the decoder's state after the last row: the *hazard* head, for each later slot
in turn, whether the next row falls on it; the *row* head, which of the legal rows it is. Together they are an exact
likelihood of the chart. Shapes use: batch, cell, slot (6 a cell), sub (slot within its cell), frame, row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from chart.grid import SLOTS_PER_CELL
from chart.model import KEYS
from mapper.network.cached_decoder import CachedDecoder
from mapper.network.interface import EncodedWindow, RowDecoder
from mapper.tokens.row_codes import HELD_STATES, ROW_CODES, SYMBOLS
from mapper.tokens.vocabulary import (
    BARS_OF_PHRASE,
    CONTROL_FEATURES,
    EDGE_SECONDS,
    ENCODER_PARTS,
    LONGEST_PERIOD_LOG2,
    MAX_BEATS_OF_BAR,
    MOTIF_KEY_WIDTH,
    MOTIF_LAGS,
    SYMBOLS_PER_COLUMN,
    TIME_GAP_BINS,
    ModelConfig,
)


@dataclass(frozen=True)
class Cells:
    """A stretch of the grid with its audio. Frames are every 10 ms; `slot_frame` counts from the stretch's first."""

    mel: Tensor  # [batch, frame, band], float, about 0–1; no frames: the song is not heard
    slot_frame: Tensor  # [batch, slot], float frame index of each slot's sound
    beat_ms: Tensor  # [batch, cell]
    quarter: Tensor  # [batch, cell], int64 0–3
    beat_in_bar: Tensor  # [batch, cell], int64
    bar: Tensor  # [batch, cell], int64
    song_edges: Tensor  # [batch, cell, edge feature], 0–1, nearness of the song's begin and end
    valid: Tensor  # [batch, cell], bool, false for padding


def cells_of(padded: dict[str, Tensor], valid: Tensor) -> Cells:
    """`Cells` from the padded arrays of `mapper.tokens.window.cell_arrays`."""
    names = ("mel", "slot_frame", "beat_ms", "quarter", "beat_in_bar", "bar", "song_edges")
    return Cells(**{name: padded[name] for name in names}, valid=valid)


@dataclass(frozen=True)
class Encoding:
    """What the encoder hears."""

    cell: Tensor  # [batch, cell, width]
    slot: Tensor  # [batch, slot, hazard width]
    onset_logit: Tensor  # [batch, slot], that a row falls here, the rows before it unseen
    alike: Tensor | None = None  # [batch, cell, motif lag] 0–1, `Motif.alike`; None: motifs are not looked up
    whole: Tensor | None = None  # [batch, width], mean of the cells


@dataclass(frozen=True)
class RowTokens:
    """Rows as the decoder reads them. The first row of a stretch is a start token with code 0."""

    code: Tensor  # [batch, row], int64
    held: Tensor  # [batch, row], int64, held state after the row
    slot: Tensor  # [batch, row], int64, slot within the stretch
    elapsed: Tensor  # [batch, row], int64, `time_gap_bin` of the ticks since the row before
    beat: Tensor  # [batch, row], float, position in beats, for the rotation
    index: Tensor  # [batch, row], float, number of the row, for the rotation


@dataclass(frozen=True)
class HazardTerms:
    """A state's side of the hazard head."""

    query: Tensor  # [batch, row, hazard width]
    by_elapsed: Tensor  # [batch, row, elapsed bucket], logits

    def rhythm(self, row: Tensor, encoding_slot: Tensor, elapsed: Tensor) -> Tensor:
        """[batch, slot], logits: what the rows up to row `row` [batch, slot] say for the next one on each slot.

        `encoding_slot` [batch, slot, hazard width]; `elapsed` [batch, slot] bucket of the ticks since that row. With
        the encoder's onset logit added: that the next row falls there, none having fallen since.
        """
        batch = torch.arange(row.shape[0], device=row.device)[:, None]
        match = (self.query[batch, row] * encoding_slot).sum(-1)
        return match + self.by_elapsed[batch, row, elapsed]


def time_gap_bin(ticks: Tensor) -> Tensor:
    """Ticks (48 a beat) → 0–63: exact to a 16th or a 12th within a beat, coarser to 16 beats and more."""
    fine = ticks.clamp(0, 48)  # 0–48
    coarse = torch.log2(ticks.clamp(min=48).float() / 48) * 3.5
    return (fine + coarse.ceil().long()).clamp(max=TIME_GAP_BINS - 1)


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
        attended = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask, is_causal=causal)
        return self.finish(x, attended)

    def _drop(self, x: Tensor) -> Tensor:
        return functional.dropout(x, self.dropout, self.training)


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
    """Convolutions over log-mel frames, read off at each slot's time."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        width = config.stem_width
        self.convolutions = nn.Sequential(
            nn.Conv1d(config.bands, width, 5, padding=2),
            nn.GELU(),
            nn.Conv1d(width, width, 5, padding=4, dilation=2),
            nn.GELU(),
            nn.Conv1d(width, width, 3, padding=4, dilation=4),
        )

    def forward(self, mel: Tensor, slot_frame: Tensor) -> Tensor:
        """[batch, frame, band], [batch, slot] → [batch, slot, stem width]."""
        heard = self.convolutions(mel.transpose(1, 2)).transpose(1, 2)
        position = slot_frame.clamp(0, heard.shape[1] - 1.001)
        before = position.long()
        share = (position - before)[..., None].to(heard.dtype)
        rows = torch.arange(heard.shape[0], device=heard.device)[:, None]
        return functional.gelu(torch.lerp(heard[rows, before], heard[rows, before + 1], share))


class Motif(nn.Module):
    """Motif memory: what was written some beats or bars before a slot, as far as the song sounds as it did there.

    The decoder's state follows the last row and cannot know which slot the next one takes; this looks up, for any slot,
    the rows at the same place of the beats and bars before.
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
        """[batch, cell, lag], 0–1: how much each cell sounds like the one a lag before; 0 where there is none."""
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
        """[…], log-odds for a row, from [… , lag] codes and likenesses."""
        return (alike * torch.where(earlier > 0, self.rhythm[:, 1], self.rhythm[:, 0])).sum(-1)

    def table(self, symbols_of_code: Tensor) -> Tensor:
        """[lag, code, width]: what each earlier row says for the next one."""
        lags = torch.arange(len(MOTIF_LAGS), device=symbols_of_code.device)
        symbols = symbols_of_code + (lags * KEYS * SYMBOLS_PER_COLUMN)[:, None, None]
        return self.symbol(symbols).sum(-2)

    def row_vector(self, earlier: Tensor, alike: Tensor, symbols_of_code: Tensor) -> Tensor:
        """[…, width] for the row head, from [… , lag] codes and likenesses."""
        lags = torch.arange(len(MOTIF_LAGS), device=earlier.device)
        return (self.table(symbols_of_code)[lags, earlier] * alike[..., None]).sum(-2)


class Mapper(nn.Module):
    """The whole network; see the module's docstring."""

    symbols_of_code: Tensor  # [code, column], row of `symbol` and of `next_symbol`

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.controls = nn.Sequential(nn.Linear(CONTROL_FEATURES, width), nn.GELU(), nn.Linear(width, 2 * width))
        self.stem = Stem(config)
        self.cell_in = nn.Linear(SLOTS_PER_CELL * config.stem_width, width)
        self.quarter = nn.Embedding(4, width)
        self.beat_in_bar = nn.Embedding(MAX_BEATS_OF_BAR, width)
        self.bar_of_phrase = nn.Embedding(BARS_OF_PHRASE, width)
        self.tempo = nn.Linear(1, width)
        self.song_edges = nn.Linear(2 * len(EDGE_SECONDS), width)
        blocks = [Block(width, config.heads, config.dropout) for _ in range(config.encoder_layers)]
        self.encoder = nn.ModuleList(blocks)
        self.encoder_norm = nn.LayerNorm(width)
        self.slot_from_cell = nn.Linear(width, SLOTS_PER_CELL * config.hazard_width)
        self.slot_from_stem = nn.Linear(config.stem_width, config.hazard_width)
        self.onset = nn.Sequential(nn.GELU(), nn.Linear(config.hazard_width, 1))
        self.lean = nn.Linear(width, 1)  # towards more rows or fewer throughout the stretch
        self.unheard_cell = nn.Parameter(torch.zeros(width))
        self.unheard_slot = nn.Parameter(torch.zeros(SLOTS_PER_CELL, config.hazard_width))

        self.code = nn.Embedding(ROW_CODES, width)
        self.symbol = nn.Embedding(KEYS * SYMBOLS_PER_COLUMN, width)
        self.held = nn.Embedding(HELD_STATES, width)
        self.elapsed = nn.Embedding(TIME_GAP_BINS, width)
        self.row_from_cell = nn.Linear(width, width)
        self.row_from_slot = nn.Linear(config.hazard_width, width)
        blocks = [Block(width, config.heads, config.dropout) for _ in range(config.decoder_layers)]
        self.decoder = nn.ModuleList(blocks)
        self.decoder_norm = nn.LayerNorm(width)
        self.hazard_query = nn.Linear(width, config.hazard_width)
        self.hazard_elapsed = nn.Linear(width, TIME_GAP_BINS)
        self.next_from_state = nn.Linear(width, width)
        self.next_from_slot = nn.Linear(config.hazard_width, width)
        self.next_from_cell = nn.Linear(width, width)
        self.next_elapsed = nn.Embedding(TIME_GAP_BINS, width)
        self.next_held = nn.Embedding(HELD_STATES, width)
        self.next_row = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.GELU())
        self.motif = Motif(width)
        self.next_code = nn.Linear(width, ROW_CODES)
        self.next_symbol = nn.Linear(width, KEYS * SYMBOLS_PER_COLUMN, bias=False)
        symbols = torch.from_numpy(SYMBOLS) + SYMBOLS_PER_COLUMN * torch.arange(KEYS)
        self.register_buffer("symbols_of_code", symbols, persistent=False)
        self.apply(_initialise)
        nn.init.zeros_(self.lean.weight)

    def train_only(self, what: str) -> None:
        """Train only what writes rows ("writing") or what hears the song ("hearing")."""
        for name, parameter in self.named_parameters():
            parameter.requires_grad_((name.split(".")[0] in ENCODER_PARTS) == (what == "hearing"))

    def set_dropout(self, share: float) -> None:
        """Drop this share of what each block adds while training."""
        for block in (*self.encoder, *self.decoder):
            block.dropout = share

    def control_vectors(self, controls: Tensor) -> tuple[Tensor, Tensor]:
        """[batch, CONTROL_FEATURES] → two of [batch, 1, width]: for the encoder and for the decoder."""
        encoder, decoder = self.controls(controls)[:, None].chunk(2, -1)
        return encoder, decoder

    def encode(self, cells: Cells, control: Tensor) -> Encoding:
        """Hear a stretch; `control` is the encoder's vector of `control_vectors`. Without frames, know the grid alone.

        The cells may be one stretch for all controls of the batch: it is then listened to once.
        """
        place = self._place(cells) + control
        if not cells.mel.shape[1]:
            x = self.encoder_norm(place + self.unheard_cell)
            return self._encoding(x, self.unheard_slot.repeat(x.shape[1], 1), cells.valid)
        heard = self.stem(cells.mel, cells.slot_frame)  # [batch, slot, stem width]
        x = self.cell_in(heard.unflatten(1, (-1, SLOTS_PER_CELL)).flatten(2)) + place
        position = torch.arange(x.shape[1], device=x.device)[None].float() / 4  # in beats
        rotation = rotation_of(position, head_width=self.config.width // self.config.heads)
        mask = cells.valid[:, None, None]
        for block in self.encoder:
            x = block(x, rotation, mask, causal=False)
        return self._encoding(self.encoder_norm(x), self.slot_from_stem(heard), cells.valid)

    @torch.inference_mode()
    def encode_window(self, controls: NDArray[np.float32], stretch: dict[str, Any]) -> EncodedWindow:
        """As `mapper.network.interface.Network.encode_window`, on the device where the weights are."""
        device = self.unheard_cell.device
        tensors = {name: torch.from_numpy(array)[None].to(device) for name, array in stretch.items()}
        valid = torch.ones(tensors["quarter"].shape, dtype=torch.bool, device=device)
        encoder_control, decoder_control = self.control_vectors(torch.from_numpy(controls).to(device))
        heard = self.encode(cells_of(tensors, valid), encoder_control)  # one sound, as many controls as charts
        results = (heard.cell, heard.slot, heard.onset_logit, decoder_control[:, 0])
        return EncodedWindow(*(tensor.float().cpu().numpy() for tensor in results))

    def row_decoder(self, charts: int, capacity: int) -> RowDecoder:
        """As `mapper.network.interface.Network.row_decoder`: torch's overhead a call is larger than the work of a row."""
        return CachedDecoder(self, charts, capacity)

    @property
    def runs_on(self) -> str:
        """As `mapper.network.interface.Network.runs_on`."""
        return f"torch, {self.unheard_cell.device}"

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """As `mapper.network.interface.Network.arrays`."""
        return {name: tensor.detach().float().cpu().numpy() for name, tensor in self.named_parameters()}

    def _place(self, cells: Cells) -> Tensor:
        """[batch, cell, width]: where in beat, bar, phrase and song each cell is, and how fast."""
        x = self.quarter(cells.quarter) + self.beat_in_bar(cells.beat_in_bar.clamp(max=MAX_BEATS_OF_BAR - 1))
        x = x + self.bar_of_phrase(cells.bar % BARS_OF_PHRASE) + self.song_edges(cells.song_edges)
        return x + self.tempo((cells.beat_ms[..., None] / 400).log2())

    def _encoding(self, x: Tensor, heard_slot: Tensor, valid: Tensor) -> Encoding:
        slot = self.slot_from_cell(x).unflatten(2, (SLOTS_PER_CELL, -1)).flatten(1, 2) + heard_slot
        share = valid / valid.sum(1, keepdim=True).clamp(min=1)  # [batch, cell]
        whole = (x * share[..., None]).sum(1)
        logit = self.onset(slot).squeeze(-1) + self.lean(whole)
        return Encoding(x, slot, logit, self.motif.alike(x), whole)

    def embed_rows(self, rows: RowTokens, encoding: Encoding, control: Tensor) -> Tensor:
        """[batch, row, width]: the decoder's input."""
        batch = torch.arange(rows.code.shape[0], device=rows.code.device)[:, None]
        x = (
            self.code(rows.code)
            + self.symbol(self.symbols_of_code[rows.code]).sum(-2)
            + self.held(rows.held)
            + self.elapsed(rows.elapsed)
            + control
        )
        x = x + self.row_from_cell(encoding.cell[batch, rows.slot // SLOTS_PER_CELL])
        return x + self.row_from_slot(encoding.slot[batch, rows.slot])

    def row_rotation(self, rows: RowTokens) -> tuple[Tensor, Tensor]:
        """Half of each head turns with musical time, half with the count of rows."""
        return rotation_of(rows.beat, rows.index, head_width=self.config.width // self.config.heads)

    def decoder_blocks(self) -> list[Block]:
        """The decoder's layers, first to last."""
        return [block for block in self.decoder if isinstance(block, Block)]

    def decode(self, rows: RowTokens, encoding: Encoding, control: Tensor) -> Tensor:
        """[batch, row, width]: the state after each row, seeing no later one."""
        x = self.embed_rows(rows, encoding, control)
        rotation = self.row_rotation(rows)
        for block in self.decoder:
            x = block(x, rotation, None, causal=True)
        return self.decoder_norm(x)

    def hazard_terms(self, state: Tensor) -> HazardTerms:
        """What each state [batch, row, width] expects of the slots after it."""
        return HazardTerms(self.hazard_query(state) / self.config.hazard_width**0.5, self.hazard_elapsed(state))

    def row_logits(
        self, state: Tensor, slot: Tensor, cell: Tensor, elapsed: Tensor, held: Tensor, motif: Tensor | None = None
    ) -> Tensor:
        """[…, 256]: which row falls on the slot; illegal rows are not masked here. `motif` is `Motif.row_vector`."""
        x = self.next_from_state(state) + self.next_from_slot(slot) + self.next_from_cell(cell)
        if motif is not None:
            x = x + motif
        x = self.next_row(x + self.next_elapsed(elapsed) + self.next_held(held))
        return self.next_code(x) + self.next_symbol(x)[..., self.symbols_of_code].sum(-1)


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Embedding):
        nn.init.normal_(module.weight, std=0.3)  # as strong as what the linear layers add to the same sums
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)
