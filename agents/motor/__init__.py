"""The hand model: how far and how often simulated players miss the exact time."""

__all__ = [
    "columns",
    "constants",
    "feature_kernels",
    "kernels",
    "note_features",
    "population",
    "quantiles",
]
