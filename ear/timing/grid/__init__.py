"""Steady grids: pulse, tempo, phase, metrical level and the fitted weights that choose them."""

__all__ = [
    "grid_features",
    "metrical_level",
    "phase",
    "tempo",
    "tempo_range",
    "weights",
]
