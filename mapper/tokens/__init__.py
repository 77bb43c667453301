"""Vocabulary of the network: slots, row codes, conditioning vector, log-mel features, windows."""

__all__ = [
    "conditioning_vector",
    "log_mel",
    "row_codes",
    "vocabulary",
    "window",
]
