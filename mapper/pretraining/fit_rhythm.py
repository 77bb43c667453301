"""Fit how bar rhythms are chosen: `python -m mapper.pretraining.fit_rhythm DATA NETWORK…`.

For each star band a random search over `mapper.structure.rhythm.RhythmSettings` maximises the onset F1 with people's charts
less a penalty for measures of rhythm that are away from people's. The log-odds are those of networks that were not trained
on the song (`mapper.train --leave-out`), conditioned on stars alone as in generation: the bundled network knows the charts of
its training songs by heart. Writes `mapper/structure/settings.json`; what else stands there is kept. Three minutes of a core a band.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from chart.model import KEYS, Chart
from mapper.data.corpus import Corpus, open_corpus
from mapper.network.checkpoint import load_mapper
from mapper.network.interface import Network
from mapper.pretraining.windows import fold_of
from mapper.sampling.conditioning import ChartTarget, controls_of
from mapper.sampling.encode_song import encode_song
from mapper.sampling.song_analysis import SongAnalysis
from mapper.structure.dynamics import density_odds
from mapper.structure.plan import StructurePlan
from mapper.structure.rhythm import STAR_KNOTS, RhythmSettings, plan_rows
from mapper.structure.settings import TABLE, settings
from mapper.tokens.row_codes import STARTS_NOTE
from reward.core import rhythm
from reward.core.batch_view import view_of
from runtime.atomic_write import save_bytes
from runtime.command import Command, use_utf8
from runtime.progress import progress

BANDS = (0.0, 1.5, 2.5, 4.0, 99.0)
"""Stars; one band for each of `STAR_KNOTS`."""
TOLERANCES = np.array([0.05, 0.05, 0.1, 0.1, 0.3])
"""Of `measures`: shares, then as parts of people's value. Half of it is free."""
FREE, MOST, PENALTY = 0.5, 4.0, 0.004
"""An excess of the tolerance beyond `FREE`, at most `MOST`, costs `PENALTY` of F1 times its square."""
STEP, SHIFT, MOST_CHANGED = 0.35, 0.4, 3
"""Deviations of a proposal's logarithmic step and of its shift where a setting may be negative; settings changed at once."""
SIGNED = ("recurrence", "even_cost")
OUTRO_MS = 2000.0


@dataclass(frozen=True)
class Example:
    """A person's chart with all that a plan of its rhythm needs."""

    song: SongAnalysis
    plan: StructurePlan
    stars: float
    logit: NDArray[np.float64]  # [slot]
    alike: NDArray[np.float64]  # [cell, motif lag]
    open_slots: NDArray[np.bool_]  # [slot]
    heads: NDArray[np.bool_]  # [slot], the person's rows with note heads

    @cached_property
    def density(self) -> NDArray[np.float64]:
        """[bar] log-odds of the song's dynamics; no proposal changes them."""
        return density_odds(self.plan.sound, settings().dynamics, self.stars, 1.0)

    def planned(self, chosen: RhythmSettings, seed: int) -> NDArray[np.bool_]:
        """[slot] rows of a plan with as many rows as the person's."""
        rows = int(self.heads.sum())
        return plan_rows(self.plan.bars, self.logit, self.open_slots, self.alike, rows, chosen, seed, self.density)


def examples(
    corpus: Corpus, network: Network, held_out: Mapping[int, Network], most: int, seed: int
) -> Iterator[tuple[int, Example]]:
    """(band, example) in random order: at most `most` a band, one a band of a song, of folds that have a held-out network."""
    taken: set[tuple[int, int]] = set()
    count = np.zeros(len(STAR_KNOTS), np.int64)
    for chart in np.random.default_rng(seed).permutation(corpus.split("train")).tolist():
        entry = corpus.charts[chart]
        band = int(np.digitize(entry.stars, BANDS)) - 1
        writer = held_out.get(fold_of(corpus.songs[entry.song]))
        if writer is None or count[band] >= most or (entry.song, band) in taken:
            continue
        taken.add((entry.song, band))
        count[band] += 1
        yield band, _example(corpus, network, writer, chart)


def _example(corpus: Corpus, network: Network, held_out: Network, chart: int) -> Example:
    """The log-odds are the held-out network's; how alike cells sound is the shipped one's, for the other never learnt it."""
    stars, song = corpus.charts[chart].stars, SongAnalysis.of_chart(corpus, chart)
    controls = controls_of([ChartTarget(stars)])
    encoding, unseen = (
        encode_song(one, song.grid, song.features, song.lag_ms, controls) for one in (network, held_out)
    )
    plan = StructurePlan(song.grid, song.features, song.lag_ms, seed=0)
    return Example(
        song,
        plan,
        stars,
        unseen.onset_logit[0].astype(np.float64),
        encoding.alike[0].astype(np.float64),
        plan.open_slots(stars, encoding.open_slots),
        _heads(corpus, chart, song.grid.slot_ms.size),
    )


def _heads(corpus: Corpus, chart: int, slots: int) -> NDArray[np.bool_]:
    rows, heads = corpus.chart_rows(chart), np.zeros(slots, np.bool_)
    heads[rows.slot[STARTS_NOTE[rows.code]]] = True
    return heads


def measures(examples: Sequence[Example], rows: Sequence[NDArray[np.bool_]]) -> NDArray[np.float64]:
    """Even bars, recurring bars, bits of bars and of gaps (means over charts), longest even run (median)."""
    charts = [_chart_of(one, slots) for one, slots in zip(examples, rows, strict=True)]
    view = view_of(charts, [(0.0, float(chart.time_ms[-1]) + OUTRO_MS) for chart in charts])
    bars, gap, count = rhythm.bars_of(view), rhythm.gap_ticks(view), len(charts)
    some, number = gap > 0, np.bincount(bars.chart, minlength=count)
    means = (
        np.bincount(bars.chart, bars.even, minlength=count) / number,
        np.bincount(bars.chart, bars.recurs, minlength=count) / number,
        rhythm.entropy_bits(bars.chart, bars.key, count),
        rhythm.entropy_bits(view.row_chart[some], gap[some], count),
    )
    return np.array([*(values.mean() for values in means), np.median(rhythm.longest_even_run(view))])


def _chart_of(example: Example, rows: NDArray[np.bool_]) -> Chart:
    """A chart with these rows; its columns say nothing."""
    slots = np.flatnonzero(rows)
    time_ms = np.round(example.song.grid.slot_ms[slots])
    return Chart.from_notes(time_ms, np.arange(slots.size) % KEYS, timing_points=example.song.timing_points)


@dataclass(frozen=True)
class Score:
    """Agreement of plans with people's charts of a band."""

    f1: float  # mean onset F1
    measures: NDArray[np.float64]  # of the plans
    away: NDArray[np.float64]  # distance of each from people's, in tolerances

    @property
    def value(self) -> float:
        """The quantity that is maximised."""
        excess = np.clip(self.away - FREE, 0.0, MOST)
        return self.f1 - PENALTY * float((excess**2).sum())


def score(people: Sequence[Example], theirs: NDArray[np.float64], chosen: RhythmSettings, seed: int) -> Score:
    """Plan every chart of a band with these settings; `theirs` are people's `measures`."""
    rows = [one.planned(chosen, seed) for one in people]
    hits = [
        2 * (ours & one.heads).sum() / (ours.sum() + one.heads.sum()) for ours, one in zip(rows, people, strict=True)
    ]
    ours = measures(people, rows)
    away = np.abs(ours - theirs)
    away[2:] /= np.maximum(theirs[2:], 1.0)  # a chart at one interval has 0 bits
    return Score(float(np.mean(hits)), ours, away / TOLERANCES)


def search(people: Sequence[Example], first: RhythmSettings, rounds: int, seed: int) -> tuple[RhythmSettings, Score]:
    """The best of so many proposals, each a change of the best one before."""
    random, theirs = np.random.default_rng(seed), measures(people, [one.heads for one in people])
    best, best_score = first, score(people, theirs, first, seed)
    for _ in range(rounds):
        proposal = replace(best, **_changed(best, random))
        found = score(people, theirs, proposal, seed)
        if found.value > best_score.value:
            best, best_score = proposal, found
    return best, best_score


def _changed(settings: RhythmSettings, random: np.random.Generator) -> dict[str, float]:
    """A few settings with new values."""
    names = [one.name for one in fields(RhythmSettings)]
    chosen = random.choice(names, random.integers(1, MOST_CHANGED + 1), replace=False).tolist()
    shift = {name: random.normal(0, SHIFT) if name in SIGNED else 0.0 for name in chosen}
    return {name: float(getattr(settings, name) * np.exp(random.normal(0, STEP)) + shift[name]) for name in chosen}


@click.command(cls=Command, help="Fit how bar rhythms are chosen to the training charts of the dataset DATA.")
@click.argument("data", type=click.Path(path_type=Path))
@click.argument("networks", nargs=-1, required=True, type=click.Path(path_type=Path, dir_okay=False))
@click.option("-o", "--output", type=click.Path(path_type=Path), default=TABLE, help="Where to write the table.")
@click.option("--charts", default=30, show_default=True, help="Charts a band of stars.")
@click.option("--rounds", default=200, show_default=True, help="Proposals a band.")
@click.option("--seed", default=1, show_default=True)
def main(data: Path, networks: tuple[Path, ...], output: Path, charts: int, rounds: int, seed: int) -> None:
    """The first of NETWORKS was trained with `--leave-out 0`, the second with `--leave-out 1`, and so on."""
    use_utf8()
    held_out = {fold: load_mapper(path).eval() for fold, path in enumerate(networks)}
    found = list(progress(examples(open_corpus(data), load_mapper(), held_out, charts, seed), "charts"))
    table = {one.name: list(settings().rhythm[one.name]) for one in fields(RhythmSettings)}
    for band, knot in enumerate(STAR_KNOTS):
        people = [one for number, one in found if number == band]
        if not people:
            click.echo(f"{knot} stars: no chart, kept as it was")
            continue
        best, result = search(people, RhythmSettings.at(settings().rhythm, knot), rounds, seed)
        for name, values in table.items():
            values[band] = round(getattr(best, name), 3)
        theirs = measures(people, [one.heads for one in people])
        pairs = ", ".join(f"{ours:.3f} ({person:.3f})" for ours, person in zip(result.measures, theirs, strict=True))
        click.echo(f"{knot} stars, {len(people)} charts: F1 {result.f1:.3f}, measures (people's) {pairs}")
    save_bytes(output, replace(settings(), rhythm=table).as_json().encode())
    click.echo(f"wrote {output}")


if __name__ == "__main__":
    main()
