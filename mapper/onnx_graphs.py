"""The network as ONNX graphs, made from a checkpoint's arrays: the encoder, and the decoder's step and heads.

The same network as `mapper.model` (its docstrings say what each part is for), written with ONNX's operators. Shapes use:
chart, cell, slot, frame, item (one row of one chart), layer, head, position (in the cache).
"""

from __future__ import annotations

import numpy as np

from chart.grid import SLOTS_PER_CELL
from chart.model import KEYS
from mapper.architecture import (
    BARS_OF_PHRASE,
    CONTROL_FEATURES,
    MAX_BEATS_OF_BAR,
    MOTIF_LAGS,
    SYMBOLS_PER_COLUMN,
)
from mapper.checkpoint import Checkpoint
from mapper.onnx_file import Graph
from mapper.onnx_layers import Layers
from mapper.rows import SYMBOLS

SYMBOL_OF_CODE = SYMBOLS + SYMBOLS_PER_COLUMN * np.arange(KEYS)
"""[code, column], row of the tables of column symbols."""
UNSEEN = -1e9
"""Added to the match with positions of the cache that hold nothing."""


def encoder_graph(checkpoint: Checkpoint) -> Graph:
    """What hears one stretch for any number of charts: `mapper.network.Network.hear_stretch`."""
    net = Layers("mapper_encoder", checkpoint)
    graph, config = net.graph, checkpoint.config
    told = net.gelu(net.linear("controls.0", graph.input("controls", "float32", ["chart", CONTROL_FEATURES])))
    control, decoder_control = graph.split("Split", 2, net.linear("controls.2", told), axis=-1)
    heard = _heard_slots(net)
    cells = net.linear("cell_in", net.reshape(heard, -1, SLOTS_PER_CELL * config.stem_width))
    x = net.add(net.unsqueeze(control, 1), net.add(cells, _place(net)))  # [chart, cell, width]
    cos, sin = _beat_rotation(net, x)
    for layer in range(config.encoder_layers):
        x = _encoder_block(net, f"encoder.{layer}", x, cos, sin)
    cell = net.norm("encoder_norm", x)
    by_cell = net.reshape(net.linear("slot_from_cell", cell), 0, -1, config.hazard_width)
    slot = net.add(by_cell, net.linear("slot_from_stem", heard))
    onset = graph.op("Squeeze", net.linear("onset.1", net.gelu(slot)), graph.constant([2]))
    graph.output(cell, "cell", ["chart", "cells", config.width])
    graph.output(slot, "slot", ["chart", "slots", config.hazard_width])
    graph.output(onset, "onset_logit", ["chart", "slots"])
    graph.output(decoder_control, "decoder_control", ["chart", config.width])
    return graph


def _heard_slots(net: Layers) -> str:
    """[slot, stem width]: the convolutions, read off at each slot's time."""
    graph = net.graph
    mel = graph.input("mel", "float32", ["frames", net.config.bands])
    x = net.unsqueeze(graph.op("Transpose", mel, perm=[1, 0]), 0)
    for layer, pad, dilation in ((0, 2, 1), (2, 4, 2), (4, 4, 4)):
        weight, bias = (net.weight(f"stem.convolutions.{layer}.{kind}") for kind in ("weight", "bias"))
        x = graph.op("Conv", net.gelu(x) if layer else x, weight, bias, pads=[pad, pad], dilations=[dilation])
    heard = graph.op("Transpose", graph.op("Squeeze", x, graph.constant([0])), perm=[1, 0])
    frames = graph.op("Cast", graph.op("Shape", mel, start=0, end=1), to=1)
    last = graph.op("Sub", frames, graph.constant(np.array([1.001])))
    position = graph.op("Max", graph.input("slot_frame", "float32", ["slots"]), graph.constant(0.0))
    position = graph.op("Min", position, last)
    floor = graph.op("Floor", position)
    share = net.unsqueeze(graph.op("Sub", position, floor), 1)
    before = graph.op("Cast", floor, to=7)
    low = graph.op("Gather", heard, before)
    high = graph.op("Gather", heard, net.add(before, graph.constant([1])))
    return net.gelu(net.add(low, net.times(graph.op("Sub", high, low), share)))


def _place(net: Layers) -> str:
    """[cell, width]: where in beat, bar and phrase each cell is, and how fast."""
    graph = net.graph
    quarter = net.look_up("quarter", graph.input("quarter", "int64", ["cells"]))
    of_bar = graph.input("beat_in_bar", "int64", ["cells"])
    beat = net.look_up("beat_in_bar", graph.op("Min", of_bar, graph.constant([MAX_BEATS_OF_BAR - 1])))
    number = graph.op("Mod", graph.input("bar", "int64", ["cells"]), graph.constant([BARS_OF_PHRASE]))
    beat_ms = graph.input("beat_ms", "float32", ["cells"])
    octaves = net.times(graph.op("Log", graph.op("Div", beat_ms, graph.constant(400.0))), float(1 / np.log(2)))
    tempo = net.linear("tempo", net.unsqueeze(octaves, 1))
    return net.add(net.add(quarter, beat), net.look_up("bar_of_phrase", number), tempo)


def _beat_rotation(net: Layers, x: str) -> tuple[str, str]:
    """Two of [cell, head width / 2], for the cells of `x` [chart, cell, width], which are quarters of beats."""
    graph = net.graph
    cells = graph.op("Squeeze", graph.op("Shape", x, start=1, end=2), graph.constant([0]))
    zero, one = graph.constant(np.array(0), "zero"), graph.constant(np.array(1), "one")
    beats = net.times(graph.op("Cast", graph.op("Range", zero, cells, one), to=1), 0.25)
    angle = net.times(net.unsqueeze(beats, 1), net.frequencies(1))
    return graph.op("Cos", angle), graph.op("Sin", angle)


def _encoder_block(net: Layers, name: str, x: str, cos: str, sin: str) -> str:
    graph = net.graph
    query, key, value = net.query_key_value(name, x, 2, 0, 3, 1, 4)  # [chart, head, cell, head width]
    query, key = net.rotate(query, cos, sin), net.rotate(key, cos, sin)
    match = net.attend(query, graph.op("Transpose", key, perm=[0, 1, 3, 2]))
    attended = graph.op("MatMul", graph.op("Softmax", match, axis=-1), value)
    joined = net.reshape(graph.op("Transpose", attended, perm=[0, 2, 1, 3]), 0, 0, net.config.width)
    x = net.add(x, net.linear(f"{name}.attention_out", joined, bias=False))
    return net.feed_forward(name, x)


def decoder_graph(checkpoint: Checkpoint) -> Graph:
    """One row more for every item: reads it beside its cache, answers the state after it and what the cache shall add.

    `keys`, `values` [layer, item, head, position, head width] belong to the caller, who writes `key`, `value` at
    position `length`; positions from there on are not looked at.
    """
    net = Layers("mapper_decoder", checkpoint)
    graph, config = net.graph, checkpoint.config
    x = _embedded_row(net)
    beat, index = (graph.input(name, "float32", ["items"]) for name in ("beat", "index"))
    turns = [net.times(net.unsqueeze(position, 1), net.frequencies(2)) for position in (beat, index)]
    angle = net.unsqueeze(graph.op("Concat", *turns, axis=-1), 1)  # [item, 1, head width / 2]
    cos, sin = graph.op("Cos", angle), graph.op("Sin", angle)
    cache: list[int | str] = [config.decoder_layers, "items", config.heads, "positions", net.head_width]
    caches = [graph.input(name, "float32", cache) for name in ("keys", "values")]
    layers = [graph.split("Split", config.decoder_layers, one, axis=0) for one in caches]
    unseen = _unseen(net, caches[0])
    added: tuple[list[str], list[str]] = ([], [])
    for layer in range(config.decoder_layers):
        name = f"decoder.{layer}"
        query, key, value = net.query_key_value(name, x, 1, 0, 2, 3)  # [item, head, head width]
        query, key = net.rotate(query, cos, sin), net.rotate(key, cos, sin)
        keys, values = (graph.op("Squeeze", one[layer], graph.constant([0])) for one in layers)
        attended = _attend_to_cache(net, (query, key, value), keys, values, unseen)
        x = net.add(x, net.linear(f"{name}.attention_out", net.reshape(attended, 0, config.width), bias=False))
        x = net.feed_forward(name, x)
        for list_, one in zip(added, (key, value), strict=True):
            list_.append(net.unsqueeze(one, 0))
    graph.output(net.norm("decoder_norm", x), "state", ["items", config.width])
    for name, parts in zip(("key", "value"), added, strict=True):
        joined = graph.op("Concat", *parts, axis=0)
        graph.output(joined, name, [config.decoder_layers, "items", config.heads, net.head_width])
    return graph


def _embedded_row(net: Layers) -> str:
    """[item, width]: the row, its time since the one before, what is heard there, and what is asked."""
    graph, arrays, width = net.graph, net.arrays, net.config.width
    table = arrays["code.weight"] + arrays["symbol.weight"][SYMBOL_OF_CODE].sum(1)
    code = graph.op("Gather", graph.constant(table, "row_table"), graph.input("code", "int64", ["items"]))
    tables = [net.look_up(name, graph.input(name, "int64", ["items"])) for name in ("held", "elapsed")]
    control = graph.input("control", "float32", ["items", width])
    cell = net.linear("row_from_cell", graph.input("cell", "float32", ["items", width]))
    slot = net.linear("row_from_slot", graph.input("slot", "float32", ["items", net.config.hazard_width]))
    return net.add(code, *tables, control, cell, slot)


def _unseen(net: Layers, cache: str) -> str:
    """[item, 1, 1, position]: 0 where the cache holds something, else `UNSEEN`."""
    graph = net.graph
    positions = graph.op("Squeeze", graph.op("Shape", cache, start=3, end=4), graph.constant([0]))
    zero, one = graph.constant(np.array(0), "zero"), graph.constant(np.array(1), "one")
    number = graph.op("Range", zero, positions, one)
    length = graph.input("length", "int64", ["items"])
    empty = graph.op("GreaterOrEqual", number, net.reshape(length, -1, 1, 1, 1))
    return net.times(graph.op("Cast", empty, to=1), UNSEEN)


def _attend_to_cache(net: Layers, row: tuple[str, ...], keys: str, values: str, unseen: str) -> str:
    """[item, head, 1, head width]: attention over the cache and the row itself; `row` is its query, key and value."""
    graph = net.graph
    query, key, value = (net.unsqueeze(one, 2) for one in row)  # [item, head, 1, head width]
    earlier = net.add(net.attend(query, graph.op("Transpose", keys, perm=[0, 1, 3, 2])), unseen)
    itself = net.attend(query, graph.op("Transpose", key, perm=[0, 1, 3, 2]))
    share = graph.op("Softmax", graph.op("Concat", earlier, itself, axis=-1), axis=-1)
    return graph.op("MatMul", share, graph.op("Concat", values, value, axis=2))


def hazard_graph(checkpoint: Checkpoint) -> Graph:
    """The hazard head's side of the state: `mapper.model.HazardTerms`."""
    net = Layers("mapper_hazard", checkpoint)
    state = net.graph.input("state", "float32", ["items", checkpoint.config.width])
    query = net.times(net.linear("hazard_query", state), checkpoint.config.hazard_width**-0.5)
    net.graph.output(query, "query", ["items", checkpoint.config.hazard_width])
    net.graph.output(net.linear("hazard_elapsed", state), "by_elapsed", ["items", "buckets"])
    return net.graph


def row_graph(checkpoint: Checkpoint) -> Graph:
    """The row head: which row falls on the slot that each item has come to; illegal rows are not masked."""
    net = Layers("mapper_row", checkpoint)
    graph, arrays, width, slot_width = net.graph, net.arrays, checkpoint.config.width, checkpoint.config.hazard_width
    x = net.add(
        net.linear("next_from_state", graph.input("state", "float32", ["items", width])),
        net.linear("next_from_slot", graph.input("slot", "float32", ["items", slot_width])),
        net.linear("next_from_cell", graph.input("cell", "float32", ["items", width])),
        net.look_up("next_elapsed", graph.input("elapsed", "int64", ["items"])),
        net.look_up("next_held", graph.input("held", "int64", ["items"])),
        _motif(net),
    )
    hidden = net.gelu(net.linear("next_row.1", net.norm("next_row.0", x)))
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
