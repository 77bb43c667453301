"""Rewards of sections, slots and whole charts."""

__all__ = [
    "chart_return",
    "section_return",
    "slot_musicality",
]
