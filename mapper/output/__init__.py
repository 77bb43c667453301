"""Generated sets: metadata, packages, reports, explanations."""

__all__ = [
    "cover",
    "explain",
    "metadata",
    "package",
    "page",
    "report",
    "tables",
]
