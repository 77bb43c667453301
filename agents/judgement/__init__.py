"""The game's judgement: hit windows, holds, misses and mods, for ScoreV1 and lazer."""

__all__ = [
    "judge",
    "kernels",
    "mods",
]
