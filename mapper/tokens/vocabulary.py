"""The network's sizes and vocabularies, shared by torch (mapper.network.model), the compiled decoder (mapper.network.compiled.cached_decoder) and ONNX.

Shapes are those of the checkpoint's arrays, by the names that torch gives them; linear layers are [out, in].
"""

from __future__ import annotations

from dataclasses import dataclass

from chart.analysis.pattern_mix import FAMILIES
from chart.grid import SLOTS_PER_CELL
from chart.model import KEYS
from mapper.tokens.row_codes import HELD_STATES, ROW_CODES

TIME_GAP_BINS = 64
STYLES = (
    *("unknown", "keyboard", "pad"),
    *("standard", "taiko", "catch", "guitar", "drums", "saber", "arcaea", "syllables", "other"),
)
"""Styles of 4K charts, and games and modes of charts without columns, from which the encoder learns onsets."""
BEAT_STATES = 3 * 96
"""Hidden states of the mapper's own beat network (mapper.tokens.song_features)."""
SIDE_CHANNELS = 4 + 5 + 5 + 3 + BEAT_STATES
"""Channels of the features beside the log-mel bands, read off at each slot."""
CONTROL_FEATURES = 2 * 3 + len(STYLES) + 2 * len(FAMILIES) + 2
BARS_OF_PHRASE = 8
MAX_BEATS_OF_BAR = 8
LONGEST_PERIOD_LOG2 = 8
SYMBOLS_PER_COLUMN = 4
EDGE_SECONDS = (4.0, 16.0, 64.0)
"""Time constants, s, of the features for the distance to the song's beginning and end."""
MOTIF_LAGS = (24, 48, 96, 192, 384, 768)
"""Lags of the motif memory, slots: 1 and 2 beats; 1, 2, 4 and 8 bars of four beats."""
MOTIF_KEY_WIDTH = 32
ENCODER_PARTS = (
    "controls",
    "stem",
    "side",
    "cell_in",
    "quarter",
    "beat_in_bar",
    "bar_of_phrase",
    "tempo",
    "song_edges",
    "encoder",
    "encoder_norm",
    "slot_from_cell",
    "slot_from_stem",
    "onset",
    "lean",
)
"""Modules of the encoder; the others are the decoder's."""


@dataclass(frozen=True)
class ModelConfig:
    """Sizes of the network; stored in every checkpoint."""

    bands: int = 64  # log-mel bands of the audio features
    side_channels: int = SIDE_CHANNELS  # and their other channels
    stem_width: int = 96
    width: int = 192
    heads: int = 6
    encoder_layers: int = 4
    shared_layers: int = (
        2  # the first of them, computed before the controls are added and shared by all charts of a song
    )
    decoder_layers: int = 3
    hazard_width: int = 64
    dropout: float = 0.1

    def __post_init__(self) -> None:
        assert self.width % (4 * self.heads) == 0, "each head's width must be divisible by 4 for its two rotations"
        assert 0 <= self.shared_layers <= self.encoder_layers, "the shared layers are the encoder's first"


Shapes = dict[str, tuple[int, ...]]


def shapes_of(config: ModelConfig) -> Shapes:
    """Name → shape of every array of a checkpoint."""
    return _encoder_shapes(config) | _decoder_shapes(config)


def _encoder_shapes(config: ModelConfig) -> Shapes:
    width, stem, slot = config.width, config.stem_width, config.hazard_width
    shapes = {
        **_linear("controls.0", CONTROL_FEATURES, width),
        **_linear("controls.2", width, 2 * width),
        "stem.convolutions.0.weight": (stem, config.bands, 5),
        "stem.convolutions.2.weight": (stem, stem, 5),
        "stem.convolutions.4.weight": (stem, stem, 3),
        **{f"stem.convolutions.{layer}.bias": (stem,) for layer in (0, 2, 4)},
        **_linear("side", config.side_channels, stem),
        **_linear("cell_in", SLOTS_PER_CELL * stem, width),
        "quarter.weight": (4, width),
        "beat_in_bar.weight": (MAX_BEATS_OF_BAR, width),
        "bar_of_phrase.weight": (BARS_OF_PHRASE, width),
        **_linear("tempo", 1, width),
        **_linear("song_edges", 2 * len(EDGE_SECONDS), width),
        **_norm("encoder_norm", width),
        **_linear("slot_from_cell", width, SLOTS_PER_CELL * slot),
        **_linear("slot_from_stem", stem, slot),
        **_linear("onset.1", slot, 1),
        **_linear("lean", width, 1),
    }
    for layer in range(config.encoder_layers):
        shapes |= _block(f"encoder.{layer}", width)
    return shapes


def _decoder_shapes(config: ModelConfig) -> Shapes:
    width, slot, symbols, lags = config.width, config.hazard_width, KEYS * SYMBOLS_PER_COLUMN, len(MOTIF_LAGS)
    shapes = {
        "unheard_cell": (width,),
        "unheard_slot": (SLOTS_PER_CELL, slot),
        "code.weight": (ROW_CODES, width),
        "symbol.weight": (symbols, width),
        "held.weight": (HELD_STATES, width),
        "elapsed.weight": (TIME_GAP_BINS, width),
        **_linear("row_from_cell", width, width),
        **_linear("row_from_slot", slot, width),
        **_norm("decoder_norm", width),
        **_linear("hazard_query", width, slot),
        **_linear("hazard_elapsed", width, TIME_GAP_BINS),
        **_linear("next_from_state", width, width),
        **_linear("next_from_slot", slot, width),
        **_linear("next_from_cell", width, width),
        "next_elapsed.weight": (TIME_GAP_BINS, width),
        "next_held.weight": (HELD_STATES, width),
        **_norm("next_row.0", width),
        **_linear("next_row.1", width, width),
        **_linear("motif.key", width, MOTIF_KEY_WIDTH),
        "motif.sharpness": (lags,),
        "motif.bias": (lags,),
        "motif.symbol.weight": (lags * symbols, width),
        "motif.rhythm": (lags, 2),
        **_linear("next_code", width, ROW_CODES),
        "next_symbol.weight": (symbols, width),
    }
    for layer in range(config.decoder_layers):
        shapes |= _block(f"decoder.{layer}", width)
    return shapes


def _linear(name: str, inputs: int, outputs: int) -> Shapes:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def _norm(name: str, width: int) -> Shapes:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def _block(name: str, width: int) -> Shapes:
    return {
        **_norm(f"{name}.norm_attention", width),
        **_norm(f"{name}.norm_feed_forward", width),
        f"{name}.query_key_value.weight": (3 * width, width),
        f"{name}.attention_out.weight": (width, width),
        **_linear(f"{name}.feed_forward.0", width, 4 * width),
        **_linear(f"{name}.feed_forward.2", 4 * width, width),
    }
