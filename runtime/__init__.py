"""Infrastructure of all programs: errors, command lines, worker processes, atomic writes, ONNX, training state. The ground floor: imports no other package."""

__all__ = [
    "atomic_write",
    "command",
    "errors",
    "lazy",
    "loops",
    "memory",
    "onnx",
    "progress",
    "training",
    "workers",
]
