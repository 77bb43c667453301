"""Constants of the timing fitted on pieces with known beats."""

__all__ = [
    "annotated_audio",
    "fit_confidence",
    "fit_level",
    "fit_timing",
    "note_offset",
    "softmax",
]
