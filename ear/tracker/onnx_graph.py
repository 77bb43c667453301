"""Beat This as an ONNX graph, made from a checkpoint's arrays without torch.

The network is that of `beat_this.model.beat_tracker.BeatThis`. Shapes use: batch, frame, band, channel, step (of
attention), head.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.onnx.layers import FLOAT, Layers
from runtime.onnx.protobuf import Graph

INPUT, OUTPUT, HIDDEN = "mel", "logits", "hidden"
"""[batch, frame, 128] in, [batch, 2, frame] out: log-odds of beat and downbeat; on request [batch, frame, state]."""
BANDS = 128
EPSILON = 1e-5
"""As in `torch.nn.BatchNorm2d`."""
FRONTEND_BLOCKS = 3


def beat_graph(arrays: Mapping[str, NDArray[Any]], sum_head: bool = True, hidden: bool = False) -> Graph:
    """The whole network for any number of frames; with `sum_head` a downbeat is a beat too, as BeatThis has it.

    With `hidden` the states behind the convolutions, the first transformer layer and the last norm are an output, too.
    """
    net = Layers("beat_this", arrays)
    x = _stem(net, net.graph.input(INPUT, "float32", ["batch", "frames", BANDS]))
    for number in range(FRONTEND_BLOCKS):
        x = _frontend_block(net, f"frontend.blocks.{number}", x)
    width = arrays["frontend.linear.weight"].shape[1]
    x = net.linear("frontend.linear", net.reshape(net.transpose(x, 0, 3, 1, 2), 0, 0, width))
    states = [x]
    while f"transformer_blocks.layers.{len(states) - 1}.0.norm.gamma" in arrays:
        layer = f"transformer_blocks.layers.{len(states) - 1}"
        states.append(_fed_forward(net, f"{layer}.1", _attended(net, f"{layer}.0", states[-1], leading=1)))
    x = _norm(net, "transformer_blocks.norm.gamma", states[-1])
    if hidden:
        net.graph.output(net.graph.op("Concat", *states[:2], x, axis=-1), HIDDEN, ["batch", "frames", "states"])
    summed = np.array([[1.0, float(sum_head)], [0.0, 1.0]])  # [output, head]
    weight, bias = (summed @ arrays[f"task_heads.beat_downbeat_lin.{kind}"] for kind in ("weight", "bias"))
    logits = net.add(net.graph.op("MatMul", x, net.graph.constant(weight.T)), net.graph.constant(bias))
    net.graph.output(net.transpose(logits, 0, 2, 1), OUTPUT, ["batch", 2, "frames"])
    return net.graph


def _stem(net: Layers, mel: str) -> str:
    """[batch, channel, band, frame]."""
    scale, shift = _batch_norm(net, "frontend.stem.bn1d")
    x = net.add(net.times(mel, net.graph.constant(scale)), net.graph.constant(shift))
    image = net.unsqueeze(net.transpose(x, 0, 2, 1), 1)
    return _convolved(net, "frontend.stem.conv2d", "frontend.stem.bn2d", image, stride=4)


def _frontend_block(net: Layers, name: str, x: str) -> str:
    """Attention over bands and over frames where the checkpoint has it, then half as many bands."""
    if f"{name}.partial.attnF.norm.gamma" in net.arrays:
        x = net.transpose(x, 0, 3, 2, 1)  # [batch, frame, band, channel]
        x = _attended(net, f"{name}.partial.attnF", x, leading=2)
        x = _fed_forward(net, f"{name}.partial.ffF", x)
        x = net.transpose(x, 0, 2, 1, 3)  # [batch, band, frame, channel]
        x = _attended(net, f"{name}.partial.attnT", x, leading=2)
        x = _fed_forward(net, f"{name}.partial.ffT", x)
        x = net.transpose(x, 0, 3, 1, 2)
    return _convolved(net, f"{name}.conv2d", f"{name}.norm", x, stride=2)


def _convolved(net: Layers, name: str, norm: str, x: str, stride: int) -> str:
    """A convolution with the batch norm behind it folded in, and the GELU."""
    scale, shift = _batch_norm(net, norm)
    weight = net.graph.constant(net.arrays[f"{name}.weight"] * scale[:, None, None, None])
    x = net.graph.op("Conv", x, weight, net.graph.constant(shift), strides=[stride, 1], pads=[0, 1, 0, 1])
    return net.gelu(x)


def _batch_norm(net: Layers, name: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """(scale, shift) of a batch norm that learns no more."""
    weight, bias, mean, variance = (
        net.arrays[f"{name}.{kind}"].astype(np.float64) for kind in ("weight", "bias", "running_mean", "running_var")
    )
    scale = weight / np.sqrt(variance + EPSILON)
    return scale, bias - mean * scale


def _norm(net: Layers, gamma: str, x: str) -> str:
    """Root-mean-square norm over the last axis."""
    length = net.graph.op("ReduceL2", x, axes=[-1], keepdims=1)
    unit = net.graph.op("Div", x, net.graph.op("Max", length, net.graph.constant(1e-12)))
    values = net.arrays[gamma]
    return net.times(unit, net.graph.constant(values * values.size**0.5, gamma))


def _fed_forward(net: Layers, name: str, x: str) -> str:
    hidden = net.gelu(net.linear(f"{name}.net.1", _norm(net, f"{name}.net.0.gamma", x)))
    return net.add(x, net.linear(f"{name}.net.4", hidden))


def _attended(net: Layers, name: str, x: str, leading: int) -> str:
    """Gated attention over the axis behind the `leading` ones, with its residual."""
    heads, width = net.arrays[f"{name}.to_gates.weight"].shape
    frequency = net.arrays[f"{name}.rotary_embed.freqs"]
    head_width = 2 * frequency.size
    normed = _norm(net, f"{name}.norm.gamma", x)
    matrix = _halved(net.arrays[f"{name}.to_qkv.weight"], heads, head_width)
    qkv = net.graph.op("MatMul", normed, net.graph.constant(matrix.T, f"{name}.to_qkv.weight"))
    query, key, value = net.in_heads(qkv, leading, heads, head_width)
    steps = net.graph.op("Cast", net.count(net.size(x, leading)), to=FLOAT)
    turns = net.turns(net.times(net.unsqueeze(steps, 1), net.graph.constant(frequency)))
    out = net.attention(net.rotate(query, turns), net.rotate(key, turns), value, leading, head_width)
    gates = net.graph.op("Sigmoid", net.linear(f"{name}.to_gates", normed))
    gates = net.unsqueeze(net.transpose(gates, *range(leading), leading + 1, leading), leading + 2)
    joined = net.out_of_heads(net.times(out, gates), leading, width)
    return net.add(x, net.linear(f"{name}.to_out.0", joined, bias=False))


def _halved(to_qkv: NDArray[Any], heads: int, head_width: int) -> NDArray[Any]:
    """BeatThis turns neighbouring features of a head together; sorted so, those that belong together are halves."""
    parted = to_qkv.reshape(3, heads, head_width, -1).copy()
    order = np.concatenate((np.arange(0, head_width, 2), np.arange(1, head_width, 2)))
    parted[:2] = parted[:2][:, :, order]
    return parted.reshape(to_qkv.shape)
