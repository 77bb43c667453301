"""Requests of a user: options, the song with its timing, style references, difficulty levels."""

__all__ = [
    "arguments",
    "levels",
    "names",
    "options",
    "song",
    "style_reference",
    "timing_file",
]
