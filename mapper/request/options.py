"""Options of `generate` with their ranges, and their form on the command line."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from chart.analysis.pattern_mix import FAMILIES
from mapper.request.arguments import read_ratio
from mapper.request.levels import stars_of_names
from runtime.errors import ConfigError

MIN_STARS, MAX_STARS = 0.5, 10.0
MAX_DIFFICULTIES = 16
DEFAULT_STARS = (2.0, 3.5, 5.0)
MAX_HOLDS = 0.9
"""Hold shares above this leave no taps to hold against; "full LN" maps have about .9."""
MIN_TOLERANCE = 0.01
MAX_CANDIDATES = 32
MAX_GUIDANCE = 3.0
PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png")
MAX_DYNAMICS = 1.5
DENSITY_RANGE = (0.5, 1.6)
"""Allowed density against human charts of the same stars; the training data ends there."""
STYLES = ("keyboard", "pad")


@dataclass(frozen=True)
class Effort:
    """Effort of a search: number of candidates and rounds."""

    takes: int  # of each difficulty and round
    rounds: int


EFFORTS = {"fast": Effort(2, 2), "normal": Effort(3, 4), "best": Effort(6, 6)}


@dataclass(frozen=True)
class GenerateConfig:
    """Request of `generate`; the field names are the options of the command."""

    song: Path | None = None  # None: the audio of `from_map`
    out: Path | None = None  # None: the song's name
    overwrite: bool = False  # a set at `out` that is not as this project wrote it
    stars: tuple[float, ...] = ()  # and `names` empty: DEFAULT_STARS, or those of the charts of `section`
    names: tuple[str, ...] = ()  # --set, such as "easy"
    seed: int = 0
    style: str = ""  # empty: as in `like`, else keyboard
    holds: float | None = None  # share of notes
    patterns: dict[str, float] = field(default_factory=dict)  # family → share of rows
    density: float | None = (
        None  # notes a second against people's charts of the same stars; None: that of `like`, else 1
    )
    like: Path | None = None
    from_map: Path | None = None
    difficulty: str = ""  # of `from_map`, for `section`; empty: all
    section: tuple[float, float] | None = None  # ms
    timing: Path | None = None
    bpm: float | None = None  # where the user knows it
    offset: float | None = None  # ms of a downbeat on osu!'s clock, where the user knows it
    tempo: str = ""  # "double" or "half" of what is found
    title: str = ""  # empty: the song's tag, else its file name
    artist: str = ""  # empty: the song's tag, else "Unknown Artist"
    title_romanised: str = ""  # empty: made from the title
    artist_romanised: str = ""  # empty: made from the artist
    hp: float | None = None  # None: that of the difficulty's level
    od: float | None = None
    preview: float | None = None  # seconds of the song; None: where its highlight starts
    kiai: bool = True
    background: Path | None = None  # picture; None: the song's cover
    cover: bool = True
    creator: str = ""  # empty: that of `from_map`, else "mania4k"
    audio_start: float = 0.0  # seconds before which no note falls
    tolerance: float = 0.05  # stars
    effort: str = "normal"
    dynamics: float = 1.0  # 0: density is the same throughout, 1: varies as in people's charts, 1.5: more
    guidance: float = 1.0  # 1: stars, style, holds and patterns weigh as they were taught; more: they weigh more
    candidates: int | None = None  # takes of each difficulty and round, instead of the effort's
    time_budget: float | None = None  # seconds after which no further round begins; None: as many as the effort has
    checkpoint: Path | None = None  # a file, or a folder of `mania4k export`; None: the bundled mapper
    backend: str = "auto"  # of mapper.network.load.BACKENDS
    device: str = "auto"  # such as cpu, cuda, cuda:1, rocm or dml

    def __post_init__(self) -> None:
        self._check_stars()
        self._check_steering()
        self._check_map()
        if not (math.isfinite(self.audio_start) and self.audio_start >= 0):
            raise ConfigError(f"--audio-start {self.audio_start:g}: must be 0 or more seconds")
        if self.seed < 0:
            raise ConfigError(f"--seed {self.seed}: must be 0 or more")
        if not (math.isfinite(self.tolerance) and self.tolerance >= MIN_TOLERANCE):
            raise ConfigError(f"--tolerance {self.tolerance:g}: must be {MIN_TOLERANCE:g} stars or more")
        if self.effort not in EFFORTS:
            raise ConfigError(f"effort {self.effort}: must be one of {' '.join(EFFORTS)}")
        if not 0 <= self.dynamics <= MAX_DYNAMICS:
            raise ConfigError(f"--dynamics {self.dynamics:g}: must be 0 to {MAX_DYNAMICS:g} (1 is as people's charts)")
        if not 0 <= self.guidance <= MAX_GUIDANCE:
            raise ConfigError(f"--guidance {self.guidance:g}: must be 0 to {MAX_GUIDANCE:g} (1 is normal)")
        if self.candidates is not None and not 1 <= self.candidates <= MAX_CANDIDATES:
            raise ConfigError(f"--candidates {self.candidates}: must be 1 to {MAX_CANDIDATES}")
        if self.time_budget is not None and not self.time_budget > 0:
            raise ConfigError(f"--time-budget {self.time_budget:g}: must be more than 0 seconds")
        self._check_settings()
        if self.out is not None and self.out.suffix.lower() != ".osz":
            raise ConfigError(f"--out {self.out}: the name must end in .osz")

    def _check_settings(self) -> None:
        for name, value in (("hp", self.hp), ("od", self.od)):
            if value is not None and not 0 <= value <= 10:
                raise ConfigError(f"--{name} {value:g}: must be 0 to 10")
        if self.preview is not None and not (math.isfinite(self.preview) and self.preview >= 0):
            raise ConfigError(f"--preview {self.preview:g}: must be 0 or more seconds")
        if self.background is not None and self.background.suffix.lower() not in PICTURE_SUFFIXES:
            raise ConfigError(f"--background {self.background}: must be one of {' '.join(PICTURE_SUFFIXES)}")
        if self.background is not None and not self.background.is_file():
            raise ConfigError(f"--background {self.background}: no such file; check the name")

    def _check_stars(self) -> None:
        if self.stars and self.names:
            raise ConfigError("--stars and --set contradict one another: give one")
        if len(self.stars) > MAX_DIFFICULTIES:
            raise ConfigError(f"--stars takes 1 to {MAX_DIFFICULTIES} star ratings, not {len(self.stars)}")
        for value in self.stars:
            if not (math.isfinite(value) and MIN_STARS <= value <= MAX_STARS):
                raise ConfigError(f"--stars {value:g}: ask for {MIN_STARS:g} to {MAX_STARS:g} stars")
        stars_of_names(self.names)

    def _check_steering(self) -> None:
        if self.style and self.style not in STYLES:
            raise ConfigError(f"--style {self.style}: must be one of {' '.join(STYLES)}")
        if self.holds is not None and not 0 <= self.holds <= MAX_HOLDS:
            raise ConfigError(f"--holds {self.holds:g}: must be a share from 0 to {MAX_HOLDS:g}")
        low, high = DENSITY_RANGE
        if self.density is not None and not low <= self.density <= high:
            raise ConfigError(f"--density {self.density:g}: must be {low:g} to {high:g} (1 is as people's charts)")
        for name, share in self.patterns.items():
            if name not in FAMILIES:
                raise ConfigError(f"--patterns {name}: unknown; there are {' '.join(FAMILIES)}")
            if not 0 <= share <= 1:
                raise ConfigError(f"--patterns {name}={share:g}: must be a share of rows from 0 to 1, or 0% to 100%")
        if sum(self.patterns.values()) > 1 + 1e-9:
            raise ConfigError(
                f"--patterns: shares of {sum(self.patterns.values()):.0%} together; a chart has 100% of rows"
            )

    def _check_map(self) -> None:
        if self.song is None and self.from_map is None:
            raise ConfigError("no song: name an audio file, or a map with --from")
        if self.section is not None and self.from_map is None:
            raise ConfigError("--section needs --from with the map whose section shall be written anew")
        if self.names and self.section is not None:
            raise ConfigError(
                "--set names new difficulties; name the chart whose --section is written with --difficulty"
            )
        if self.difficulty and self.section is None:
            raise ConfigError("--difficulty says in which chart a --section is written anew; give --section too")
        if self.timing is not None and self.from_map is not None:
            raise ConfigError("--timing and --from contradict one another: the map has its own timing")
        given = [name for name in ("bpm", "offset", "tempo") if getattr(self, name) not in (None, "")]
        if given and (self.timing is not None or self.from_map is not None):
            raise ConfigError(f"--{given[0]} changes the timing that is found; --timing and --from have their own")

    @property
    def target_stars(self) -> tuple[float, ...]:
        """The stars to write, from stars, names or the default."""
        return self.stars or stars_of_names(self.names) or DEFAULT_STARS

    @property
    def takes(self) -> int:
        """Charts written side by side for each difficulty."""
        return EFFORTS[self.effort].takes if self.candidates is None else self.candidates

    @property
    def rounds(self) -> int:
        """Rounds of takes at most."""
        return EFFORTS[self.effort].rounds

    @property
    def pattern_shares(self) -> tuple[float, ...]:
        """[family], nan where nothing was asked."""
        return tuple(self.patterns.get(name, np.nan) for name in FAMILIES)


def parse_patterns(text: str) -> dict[str, float]:
    """`jumpstream=.5,chordjack=.1` → family → share."""
    shares = {}
    for part in text.replace(" ", "").split(","):
        name, equals, share = part.partition("=")
        try:
            shares[name] = read_ratio(share)
        except ValueError:
            equals = ""
        if not equals:
            raise ConfigError(f"--patterns {text}: write it as jumpstream=.5,chordjack=.1")
    return shares


def parse_section(text: str) -> tuple[float, float]:
    """`1:05-1:20` → (start, end) in ms; seconds alone and fractions are read too."""
    match = re.fullmatch(r"\s*(?:(\d+):)?(\d+(?:\.\d+)?)\s*[-–]\s*(?:(\d+):)?(\d+(?:\.\d+)?)\s*", text)
    if match is None:
        raise ConfigError(f"--section {text}: write it as 1:05-1:20, minutes and seconds of the song")
    start, end = (60_000.0 * int(match[at] or 0) + 1000.0 * float(match[at + 1]) for at in (1, 3))
    if end <= start:
        raise ConfigError(f"--section {text}: ends before it starts")
    return start, end
