"""Writing osu!mania 4K `.osu` v14 files.

Notes are rounded to whole milliseconds (`chart.hit_objects`); timing points keep their full precision, as the game reads
them.
"""

from __future__ import annotations

from pathlib import Path

from chart.formats.parsing import shown
from chart.hit_objects import format_notes
from chart.model import Chart, TimingPoint
from chart.problems import require_valid
from runtime.atomic_write import save_bytes

_HEAD = """\
osu file format v14

[General]
AudioFilename: {audio_filename}
AudioLeadIn: {audio_lead_in_ms}
PreviewTime: {preview_ms}
Countdown: 0
SampleSet: Soft
StackLeniency: 0.7
Mode: 3
LetterboxInBreaks: 0
SpecialStyle: 0
WidescreenStoryboard: 0

[Editor]
DistanceSpacing: 1
BeatDivisor: 4
GridSize: 4
TimelineZoom: 1

[Metadata]
Title:{title}
TitleUnicode:{title_unicode}
Artist:{artist}
ArtistUnicode:{artist_unicode}
Creator:{creator}
Version:{version}
Source:{source}
Tags:{tags}
BeatmapID:{beatmap_id}
BeatmapSetID:{beatmap_set_id}

[Difficulty]
HPDrainRate:{hp}
CircleSize:4
OverallDifficulty:{od}
ApproachRate:5
SliderMultiplier:1.4
SliderTickRate:1

[Events]
//Background and Video events
{background}//Break Periods
{breaks}//Storyboard Layer 0 (Background)

[TimingPoints]
{timing_points}
"""


def write_osu(chart: Chart, path: Path) -> None:
    """Write the chart as `.osu` v14 (UTF-8, all or nothing)."""
    save_bytes(Path(path), format_osu(chart).encode("utf-8"))


def format_osu(chart: Chart) -> str:
    """The chart as the text of an `.osu` file; raises `ChartFileError` for problems of `REFUSED_KINDS`."""
    require_valid(chart, shown(chart.metadata.version or chart.metadata.title) or "chart")
    return "\n".join([_format_head(chart), "[HitObjects]", *format_notes(chart), ""])


def _format_head(chart: Chart) -> str:
    """Everything above the notes."""
    names = chart.metadata
    return _HEAD.format(
        audio_filename=chart.audio_filename,
        audio_lead_in_ms=chart.audio_lead_in_ms,
        preview_ms=chart.preview_ms,
        title=names.title,
        title_unicode=names.title_unicode,
        artist=names.artist,
        artist_unicode=names.artist_unicode,
        creator=names.creator,
        version=names.version,
        source=names.source,
        tags=" ".join(names.tags),
        beatmap_id=names.beatmap_id,
        beatmap_set_id=names.beatmap_set_id,
        hp=number(chart.difficulty.hp),
        od=number(chart.difficulty.od),
        background=f'0,0,"{chart.background}",0,0\n' if chart.background else "",
        breaks="".join(f"2,{round(start)},{round(end)}\n" for start, end in chart.breaks),
        timing_points="".join(f"{_format_timing_point(point)}\n" for point in chart.timing_points),
    )


def _format_timing_point(point: TimingPoint) -> str:
    return (
        f"{number(point.time_ms)},{number(point.beat_length_ms)},{point.meter},{point.sample_set},"
        f"{point.sample_index},{point.volume},{int(point.uninherited)},{point.effects}"
    )


def number(value: float) -> str:
    """The shortest decimal text that reads back as the same float64."""
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(float(value))
