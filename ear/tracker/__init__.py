"""The beat network: activations, their peaks, the dynamic Bayesian network (DBN) that tracks beats, metrics."""

__all__ = [
    "checkpoint",
    "dbn",
    "dbn_kernels",
    "download",
    "hidden_states",
    "interface",
    "metrics",
    "onnx_graph",
    "onnx_runner",
    "peak_picking",
    "torch_runner",
    "tracker",
]
