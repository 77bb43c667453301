"""Training data: the corpus on disk, batches, augmentation, charts without audio or without columns."""

__all__ = [
    "augment",
    "batches",
    "build",
    "corpus",
    "pattern_collection",
    "rhythm_collection",
]
