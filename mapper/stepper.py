"""The decoder, row by row, for many charts at once: numpy and compiled loops with a key-value cache a chart.

The same network as `mapper.model`, several times faster where one row a chart is read at a time: torch's overhead a
call is larger than the work. Charts may be of different songs and at different lengths.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chart.model import KEYS
from mapper.architecture import (
    ELAPSED_BUCKETS,
    HEARING_PARTS,
    LONGEST_PERIOD_LOG2,
    MOTIF_LAGS,
    SYMBOLS_PER_COLUMN,
    ModelConfig,
)
from mapper.decoder_kernels import Floats, Ints, attend, gelu, layer_norm
from mapper.network import Network
from mapper.rows import SYMBOLS

LONGEST_EXACT_TICKS = 48
"""Up to a beat each number of ticks has its bucket."""


def _elapsed_buckets() -> Ints:
    """[ticks] → bucket, up to where the last one begins; equals `mapper.model.elapsed_bucket`."""
    ticks = np.arange(LONGEST_EXACT_TICKS * 2 ** (ELAPSED_BUCKETS / 10), dtype=np.float32)
    coarse = np.ceil(np.log2(np.maximum(ticks, LONGEST_EXACT_TICKS) / LONGEST_EXACT_TICKS) * np.float32(3.5))
    bucket = np.minimum(ticks, LONGEST_EXACT_TICKS) + coarse
    return np.minimum(bucket, ELAPSED_BUCKETS - 1).astype(np.int64)


ELAPSED_BUCKET = _elapsed_buckets()
"""[ticks] → bucket; more ticks than it is long belong to the last bucket."""


def elapsed_buckets(ticks: Ints) -> Ints:
    """Buckets of any number of ticks."""
    return ELAPSED_BUCKET[np.minimum(ticks, ELAPSED_BUCKET.size - 1)]


@dataclass(frozen=True)
class ReadRows:
    """Rows to read, one array entry each; those of one chart in order. Fields as in `mapper.model.RowTokens`."""

    chart: Ints  # which of the stepper's charts reads it
    code: Ints
    held: Ints  # held state after the row
    elapsed: Ints  # bucket
    beat: Floats  # position in beats
    cell: Floats  # [row, width], what is heard in the row's cell
    slot: Floats  # [row, hazard width], and on its slot
    control: Floats  # [row, width], the chart's `decoder_control`


EMBEDDINGS = ("code", "symbol", "held", "elapsed", "next_elapsed", "next_held", "motif.symbol")
"""Tables that are looked up; every other weight of two dimensions multiplies."""


def _decoder_weights(model: Network) -> dict[str, Floats]:
    """Name → array of what writes; matrices of linear layers as [in, out]."""
    weights = {}
    for name, array in model.arrays().items():
        part, _, kind = name.rpartition(".")
        if name.split(".")[0] not in HEARING_PARTS:
            multiplies = kind == "weight" and array.ndim == 2 and part not in EMBEDDINGS
            weights[name] = np.ascontiguousarray(array.T) if multiplies else array
    return weights


class Stepper:
    """Caches of a batch of charts. `length[chart]` rows have been read; `state[chart]` follows the last of them."""

    def __init__(self, model: Network, charts: int, capacity: int) -> None:
        self.weights = _decoder_weights(model)
        self.config: ModelConfig = model.config
        width, heads = self.config.width, self.config.heads
        shape = (self.config.decoder_layers, charts, heads, capacity, width // heads)
        self.keys, self.values = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        self.length = np.zeros(charts, np.int64)
        self.state = np.zeros((charts, width), np.float32)
        weights = self.weights
        symbols = SYMBOLS + SYMBOLS_PER_COLUMN * np.arange(KEYS)
        self._code = weights["code.weight"] + weights["symbol.weight"][symbols].sum(1)
        lags = np.arange(len(MOTIF_LAGS))[:, None, None]
        self._motif = weights["motif.symbol.weight"][symbols + KEYS * SYMBOLS_PER_COLUMN * lags].sum(
            2
        )  # [lag, code, …]
        self._next_code = weights["next_code.weight"] + weights["next_symbol.weight"][:, symbols].sum(-1)
        pairs = width // heads // 4
        self._frequency = (2 * np.pi / 2 ** (np.arange(pairs) * (LONGEST_PERIOD_LOG2 / pairs))).astype(np.float32)

    def forget(self, charts: Ints) -> None:
        """Start these charts anew."""
        self.length[charts] = 0

    def read(self, rows: ReadRows) -> None:
        """Read rows; every chart's must fit its capacity."""
        position = self._positions(rows.chart)
        x = (
            self._code[rows.code]
            + self.weights["held.weight"][rows.held]
            + self.weights["elapsed.weight"][rows.elapsed]
        )
        x += rows.control
        x += self._linear("row_from_cell", rows.cell)
        x += self._linear("row_from_slot", rows.slot)
        angle = np.concatenate(
            (np.multiply.outer(rows.beat, self._frequency), np.multiply.outer(position, self._frequency)), 1
        )
        cos, sin = np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)
        normed, attended = np.empty_like(x), np.empty_like(x)
        for layer in range(self.config.decoder_layers):
            name = f"decoder.{layer}"
            self._norm(f"{name}.norm_attention", x, normed)
            qkv = normed @ self.weights[f"{name}.query_key_value.weight"]
            attend(qkv, cos, sin, rows.chart, position, self.keys[layer], self.values[layer], attended)
            x += attended @ self.weights[f"{name}.attention_out.weight"]
            self._norm(f"{name}.norm_feed_forward", x, normed)
            hidden = self._linear(f"{name}.feed_forward.0", normed)
            gelu(hidden)
            x += self._linear(f"{name}.feed_forward.2", hidden)
        self._norm("decoder_norm", x, normed)
        self.state[rows.chart] = normed  # of several rows of a chart, the last stays
        np.maximum.at(self.length, rows.chart, position + 1)

    def _positions(self, chart: Ints) -> Ints:
        """[item], where in its chart's cache each row goes."""
        if chart.size == np.unique(chart).size:
            return self.length[chart]
        earlier = np.array([np.count_nonzero(chart[:item] == one) for item, one in enumerate(chart)], np.int64)
        return self.length[chart] + earlier

    def hazard_terms(self, charts: Ints) -> tuple[Floats, Floats]:
        """[chart, hazard width] query and [chart, elapsed bucket] logits: `mapper.model.HazardTerms` of the states."""
        state = self.state[charts]
        query = self._linear("hazard_query", state) / np.float32(self.config.hazard_width**0.5)
        return query, self._linear("hazard_elapsed", state)

    def row_logits(
        self, charts: Ints, slot: Floats, cell: Floats, elapsed: Ints, held: Ints, earlier: Ints, alike: Floats
    ) -> Floats:
        """As `mapper.network.RowDecoder.row_logits`, and as `mapper.model.Mapper.row_logits`."""
        x = self._linear("next_from_state", self.state[charts])
        x += (self._motif[np.arange(len(MOTIF_LAGS)), earlier] * alike[..., None]).sum(1)
        x += self._linear("next_from_slot", slot)
        x += self._linear("next_from_cell", cell)
        x += self.weights["next_elapsed.weight"][elapsed] + self.weights["next_held.weight"][held]
        normed = np.empty_like(x)
        self._norm("next_row.0", x, normed)
        hidden = self._linear("next_row.1", normed)
        gelu(hidden)
        return hidden @ self._next_code + self.weights["next_code.bias"]

    def _linear(self, name: str, x: Floats) -> Floats:
        return x @ self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]

    def _norm(self, name: str, x: Floats, out: Floats) -> None:
        layer_norm(x, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"], out)
