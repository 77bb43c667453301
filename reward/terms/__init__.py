"""The terms of the reward, each a pure function of charts, plays and the song."""

__all__ = [
    "criteria",
    "ergonomics",
    "fairness",
    "instrument",
    "local_musicality",
    "musicality",
    "readability",
    "rhythm",
    "sound",
]
