"""The game's judgement: hit windows, holds, misses, mods, accuracy and grade, for ScoreV1, ScoreV2 and lazer."""

__all__ = [
    "accuracy",
    "judge",
    "lazer_kernels",
    "mods",
    "note_kernels",
    "score_kernels",
    "scorev2_kernels",
    "stable_kernels",
]
