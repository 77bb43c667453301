"""Measures of one chart: rows, named patterns, snapping, the official star rating."""

__all__ = [
    "pattern_mix",
    "patterns",
    "rows",
    "snap",
    "star_rating",
    "strain",
]
