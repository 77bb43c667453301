"""Four readers on one chart: `python -m bench.second_opinion SETS… [--node FOLDER]`.

Every 4K chart of every `.osz` is read by our reader, fosu, rosu-pp and osu-parsers (Node, where `--node` names the folder it is
installed in: `bench.other_readers`). They must agree on notes, columns, holds, times and red lines; a chart that they differ about
is printed with what differs. The last line is JSON; exit 1 if any differ.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import click
import numpy as np

from bench.other_readers import Reading, of_fosu, of_osu_parsers, of_ours, rosu_differs
from bench.report import print_json
from chart.formats.find_file import name_of
from chart.formats.osu_read import parse_osu
from chart.formats.osz import MAX_CHART_BYTES
from chart.formats.parsing import decode_as_the_game
from chart.formats.safe_zip import open_archive, read_member
from runtime.errors import ChartFileError

LINE_MS = 1e-3
"""Difference between red lines that is only one of printing."""


def texts_of(path: Path) -> Iterator[tuple[str, str]]:
    """Name and text of every `.osu` of a set."""
    with open_archive(path) as archive:
        for member in archive.infolist():
            if member.filename.lower().endswith(".osu"):
                yield name_of(member), decode_as_the_game(read_member(path, archive, member, MAX_CHART_BYTES))


def differences(text: str, where: str, node: Reading | None = None) -> dict[str, str]:
    """First difference of each other reader from ours, by its name; empty where all agree. Raises `ChartFileError`."""
    ours = of_ours(parse_osu(text, where))
    found = {"fosu": compared(ours, of_fosu(text))}
    if node is not None:
        found["osu-parsers"] = compared(replace(ours, lines=first_lines(ours.lines)), node)
    found["rosu-pp"] = rosu_differs(text, ours)
    return {name: what for name, what in found.items() if what}


def compared(ours: Reading, other: Reading) -> str:
    """The first difference between notes, else between red lines; empty without one."""
    return ours.same_notes(other) or lines_differ(ours, other)


def first_lines(lines: tuple[tuple[float, float, int], ...]) -> tuple[tuple[float, float, int], ...]:
    """Of red lines at one time the first, which alone osu-parsers keeps, as osu!lazer does (ppy/osu `LegacyBeatmapDecoder`)."""
    return tuple({line[0]: line for line in reversed(lines)}.values())[::-1]


def lines_differ(ours: Reading, other: Reading) -> str:
    """The first difference between red lines; empty without one."""
    if len(ours.lines) != len(other.lines):
        return f"{len(other.lines)} red lines of {len(ours.lines)}"
    if not ours.lines:
        return ""
    off = np.abs(np.array(ours.lines) - np.array(other.lines)).max(axis=0)
    worst = [
        (what, value) for what, value in zip(("time", "beat length", "metre"), off, strict=True) if value > LINE_MS
    ]
    return ", ".join(f"{what} of a red line off by {value:g}" for what, value in worst)


@click.command()
@click.argument("sets", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--node", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Folder of osu-parsers.")
def main(sets: tuple[Path, ...], node: Path | None) -> None:
    """Read every chart of SETS (`.osz`, or folders of them) by four readers, and print what they differ about."""
    paths = [path for one in sets for path in (sorted(one.glob("*.osz")) if one.is_dir() else [one])]
    texts = {f"{path.name}/{name}": text for path in paths for name, text in texts_of(path)}
    theirs = dict(zip(texts, of_osu_parsers([*texts.values()], node), strict=True)) if node else {}
    counts: Counter[str] = Counter()
    for name, text in texts.items():
        try:
            found = differences(text, name, theirs.get(name))
        except ChartFileError as error:
            counts["not read by ours"] += 1
            click.echo(f"{name}: {error}")
            continue
        counts["charts"] += 1
        for reader, what in found.items():
            counts[reader] += 1
            click.echo(f"{name}: {reader}: {what}")
    print_json("second_opinion", {"sets": len(paths), **counts, "node": node is not None})
    raise SystemExit(any(count for name, count in counts.items() if name != "charts"))


if __name__ == "__main__":
    main()
