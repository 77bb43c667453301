"""A set that is being made: its project folder, notes, timing, and the options of its difficulties."""

__all__ = [
    "notes",
    "order",
    "pictures",
    "project",
    "shelf",
    "timing",
]
