"""A review as text for a terminal of 80 columns and more."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from agents.rating import in_words
from eye.critique.types import Finding, Review, editor_time

SHOWN = 12
"""Findings that are listed; a mapper mends a dozen places before asking again."""
SECTIONS_SHOWN = 40
COLOURS = {"problem": "bold red", "warning": "yellow", "note": "cyan", "praise": "green"}
MAX_WIDTH = 100


def show(review: Review, console: Console | None = None, of_set: Sequence[Finding] = ()) -> None:
    """Print the review of a difficulty, and findings about the set it is of."""
    console = console or Console(highlight=False)
    if console.width > MAX_WIDTH:
        console.width = MAX_WIDTH
    names = " – ".join(part for part in (review.artist, review.title) if part) or "untitled"
    console.print(Text(f"{names} [{review.difficulty}]", style="bold"))
    console.print(Text(_summary(review)))
    if review.ratings:
        console.print(Text(f"level for 96 %  {in_words(review.ratings)}"))
    if review.accuracy_by_skill:
        console.print(_skills(review))
    findings = [finding for finding in review.findings if finding.severity != "praise"]
    praise = [finding for finding in review.findings if finding.severity == "praise"]
    console.print()
    console.print(_table("To mend", findings[:SHOWN]) if findings else Text("Nothing stands out.", style="green"))
    if len(findings) > SHOWN:
        console.print(Text(f"… and {len(findings) - SHOWN} more (--json lists all)"))
    if praise:
        console.print(Text("\nDone well", style="bold"))
        for finding in praise:
            console.print(Text(f"• {finding.reason}", style=COLOURS["praise"]))
    if review.sections:
        console.print()
        console.print(_sections(review))
    if of_set:
        console.print(Text("\nThe set", style="bold"))
        for finding in of_set:
            text = Text("• ").append(finding.severity, style=COLOURS[finding.severity])
            console.print(
                text.append(f" ({finding.kind.removeprefix('set/')}): {finding.reason} ").append(
                    f"→ {finding.suggestion}", style="italic"
                )
            )


def _summary(review: Review) -> str:
    holds = f", {review.holds / review.notes:.0%} holds" if review.notes and review.holds else ""
    rate = f", {review.notes / review.duration_ms * 1000:.1f} notes/s" if review.duration_ms > 0 else ""
    text = f"{review.stars:.2f} stars, {review.notes:,} notes{holds}{rate}; judged as {review.level}"
    if abs(review.target - review.stars) >= 0.005:
        text += f" for {review.target:.2f} stars"
    text += f"; level {review.required_skill:.1f} plays it at 96 %."
    if review.aimed_at:
        text += f" The mapper aimed at {review.aimed_at}."
    return text if review.with_song else f"{text} Judged without the song."


def _skills(review: Review) -> Text:
    whole = [(level, accuracy) for level, accuracy in review.accuracy_by_skill if level % 1 == 0][:9]
    levels = "".join(f"{level:>7.0f}" for level, _ in whole)
    return Text(f"skill   {levels}\naccuracy" + "".join(f"{accuracy:>7.1%}" for _, accuracy in whole))


def _table(title: str, findings: list[Finding]) -> Table:
    table = Table(title=title, title_justify="left", show_header=False, padding=(0, 1), show_lines=True)
    table.add_column(no_wrap=True, width=12)
    table.add_column(ratio=1)
    for finding in findings:
        place = Text(f"{editor_time(finding.start_ms)} -\n{editor_time(finding.end_ms)}\n")
        place.append(finding.severity, style=COLOURS[finding.severity])
        text = Text(f"{finding.kind}: ", style="bold")
        text.append(finding.reason, style="not bold")
        if finding.suggestion:
            text.append(f"\n→ {finding.suggestion}", style="not bold italic")
        table.add_row(place, text)
    return table


def _sections(review: Review) -> Table:
    table = Table(title="Section by section", title_justify="left", show_lines=False, padding=(0, 1))
    table.add_column("from", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("energy", no_wrap=True, justify="right")
    table.add_column("the music", ratio=2)
    table.add_column("the patterns", ratio=3)
    for section in review.sections[:SECTIONS_SHOWN]:
        start = editor_time(section.start_ms)[:5]
        table.add_row(start, section.label, f"{section.energy:.0%}", section.intent, section.answer)
    return table
