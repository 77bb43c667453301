"""The network as ONNX graphs, made from a checkpoint's arrays: the encoder, and the decoder's step and heads.

The same network as `mapper.network.model` (its docstrings say what each part is for), written with ONNX's operators. Shapes use:
chart, cell, slot, frame, item (one row of one chart), layer, head, position (in the cache).
"""

from __future__ import annotations

import numpy as np

from chart.grid import SLOTS_PER_CELL
from chart.model import KEYS
from mapper.network.checkpoint import Checkpoint
from mapper.tokens.row_codes import SYMBOLS
from mapper.tokens.vocabulary import (
    BARS_OF_PHRASE,
    CONTROL_FEATURES,
    EDGE_SECONDS,
    LONGEST_PERIOD_LOG2,
    MAX_BEATS_OF_BAR,
    MOTIF_LAGS,
    SYMBOLS_PER_COLUMN,
    ModelConfig,
)
from runtime.onnx.layers import FLOAT, WHOLE, Layers
from runtime.onnx.protobuf import Graph

SYMBOL_OF_CODE = SYMBOLS + SYMBOLS_PER_COLUMN * np.arange(KEYS)
"""[code, column], row of the tables of column symbols."""
UNSEEN = -1e9
"""Added to the match with positions of the cache that hold nothing."""


def encoder_graph(checkpoint: Checkpoint) -> Graph:
    """What hears one stretch for any number of charts: `mapper.network.interface.Network.encode_window`."""
    config, net = checkpoint.config, Layers("mapper_encoder", checkpoint.arrays)
    graph = net.graph
    told = net.gelu(net.linear("controls.0", graph.input("controls", "float32", ["chart", CONTROL_FEATURES])))
    control, decoder_control = graph.split("Split", 2, net.linear("controls.2", told), axis=-1)
    heard = _encoded_slots(net, config)
    cells = net.linear("cell_in", net.reshape(heard, -1, SLOTS_PER_CELL * config.stem_width))
    x = net.unsqueeze(net.add(cells, _place(net)), 0)  # [1, cell, width]
    beats = net.times(graph.op("Cast", net.count(net.size(x, 1)), to=FLOAT), 0.25)
    turns = net.turns(net.times(net.unsqueeze(beats, 1), _frequencies(net, config, 1)))
    for layer in range(config.encoder_layers):
        if layer == config.shared_layers:
            x = net.add(net.unsqueeze(control, 1), x)  # [chart, cell, width]
        x = _encoder_block(net, config, f"encoder.{layer}", x, turns)
    if config.shared_layers == config.encoder_layers:
        x = net.add(net.unsqueeze(control, 1), x)
    cell = net.layer_norm("encoder_norm", x)
    by_cell = net.reshape(net.linear("slot_from_cell", cell), 0, -1, config.hazard_width)
    slot = net.add(by_cell, net.linear("slot_from_stem", heard))
    graph.output(cell, "cell", ["chart", "cells", config.width])
    graph.output(slot, "slot", ["chart", "slots", config.hazard_width])
    lean = net.linear("lean", graph.op("ReduceMean", cell, axes=[1], keepdims=0))
    onset = net.add(net.squeeze(net.linear("onset.1", net.gelu(slot)), 2), lean)
    graph.output(onset, "onset_logit", ["chart", "slots"])
    graph.output(decoder_control, "decoder_control", ["chart", config.width])
    return graph


def _encoded_slots(net: Layers, config: ModelConfig) -> str:
    """[slot, stem width]: the convolutions and the other channels, read off at each slot's time."""
    graph = net.graph
    features = graph.input("mel", "float32", ["frames", config.bands + config.side_channels])
    ends = (graph.constant([end]) for end in (0, config.bands, config.bands + config.side_channels))
    start, middle, end = ends
    mel, side = (graph.op("Slice", features, *part, graph.constant([1])) for part in ((start, middle), (middle, end)))
    x = net.unsqueeze(net.transpose(mel, 1, 0), 0)
    for layer, pad, dilation in ((0, 2, 1), (2, 4, 2), (4, 4, 4)):
        weight, bias = (net.weight(f"stem.convolutions.{layer}.{kind}") for kind in ("weight", "bias"))
        x = graph.op("Conv", net.gelu(x) if layer else x, weight, bias, pads=[pad, pad], dilations=[dilation])
    heard = net.transpose(net.squeeze(x, 0), 1, 0)
    last = graph.op("Sub", graph.op("Cast", net.size(features, 0), to=FLOAT), graph.constant(1.001))
    slot_frame = graph.input("slot_frame", "float32", ["slots"])
    position = graph.op("Min", graph.op("Max", slot_frame, graph.constant(0.0)), last)
    floor = graph.op("Floor", position)
    share = net.unsqueeze(graph.op("Sub", position, floor), 1)
    before = graph.op("Cast", floor, to=WHOLE)
    after = net.add(before, graph.constant([1]))

    def read_off(frames: str) -> str:
        low, high = graph.op("Gather", frames, before), graph.op("Gather", frames, after)
        return net.add(low, net.times(graph.op("Sub", high, low), share))

    return net.gelu(net.add(read_off(heard), net.linear("side", read_off(side))))


def _place(net: Layers) -> str:
    """[cell, width]: where in beat, bar, phrase and song each cell is, and how fast."""
    graph = net.graph
    quarter = net.look_up("quarter", graph.input("quarter", "int64", ["cells"]))
    of_bar = graph.input("beat_in_bar", "int64", ["cells"])
    beat = net.look_up("beat_in_bar", graph.op("Min", of_bar, graph.constant([MAX_BEATS_OF_BAR - 1])))
    number = graph.op("Mod", graph.input("bar", "int64", ["cells"]), graph.constant([BARS_OF_PHRASE]))
    beat_ms = graph.input("beat_ms", "float32", ["cells"])
    octaves = net.times(graph.op("Log", graph.op("Div", beat_ms, graph.constant(400.0))), float(1 / np.log(2)))
    tempo = net.linear("tempo", net.unsqueeze(octaves, 1))
    edges = net.linear("song_edges", graph.input("song_edges", "float32", ["cells", 2 * len(EDGE_SECONDS)]))
    return net.add(quarter, beat, net.look_up("bar_of_phrase", number), edges, tempo)


def _frequencies(net: Layers, config: ModelConfig, positions: int) -> str:
    """[pair]: those of each of so many positions that share a head's width, in radians a beat (or a row)."""
    pairs = _head_width(config) // 2 // positions
    return net.graph.constant(2 * np.pi / 2 ** (np.arange(pairs) * (LONGEST_PERIOD_LOG2 / pairs)))


def _head_width(config: ModelConfig) -> int:
    return config.width // config.heads


def _queries_keys_values(net: Layers, config: ModelConfig, name: str, x: str, leading: int) -> tuple[str, ...]:
    qkv = net.linear(f"{name}.query_key_value", net.layer_norm(f"{name}.norm_attention", x), bias=False)
    return net.in_heads(qkv, leading, config.heads, _head_width(config))


def _feed_forward(net: Layers, name: str, x: str) -> str:
    """A block's second half, with its residual."""
    hidden = net.gelu(net.linear(f"{name}.feed_forward.0", net.layer_norm(f"{name}.norm_feed_forward", x)))
    return net.add(x, net.linear(f"{name}.feed_forward.2", hidden))


def _encoder_block(net: Layers, config: ModelConfig, name: str, x: str, turns: tuple[str, str]) -> str:
    query, key, value = _queries_keys_values(net, config, name, x, leading=1)
    query, key = net.rotate(query, turns), net.rotate(key, turns)
    attended = net.attention(query, key, value, leading=1, head_width=_head_width(config))
    joined = net.out_of_heads(attended, leading=1, width=config.width)
    return _feed_forward(net, name, net.add(x, net.linear(f"{name}.attention_out", joined, bias=False)))


def decoder_graph(checkpoint: Checkpoint) -> Graph:
    """One row more for every item: reads it beside its cache, answers the state after it and what the cache shall add.

    `keys`, `values` [layer, item, head, position, head width] belong to the caller, who writes `key`, `value` at
    position `length`; positions from there on are not looked at.
    """
    config, net = checkpoint.config, Layers("mapper_decoder", checkpoint.arrays)
    graph, layers = net.graph, range(config.decoder_layers)
    x = net.unsqueeze(_embedded_row(net, config), 1)  # [item, step, width], one step
    beat, index = (graph.input(name, "float32", ["items"]) for name in ("beat", "index"))
    angles = [net.times(net.unsqueeze(position, 1), _frequencies(net, config, 2)) for position in (beat, index)]
    angle = graph.op("Concat", *angles, axis=-1)  # [item, head width / 2]
    turns = net.turns(net.unsqueeze(net.unsqueeze(angle, 1), 1))
    cache: list[int | str] = [len(layers), "items", config.heads, "positions", _head_width(config)]
    caches = [graph.input(name, "float32", cache) for name in ("keys", "values")]
    cached = [graph.split("Split", len(layers), one, axis=0) for one in caches]
    unseen = _unseen(net, caches[0])
    added: tuple[list[str], list[str]] = ([], [])
    for layer in layers:
        name = f"decoder.{layer}"
        query, key, value = _queries_keys_values(net, config, name, x, leading=1)
        row = (net.rotate(query, turns), net.rotate(key, turns), value)  # each [item, head, step, head width]
        keys, values = (net.squeeze(one[layer], 0) for one in cached)
        attended = _attend_to_cache(net, row, keys, values, unseen, _head_width(config))
        joined = net.out_of_heads(attended, leading=1, width=config.width)
        x = _feed_forward(net, name, net.add(x, net.linear(f"{name}.attention_out", joined, bias=False)))
        for parts, one in zip(added, row[1:], strict=True):
            parts.append(net.unsqueeze(net.squeeze(one, 2), 0))
    graph.output(net.squeeze(net.layer_norm("decoder_norm", x), 1), "state", ["items", config.width])
    for name, parts in zip(("key", "value"), added, strict=True):
        graph.output(graph.op("Concat", *parts, axis=0), name, [*cache[:3], _head_width(config)])
    return graph


def _embedded_row(net: Layers, config: ModelConfig) -> str:
    """[item, width]: the row, its time since the one before, what is heard there, and what is asked."""
    graph, arrays, width = net.graph, net.arrays, config.width
    table = arrays["code.weight"] + arrays["symbol.weight"][SYMBOL_OF_CODE].sum(1)
    code = graph.op("Gather", graph.constant(table, "row_table"), graph.input("code", "int64", ["items"]))
    tables = [net.look_up(name, graph.input(name, "int64", ["items"])) for name in ("held", "elapsed")]
    control = graph.input("control", "float32", ["items", width])
    cell = net.linear("row_from_cell", graph.input("cell", "float32", ["items", width]))
    slot = net.linear("row_from_slot", graph.input("slot", "float32", ["items", config.hazard_width]))
    return net.add(code, *tables, control, cell, slot)


def _unseen(net: Layers, cache: str) -> str:
    """[item, 1, 1, position]: 0 where the cache holds something, else `UNSEEN`."""
    graph = net.graph
    length = net.reshape(graph.input("length", "int64", ["items"]), -1, 1, 1, 1)
    empty = graph.op("GreaterOrEqual", net.count(net.size(cache, 3)), length)
    return net.times(graph.op("Cast", empty, to=FLOAT), UNSEEN)


def _attend_to_cache(
    net: Layers, row: tuple[str, str, str], keys: str, values: str, unseen: str, head_width: int
) -> str:
    """[item, head, step, head width]: attention over the cache and the row itself, whose query, key and value are given."""
    query, key, value = row
    earlier = net.add(net.match(query, keys, 1, head_width), unseen)
    itself = net.match(query, key, 1, head_width)
    share = net.graph.op("Softmax", net.graph.op("Concat", earlier, itself, axis=-1), axis=-1)
    return net.graph.op("MatMul", share, net.graph.op("Concat", values, value, axis=2))


def hazard_graph(checkpoint: Checkpoint) -> Graph:
    """The hazard head's side of the state: `mapper.network.model.HazardTerms`."""
    config, net = checkpoint.config, Layers("mapper_hazard", checkpoint.arrays)
    state = net.graph.input("state", "float32", ["items", config.width])
    query = net.times(net.linear("hazard_query", state), config.hazard_width**-0.5)
    net.graph.output(query, "query", ["items", config.hazard_width])
    net.graph.output(net.linear("hazard_elapsed", state), "by_elapsed", ["items", "buckets"])
    return net.graph


def row_graph(checkpoint: Checkpoint) -> Graph:
    """The row head: which row falls on the slot that each item has come to; illegal rows are not masked."""
    config, net = checkpoint.config, Layers("mapper_row", checkpoint.arrays)
    graph, arrays = net.graph, net.arrays
    x = net.add(
        net.linear("next_from_state", graph.input("state", "float32", ["items", config.width])),
        net.linear("next_from_slot", graph.input("slot", "float32", ["items", config.hazard_width])),
        net.linear("next_from_cell", graph.input("cell", "float32", ["items", config.width])),
        net.look_up("next_elapsed", graph.input("elapsed", "int64", ["items"])),
        net.look_up("next_held", graph.input("held", "int64", ["items"])),
        _motif(net),
    )
    hidden = net.gelu(net.linear("next_row.1", net.layer_norm("next_row.0", x)))
    matrix = arrays["next_code.weight"].T + arrays["next_symbol.weight"].T[:, SYMBOL_OF_CODE].sum(-1)
    logits = net.add(graph.op("MatMul", hidden, graph.constant(matrix, "code_matrix")), net.weight("next_code.bias"))
    graph.output(logits, "logits", ["items", "codes"])
    return graph


def _motif(net: Layers) -> str:
    """[item, width]: what rows a motif lag before say, as far as the song sounds as it did there."""
    graph, lags = net.graph, len(MOTIF_LAGS)
    first = KEYS * SYMBOLS_PER_COLUMN * np.arange(lags)[:, None, None]
    table = net.arrays["motif.symbol.weight"][SYMBOL_OF_CODE + first].sum(2)  # [lag, code, width]
    codes = table.shape[1]
    index = net.add(graph.input("earlier", "int64", ["items", lags]), graph.constant(codes * np.arange(lags)))
    earlier = graph.op("Gather", graph.constant(table.reshape(lags * codes, -1), "motif_table"), index)
    weighed = net.times(earlier, net.unsqueeze(graph.input("alike", "float32", ["items", lags]), 2))
    return graph.op("ReduceSum", weighed, graph.constant([1]), keepdims=0)


GRAPHS = {"encoder": encoder_graph, "decoder": decoder_graph, "hazard": hazard_graph, "row": row_graph}
"""Name of the file that `mania4k export` writes → what makes it."""
