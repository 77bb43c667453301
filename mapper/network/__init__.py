"""The mapper network: torch model, cached compiled decoder, ONNX graphs, checkpoints."""

__all__ = [
    "checkpoint",
    "compiled",
    "decoder",
    "encoder",
    "interface",
    "layers",
    "load",
    "model",
    "onnx_graphs",
    "onnx_model",
]
