"""Find a song's BPM, offset and meter and write them as osu! red lines.

    python -m ear.beat_to_osu song.ogg -o out.timing.txt
    python -m ear.beat_to_osu song.ogg --timing-profile live --plot song.png -o out.osu

The text can be pasted under [TimingPoints] of an `.osu` file. Times are on osu!'s clock, as ranked maps have them
(`ear.audio.clock`), or the audio's with `--clock audio`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from runtime.command import Command, use_utf8
from runtime.errors import ConfigError
from runtime.limits import limit_options
from runtime.progress import stages, waiting

if TYPE_CHECKING:
    from ear.audio.decode import Audio
    from ear.given_timing import GivenTiming
    from ear.song_timing import TimedSong
    from ear.timing.model import Timing

STAGES = {"network": "running the beat network", "timing": "finding the timing"}


@dataclass(frozen=True, slots=True)
class Config:
    """Arguments of the command."""

    song: Path
    output: Path | None = None  # .osu, .json, else red lines; None: only the screen
    profile: Literal["auto", "stable", "live"] = "auto"
    checkpoint: str = "bundled"
    device: str = "auto"
    clock: Literal["osu", "audio"] = "osu"
    notes: Path | None = None
    plot: Path | None = None
    dump_dir: Path | None = None
    bpm: float | None = None  # where the user knows it
    offset: float | None = None  # ms of a downbeat on the clock asked for, where the user knows it
    tempo: str = ""  # "double" or "half" of what is found
    overwrite: bool = False  # a chart with notes at `output`

    def __post_init__(self) -> None:
        if self.plot is not None and self.plot.suffix.lower() != ".png":
            raise ConfigError(f"--plot {self.plot}: pictures are written as .png; change the name's end")


def run(config: Config) -> TimedSong:
    """Time the song and write the files requested, with progress on stderr."""
    with waiting("Starting"):
        from chart.formats.written import require_replaceable
        from ear.audio.decode import load_audio
        from ear.song_timing import time_song
        from runtime.atomic_write import check_writable

    for path in (config.output, config.plot):
        if path is not None:
            require_replaceable(path, config.overwrite)
            check_writable(path)
    with waiting("Decoding"):
        audio = load_audio(config.song)
    if audio.notice:
        click.echo(f"warning: {audio.notice}", err=True)
    with stages(STAGES) as report:
        found = time_song(audio, config.checkpoint, config.device, config.profile, report)
    found = replace(found, timing=_given(config).apply(found.timing, audio))
    if config.notes is not None:
        found = replace(found, timing=_placed_by_notes(found.timing, config.notes, config.clock))
    _write(config, found, audio)
    return found


def _given(config: Config) -> GivenTiming:
    """Timing values given by the user, on the audio's clock."""
    from ear.audio.clock import from_osu_clock
    from ear.given_timing import GivenTiming

    on_osu_clock = config.clock == "osu" and config.offset is not None
    return GivenTiming(
        config.bpm, from_osu_clock(config.offset or 0.0) if on_osu_clock else config.offset, config.tempo
    )


def _placed_by_notes(timing: Timing, chart_path: Path, clock: str) -> Timing:
    """The timing shifted so that a chart's notes, on the requested clock, lie on its beats."""
    from chart.formats.osu_read import read_osu
    from ear.audio.clock import from_osu_clock
    from ear.fitting.note_offset import offset_of_notes

    note_ms = read_osu(chart_path).time_ms
    fit = offset_of_notes(timing.points, from_osu_clock(note_ms) if clock == "osu" else note_ms)
    click.echo(f"shifted by {fit.shift_ms:+.1f} ms to the notes, {fit.share:.0%} of which lie on the beats", err=True)
    return replace(
        timing, points=tuple(replace(point, time_ms=point.time_ms + fit.shift_ms) for point in timing.points)
    )


def _write(config: Config, found: TimedSong, audio: Audio) -> None:
    """Write the files; stdout gets the summary, or the red lines where no output file is requested."""
    from ear.audio.decode import read_tags
    from ear.given_timing import doubt_of
    from ear.timing_files import as_json, as_osu, as_text, dump, red_lines, summary
    from runtime.atomic_write import save_bytes

    points = red_lines(found.timing, config.clock)
    kind = config.output.suffix.lower() if config.output else ""
    if kind == ".json":
        text = as_json(found.timing, points, config.clock)
    elif kind == ".osu":
        text = as_osu(points, config.song, read_tags(config.song))
    else:
        text = as_text(points)
    click.echo(summary(found.timing, points), err=config.output is None)
    if config.output is None:
        click.echo(text, nl=False)
    else:
        save_bytes(config.output, text.encode("utf-8"))
        click.echo(f"wrote {config.output}", err=True)
    if config.dump_dir is not None:
        for path in dump(found, config.dump_dir):
            click.echo(f"wrote {path}", err=True)
    if config.plot is not None:
        from ear.plots import draw_timing

        draw_timing(audio, found, config.plot, title=config.song.stem)
        click.echo(f"wrote {config.plot}", err=True)
    if doubt := doubt_of(found.timing):
        click.echo(f"{doubt}: check it by ear before mapping on it", err=True)


_file = click.Path(dir_okay=False, path_type=Path)


@click.command(cls=Command)
@click.argument("song", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=_file, help="File to write: .osu, .json (everything found), else red lines.")
@click.option(
    "--timing-profile",
    "profile",
    type=click.Choice(["auto", "stable", "live"]),
    default="auto",
    show_default=True,
    help="stable: as few red lines as fit the song; live: about one a bar; auto: live where few lines do not fit.",
)
@click.option(
    "--checkpoint", default="bundled", show_default=True, help="Beat network: bundled, final0, small0, a file, or none."
)
@click.option("--device", default="auto", show_default=True, help="Where the network runs: auto, cpu, cuda, …")
@click.option(
    "--clock",
    type=click.Choice(["osu", "audio"]),
    default="osu",
    show_default=True,
    help="Times as ranked osu! maps have them, or of the audio.",
)
@click.option("--notes", type=_file, help="Chart (.osu) whose notes the beats are shifted to, on the same clock.")
@click.option("--plot", type=_file, help="Picture (.png) of waveform, activations, beats and red lines to write.")
@click.option(
    "--dump-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder to write activations and beats to, for debugging.",
)
@click.option("--bpm", type=float, help="The song's tempo, where you know it.")
@click.option("--offset", type=float, help="Where you know it: ms of a downbeat, on the clock of --clock.")
@click.option("--tempo", type=click.Choice(["double", "half"]), help="Twice or half the tempo that is found.")
@click.option("--overwrite", is_flag=True, help="Replace a chart with notes that is there.")
@limit_options
def main(tempo: str | None, **options: object) -> None:
    """Find the BPM, offset and meter of SONG and write osu! red lines (to the screen without -o)."""
    use_utf8()
    run(Config(tempo=tempo or "", **options))  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
