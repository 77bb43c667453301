"""The constants of the hand model fitted to real plays, and how human-like its plays are."""

__all__ = [
    "calibrate",
    "descent",
    "least_squares",
    "ranked_population",
    "real_plays",
    "statistics",
]
