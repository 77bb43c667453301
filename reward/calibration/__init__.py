"""Bands and n-gram tables counted on human charts, and the corruptions that a reward must punish."""

__all__ = [
    "corruptions",
    "count_ngrams",
    "fit_bands",
]
