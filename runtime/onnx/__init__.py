"""ONNX graphs written, opened and run, and the choice of a back end."""

__all__ = [
    "backend",
    "layers",
    "protobuf",
    "session",
]
