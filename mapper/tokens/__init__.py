"""Vocabulary of the network: slots, row codes, conditioning vector, features of the audio, windows."""

__all__ = [
    "conditioning_vector",
    "log_mel",
    "note_kernels",
    "row_codes",
    "song_features",
    "vocabulary",
    "window",
]
