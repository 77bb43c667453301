"""The decoder with a key-value cache a chart: compiled loops that read rows one by one for many charts at once.

The same network as `mapper.network.model`, several times faster where one row a chart is read at a time: torch's overhead a
call is larger than the work. Charts may be of different songs and at different lengths.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from chart.model import KEYS
from mapper.network.compiled.kernels import attend, gelu, layer_norm
from mapper.network.compiled.products import in_panels, multiply_add
from mapper.network.interface import DecoderInput, Floats, Ints, Network
from mapper.tokens.row_codes import SYMBOLS
from mapper.tokens.vocabulary import LONGEST_PERIOD_LOG2, MOTIF_LAGS, SYMBOLS_PER_COLUMN, TIME_GAP_BINS, ModelConfig
from runtime.loops import njit

LONGEST_EXACT_TICKS = 48
"""Number of ticks with a bucket of their own: one beat."""


def _elapsed_buckets() -> Ints:
    """[ticks] → bucket, up to the first tick of the last bucket; equals `mapper.network.model.time_gap_bin`."""
    ticks = np.arange(LONGEST_EXACT_TICKS * 2 ** (TIME_GAP_BINS / 10), dtype=np.float32)
    coarse = np.ceil(np.log2(np.maximum(ticks, LONGEST_EXACT_TICKS) / LONGEST_EXACT_TICKS) * np.float32(3.5))
    bucket = np.minimum(ticks, LONGEST_EXACT_TICKS) + coarse
    return np.minimum(bucket, TIME_GAP_BINS - 1).astype(np.int64)


TIME_GAP_BIN = _elapsed_buckets()
"""[ticks] → bucket; more ticks than it is long belong to the last bucket."""


def time_gap_bins(ticks: Ints) -> Ints:
    """Buckets of any number of ticks."""
    return TIME_GAP_BIN[np.minimum(ticks, TIME_GAP_BIN.size - 1)]


class Linear(NamedTuple):
    """Weight and bias of a linear layer."""

    weight: Floats  # [panel, in, LANES]: `mapper.network.compiled.products.in_panels` of [in, out]
    bias: Floats  # [out]


class Norm(NamedTuple):
    """Scale and shift of a layer norm."""

    weight: Floats  # [width]
    bias: Floats  # [width]


class Block(NamedTuple):
    """A layer of the decoder, as `mapper.network.model.Block`."""

    norm_attention: Norm
    query_key_value: Floats  # [width, 3 · width], in panels
    attention_out: Floats  # [width, width], in panels
    norm_feed_forward: Norm
    widen: Linear
    narrow: Linear


class Weights(NamedTuple):
    """Weights of the decoder. Tables are looked up by their first index."""

    code: Floats  # [code, width]
    held: Floats  # [held state, width]
    elapsed: Floats  # [bucket, width]
    row_from_cell: Linear
    row_from_slot: Linear
    frequency: Floats  # [pair], radians a beat or row
    blocks: tuple[Block, ...]
    norm: Norm
    hazard_query: Linear
    hazard_elapsed: Linear
    next_from_state: Linear
    next_from_slot: Linear
    next_from_cell: Linear
    next_elapsed: Floats  # [bucket, width]
    next_held: Floats  # [held state, width]
    next_norm: Norm
    next_row: Linear
    next_code: Linear
    motif: Floats  # [lag, code, width]
    motif_rhythm: Floats  # [lag, 2]


class Cache(NamedTuple):
    """Key-value cache; positions are rows in the order in which they were read."""

    keys: Floats  # [layer, chart, head, head width, position]
    values: Floats  # [layer, chart, head, position, head width]
    length: Ints  # [chart], rows read
    state: Floats  # [chart, width], after the last of them


class CachedDecoder:
    """A decoder of a batch of charts; threads may use it for different charts."""

    def __init__(self, model: Network, charts: int, capacity: int) -> None:
        self.weights, self.cache = weights_of(model), empty_cache(model.config, charts, capacity)

    @property
    def length(self) -> Ints:
        """[chart] number of rows read so far."""
        return self.cache.length

    @property
    def state(self) -> Floats:
        """[chart, width], after the last row that each chart has read."""
        return self.cache.state

    def read(self, rows: DecoderInput) -> None:
        """Read rows; every chart's must fit its capacity."""
        read(self.weights, self.cache, rows)

    def hazard_terms(self, charts: Ints) -> tuple[Floats, Floats]:
        """[chart, hazard width] query and [chart, elapsed bucket] logits: `mapper.network.model.HazardTerms` of the states."""
        state = self.state[charts]
        return affine(self.weights.hazard_query, state), affine(self.weights.hazard_elapsed, state)

    def row_logits(
        self, charts: Ints, slot: Floats, cell: Floats, elapsed: Ints, held: Ints, earlier: Ints, alike: Floats
    ) -> Floats:
        """[chart, code], as `mapper.network.decoder.CausalDecoder.row_logits`: logits of the row on each chart's slot.

        `earlier` [chart, lag] are the codes a motif lag before, `alike` [chart, lag] the similarities of the song there.
        """
        tables = self.weights.next_elapsed[elapsed] + self.weights.next_held[held]
        lags = np.arange(alike.shape[1])
        tables += (self.weights.motif[lags, earlier] * alike[..., None]).sum(1)
        return row_logits(self.weights, self.state[charts], slot, cell, tables)


def _block_of(arrays: dict[str, Floats], name: str) -> Block:
    """One layer of the decoder."""
    vector = lambda part: arrays[f"{name}.{part}"]  # noqa: E731
    matrix = lambda part: in_panels(arrays[f"{name}.{part}.weight"].T)  # noqa: E731
    norm = lambda part: Norm(np.ascontiguousarray(vector(f"{part}.weight")), vector(f"{part}.bias"))  # noqa: E731
    return Block(
        norm("norm_attention"),
        matrix("query_key_value"),
        matrix("attention_out"),
        norm("norm_feed_forward"),
        Linear(matrix("feed_forward.0"), vector("feed_forward.0.bias")),
        Linear(matrix("feed_forward.2"), vector("feed_forward.2.bias")),
    )


def weights_of(model: Network) -> Weights:
    """The decoder's weights, laid out for the loops below."""
    arrays = model.arrays()
    table = lambda name: np.ascontiguousarray(arrays[f"{name}.weight"])  # noqa: E731
    matrix = lambda name: arrays[f"{name}.weight"].T  # noqa: E731
    linear = lambda name: Linear(in_panels(matrix(name)), arrays[f"{name}.bias"])  # noqa: E731
    norm = lambda name: Norm(table(name), arrays[f"{name}.bias"])  # noqa: E731
    blocks = [_block_of(arrays, f"decoder.{layer}") for layer in range(model.config.decoder_layers)]
    symbols = SYMBOLS + SYMBOLS_PER_COLUMN * np.arange(KEYS)
    lags = np.arange(len(MOTIF_LAGS))[:, None, None]
    query = linear("hazard_query")
    pairs = model.config.width // model.config.heads // 4
    root = np.float32(model.config.hazard_width**0.5)
    return Weights(
        code=table("code") + table("symbol")[symbols].sum(1),
        held=table("held"),
        elapsed=table("elapsed"),
        row_from_cell=linear("row_from_cell"),
        row_from_slot=linear("row_from_slot"),
        frequency=(2 * np.pi / 2 ** (np.arange(pairs) * (LONGEST_PERIOD_LOG2 / pairs))).astype(np.float32),
        blocks=tuple(blocks),
        norm=norm("decoder_norm"),
        hazard_query=Linear(query.weight / root, query.bias / root),
        hazard_elapsed=linear("hazard_elapsed"),
        next_from_state=linear("next_from_state"),
        next_from_slot=linear("next_from_slot"),
        next_from_cell=linear("next_from_cell"),
        next_elapsed=table("next_elapsed"),
        next_held=table("next_held"),
        next_norm=norm("next_row.0"),
        next_row=linear("next_row.1"),
        next_code=Linear(
            in_panels(matrix("next_code") + matrix("next_symbol")[:, symbols].sum(-1)), arrays["next_code.bias"]
        ),
        motif=table("motif.symbol")[symbols + KEYS * SYMBOLS_PER_COLUMN * lags].sum(2),
        motif_rhythm=arrays["motif.rhythm"],
    )


def empty_cache(config: ModelConfig, charts: int, capacity: int) -> Cache:
    """An empty cache for `capacity` rows a chart."""
    layers, heads, width = config.decoder_layers, config.heads, config.width // config.heads
    return Cache(
        np.zeros((layers, charts, heads, width, capacity), np.float32),
        np.zeros((layers, charts, heads, capacity, width), np.float32),
        np.zeros(charts, np.int64),
        np.zeros((charts, config.width), np.float32),
    )


@njit(nogil=True)
def affine(layer: Linear, x: Floats) -> Floats:
    """[item, out]: the layer applied to x [item, in]."""
    out = np.empty((x.shape[0], layer.bias.size), np.float32)
    out[:] = layer.bias
    multiply_add(x, layer.weight, out)
    return out


@njit(nogil=True)
def add_affine(layer: Linear, x: Floats, out: Floats) -> None:
    """Add the result of `affine` to `out`."""
    out += layer.bias
    multiply_add(x, layer.weight, out)


@njit(nogil=True)
def read(weights: Weights, cache: Cache, rows: DecoderInput) -> None:
    """Read rows; every chart's must fit the capacity."""
    items = rows.chart.size
    position = np.empty(items, np.int64)
    x = np.empty((items, weights.code.shape[1]), np.float32)
    for item in range(items):
        chart = rows.chart[item]
        position[item] = cache.length[chart]
        cache.length[chart] += 1
        tables = weights.code[rows.code[item]] + weights.held[rows.held[item]] + weights.elapsed[rows.elapsed[item]]
        x[item] = tables + rows.control[item]
    add_affine(weights.row_from_cell, rows.cell, x)
    add_affine(weights.row_from_slot, rows.slot, x)
    pairs = weights.frequency.size
    angle = np.empty((items, 2 * pairs), np.float32)
    for item in range(items):
        angle[item, :pairs] = rows.beat[item] * weights.frequency
        angle[item, pairs:] = np.float32(position[item]) * weights.frequency
    cos, sin = np.cos(angle), np.sin(angle)
    needed, layers = np.ones(items, np.bool_), len(weights.blocks)
    for layer in range(layers):
        block = weights.blocks[layer]
        if layer + 1 == layers:  # of several rows of a chart only the last one's state is kept
            needed = position + 1 == cache.length[rows.chart]
        normed = layer_norm(x, block.norm_attention.weight, block.norm_attention.bias)
        qkv = np.zeros((items, 3 * x.shape[1]), np.float32)
        multiply_add(normed, block.query_key_value, qkv)
        attended = attend(qkv, cos, sin, rows.chart, position, cache.keys[layer], cache.values[layer], needed)
        if not needed.all():
            x, attended = x[needed], attended[needed]
        multiply_add(attended, block.attention_out, x)
        normed = layer_norm(x, block.norm_feed_forward.weight, block.norm_feed_forward.bias)
        hidden = affine(block.widen, normed)
        gelu(hidden)
        add_affine(block.narrow, hidden, x)
    normed = layer_norm(x, weights.norm.weight, weights.norm.bias)
    last = rows.chart[needed]
    for number in range(last.size):
        cache.state[last[number]] = normed[number]


@njit(nogil=True)
def row_logits(weights: Weights, state: Floats, slot: Floats, cell: Floats, tables: Floats) -> Floats:
    """[chart, 256] logits of row codes; `tables` [chart, width] is the sum of their embeddings."""
    add_affine(weights.next_from_state, state, tables)
    add_affine(weights.next_from_slot, slot, tables)
    add_affine(weights.next_from_cell, cell, tables)
    hidden = affine(weights.next_row, layer_norm(tables, weights.next_norm.weight, weights.next_norm.bias))
    gelu(hidden)
    return affine(weights.next_code, hidden)
