"""Training data: the corpus on disk, batches, augmentation, charts without audio or without columns."""

__all__ = [
    "augment",
    "batches",
    "build",
    "check_corpus",
    "corpus",
    "entries",
    "pattern_collection",
    "read_song",
    "rhythm_collection",
    "sources",
]
