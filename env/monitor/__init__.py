"""Evaluation during refinement and the check for reward hacking."""

__all__ = [
    "callback",
    "evaluate",
    "reward_hacking",
]
