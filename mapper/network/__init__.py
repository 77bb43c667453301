"""The mapper network: torch model, cached compiled decoder, ONNX graphs, checkpoints."""

__all__ = [
    "cached_decoder",
    "checkpoint",
    "decoder",
    "encoder",
    "interface",
    "kernels",
    "layers",
    "load",
    "model",
    "onnx_graphs",
    "onnx_model",
]
