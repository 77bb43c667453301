"""The set in the making: its project folder, notes, timing, and what may be asked for."""
