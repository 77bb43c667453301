"""The Ear: from a song to its timing, spectrum and onsets. Audio only; nothing here plays or writes charts."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ear.audio.clock import OSU_CLOCK_MS, from_osu_clock, to_osu_clock
    from ear.audio.decode import SAMPLE_RATE, Audio, Tags, load_audio, read_tags
    from ear.audio.onset import Lag, OnsetStrength, estimate_lag_ms, onset_strength
    from ear.audio.spectrogram import beat_this_mel, log_mel
    from ear.timing.estimate import find_timing
    from ear.timing.model import Alternative, Beats, Timing, beats_of
    from ear.tracker.interface import BeatActivations
    from ear.tracker.peak_picking import PickedBeats, pick_beats
    from ear.tracker.tracker import BeatTracker, load_beat_tracker

__all__ = [
    "OSU_CLOCK_MS",
    "SAMPLE_RATE",
    "Alternative",
    "Audio",
    "BeatActivations",
    "BeatTracker",
    "Beats",
    "Lag",
    "OnsetStrength",
    "PickedBeats",
    "Tags",
    "Timing",
    "beat_this_mel",
    "beats_of",
    "estimate_lag_ms",
    "find_timing",
    "from_osu_clock",
    "load_audio",
    "load_beat_tracker",
    "log_mel",
    "onset_strength",
    "pick_beats",
    "read_tags",
    "to_osu_clock",
]

_MODULES = {
    "ear.audio.decode": ("SAMPLE_RATE", "Audio", "Tags", "load_audio", "read_tags"),
    "ear.tracker.interface": ("BeatActivations",),
    "ear.tracker.tracker": ("BeatTracker", "load_beat_tracker"),
    "ear.tracker.peak_picking": ("PickedBeats", "pick_beats"),
    "ear.audio.clock": ("OSU_CLOCK_MS", "from_osu_clock", "to_osu_clock"),
    "ear.audio.onset": ("Lag", "OnsetStrength", "estimate_lag_ms", "onset_strength"),
    "ear.audio.spectrogram": ("beat_this_mel", "log_mel"),
    "ear.timing.estimate": ("find_timing",),
    "ear.timing.model": ("Alternative", "Beats", "Timing", "beats_of"),
}


def __getattr__(name: str) -> Any:
    """Names are imported when they are first used: `--help` stays fast, and `python -m ear.audio.clock` loads it once."""
    for module, names in _MODULES.items():
        if name in names:
            return getattr(importlib.import_module(module), name)
    raise AttributeError(f"module 'ear' has no attribute '{name}'")
