"""Supervised training: windows, loss, evaluation, TensorBoard pictures and sounds."""

__all__ = [
    "config",
    "evaluate",
    "loss",
    "piano_roll",
    "run",
    "sonify",
    "tensorboard",
    "windows",
]
