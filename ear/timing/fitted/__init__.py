"""Weights of the timing, fitted by `ear.fitting`."""

__all__ = [
    "metrical_level",
    "onset_grid",
]
