"""Results of generation on a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agents.rating import OVERALL, SKILLS
from mapper.output.report import DifficultyReport, SetReport
from runtime.text import printable

if TYPE_CHECKING:
    from rich.table import Table

SHOWN_LEVELS = (2.0, 4.0, 6.0)
"""Players whose expected accuracy the table shows; the report has all levels from 1 to 10."""
MAX_SONGS_SHOWN = 200


def print_set(report: SetReport, out: Path) -> None:
    """Tables of the difficulties and of the levels they require on stdout, what was written anew, and where broken rules are listed."""
    from rich.console import Console

    players = " ".join(f"{level:g}*" for level in SHOWN_LEVELS)
    table = _table(
        f"{report.bpm:.2f} BPM, timing {'DOUBTFUL' if report.timing_doubt else 'sure'} ({report.timing_confidence:.0%})",
        ("difficulty",),
        ("asked", "stars", "notes", "holds", "peak/s", f"acc. {players}", "rules"),
    )
    for one in report.difficulties:
        accuracy = " ".join(f"{one.accuracy[f'{level:g}']:.0%}" for level in SHOWN_LEVELS)
        measures = (f"{one.asked_stars:.2f}", f"{one.stars:.2f}", f"{one.notes}", f"{one.holds:.0%}")
        table.add_row(_plain(one.name), *measures, f"{one.peak_notes_per_s:.0f}", accuracy, rules_in_short(one))
    console = Console()
    console.print(table)
    console.print(_levels(report.difficulties))
    lines = [f"“{one.name}”: {one.section}" for one in report.difficulties if one.section]
    broken = sum(sum(one.findings.values()) for one in report.difficulties)
    if broken:
        lines.append(f"rules: {broken} breaches of the ranking criteria; where: mania4k review {_quoted(out)}")
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _levels(difficulties: Sequence[DifficultyReport]) -> Table:
    """The level of the players who reach 96 %, overall and by skill, with its SD."""
    names = [name for name in (OVERALL, *SKILLS) if any(name in one.ratings for one in difficulties)]
    table = _table("level that reaches 96 %", ("difficulty",), names)
    for one in difficulties:
        ratings = [one.ratings.get(name) for name in names]
        table.add_row(_plain(one.name), *("" if rating is None else rating.shown(digits=1) for rating in ratings))
    return table


def print_folder(songs: Sequence[tuple[str, Mapping[str, Any] | None]]) -> None:
    """A table of the sets of a folder on stdout: (song, its report as plain data; None where it failed)."""
    from rich.console import Console

    table = _table("", ("song",), ("BPM", "timing", "stars", "notes", "rules", "unmet"))
    for song, report in songs[:MAX_SONGS_SHOWN]:
        if report is None:
            table.add_row(_plain(song), "failed")
            continue
        charts = report["difficulties"]
        table.add_row(
            _plain(song),
            f"{report['bpm']:.1f}",
            f"{'DOUBTFUL' if report['timing_doubt'] else 'sure'} {report['timing_confidence']:.0%}",
            " ".join(f"{one['stars']:.1f}" for one in charts),
            f"{sum(one['notes'] for one in charts)}",
            f"{sum(sum(one['findings'].values()) for one in charts)}",
            f"{sum(len(one['missed']) for one in charts)}",
        )
    console = Console()
    console.print(table)
    if len(songs) > MAX_SONGS_SHOWN:
        console.print(f"and {len(songs) - MAX_SONGS_SHOWN} more songs (--report has all)")


def rules_in_short(one: DifficultyReport) -> str:
    """Findings in a few characters: none, or their number and the number of problems."""
    count = sum(one.findings.values())
    if one.problems:
        return f"{count} ({one.problems} bad)"
    return f"{count}" if count else "ok"


def _table(title: str, texts: Sequence[str], numbers: Sequence[str]) -> Table:
    """A table without vertical lines; texts are folded where 80 columns are too few, numbers stand whole."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(title=title or None, box=SIMPLE_HEAD)
    for heading in texts:
        table.add_column(heading, overflow="fold")
    for heading in numbers:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def _plain(text: str) -> Any:
    """The text as it is, whatever it holds that looks like markup or is no character."""
    from rich.text import Text

    return Text(printable(text))


def _quoted(path: Path) -> str:
    return f'"{path}"' if " " in str(path) else str(path)
