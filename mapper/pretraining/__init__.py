"""Supervised training: loss, evaluation, TensorBoard pictures and sounds."""

__all__ = [
    "evaluate",
    "loss",
    "piano_roll",
    "sonify",
    "tensorboard",
]
