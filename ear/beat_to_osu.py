"""Find a song's timing and write it as osu! red lines or JSON.

    python -m ear.beat_to_osu song.ogg -o out.timing.txt

The text can be pasted under [TimingPoints] of an `.osu` file. Times are on osu!'s clock, as ranked maps have them
(`ear.clock`), or as heard in the audio with `--clock audio`.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from chart.command import Command, use_utf8
from chart.model import TimingPoint

if TYPE_CHECKING:
    from ear.timing import Timing

LOW_CONFIDENCE = 0.5
"""Below this the user is told to check the timing."""


def red_lines(timing: Timing, clock: str) -> tuple[TimingPoint, ...]:
    """The timing's red lines on the clock of `osu` maps or of the `audio`; the first starts at 0 or later."""
    from ear.clock import OSU_CLOCK_MS

    points = [
        replace(point, time_ms=point.time_ms + (OSU_CLOCK_MS if clock == "osu" else 0.0)) for point in timing.points
    ]
    bar_ms = points[0].beat_length_ms * points[0].meter
    while points[0].time_ms < 0:
        points[0] = replace(points[0], time_ms=points[0].time_ms + bar_ms)
    return tuple(points)


def as_text(points: tuple[TimingPoint, ...]) -> str:
    """Red lines as an `.osu` file has them; whole ms would cost half a millisecond, so times keep three decimals."""
    from chart.osu_writing import number

    lines = [
        f"{number(round(point.time_ms, 3))},{number(point.beat_length_ms)},{point.meter},{point.sample_set},"
        f"{point.sample_index},{point.volume},1,{point.effects}"
        for point in points
    ]
    return "\n".join(["[TimingPoints]", *lines, ""])


def as_json(timing: Timing, points: tuple[TimingPoint, ...], clock: str) -> str:
    """Everything that was found, times in ms on the clock named."""
    found = {
        "clock": clock,
        "bpm": timing.bpm,
        "offset_ms": points[0].time_ms,
        "meter": timing.meter,
        "confidence": timing.confidence,
        "alternatives": [{"bpm": other.bpm, "chance": other.chance} for other in timing.alternatives],
        "red_lines": [
            {"time_ms": point.time_ms, "beat_length_ms": point.beat_length_ms, "meter": point.meter} for point in points
        ],
    }
    return json.dumps(found, indent=2) + "\n"


def summary(timing: Timing, points: tuple[TimingPoint, ...]) -> str:
    """What was found, in one line."""
    lines = "1 red line" if len(points) == 1 else f"{len(points)} red lines"
    others = ", ".join(f"{other.bpm:.2f} ({other.chance:.0%})" for other in timing.alternatives)
    return (
        f"{timing.bpm:.3f} BPM, first downbeat at {points[0].time_ms:.1f} ms, {timing.meter}/4, {lines}, "
        f"confidence {timing.confidence:.0%}" + (f"; else {others}" if others else "")
    )


@click.command(cls=Command)
@click.argument("song", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="File to write (.json: everything found; else red lines)."
)
@click.option(
    "--clock",
    type=click.Choice(["osu", "audio"]),
    default="osu",
    show_default=True,
    help="Times as ranked osu! maps have them, or as heard in the audio.",
)
def main(song: Path, output: Path | None, clock: str) -> None:
    """Find the BPM, offset and metre of SONG and write osu! red lines (to the screen without -o)."""
    from chart.saving import save_bytes
    from ear.audio import load_audio
    from ear.timing import find_timing

    use_utf8()
    timing = find_timing(load_audio(song))
    points = red_lines(timing, clock)
    text = as_json(timing, points, clock) if output and output.suffix.lower() == ".json" else as_text(points)
    if output is None:
        click.echo(summary(timing, points), err=True)
        click.echo(text, nl=False)
    else:
        save_bytes(output, text.encode("utf-8"))
        click.echo(summary(timing, points))
        click.echo(f"wrote {output}", err=True)
    if timing.confidence < LOW_CONFIDENCE:
        click.echo("the beat is not clear: check it by ear before mapping on it", err=True)


if __name__ == "__main__":
    main()
