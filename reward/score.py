"""Score a chart and list its rule findings.

    python -m reward.score map.osu --stars 3.5 --audio song.ogg
    python -m reward.score set.osz --difficulty Hard

Prints a table of terms (score 0–1, measure and unit), the auditors and the findings of the ranking criteria with their
places. `--json` ends with one line that holds the same.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runtime.command import Command, make_callable, use_utf8
from runtime.errors import ConfigError
from runtime.limits import limit_options
from runtime.progress import waiting
from runtime.text import json_text

if TYPE_CHECKING:
    from chart.model import Chart
    from reward.core.song import Song

MAX_STARS = 15.0
FINDINGS_SHOWN = 30


def timestamp(time_ms: float) -> str:
    """A time as osu!'s editor writes it: mm:ss:mmm."""
    total = max(round(time_ms), 0)
    return f"{total // 60_000:02d}:{total // 1000 % 60:02d}:{total % 1000:03d}"


def score_file(
    path: Path, audio: Path | None = None, stars: float | None = None, seed: int = 0, difficulty: str | None = None
) -> dict[str, object]:
    """Everything the command prints, as plain data.

    `stars` defaults to the chart's own official stars, `difficulty` of a set to the hardest, `audio` to that of a set.
    """
    from chart.analysis.star_rating import stars as stars_of
    from chart.formats.read import chart_named, read_charts
    from reward.auditors import audit
    from reward.rules.check import check
    from reward.rules.criteria import level_of
    from reward.total import score

    if stars is not None and not 0 < stars <= MAX_STARS:
        raise ConfigError(f"--stars {stars:g}: give a star rating above 0 and up to {MAX_STARS:g}")
    charts = read_charts(path)
    chart = max(charts, key=stars_of) if difficulty is None else chart_named(charts, difficulty, str(path))
    song = _song_of(path, audio, chart)
    aim = stars if stars is not None else (stars_of(chart) if len(chart) else 0.0)
    level = level_of(aim)
    findings = [
        {"rule": f.rule, "severity": f.severity, "at": timestamp(f.start_ms), "columns": f.columns, "text": f.text}
        for f in check(chart, level)
    ]
    terms = score(chart, aim, song, seed=seed).flat()
    return {
        "difficulty": chart.metadata.version,
        "charts": len(charts),
        "stars": aim,
        "level": level.name,
        "terms": terms,
        "audit": audit(chart, song),
        "findings": findings,
    }


def _song_of(path: Path, audio: Path | None, chart: Chart) -> Song | None:
    """The song given, or that of a set, with the chart's lag; None where there is neither."""
    from chart.formats.osz import read_osz_audio
    from reward.core.song import estimate_lag_ms
    from reward.human_charts import read_song

    if audio is None and path.suffix.lower() != ".osz":
        return None
    source = read_osz_audio(path, chart.audio_filename) if audio is None else audio
    song = read_song(source, chart.audio_filename if audio is None else audio.name)
    return replace(song, lag_ms=estimate_lag_ms(chart, song))


def show(result: dict[str, object]) -> None:
    """Print the result's tables on stdout."""
    from reward.total import TERMS

    terms: dict[str, float] = result["terms"]  # type: ignore[assignment]
    which = f"“{result['difficulty']}”, " if result["difficulty"] else ""
    click.echo(f"{which}target {result['stars']:.2f} stars ({result['level']})   total {terms['total']:.3f}\n")
    click.echo(f"{'term':26}{'score':>7}  measure")
    has_song = any(name.startswith("musicality") for name in terms)
    for term in TERMS:
        if term.name in terms:
            measure = terms[f"measure/{term.name}"]
            click.echo(f"{term.name:26}{terms[term.name]:7.2f}  {measure:.3g} {term.unit}")
        else:
            click.echo(
                f"{term.name:26}{'–':>7}  {'nothing to measure' if has_song or term.needs != 'songs' else 'no audio given'}"
            )
    click.echo("")
    for name, value in result["audit"].items():  # type: ignore[attr-defined]
        click.echo(f"{name:26}{value:7.2f}")
    findings: list[dict] = result["findings"]  # type: ignore[assignment]
    click.echo(f"\n{len(findings)} findings")
    for finding in findings[:FINDINGS_SHOWN]:
        columns = "|".join(str(column) for column in finding["columns"])
        click.echo(f"{finding['at']} ({columns:7}) {finding['severity']:8} {finding['rule']}: {finding['text']}")
    if len(findings) > FINDINGS_SHOWN:
        click.echo(f"… and {len(findings) - FINDINGS_SHOWN} more (--json lists all)")


@click.command(cls=Command)
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--difficulty", help="Name of the difficulty to score (default: the hardest).")
@click.option("--audio", type=click.Path(path_type=Path), help="The song, for the musicality terms; default: a set's.")
@click.option("--stars", type=float, help="Stars the chart aims at (default: its own official stars).")
@click.option("--seed", default=0, show_default=True, help="Seed of the simulated players.")
@click.option("--json", "as_json", is_flag=True, help="End with one line of JSON.")
@limit_options
def main(path: Path, difficulty: str | None, audio: Path | None, stars: float | None, seed: int, as_json: bool) -> None:
    """Score a difficulty of PATH (.osu .osz .qua .sm .ssc): terms, auditors and rule findings."""
    use_utf8()
    with waiting("Scoring"):
        result = score_file(path, audio, stars, seed, difficulty)
    show(result)
    if as_json:
        click.echo(json_text(result))


make_callable(__name__, "reward.total", "score")

if __name__ == "__main__":
    main()
