"""The constants of the hand model fitted to real plays, and how human-like its plays are."""

__all__ = [
    "calibrate",
    "least_squares",
    "real_plays",
    "statistics",
]
