"""Review a chart as a fellow mapper would: what is unfair, unreadable or unheard, where, why, and what to do.

    python -m eye.review map.osz --difficulty Hard
    python -m eye.review map.osu --json --target 3.5

How findings are ranked is in docs/eye.md.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from eye.critique.types import Finding, Review, Section
from runtime.command import Command, use_utf8
from runtime.errors import ConfigError, Mania4KError
from runtime.limits import limit_options
from runtime.progress import waiting
from runtime.text import json_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chart.model import Chart
    from eye.critique.explanation import ModelReasons
    from eye.critique.row_measures import Measures
    from reward.chart_metrics import ChartMetrics
    from reward.core.song import Song

MAX_STARS = 15.0


def review_chart(
    chart: Chart,
    song: Song | None = None,
    *,
    target: float | None = None,
    reasons: ModelReasons | None = None,
    seed: int = 0,
) -> Review:
    """The review of one chart.

    `song` holds the onset strength and loudness of the audio (`reward.human_charts.read_song`), with this chart's lag;
    `target` the stars it is judged for (default: its own); `reasons` the mapper's own reasons for its notes.
    """
    from eye.critique.curves import by_skill, curves_of, skill_curve
    from eye.critique.row_measures import measure
    from reward.chart_metrics import metrics_of
    from reward.rules.criteria import level_of

    metrics = metrics_of(chart)
    rating = metrics.stars
    aim = rating if target is None else target
    measures = measure(chart, song, aim, seed)
    curve = skill_curve(metrics, seed)
    return Review(
        **_names(chart),
        stars=rating,
        target=aim,
        level=level_of(aim).name.title().replace("_Plus", "+"),
        required_skill=0.0 if curve is None else curve.level_for(0.96),
        notes=len(chart),
        holds=int(chart.is_hold.sum()),
        duration_ms=chart.last_ms - float(chart.time_ms[0]) if len(chart) else 0.0,
        with_song=song is not None,
        aimed_at="" if reasons is None else reasons.target,
        findings=_findings(metrics, measures, aim, song, reasons, seed),
        sections=_sections(measures, song, reasons),
        curves=curves_of(metrics, measures, aim),
        accuracy_by_skill=by_skill(curve),
        ratings={} if curve is None else metrics.ratings(seed),
    )


def _names(chart: Chart) -> dict[str, str]:
    """Title, artist, difficulty and creator, as `Review` has them."""
    names = chart.metadata
    title, artist = names.title_unicode or names.title, names.artist_unicode or names.artist
    return {"title": title, "artist": artist, "difficulty": names.version, "creator": names.creator}


def _findings(
    metrics: ChartMetrics, measures: Measures, aim: float, song: Song | None, reasons: ModelReasons | None, seed: int
) -> tuple[Finding, ...]:
    """Every finding, weightiest first, praise last."""
    from eye.critique.anomaly import stretches
    from eye.critique.chart_remarks import chart_remarks
    from eye.critique.passage_remarks import remarks
    from eye.critique.rule_remarks import rule_remarks
    from reward.rules.criteria import level_of

    breaches = metrics.findings(level_of(aim))
    places = remarks(measures, stretches(measures, aim), breaches, aim, song, reasons)
    rules = [one for one in rule_remarks(breaches) if not any(_covers(place, one) for place in places)]
    everything = [*places, *rules, *chart_remarks(metrics.chart, song, aim, seed)]
    return tuple(sorted(everything, key=lambda finding: (finding.severity == "praise", -finding.weight)))


def _covers(place: Finding, rule: Finding) -> bool:
    """Whether a remark about a place says already what a rule's remark would."""
    same = place.kind == "unsnapped" and rule.kind == "rule/unsnapped-note"
    return same and place.start_ms - 1 <= rule.start_ms <= place.end_ms + 1


def _sections(measures: Measures, song: Song | None, reasons: ModelReasons | None) -> tuple[Section, ...]:
    from eye.critique.explanation import why
    from eye.critique.structure import sections_of

    if not measures.size:
        return ()
    found = sections_of(measures, song)
    if reasons is None:
        return found
    note_ms = measures.view.note_ms - measures.view.offset_ms[0]
    inside = [(note_ms >= section.start_ms) & (note_ms < section.end_ms) for section in found]
    return tuple(
        replace(section, answer=f"{section.answer}. {text}" if (text := why(reasons, own)) else section.answer)
        for section, own in zip(found, inside, strict=True)
    )


def chart_of(path: Path, difficulty: str | None = None, charts: Sequence[Chart] | None = None) -> Chart:
    """The chart of that name, in any case, or the hardest; `charts` are the file's, where they are read already."""
    from chart.analysis.star_rating import stars
    from chart.formats.read import chart_named, read_charts

    charts = charts or read_charts(path)
    return max(charts, key=stars) if difficulty is None else chart_named(charts, difficulty, str(path))


def song_of(path: Path, chart: Chart) -> Song | None:
    """The chart's song where the file or its folder has it, with this chart's lag; None, and a word, where not."""
    from chart.formats.osz import read_osz_audio
    from chart.formats.read import audio_beside
    from reward.core.song import estimate_lag_ms
    from reward.human_charts import read_song

    try:
        if path.suffix.lower() == ".osz":
            song = read_song(read_osz_audio(path, chart.audio_filename), chart.audio_filename)
        else:
            audio = audio_beside(path, chart)
            song = read_song(audio, audio.name)
    except Mania4KError as error:
        click.echo(f"without the song: {error}", err=True)
        return None
    return replace(song, lag_ms=estimate_lag_ms(chart, song))


@click.command(cls=Command)
@click.argument("path", metavar="MAP", type=click.Path(path_type=Path))
@click.option("--difficulty", help="Name of the difficulty to review (default: the hardest).")
@click.option("--target", type=float, help="Stars the chart aims at (default: its own official stars).")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON instead of text.")
@click.option("--seed", default=0, show_default=True, help="Seed of the simulated players.")
@limit_options
def main(path: Path, difficulty: str | None, target: float | None, as_json: bool, seed: int) -> None:
    """Review a difficulty of MAP (.osz .osu .qua .sm .ssc): what to mend, what is good, section by section."""
    use_utf8()
    if target is not None and not 0 < target <= MAX_STARS:
        raise ConfigError(f"--target {target:g}: give a star rating above 0 and up to {MAX_STARS:g}")
    with waiting("Reviewing"):
        review, of_set = _review(path, difficulty, target, seed)
    if as_json:
        click.echo(json_text(review.to_json() | {"set": [asdict(finding) for finding in of_set]}))
    else:
        from eye.review_table import show

        show(review, of_set=of_set)


def measured(chart: Chart, target: float | None, seed: int) -> ChartMetrics:
    """Measures of a chart that a review needs and that do not depend on the song; while they are held, `review_chart` does not measure it again."""
    from eye.critique.curves import skill_curve
    from reward.chart_metrics import metrics_of
    from reward.rules.criteria import level_of

    metrics = metrics_of(chart)
    metrics.findings(level_of(metrics.stars if target is None else target))
    if skill_curve(metrics, seed) is not None:
        metrics.ratings(seed)
    return metrics


def _review(path: Path, difficulty: str | None, target: float | None, seed: int) -> tuple[Review, list[Finding]]:
    """The review of a chart, and findings about its set as a whole; none of a single chart's file."""
    from chart.formats.osz import read_osz
    from chart.formats.read import charts_in
    from eye.mapset import review_mapset

    beatmapset = read_osz(path) if path.suffix.lower() == ".osz" else None
    chart = chart_of(path, difficulty, None if beatmapset is None else charts_in(beatmapset))
    with ThreadPoolExecutor(1) as pool:  # decoding needs little of Python's lock
        song = pool.submit(song_of, path, chart)
        held = measured(chart, target, seed)
        of_set = [] if beatmapset is None else review_mapset(path, beatmapset)
        review = review_chart(chart, song.result(), target=target, seed=seed)
    del held
    return review, of_set


if __name__ == "__main__":
    main()
