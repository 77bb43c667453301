"""The command line of `generate`: options in, one call, a table out. Nothing heavy is imported before it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mapper.request.arguments import Ratio, check_song, effort_of
from runtime.command import ChoicesOption, Command, NumbersOption, OutputFile, use_utf8
from runtime.limits import limit_options
from runtime.progress import stages, waiting

PATH = click.Path(path_type=Path)
LEVELS = ("easy", "normal", "hard", "insane", "expert", "expert+")
EFFORT_HELP = {
    "fast": "Few candidates: quicker, less exact.",
    "best": "Many candidates: slower, nearer to the request.",
}


@click.command(
    cls=Command,
    help="Write an .osz with 4K difficulties for SONG (mp3, ogg, opus, flac or wav), or one for each song of a folder.",
)
@click.argument("song", type=PATH, required=False)
@click.option("-o", "--out", type=PATH, help="The .osz to write (for a folder: the folder); default: the song's name.")
@click.option("--stars", cls=NumbersOption, help="One difficulty each: --stars 2 3.5 5 (the default).")
@click.option("--set", "names", cls=ChoicesOption, choices=LEVELS, help=f"By name: --set {' '.join(LEVELS)}")
@click.option("--seed", default=0, show_default=True, help="Another seed writes other charts.")
@click.option("--style", type=click.Choice(["keyboard", "pad"]), help="Default: that of --like, else keyboard.")
@click.option("--holds", type=Ratio(), help="Ratio of holds among the notes, such as 0.2; default: 0.1, as usual.")
@click.option("--patterns", help="Ratio of rows in each: jumpstream=.5,chordjack=.1")
@click.option("--density", type=float, help="Notes a second against people's charts of these stars: 0.5 to 1.6.")
@click.option("--like", type=PATH, help="Follow a map's style, holds, patterns and density.")
@click.option("--from", "from_map", type=PATH, help="Keep a map's timing, song and names; add difficulties to it.")
@click.option("--section", help="With --from: regenerate only 1:05-1:20 of its charts.")
@click.option("--difficulty", default="", help="With --section: only in the chart of this name.")
@click.option("--timing", type=PATH, help="Timing to map on: a .timing.txt of `mania4k timing`, or a chart.")
@click.option("--bpm", type=float, help="The song's tempo, where you know it.")
@click.option("--offset", type=float, help="Where you know it: ms of a downbeat, as osu!'s editor has it.")
@click.option("--tempo", type=click.Choice(["double", "half"]), help="Twice or half the tempo that is found.")
@click.option("--title", default="", help="Default: the song's tag, else its file name.")
@click.option("--artist", default="", help="Default: the song's tag.")
@click.option("--title-romanised", default="", help="Title in ASCII; default: spelt from the title.")
@click.option("--artist-romanised", default="", help="Artist in ASCII; default: spelt from the artist.")
@click.option("--creator", default="", help="Name of the mapper shown in the game; default: mania4k.")
@click.option("--hp", type=float, help="HP drain of all difficulties; default: by level.")
@click.option("--od", type=float, help="Overall difficulty of all; default: by level.")
@click.option("--preview", type=float, help="Second at which the preview starts; default: the highlight.")
@click.option("--kiai/--no-kiai", default=True, help="Mark the highlights as kiai.")
@click.option("--background", type=PATH, help="Picture (.jpg, .png); default: the cover in the song's tags.")
@click.option("--cover/--no-cover", default=True, help="Take the cover in the song's tags as background.")
@click.option("--audio-start", default=0.0, show_default=True, help="No note before this second of the song.")
@click.option("--tolerance", default=0.05, show_default=True, help="Stars that a difficulty may be off.")
@click.option("--dynamics", default=1.0, show_default=True, help="How much density follows the song: 0 flat to 1.5.")
@click.option(
    "--guidance",
    default=1.0,
    show_default=True,
    help="Above 1: requests weigh more (classifier-free guidance); slower.",
)
@click.option("--fast", is_flag=True, help=EFFORT_HELP["fast"])
@click.option("--best", is_flag=True, help=EFFORT_HELP["best"])
@click.option("--candidates", type=int, help="Candidates of each difficulty, written side by side (normally 3).")
@click.option("--time-budget", type=float, help="Seconds after which the best candidate so far is used.")
@click.option("--checkpoint", type=PATH, help="A mapper trained by you, or its folder of `export`.")
@click.option("--backend", type=click.Choice(["auto", "torch", "onnx"]), default="auto", show_default=True)
@click.option("--device", default="auto", show_default=True, help="Device of the encoder: cpu, cuda, rocm, dml.")
@click.option(
    "--report", "report_path", type=OutputFile(".json"), help="Write requested and achieved values as JSON (.json)."
)
@click.option("--overwrite", is_flag=True, help="Replace a set and page that are there, whoever wrote them.")
@click.option("--no-page", is_flag=True, help="Write no page to watch and play the charts on (folders get none).")
@click.option("--workers", default=1, show_default=True, help="For a folder: songs at a time.")
@limit_options
@click.option("--ray", default="", help="For a folder: address of a Ray cluster, HOST:PORT; folders must be shared.")
def main(song: Path | None, report_path: Path | None, no_page: bool, workers: int, ray: str, **options: Any) -> None:
    use_utf8()
    from mapper.request.options import GenerateConfig, parse_patterns, parse_section

    options["effort"] = effort_of(options.pop("fast"), options.pop("best"))
    check_song(song)
    options["patterns"] = parse_patterns(options["patterns"]) if options["patterns"] else {}
    options["section"] = parse_section(options["section"]) if options["section"] else None
    chosen = {name: value for name, value in options.items() if value is not None}
    if song is not None and song.is_dir() and chosen.get("out", Path()).suffix.lower() != ".osz":
        from mapper.batch import generate_folder
        from runtime.workers import Workers

        generate_folder(song, chosen.pop("out", None), chosen, report_path, Workers(workers, ray))
        return
    if song is None and "from_map" not in chosen:
        raise click.UsageError("no song: name an audio file, or a map with --from")
    _one_song(GenerateConfig(song=song, **chosen), report_path, not no_page)


def _one_song(config: Any, report_path: Path | None, with_page: bool) -> None:
    with waiting("Starting"):
        from agents.judgement.score_kernels import count_plays
        from mapper.output.report import warnings_of
        from mapper.output.tables import print_set
        from mapper.pipeline import default_out, run
        from runtime.atomic_write import check_writable
        from runtime.loops import compiling_beside

    if report_path is not None:
        check_writable(report_path)
    page = (config.out or default_out(config)).with_suffix(".html") if with_page else None
    names = {"hear": "Analysing the song", "write": "Writing charts", "pack": "Packing"}
    with compiling_beside(count_plays, "plays"), stages(names) as progress:
        result = run(config, progress, page=page)
    assert result.report is not None, "run always reports"
    print_set(result.report, result.path)
    for line in warnings_of(result.report):
        click.echo(f"warning: {line}", err=True)
    if report_path is not None:
        result.report.save(report_path)
    if result.page_problem:
        click.echo(f"warning: no page was written: {result.page_problem}", err=True)
    elif result.page is not None:
        click.echo(result.page)
    click.echo(result.path)


if __name__ == "__main__":
    main()
