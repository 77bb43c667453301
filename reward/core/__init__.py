"""Inputs of the reward: charts in batches, bands of human values, song features, kernels."""

__all__ = [
    "bands",
    "batch_view",
    "inputs",
    "kernels",
    "rhythm",
    "song",
]
