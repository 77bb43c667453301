"""From activations and onsets to red lines: tempo, phase, segments, metrical level, meter, rubato."""

__all__ = [
    "estimate",
    "grid_features",
    "kalman",
    "meter",
    "metrical_level",
    "phase",
    "rubato",
    "segments",
    "stability",
    "tempo",
    "tempo_range",
    "weights",
]
