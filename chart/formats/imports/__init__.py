"""Formats of other games that are read alone: Malody's `.mc` and four-key BMS. Both count in beats (`tempo_map`)."""

__all__ = ["bms", "malody", "tempo_map"]
