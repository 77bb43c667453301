"""Songs with the beats of people's red lines, in audio time: beatmap sets and songs of rhythm collections.

The sound comes later than a chart says (`ear.audio.clock`): the lag of each song is measured from its notes, and where it is
not clear, that of its source is taken. Beats count from two bars before the first note to two bars after the last. Songs whose
notes ignore their own red lines, whose tempo is a visual effect, or whose notes fit the audio hardly better than when they are
moved, are refused with the reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from chart.formats.osz import Beatmapset
from chart.formats.rhythm import RhythmSong
from chart.model import TimingPoint
from ear.audio.clock import MIN_CONFIDENCE, SOURCE_LAG_MS
from ear.audio.decode import Audio, load_audio
from ear.audio.onset import estimate_lag_ms, onset_strength
from ear.audio.spectrogram import beat_this_mel
from ear.timing.model import Timing, beats_of
from ear.training.store import BeatPiece, quantised
from runtime.errors import Mania4KError

MARGIN_BEATS = 8
"""Beats before the first and after the last note in which the map's tempo still holds."""

MIN_GRID_SHARE = 0.8
"""A map is used where this share of its notes is within `GRID_MS` of a 1/12 or 1/16 of a beat."""

GRID_MS = 3.0
DIVISORS = (12, 16)

BPM_RANGE = (40.0, 320.0)
MIN_STEADY_SHARE = 0.95
"""Share of beats within `BPM_RANGE`; others are visual effects."""

MIN_FIT = 0.15
"""Share of notes near an onset, less that of notes moved off it, from which a song of a rhythm collection is used."""

MAX_LAG_APART_MS = 20.0
"""A measured lag further from the one that a collection states is another onset's: the song is not used."""

GAMES_WITHOUT_BARS = frozenset({"Beat Saber", "Beatblock", "UltraStar"})
"""Games whose charts state no metre: their bars are an editor's default."""

BAR_BEATS = (2, 7)
"""Metres outside are a chart's way to hide bar lines, not bars."""


class UnusableMapError(Mania4KError):
    """A song without usable beats; the message gives the reason."""


@dataclass(frozen=True, slots=True, eq=False)
class MappedSong:
    """A song and the beats that people gave it, in audio time."""

    name: str
    group: str  # source of its chart: osu, stepmania, Beat Saber, …
    audio: Audio = field(repr=False)
    beat_ms: NDArray[np.float64] = field(repr=False)  # [beat], increasing
    is_downbeat: NDArray[np.bool_] = field(repr=False)  # [beat]
    first_ms: float  # the beats are complete from here …
    last_ms: float  # … to here
    has_downbeats: bool = True

    def as_piece(self) -> BeatPiece:
        """The song as a piece of a beat network's training set."""
        mel = quantised(beat_this_mel(self.audio.samples))
        beats = (self.beat_ms, self.is_downbeat, self.first_ms, self.last_ms, self.has_downbeats)
        return BeatPiece(self.name, self.group, mel, *beats)


def song_of_set(beatmapset: Beatmapset, source: str = "osu") -> MappedSong:
    """The song of a beatmap set. Raises Mania4KError where it is not usable."""
    if not beatmapset.charts:
        raise UnusableMapError("has no chart that can be read")
    chart = max(beatmapset.charts, key=len)
    check_red_lines(chart.red_lines, chart.time_ms)
    audio = load_audio(beatmapset.read_audio(chart.audio_filename), name=beatmapset.path.name)
    note_ms = np.unique(np.concatenate([other.time_ms for other in beatmapset.charts]))
    lag = estimate_lag_ms(onset_strength(audio.samples, audio.sample_rate), note_ms)
    lag_ms = lag.lag_ms if lag.confidence >= MIN_CONFIDENCE else SOURCE_LAG_MS.get(source, SOURCE_LAG_MS["osu"])
    return _mapped(beatmapset.path.stem, source, audio, chart.red_lines, note_ms, lag_ms)


def song_of_rhythm(song: RhythmSong) -> MappedSong:
    """The song of a rhythm collection. Raises Mania4KError where it is not usable.

    A lag that is measured clearly replaces the collection's, which is rounded to some milliseconds.
    """
    note_ms, lines = song.heads_ms(), rhythm_lines(song)
    audio = load_audio(song.audio)
    lag = estimate_lag_ms(onset_strength(audio.samples, audio.sample_rate), note_ms)
    clear = lag.confidence >= MIN_CONFIDENCE
    if clear and abs(lag.lag_ms - song.lag_ms) > MAX_LAG_APART_MS:
        raise UnusableMapError(f"its sound comes {lag.lag_ms:.0f} ms after its notes, or {song.lag_ms:.0f} ms")
    lag_ms = lag.lag_ms if clear else song.lag_ms
    found = _mapped(song.audio.stem, song.game, audio, lines, note_ms, lag_ms)
    return replace(found, has_downbeats=has_bars(song))


def rhythm_lines(song: RhythmSong) -> tuple[TimingPoint, ...]:
    """The red lines of a song of a rhythm collection, as written. Raises UnusableMapError where they are not its beat."""
    lines = tuple(TimingPoint(*line) for line in song.red_lines)
    check_red_lines(lines, song.heads_ms())
    if song.fit is not None and song.fit < MIN_FIT:
        raise UnusableMapError(f"only {song.fit:.0%} more of its notes are near an onset than of notes moved off it")
    return lines


def has_bars(song: RhythmSong) -> bool:
    """Whether the red lines of a song of a rhythm collection say where its bars are."""
    low, high = BAR_BEATS
    return song.game not in GAMES_WITHOUT_BARS and all(low <= meter <= high for _, _, meter in song.red_lines)


def _mapped(
    name: str,
    group: str,
    audio: Audio,
    lines: Sequence[TimingPoint],
    note_ms: NDArray[np.float64],
    lag_ms: float,
) -> MappedSong:
    points = tuple(replace(line, time_ms=line.time_ms + lag_ms) for line in lines)
    beats = beats_of(Timing(points, 1.0, (), audio.duration_ms))
    margin_ms = MARGIN_BEATS * float(np.median(np.diff(beats.time_ms)))
    first_ms = max(0.0, float(note_ms[0]) + lag_ms - margin_ms)
    last_ms = min(audio.duration_ms, float(note_ms[-1]) + lag_ms + margin_ms)
    return MappedSong(name, group, audio, beats.time_ms, beats.position == 1, first_ms, last_ms)


def check_red_lines(lines: Sequence[TimingPoint], note_ms: NDArray[np.float64]) -> None:
    """Raise UnusableMapError where the red lines are not the beat of the notes [note], increasing."""
    if not lines or not note_ms.size:
        raise UnusableMapError("has no red line or no note")
    beats = beats_of(Timing(tuple(lines), 1.0, (), float(note_ms[-1]) + 1))
    bpm = 60_000 / np.maximum(np.diff(beats.time_ms), 1e-6)
    low, high = BPM_RANGE
    if not bpm.size or ((bpm >= low) & (bpm <= high)).mean() < MIN_STEADY_SHARE:
        raise UnusableMapError(f"its red lines leave {low:.0f}–{high:.0f} BPM: visual effects, or no beat at all")
    share = grid_share(lines, note_ms)
    if share < MIN_GRID_SHARE:
        raise UnusableMapError(f"only {share:.0%} of its notes are on the grid of its own red lines")


def grid_share(lines: Sequence[TimingPoint], note_ms: NDArray[np.float64]) -> float:
    """Share of notes [note] within `GRID_MS` of a snap of the red line that rules them."""
    ruling = np.searchsorted([line.time_ms for line in lines], note_ms + 0.5, side="right").clip(1) - 1
    start = np.array([line.time_ms for line in lines])[ruling]
    length = np.array([line.beat_length_ms for line in lines])[ruling]
    errors = [
        np.abs((x := (note_ms - start) * divisor / length) - np.rint(x)) * length / divisor for divisor in DIVISORS
    ]
    return float((np.minimum(*errors) <= GRID_MS).mean())
