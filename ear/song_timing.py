"""The whole Ear on one song: decode, network, timing.

found = time_song(load_audio(path))                       # with the bundled network
found = time_song(audio, checkpoint="none")               # from onsets alone
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ear.audio.decode import Audio
from ear.audio.shared import onset_of
from ear.timing.estimate import find_timing
from ear.timing.meter import timbre_of
from ear.timing.model import Profile, Timing
from ear.tracker.dbn import MIN_FRAMES, TrackedBeats, track_beats

if TYPE_CHECKING:
    from ear.tracker.interface import BeatActivations
    from ear.tracker.tracker import BeatTracker

Report = Callable[[str, float], None]
"""Called with a stage's name and the share of it that is done."""

NO_NETWORK = "none"
"""Name of the checkpoint that is none."""


def _silent(stage: str, share: float) -> None:
    """Report to nobody."""


@dataclass(frozen=True, slots=True, eq=False)
class TimedSong:
    """A song's timing and the activations it was made from."""

    timing: Timing
    activations: BeatActivations | None = field(repr=False)  # None without a network

    @property
    def tracked(self) -> TrackedBeats | None:
        """The beats tracked through the activations; None without a network or for less than 2 s."""
        if self.activations is None or len(self.activations.beat) < MIN_FRAMES:
            return None
        return track_beats(self.activations)


def time_song(
    audio: Audio,
    checkpoint: str = "bundled",
    device: str = "auto",
    profile: Profile = "auto",
    report: Report = _silent,
) -> TimedSong:
    """Time a song; `report(stage, share done)` is called for the stages "network" and "timing"."""
    tracker = None
    if checkpoint != NO_NETWORK:
        report("network", 0.0)
        from ear.tracker.tracker import load_beat_tracker

        tracker = load_beat_tracker(checkpoint, device=device)
    return time_with(tracker, audio, profile, report)


def time_with(
    tracker: BeatTracker | None, audio: Audio, profile: Profile = "auto", report: Report = _silent
) -> TimedSong:
    """As `time_song`, with a network that is loaded already, or none."""
    activations = None
    if tracker is not None:
        with ThreadPoolExecutor(1) as pool:  # what needs no network is measured beside it
            measures = [pool.submit(measure, audio) for measure in (onset_of, timbre_of)]
            activations = tracker(audio)
            for measure in measures:
                measure.result()
        report("network", 1.0)
    report("timing", 0.0)
    timing = find_timing(audio, activations, profile)
    report("timing", 1.0)
    return TimedSong(timing, activations)
