"""The report page: one HTML file in which a chart scrolls with its music and can be played.

    python -m eye.page map.osz -o map.html

Simulated players play along, the review's findings are pinned to the timeline, and D F J K play it. Nothing is fetched
from anywhere. docs/eye.md describes the page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from chart.formats.written import require_replaceable
from runtime.command import Command, OutputFile, use_utf8
from runtime.errors import ConfigError
from runtime.limits import limit_options
from runtime.progress import waiting

if TYPE_CHECKING:
    from chart.model import Chart
    from eye.critique.explanation import ModelReasons
    from eye.critique.types import Review
    from eye.rendering.page_data import PageChart
    from eye.rendering.page_players import LevelPlays
    from eye.rendering.page_song import PageSong, SongFile


@dataclass(frozen=True)
class PageConfig:
    """Request of a page; the field names are the options of the command."""

    path: Path
    out: Path
    audio: Path | None = None  # None: the one in the set, or beside the chart
    audio_beside: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if self.out.suffix.lower() not in (".html", ".htm"):
            raise ConfigError(f"--out {self.out}: the name must end in .html")
        if self.seed < 0:
            raise ConfigError(f"--seed {self.seed}: must be 0 or more")


def write_page(
    charts: Sequence[Chart],
    reviews: Sequence[Review],
    song: SongFile | None,
    out: Path,
    *,
    levels: Sequence[tuple[LevelPlays, ...]] | None = None,
    page_song: PageSong | None = None,
    audio_beside: bool = False,
    seed: int = 0,
) -> Path:
    """Write the page of a set, all or nothing; `reviews` (and `levels`, if given) are one a chart.

    page_song: analysis of the song; by default a note's sound is as late as in ranked osu! maps.
    Raises ConfigError for what is too large and OutputError where nothing can be written.
    """
    from ear.audio.clock import OSU_CLOCK_MS
    from eye.rendering.page_data import check_size, pack, page_data
    from eye.rendering.page_html import html_page
    from eye.rendering.page_song import MAX_AUDIO_BYTES, PageSong
    from runtime.atomic_write import save_bytes
    from runtime.outputs import AUDIO_SUFFIXES

    assert len(reviews) == len(charts), "one review for each chart"
    if not charts:
        raise ConfigError(f"{out}: not written: there is no chart to show")
    if song is not None and len(song.data) > MAX_AUDIO_BYTES and not audio_beside:
        raise ConfigError(f"{song.name}: more than {MAX_AUDIO_BYTES / 1e6:g} MB; put it beside with --audio-beside")
    for chart in charts:
        check_size(chart)
    page_song = page_song or PageSong(None, -OSU_CLOCK_MS)
    items = _page_charts(charts, reviews, levels, seed)
    names = _names(items, len(charts) - len(items), page_song.doubt)
    data = pack(page_data(items, page_song.lag_ms, page_song.marks, page_song.duration_ms))
    beside = ""
    if song is not None and audio_beside:
        suffix = Path(song.name).suffix.lower()
        beside = out.with_suffix(suffix if suffix in AUDIO_SUFFIXES else ".mp3").name
        save_bytes(out.with_name(beside), song.data)
    embedded = song.data if song is not None and not beside else None
    save_bytes(out, html_page(names, data, embedded, song.name if song else "", beside))
    return out


def _page_charts(
    charts: Sequence[Chart], reviews: Sequence[Review], levels: Sequence[tuple[LevelPlays, ...]] | None, seed: int
) -> list[PageChart]:
    """The charts of a page, easiest first, with their players; no more than a page shows."""
    from chart.analysis.star_rating import stars
    from eye.rendering.page_data import MAX_CHARTS, PageChart
    from eye.rendering.page_players import levels_around, play_levels

    order = sorted(range(len(charts)), key=lambda n: (reviews[n].stars or stars(charts[n]), n))[:MAX_CHARTS]
    items = []
    for n in order:
        played = levels[n] if levels is not None else play_levels(charts[n], levels_around(_required(reviews[n])), seed)
        items.append(PageChart(charts[n], reviews[n], played))
    return items


def _required(review: Review) -> float:
    return review.required_skill or review.stars


def _names(items: Sequence[Any], left_out: int, doubt: str) -> dict[str, Any]:
    """Texts that the template shows before any script runs."""
    from eye.rendering.page_data import artist_of, language_of, title_of

    metadata = items[0].chart.metadata
    title, artist = title_of(metadata), artist_of(metadata)
    romanised = " – ".join(text for text in (metadata.artist, metadata.title) if text)
    return {
        "title": title,
        "title_language": language_of(title),
        "artist": artist,
        "artist_language": language_of(artist),
        "romanised": romanised if (metadata.title, metadata.artist) != (title, artist) else "",
        "creator": metadata.creator,
        "left_out": left_out,
        "doubt": doubt,
        "difficulties": [
            {
                "name": item.chart.metadata.version or "Unnamed",
                "language": language_of(item.chart.metadata.version),
                "stars": item.review.stars,
                "notes": len(item.chart),
            }
            for item in items
        ],
    }


def page_of_file(
    config: PageConfig,
    targets: Mapping[str, float] | None = None,
    reasons: Mapping[str, ModelReasons] | None = None,
) -> Path:
    """Read a chart file with its song, review every difficulty and write the page.

    `targets`: requested stars of difficulties, by name; the others are reviewed for their own. `reasons`: why
    our mapper wrote them, by name.
    """
    from chart.formats.read import read_charts
    from ear.audio.clock import usual_lag_ms
    from eye.rendering.page_song import analyse_song, song_of
    from eye.review import measured

    charts = read_charts(config.path)
    file = song_of(config.path, charts[0], config.audio)
    with ThreadPoolExecutor(1) as pool:  # decoding needs little of Python's lock
        page_song = pool.submit(analyse_song, file, max(charts, key=len), usual_lag_ms(config.path))
        requested = targets or {}
        held = [measured(chart, requested.get(chart.metadata.version), config.seed) for chart in charts]
        page = page_of(charts, file, page_song.result(), config, targets, reasons)
    del held
    return page


def page_of(
    charts: Sequence[Chart],
    file: SongFile | None,
    page_song: PageSong,
    config: PageConfig,
    targets: Mapping[str, float] | None = None,
    reasons: Mapping[str, ModelReasons] | None = None,
) -> Path:
    """Review charts that are in memory and write their page to `config.out`; otherwise as `page_of_file`."""
    from eye.review import review_chart

    requested, known = targets or {}, reasons or {}
    names = [chart.metadata.version for chart in charts]
    reviews = [
        review_chart(chart, page_song.song, target=requested.get(name), reasons=known.get(name), seed=config.seed)
        for chart, name in zip(charts, names, strict=True)
    ]
    return write_page(
        charts, reviews, file, config.out, page_song=page_song, audio_beside=config.audio_beside, seed=config.seed
    )


@click.command(cls=Command)
@click.argument("path", type=click.Path(path_type=Path))
@click.option("-o", "--out", type=OutputFile(".html", ".htm"), help="The .html to write; default: beside the chart.")
@click.option("--overwrite", is_flag=True, help="Replace a page that is there, whoever wrote it.")
@click.option("--audio", type=click.Path(path_type=Path), help="The song, where the chart's own is not found.")
@click.option("--audio-beside", is_flag=True, help="Write the song as a file beside the page instead of into it.")
@click.option("--seed", default=0, show_default=True, help="Seed of the simulated players.")
@limit_options
def main(path: Path, out: Path | None, overwrite: bool, **options: Any) -> None:
    """Write the report page of PATH (.osz, .osu, .sm, .ssc or .qua): watch the chart, read its review, play it."""
    use_utf8()
    out = out or path.with_suffix(".html")
    require_replaceable(out, overwrite)
    with waiting("Writing the page"):
        page = page_of_file(PageConfig(path=path, out=out, **options))
    click.echo(page)


if __name__ == "__main__":
    main()
