"""Proximal policy optimisation on sections of charts.

`ppo` has the algorithm, `returns` its advantages, `density_bias` the regression beside it.
"""

__all__ = [
    "density_bias",
    "ppo",
    "returns",
]
