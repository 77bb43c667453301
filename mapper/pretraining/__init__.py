"""Supervised training: windows, loss, evaluation, TensorBoard pictures and sounds, rhythm settings."""

__all__ = [
    "config",
    "evaluate",
    "fit_rhythm",
    "loss",
    "piano_roll",
    "run",
    "sonify",
    "tensorboard",
    "windows",
]
