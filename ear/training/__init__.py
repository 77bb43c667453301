"""The beat network trained: examples, batches, loss, loop."""

__all__ = [
    "batches",
    "loss",
    "store",
    "train",
]
