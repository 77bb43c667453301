"""The beat network: activations, peaks, the dynamic Bayesian network that tracks them, metrics."""

__all__ = [
    "beats",
    "checkpoint",
    "dbn",
    "dbn_kernels",
    "download",
    "metrics",
    "onnx_graph",
    "onnx_runner",
    "peak_picking",
    "torch_runner",
    "tracker",
]
