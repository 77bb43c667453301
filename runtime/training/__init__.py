"""Shared by every training run: loop, device, optimizer, averaged weights, resumable state, process group."""

__all__ = [
    "device",
    "distributed",
    "ema",
    "loop",
    "muon",
    "resume",
    "run_config",
]
