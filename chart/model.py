"""The chart data model that all packages exchange.

All times are float64 milliseconds on the audio's own clock (0 = first decoded sample). Columns are numbered 0–3
from left to right; 0 and 1 belong to the left hand, 2 and 3 to the right.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

KEYS = 4
"""Columns of every chart in this project."""

MACHINE_MADE_TAGS = ("mania4k", "machine-made", "ai-generated", "not-for-ranking")
"""Tags on every generated chart: the game's ranking criteria bar generated maps."""


@dataclass(frozen=True, slots=True)
class TimingPoint:
    """A red line (tempo, metre) or a green line (scroll speed) of an `.osu` file.

    Red lines (`uninherited`) start a new bar at `time_ms`; `beat_length_ms` > 0 is one beat.
    Green lines carry the scroll speed as osu! writes it: `beat_length_ms` = -100 / multiplier.
    """

    time_ms: float
    beat_length_ms: float
    meter: int = 4  # beats per bar, ≥ 1
    uninherited: bool = True
    sample_set: int = 1
    sample_index: int = 0
    volume: int = 100  # percent
    effects: int = 0  # osu! bit mask: 1 kiai, 8 omit first bar line

    @property
    def bpm(self) -> float:
        """Beats per minute; meaningful on red lines only."""
        return 60_000.0 / self.beat_length_ms


@dataclass(frozen=True, slots=True)
class Metadata:
    """Names as the game shows them; `title` and `artist` are the romanised forms."""

    title: str = ""
    title_unicode: str = ""
    artist: str = ""
    artist_unicode: str = ""
    creator: str = ""
    version: str = ""  # the difficulty's name
    source: str = ""
    tags: tuple[str, ...] = ()
    beatmap_id: int = 0
    beatmap_set_id: int = -1


@dataclass(frozen=True, slots=True)
class Difficulty:
    """Difficulty settings of osu!mania; both in 0–10."""

    hp: float = 8.0
    od: float = 8.0


@dataclass(frozen=True, eq=False)
class Chart:
    """One 4K difficulty.

    Invariants (`chart.problems.find_problems` lists what breaks them):
    notes sorted by (time_ms, column); one note per column and time; a hold ends after it starts and before the
    next note of its column; red lines sorted, finite and positive.
    Build one with `Chart.from_notes`, which sorts; the plain constructor takes the arrays as they are.
    """

    time_ms: NDArray[np.float64]  # [note], non-decreasing
    column: NDArray[np.int8]  # [note], 0–3
    end_ms: NDArray[np.float64]  # [note], nan = tap
    timing_points: tuple[TimingPoint, ...] = ()
    metadata: Metadata = field(default_factory=Metadata)
    difficulty: Difficulty = field(default_factory=Difficulty)
    audio_filename: str = "audio.ogg"
    audio_lead_in_ms: int = 0
    preview_ms: int = -1  # -1 = unset
    background: str = ""
    breaks: tuple[tuple[float, float], ...] = ()  # (start_ms, end_ms)

    def __post_init__(self) -> None:
        object.__setattr__(self, "time_ms", np.ascontiguousarray(self.time_ms, dtype=np.float64))
        object.__setattr__(self, "column", np.ascontiguousarray(self.column, dtype=np.int8))
        object.__setattr__(self, "end_ms", np.ascontiguousarray(self.end_ms, dtype=np.float64))
        assert self.time_ms.shape == self.column.shape == self.end_ms.shape, "note arrays differ in length"
        for array in (self.time_ms, self.column, self.end_ms):
            array.flags.writeable = False

    @classmethod
    def from_notes(
        cls,
        time_ms: Iterable[float] | NDArray[np.float64],
        column: Iterable[int] | NDArray[np.int8],
        end_ms: Iterable[float] | NDArray[np.float64] | None = None,
        **fields: object,
    ) -> Chart:
        """A chart of these notes in any order; `end_ms` is nan (or absent) for taps."""
        time = np.asarray(list(time_ms) if not isinstance(time_ms, np.ndarray) else time_ms, dtype=np.float64)
        col = np.asarray(list(column) if not isinstance(column, np.ndarray) else column, dtype=np.int8)
        if end_ms is None:
            end = np.full(time.shape, np.nan)
        else:
            end = np.asarray(list(end_ms) if not isinstance(end_ms, np.ndarray) else end_ms, dtype=np.float64)
        order = np.lexsort((col, time))
        return cls(time[order], col[order], end[order], **fields)  # type: ignore[arg-type]

    def __len__(self) -> int:
        return int(self.time_ms.size)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Chart):
            return NotImplemented
        return (
            np.array_equal(self.time_ms, other.time_ms)
            and np.array_equal(self.column, other.column)
            and np.array_equal(self.end_ms, other.end_ms, equal_nan=True)
            and self._scalars() == other._scalars()
        )

    __hash__ = None  # type: ignore[assignment]

    def _scalars(self) -> tuple[object, ...]:
        return (
            self.timing_points,
            self.metadata,
            self.difficulty,
            self.audio_filename,
            self.audio_lead_in_ms,
            self.preview_ms,
            self.background,
            self.breaks,
        )

    @property
    def is_hold(self) -> NDArray[np.bool_]:
        """[note], true for holds."""
        return ~np.isnan(self.end_ms)

    @property
    def last_ms(self) -> float:
        """End of the last note or hold; 0 for an empty chart."""
        return float(np.fmax(self.time_ms, self.end_ms).max()) if len(self) else 0.0

    @property
    def red_lines(self) -> tuple[TimingPoint, ...]:
        """The uninherited timing points: tempo and metre."""
        return tuple(point for point in self.timing_points if point.uninherited)

    def shifted(self, by_ms: float) -> Chart:
        """A copy of the chart moved `by_ms` later on the audio's clock, with its timing points and breaks."""
        return replace(
            self,
            time_ms=self.time_ms + by_ms,
            end_ms=self.end_ms + by_ms,
            timing_points=tuple(replace(point, time_ms=point.time_ms + by_ms) for point in self.timing_points),
            breaks=tuple((start + by_ms, end + by_ms) for start, end in self.breaks),
        )

    def mirrored(self) -> Chart:
        """Columns reversed left to right, as the game's Mirror mod does."""
        return Chart.from_notes(
            self.time_ms, (KEYS - 1 - self.column).astype(np.int8), self.end_ms, **self._fields_but_notes()
        )

    def _fields_but_notes(self) -> dict[str, object]:
        names = (
            "timing_points",
            "metadata",
            "difficulty",
            "audio_filename",
            "audio_lead_in_ms",
            "preview_ms",
            "background",
            "breaks",
        )
        return {name: getattr(self, name) for name in names}
