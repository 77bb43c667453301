"""From activations and onsets to red lines: steady grids, segments, cuts, meter, rubato."""

__all__ = [
    "confidence",
    "cuts",
    "estimate",
    "grid",
    "kalman",
    "meter",
    "model",
    "rubato",
    "segments",
    "stability",
]
