"""Charts written for other games and read back: `python -m bench.exports SETS… [--simfile PYTHON] [--reamber PYTHON] [--node FOLDER]`.

Each set is written as `.ssc`, `.qua` and `.osu`, and read back by our readers, by simfile (`.ssc`), reamber (`.qua`), and fosu, rosu-pp
and osu-parsers (`.osu`); how to install them is in `bench.other_readers`. Per file and reader: charts that are the same notes, with
the same columns and holds, and how far times are off. The last line is JSON; exit 1 where notes are lost or a reader refuses.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import click
import numpy as np

from bench.other_readers import Reading, of_fosu, of_osu_parsers, of_ours, of_reamber, of_simfile, rosu_differs
from bench.report import print_json
from chart.formats.osu_read import parse_osu
from chart.formats.osu_write import format_osu
from chart.formats.quaver import format_quaver, parse_quaver
from chart.formats.read import read_charts
from chart.formats.stepmania import format_ssc, parse_stepmania
from chart.model import Chart

SAME_MS = 1.0
"""A note is where it was within this: `.osu` and `.qua` round to whole ms, and beats are stretched by as much."""


@dataclass
class Tally:
    """Charts of one file kind as one reader has them."""

    charts: int = 0
    other_notes: list[str] = field(default_factory=list)  # chart: what differs
    off_ms: list[np.ndarray] = field(default_factory=list)  # [note] of charts with the same notes

    def add(self, name: str, wanted: Reading, found: Reading) -> None:
        """Compare one chart."""
        self.charts += 1
        what = wanted.same_notes(found, within_ms=np.inf)
        if what:
            self.other_notes.append(f"{name}: {what}")
        else:
            self.off_ms.append(wanted.off_ms(found))

    def row(self) -> dict[str, float]:
        """Figures for the table."""
        off = np.concatenate(self.off_ms or [np.zeros(0)])
        return {
            "charts": self.charts,
            "same_notes": self.charts - len(self.other_notes),
            "notes": off.size,
            "off_more_than_1_ms": int((off > SAME_MS + 1e-6).sum()),
            "p999_ms": round(float(np.quantile(off, 0.999)), 3) if off.size else 0.0,
            "max_ms": round(float(off.max(initial=0.0)), 3),
        }


def numbered(charts: list[Chart]) -> list[Chart]:
    """The charts under names of their own, by which they are found again."""
    names = [f"{index} {chart.metadata.version}".strip() for index, chart in enumerate(charts)]
    return [replace(one, metadata=replace(one.metadata, version=name)) for one, name in zip(charts, names, strict=True)]


def sets_of(paths: tuple[Path, ...]) -> Iterator[tuple[str, list[Chart]]]:
    for one in paths:
        for path in sorted(one.glob("*.osz")) if one.is_dir() else [one]:
            yield path.stem, numbered(read_charts(path))


@click.command()
@click.argument("paths", metavar="SETS", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--simfile", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Python with simfile.")
@click.option("--reamber", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Python with reamber.")
@click.option("--node", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Folder of osu-parsers.")
def main(paths: tuple[Path, ...], simfile: Path | None, reamber: Path | None, node: Path | None) -> None:
    """Write the charts of SETS for other games, read them back and print what differs."""
    logging.disable(logging.WARNING)
    tallies: dict[str, Tally] = {}

    def add(kind: str, name: str, wanted: Reading, found: Reading) -> None:
        tallies.setdefault(kind, Tally()).add(name, wanted, found)

    sets = list(sets_of(paths))
    songs = [format_ssc(charts) for _, charts in sets]
    by_simfile = of_simfile(songs, simfile) if simfile else [None] * len(sets)
    texts = [[format_osu(chart) for chart in charts] for _, charts in sets]
    by_node = iter(of_osu_parsers([text for one in texts for text in one], node) if node else ())
    quas = [[format_quaver(chart) for chart in charts] for _, charts in sets]
    by_reamber = iter(of_reamber([text for one in quas for text in one], reamber) if reamber else ())
    rosu: list[str] = []
    for (name, charts), ssc, theirs, osu, qua in zip(sets, songs, by_simfile, texts, quas, strict=True):
        ours = {chart.metadata.version: of_ours(chart) for chart in parse_stepmania(ssc, name)}
        for chart, text, qua_text in zip(charts, osu, qua, strict=True):
            wanted, version = of_ours(chart), chart.metadata.version
            label = f"{name} [{version}]"
            add(".ssc, ours", label, wanted, ours[version])
            if theirs is not None:
                add(".ssc, simfile", label, wanted, theirs[version])
            add(".qua, ours", label, wanted, of_ours(parse_quaver(qua_text, label)))
            if reamber:
                add(".qua, reamber", label, wanted, next(by_reamber))
            add(".osu, ours", label, wanted, of_ours(parse_osu(text, label)))
            add(".osu, fosu", label, wanted, of_fosu(text))
            if node:
                add(".osu, osu-parsers", label, wanted, next(by_node))
            rosu += [f"{label}: {what}" for what in [rosu_differs(text, wanted)] if what]
    for kind, tally in tallies.items():
        click.echo(f"{kind}: {tally.row()}")
        for what in tally.other_notes:
            click.echo(f"    {what}")
    click.echo(f".osu, rosu-pp: {len(rosu)} differ {rosu}")
    lost = sum(len(tally.other_notes) for tally in tallies.values()) + len(rosu)
    print_json("exports", {"sets": len(sets), "differ": lost, **{kind: tally.row() for kind, tally in tallies.items()}})
    raise SystemExit(lost > 0)


if __name__ == "__main__":
    main()
