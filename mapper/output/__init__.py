"""Generated sets: metadata, packages, reports, explanations."""

__all__ = [
    "explain",
    "metadata",
    "package",
    "report",
]
