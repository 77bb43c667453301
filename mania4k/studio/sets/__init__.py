"""The set in the making: its project folder, notes, timing, and what may be asked for."""

__all__ = [
    "notes",
    "order",
    "pictures",
    "project",
    "shelf",
    "timing",
]
