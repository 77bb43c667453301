"""4K charts: data model, problems, file formats, star rating. Imports runtime alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chart.analysis.star_rating import Strains, stars, strain_curve
from chart.formats.osu_read import format_osu, parse_osu, read_osu, write_osu
from chart.formats.osz import Beatmapset, read_osz, write_osz
from chart.formats.read import audio_beside, read_charts
from chart.model import KEYS, MACHINE_MADE_TAGS, Chart, Difficulty, Metadata, TimingPoint
from chart.problems import Problem, find_problems
from runtime.lazy import lazy_exports

if TYPE_CHECKING:
    from chart.formats.quaver import read_quaver
    from chart.formats.stepmania import read_stepmania

__all__ = [
    "KEYS",
    "MACHINE_MADE_TAGS",
    "Beatmapset",
    "Chart",
    "Difficulty",
    "Metadata",
    "Problem",
    "Strains",
    "TimingPoint",
    "audio_beside",
    "find_problems",
    "format_osu",
    "parse_osu",
    "read_charts",
    "read_osu",
    "read_osz",
    "read_quaver",
    "read_stepmania",
    "stars",
    "strain_curve",
    "write_osu",
    "write_osz",
]

__getattr__ = lazy_exports(
    __name__, {"chart.formats.quaver": ("read_quaver",), "chart.formats.stepmania": ("read_stepmania",)}
)
