"""Shared by every training run: device, optimizer, averaged weights, resumable state, process group."""

__all__ = [
    "device",
    "distributed",
    "ema",
    "muon",
    "resume",
    "run_config",
]
