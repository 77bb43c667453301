"""Supervised training: windows, loss, evaluation, log-odds of songs held out, TensorBoard pictures and sounds, rhythm settings."""

__all__ = [
    "config",
    "evaluate",
    "fit_rhythm",
    "held_out",
    "loss",
    "piano_roll",
    "run",
    "sonify",
    "tensorboard",
    "windows",
]
