"""Charts scored: fairness, readability, ergonomics, musicality and the ranking criteria. Imports agents, ear, chart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.lazy import lazy_exports

if TYPE_CHECKING:
    from reward.auditors import audit
    from reward.core.song import Song, song_of_mel
    from reward.rules.check import Finding, check
    from reward.rules.criteria import Level, level_of
    from reward.total import Score, Weights, score, score_batch

__all__ = [
    "Finding",
    "Level",
    "Score",
    "Song",
    "Weights",
    "audit",
    "check",
    "level_of",
    "score",
    "score_batch",
    "song_of_mel",
]

__getattr__ = lazy_exports(
    __name__,
    {
        "reward.auditors": ("audit",),
        "reward.rules.criteria": ("Level", "level_of"),
        "reward.rules.check": ("Finding", "check"),
        "reward.core.song": ("Song", "song_of_mel"),
        "reward.total": ("Score", "Weights", "score", "score_batch"),
    },
)
"""Names are imported when they are first used, so that the rules alone do not load the simulated players."""
