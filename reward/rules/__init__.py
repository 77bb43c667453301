"""The osu!mania ranking criteria as checks."""

__all__ = [
    "check",
    "criteria",
    "general",
    "levels",
    "settings",
]
