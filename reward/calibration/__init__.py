"""Bands and n-gram tables counted on human charts."""

__all__ = [
    "count_ngrams",
    "fit_bands",
]
