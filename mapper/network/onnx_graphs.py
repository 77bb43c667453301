"""The encoder as an ONNX graph, made from a checkpoint's arrays; rows are written by `mapper.network.compiled.cached_decoder`.

The same network as `mapper.network.encoder` (see its docstrings), written with ONNX's operators.
Shapes use: chart, cell, slot, frame, head.
"""

from __future__ import annotations

import numpy as np

from chart.grid import SLOTS_PER_CELL
from mapper.network.checkpoint import Checkpoint
from mapper.tokens.vocabulary import (
    BARS_OF_PHRASE,
    CONTROL_FEATURES,
    EDGE_SECONDS,
    LONGEST_PERIOD_LOG2,
    MAX_BEATS_OF_BAR,
    ModelConfig,
)
from runtime.onnx.layers import FLOAT, WHOLE, Layers
from runtime.onnx.protobuf import Graph


def encoder_graph(checkpoint: Checkpoint) -> Graph:
    """The graph that encodes one window for any number of charts: `mapper.network.interface.Network.encode_window`."""
    config, net = checkpoint.config, Layers("mapper_encoder", checkpoint.arrays)
    graph = net.graph
    hidden = net.gelu(net.linear("controls.0", graph.input("controls", "float32", ["chart", CONTROL_FEATURES])))
    control, decoder_control = graph.split("Split", 2, net.linear("controls.2", hidden), axis=-1)
    stem = _encoded_slots(net, config)
    cells = net.linear("cell_in", net.reshape(stem, -1, SLOTS_PER_CELL * config.stem_width))
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
    slot = net.add(by_cell, net.linear("slot_from_stem", stem))
    graph.output(cell, "cell", ["chart", "cells", config.width])
    graph.output(slot, "slot", ["chart", "slots", config.hazard_width])
    density_bias = net.linear("lean", graph.op("ReduceMean", cell, axes=[1], keepdims=0))
    onset = net.add(net.squeeze(net.linear("onset.1", net.gelu(slot)), 2), density_bias)
    graph.output(onset, "onset_logit", ["chart", "slots"])
    graph.output(decoder_control, "decoder_control", ["chart", config.width])
    return graph


def _encoded_slots(net: Layers, config: ModelConfig) -> str:
    """[slot, stem width]: the convolutions and the other channels, interpolated at each slot's time."""
    graph = net.graph
    features = graph.input("mel", "float32", ["frames", config.bands + config.side_channels])
    ends = (graph.constant([end]) for end in (0, config.bands, config.bands + config.side_channels))
    start, middle, end = ends
    mel, side = (graph.op("Slice", features, *part, graph.constant([1])) for part in ((start, middle), (middle, end)))
    x = net.unsqueeze(net.transpose(mel, 1, 0), 0)
    for layer, pad, dilation in ((0, 2, 1), (2, 4, 2), (4, 4, 4)):
        weight, bias = (net.weight(f"stem.convolutions.{layer}.{kind}") for kind in ("weight", "bias"))
        x = graph.op("Conv", net.gelu(x) if layer else x, weight, bias, pads=[pad, pad], dilations=[dilation])
    stem = net.transpose(net.squeeze(x, 0), 1, 0)
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

    return net.gelu(net.add(read_off(stem), net.linear("side", read_off(side))))


def _place(net: Layers) -> str:
    """[cell, width]: embedding of each cell's place in beat, bar, phrase and song, and of its tempo."""
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
    """[pair]: rotary frequencies where so many positions share a head's width, radians a beat (or a row)."""
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


GRAPHS = {"encoder": encoder_graph}
"""Name of a file of `mania4k export` → function that builds its graph."""
