"""How the programs of this project run: errors, command lines, worker processes, files written whole. The ground floor: imports no other package."""

__all__ = [
    "atomic_write",
    "command",
    "errors",
    "lazy",
    "onnx",
    "progress",
    "training",
    "workers",
]
