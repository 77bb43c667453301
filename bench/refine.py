"""Compare the refined mapper with the pretrained one: `python -m bench.refine DATA [--refined CHECKPOINT] [--split val]`.

For every song, both mappers write 8 charts at even targets and at the stars of people's own charts, conditioned on the
same. Measures that need a person's chart (onset F1, density curve) are compared at people's stars alone. Four conditions:
each mapper alone (mean of its 8), and the best of 4 by the reward's total (mean of its two fours; equal compute within a
condition's N). The result is the difference to the pretrained mapper, and to its best of 4, paired by song: means and 95 %
intervals of a bootstrap over songs.

`--split held-out` takes the songs that refinement evaluates on but does not learn from; `val` is for the final measurement.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from bench.onsets import f1
from bench.report import print_json
from chart.model import KEYS, Chart
from env.monitor.evaluate import KEYBOARD, measure_chart, write_song
from env.refine import split_songs
from env.returns.section_return import chart_from
from env.task.songs import ChartedSong, HumanChart, SongSet, song_set_of
from mapper.data.corpus import Corpus, open_corpus
from mapper.network.checkpoint import BUNDLED, PRETRAINED, load_mapper
from mapper.tokens.row_codes import notes_of
from reward.core.batch_view import view_of
from runtime.command import Command, use_utf8
from runtime.errors import ConfigError
from runtime.workers import Workers, all_results, worker_options

BEST_OF = 4
CURVE_MS = 5_000.0
"""Windows of the density curve."""
RESAMPLES = 10_000
CROWDED, ENOUGH_NOTES = 0.35, 16
"""A section whose most used column has more of its notes is crowded, if it has so many notes."""
GROUPS = {
    "fairness": ("fairness/level", "fairness/spikes", "fairness/slope", "fairness/fails"),
    "readability": (
        "readability/density",
        "readability/rhythm",
        "readability/surprise",
        "readability/chords",
        "readability/holds",
    ),
}
KEPT = {
    "repetition": "measure/musicality/repetition",
    "ngram_bits": "audit/ngram_bits",
    "onset_contrast": "audit/onset_contrast",
    "warnings_per_100": "measure/rules/warnings",
}


@dataclass(frozen=True)
class Case:
    """A chart to write: song, target, and the human chart if there is one."""

    piece: ChartedSong
    stars: float
    style: int
    human: HumanChart | None  # a person's at these stars

    @property
    def song(self) -> str:
        """The song's name."""
        return self.piece.name


def cases_of(library: SongSet, stars: tuple[float, float], most: int) -> list[Case]:
    """Of each song up to `most` of people's charts whose stars lie in the range, spread over the stars."""
    by_song: dict[str, list[Case]] = defaultdict(list)
    for piece in library.songs:
        for human in piece.humans:
            if stars[0] <= human.stars <= stars[1]:
                by_song[piece.name].append(Case(piece, human.stars, human.style, human))
    chosen = []
    for cases in by_song.values():
        cases.sort(key=lambda case: case.stars)
        at = np.unique(np.round(np.linspace(0, len(cases) - 1, min(most, len(cases)))).astype(int))
        chosen += [cases[index] for index in at]
    return chosen


def even_cases(library: SongSet, stars: tuple[float, float], count: int) -> list[Case]:
    """`count` targets for each song, spread evenly, in the style of its charts."""
    first = {piece.name: piece for piece in reversed(library.songs)}
    return [
        Case(piece, float(target), piece.humans[0].style if piece.humans else KEYBOARD, None)
        for piece in first.values()
        for target in np.linspace(*stars, count)
    ]


def figures_of(chart: Chart, case: Case, seed: int) -> dict[str, float]:
    """All compared measures of one chart."""
    piece, human = case.piece, case.human
    found = measure_chart(chart, piece, case.stars, seed)
    result = {
        name: found.get(name, np.nan)
        for name in ("total", "skill_error", "star_error", "problems_per_1000", "hold_share")
    }
    result |= {name: found.get(source, np.nan) for name, source in KEPT.items()}
    for group, terms in GROUPS.items():
        result[group] = float(np.nanmean([found.get(term, np.nan) for term in terms]))
    time = notes_of(human.rows, piece.grid)[0] if human else None
    result["onset_f1"] = np.nan if time is None else f1(np.unique(chart.time_ms), np.unique(time), 20.0)
    result["density_curve"] = np.nan if time is None else curve_likeness(chart.time_ms, np.sort(time))
    result["most_used_column"] = found["most_used_column"]
    result["crowded_sections"] = crowded_sections(chart, piece.song.span_ms)
    return result


def crowded_sections(chart: Chart, span_ms: tuple[float, float]) -> float:
    """Share of sections with enough notes in which one column has more than `CROWDED` of them; nan where none has."""
    view = view_of([chart], [span_ms])
    notes = np.zeros((view.n_sections, KEYS))
    np.add.at(notes, (view.note_section, view.column), 1)
    notes = notes[notes.sum(1) >= ENOUGH_NOTES]
    return float((notes.max(1) > CROWDED * notes.sum(1)).mean()) if len(notes) else float("nan")


def people_figures(cases: Sequence[Case]) -> dict[str, float]:
    """The same measures of people's own charts, mean over the songs: the reference for the differences."""
    own = [case for case in cases if case.human]
    charts = [chart_from(case.human.rows, case.piece, case.stars) for case in own if case.human]
    figures = by_song(own, [figures_of(chart, case, 0) for chart, case in zip(charts, own, strict=True)])
    return {what: round(_mean(list(values)), 4) for what, values in figures.items()}


def curve_likeness(one_ms: NDArray[np.float64], two_ms: NDArray[np.float64]) -> float:
    """Correlation of the notes in windows of five seconds, over both charts' span; nan where one is even."""
    if not one_ms.size or not two_ms.size:
        return float("nan")
    edges = np.arange(min(one_ms[0], two_ms[0]), max(one_ms[-1], two_ms[-1]) + CURVE_MS, CURVE_MS)
    one, two = (np.histogram(times, edges)[0].astype(float) for times in (one_ms, two_ms))
    if one.size < 3 or one.std() == 0 or two.std() == 0:
        return float("nan")
    return float(np.corrcoef(one, two)[0, 1])


@dataclass(frozen=True)
class Job:
    """One case for one mapper."""

    checkpoint: Path
    case: Case
    versions: int
    seed: int


_mapper = lru_cache(maxsize=2)(load_mapper)


def write_case(job: Job) -> list[dict[str, float]]:
    """Figures of each version of the case, [version]."""
    case, mapper = job.case, _mapper(job.checkpoint)
    charts = write_song(mapper, case.piece, [case.stars] * job.versions, job.seed, case.style)
    return [figures_of(chart, case, job.seed) for chart in charts]


def alone(versions: Sequence[dict[str, float]]) -> dict[str, float]:
    """Means over the versions."""
    return {name: _mean([one[name] for one in versions]) for name in versions[0]}


def best_of(versions: Sequence[dict[str, float]], count: int = BEST_OF) -> dict[str, float]:
    """Means over the best by total of each `count` versions in turn."""
    parts = [versions[at : at + count] for at in range(0, len(versions) - count + 1, count)]
    return alone([max(part, key=lambda one: one["total"]) for part in parts])


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")


def by_song(cases: Sequence[Case], figures: Sequence[dict[str, float]]) -> dict[str, NDArray[np.float64]]:
    """name → [song] mean over the song's cases."""
    songs: dict[str, list[dict[str, float]]] = defaultdict(list)
    for case, one in zip(cases, figures, strict=True):
        songs[case.song].append(one)
    return {name: np.array([_mean([one[name] for one in group]) for group in songs.values()]) for name in figures[0]}


def difference(before: NDArray[np.float64], after: NDArray[np.float64], seed: int = 0) -> dict[str, float]:
    """Mean difference over songs with the 95 % interval of a paired bootstrap."""
    gap = (after - before)[~np.isnan(after - before)]
    if not gap.size:
        return {"difference": float("nan"), "low": float("nan"), "high": float("nan")}
    drawn = np.random.default_rng(seed).integers(gap.size, size=(RESAMPLES, gap.size))
    low, high = np.quantile(gap[drawn].mean(1), [0.025, 0.975])
    return {"difference": float(gap.mean()), "low": float(low), "high": float(high)}


Condition = Callable[[Sequence[dict[str, float]]], dict[str, float]]


def compare(cases: Sequence[Case], written: dict[str, list[list[dict[str, float]]]]) -> dict[str, dict]:
    """Means of the four conditions; differences of refined to pretrained, each alone or best of 4."""
    conditions: dict[str, tuple[str, Condition]] = {
        "pretrained": ("pretrained", alone),
        "pretrained_best": ("pretrained", best_of),
        "refined": ("refined", alone),
        "refined_best": ("refined", best_of),
    }
    songs = {
        name: by_song(cases, [summed(versions) for versions in written[mapper]])
        for name, (mapper, summed) in conditions.items()
    }
    names = list(songs["pretrained"])

    def gaps(before: str, after: str) -> dict[str, dict[str, float]]:
        return {what: difference(songs[before][what], songs[after][what]) for what in names}

    return {
        "means": {
            name: {what: round(_mean(list(values[what])), 4) for what in names} for name, values in songs.items()
        },
        "refined_less_pretrained": gaps("pretrained", "refined"),
        "refined_less_pretrained_best": gaps("pretrained_best", "refined"),
        "refined_best_less_pretrained_best": gaps("pretrained_best", "refined_best"),
    }


def print_table(found: dict[str, dict]) -> None:
    heads = ("pretrained", "best of 4", "refined", "best of 4", "people")
    print(f"{'':18}{''.join(f'{head:>12}' for head in heads)}   refined − pretrained, 95 %")
    for name, gap in found["refined_less_pretrained"].items():
        row = "".join(f"{means[name]:12.4f}" for means in (*found["means"].values(), found["people"]))
        print(f"{name:18}{row}   {gap['difference']:+.4f} ({gap['low']:+.4f} … {gap['high']:+.4f})")


def charts_of(corpus: Corpus, split: str) -> list[int]:
    """Numbers of the charts of `val`, or of what refinement held out of `train`."""
    return split_songs(corpus)[1] if split == "held-out" else corpus.split(split)


@click.command(cls=Command, help="Compare the refined mapper with the pretrained one on the dataset DATA.")
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--refined", default=BUNDLED, type=click.Path(path_type=Path), help="Default: the bundled mapper.")
@click.option(
    "--pretrained",
    default=PRETRAINED,
    type=click.Path(path_type=Path),
    help="Default: the checkpoint that it was refined from.",
)
@click.option("--split", type=click.Choice(["val", "held-out"]), default="val", show_default=True)
@click.option("--versions", default=8, show_default=True, help="Charts of each case and mapper.")
@click.option("--charts", default=3, show_default=True, help="People's charts of a song at most.")
@click.option("--targets", default=5, show_default=True, help="Even targets of a song.")
@click.option("--songs", type=int, help="Only the first so many songs.")
@click.option("--stars", default=(1.5, 6.0), show_default=True, nargs=2, type=float, help="Range of the targets.")
@click.option("--seed", default=0, show_default=True)
@worker_options(default=1)
def main(
    data: Path,
    refined: Path,
    pretrained: Path,
    split: str,
    versions: int,
    charts: int,
    targets: int,
    songs: int | None,
    stars: tuple[float, float],
    seed: int,
    workers: Workers,
) -> None:
    use_utf8()
    if versions < BEST_OF:
        raise ConfigError(f"--versions is {versions}; give at least {BEST_OF}, of which the best is taken")
    corpus = open_corpus(data)
    library = song_set_of(corpus, charts_of(corpus, split))
    cases = even_cases(library, stars, targets) + cases_of(library, stars, charts)
    names = list(dict.fromkeys(case.song for case in cases))[:songs]
    cases = [case for case in cases if case.song in names]
    mappers = {"pretrained": pretrained, "refined": refined}
    jobs = [Job(path, case, versions, seed + number) for number, case in enumerate(cases) for path in mappers.values()]
    found = all_results(write_case, jobs, workers, "writing and playing")
    compared = compare(cases, {name: found[at :: len(mappers)] for at, name in enumerate(mappers)})
    compared["people"] = people_figures(cases)
    print_table(compared)
    print_json("refine", {"split": split, "songs": len(names), "cases": len(cases), "versions": versions, **compared})


if __name__ == "__main__":
    main()
