"""The task of the environment: songs, sections, states and transitions."""

__all__ = [
    "dynamics",
    "episodes",
    "kernels",
    "songs",
]
