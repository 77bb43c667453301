"""Training data: the corpus on disk, batches, augmentation, charts without audio."""

__all__ = [
    "augment",
    "batches",
    "build",
    "corpus",
    "pattern_collection",
]
