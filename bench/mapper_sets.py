"""Statistics of generated charts against those of human ones: `python -m bench.mapper_sets DATA`.

For every chart of the `val` split the mapper writes a set of charts with the same stars, density, hold share and style,
on the map's own timing; the rate bias is that of the first round of `bench.mapper`, so that sets are as dense as the human's.
Measured on each set and, for reference, on the human charts:

- `js`: Jensen-Shannon distance between the pairs of successive rows written for the charts of a star band and those in
  the human `train` charts of the band; divided by the human `val` charts' own distance to them;
- `density_ratio` by sections of 16 beats, and the correlation of the two density curves;
- `hold_share_error`; `silent_share` of notes where the song is silent;
- `motif`: similarity of bars (shared row events) whose music is similar 4 or 8 bars later, over the human's.
"""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from bench.mapper import biases_at_density
from bench.report import print_json
from chart.grid import SLOTS_PER_CELL, TICKS_PER_BEAT, Grid
from mapper.data.corpus import Corpus, open_corpus
from mapper.network.checkpoint import load_mapper
from mapper.network.model import Mapper
from mapper.sampling.encode_song import encode_song, silent_slots
from mapper.sampling.sampler import Sampling, write_rows
from mapper.tokens.conditioning_vector import Controls
from mapper.tokens.log_mel import BANDS as MEL_BANDS
from mapper.tokens.log_mel import MS_PER_FRAME
from mapper.tokens.row_codes import HOLD_END, HOLD_START, NOTHING, STARTS_NOTE, SYMBOLS, TAP, Rows
from runtime.command import Command, use_utf8
from runtime.progress import progress

BANDS = (0.0, 2.0, 3.0, 4.0, 99.0)
SECTION_BEATS = 16
BEATS_OF_BAR = 4
MOTIF_BARS = (4, 8)
ALIKE_SHARE = 0.25
"""Share of a song's pairs of bars, the most similar ones, that count as repeated music."""
GAP_TICKS = (12, 24, 48)
"""Classes of intervals between rows: to 1/4, to 1/2, to a beat, longer."""
CODES = 256


@dataclass(frozen=True)
class Likeness:
    """Comparison of a written chart with the human's."""

    density_ratios: NDArray[np.float64]  # [section] where the human has notes
    density_correlation: float
    hold_share_error: float
    silent_share: float
    motif: float  # similarity of repeated bars
    human_motif: float


def heads(rows: Rows) -> NDArray[np.int64]:
    """[note] slot of every note head, a chord's notes each."""
    symbols = SYMBOLS[rows.code]
    count = ((symbols != NOTHING) & (symbols != HOLD_END)).sum(-1)
    return np.repeat(rows.slot, count)


def density_curve(rows: Rows, grid: Grid, sections: int) -> NDArray[np.float64]:
    """[section] notes."""
    section = (grid.tick[heads(rows)] - grid.tick[0]) // (SECTION_BEATS * TICKS_PER_BEAT)
    return np.bincount(section, minlength=sections)[:sections].astype(float)


def hold_share(rows: Rows) -> float:
    """Holds among the notes."""
    notes = heads(rows).size
    starts = (SYMBOLS[rows.code] == HOLD_START).sum()
    return float(starts / max(notes, 1))


def alike_bars(grid: Grid, features: NDArray[np.uint8], lag_ms: float) -> list[tuple[int, int]]:
    """Pairs of bars, 4 or 8 apart, whose music is most similar."""
    beat = np.arange(0, grid.cells - grid.cells % (BEATS_OF_BAR * 4), 4)
    frame = np.clip((grid.slot_ms[beat * SLOTS_PER_CELL] + lag_ms) / MS_PER_FRAME, 0, len(features) - 4).astype(int)
    sound = np.stack([features[frame + k, :MEL_BANDS] for k in range(4)]).astype(float).mean(0)  # [beat, band]
    bars = sound.reshape(-1, BEATS_OF_BAR * sound.shape[1])
    bars = bars - bars.mean(0)
    bars /= np.linalg.norm(bars, axis=1, keepdims=True) + 1e-9
    pairs = [
        (float(bars[bar] @ bars[bar + lag]), bar, bar + lag) for lag in MOTIF_BARS for bar in range(len(bars) - lag)
    ]
    pairs.sort(reverse=True)
    return [(first, second) for _, first, second in pairs[: max(int(len(pairs) * ALIKE_SHARE), 1)]]


def motif_likeness(rows: Rows, pairs: list[tuple[int, int]]) -> float:
    """Mean share of row events that both bars of a pair have, over those that either has; nan without any."""
    slots_of_bar = BEATS_OF_BAR * 4 * SLOTS_PER_CELL
    bars: dict[int, set[tuple[int, int]]] = defaultdict(set)
    for slot, code in zip(rows.slot.tolist(), rows.code.tolist(), strict=True):
        bars[slot // slots_of_bar].add((slot % slots_of_bar, code))
    shares = [len(bars[a] & bars[b]) / len(bars[a] | bars[b]) for a, b in pairs if bars[a] or bars[b]]
    return float(np.mean(shares)) if shares else float("nan")


def row_pairs(rows: Rows, grid: Grid) -> NDArray[np.int64]:
    """[row - 1] number of each pair of successive rows with note heads and the class of the interval between."""
    kept = STARTS_NOTE[rows.code]
    slot, code = rows.slot[kept], rows.code[kept]
    gap = np.searchsorted(GAP_TICKS, np.diff(grid.tick[slot]))
    pressed = ((SYMBOLS[code] == TAP) | (SYMBOLS[code] == HOLD_START)) @ (1 << np.arange(4))  # taps and holds alike
    return (gap * 16 + pressed[:-1]) * 16 + pressed[1:]


def js_distance(one: NDArray[np.float64], two: NDArray[np.float64]) -> float:
    """Square root of the Jensen-Shannon divergence in bits, 0-1, of two count vectors."""
    p, q = one / one.sum(), two / two.sum()
    middle = (p + q) / 2

    def divergence(a: NDArray[np.float64]) -> float:
        seen = a > 0
        return float((a[seen] * np.log2(a[seen] / middle[seen])).sum())

    return ((divergence(p) + divergence(q)) / 2) ** 0.5


def compare(
    written: Rows, human: Rows, grid: Grid, silent: NDArray[np.bool_], pairs: list[tuple[int, int]]
) -> Likeness:
    sections = int((grid.tick[-1] - grid.tick[0]) // (SECTION_BEATS * TICKS_PER_BEAT)) + 1
    ours, theirs = density_curve(written, grid, sections), density_curve(human, grid, sections)
    used = theirs > SECTION_BEATS / 4
    varied = used.sum() > 2 and ours[used].std() > 0 and theirs[used].std() > 0
    return Likeness(
        density_ratios=ours[used] / theirs[used],
        density_correlation=float(np.corrcoef(ours, theirs)[0, 1]) if varied else float("nan"),
        hold_share_error=abs(hold_share(written) - hold_share(human)),
        silent_share=float(silent[heads(written)].mean()) if len(written) else 0.0,
        motif=motif_likeness(written, pairs),
        human_motif=motif_likeness(human, pairs),
    )


def band_of(stars: float) -> int:
    return int(np.searchsorted(BANDS, stars, side="right")) - 1


def write_set(model: Mapper, corpus: Corpus, chart: int, size: int, seed: int) -> tuple[list[Rows], float]:
    """`size` charts with the human chart's controls, and the seconds that sampling them took."""
    entry = corpus.charts[chart]
    controls = Controls([entry.stars], [entry.notes_per_s], [entry.hold_share], [entry.style])
    lag_ms = corpus.songs[entry.song].lag_ms
    encoding = encode_song(model, corpus.grid(chart), corpus.features(chart), lag_ms, controls)
    rows_wanted = int(STARTS_NOTE[corpus.chart_rows(chart).code].sum())
    bias = biases_at_density(model, encoding, [rows_wanted], seed + chart).repeat(size)
    began = time.perf_counter()
    sampling = Sampling(seed + chart, bias, hold_share=np.full(size, entry.hold_share))
    written = write_rows(model, encoding.repeated([0] * size), sampling)
    return written, time.perf_counter() - began


def measure(model: Mapper, corpus: Corpus, size: int, seed: int, every: int) -> dict[str, float]:
    """Figures over all `val` charts (every n-th), means over the charts of a set."""
    found: list[Likeness] = []
    counts: dict[tuple[str, int], NDArray[np.float64]] = defaultdict(lambda: np.zeros((len(GAP_TICKS) + 1) * CODES))

    def count(who: str, band: int, rows: Rows, grid: Grid) -> None:
        np.add.at(counts[who, band], row_pairs(rows, grid), 1)

    rows_written, seconds = 0, 0.0
    for chart in progress(corpus.split("val")[::every], "sets"):
        entry, grid, human = corpus.charts[chart], corpus.grid(chart), corpus.chart_rows(chart)
        features, lag_ms = corpus.features(chart), corpus.songs[entry.song].lag_ms
        silent, pairs = silent_slots(grid, features, lag_ms), alike_bars(grid, features, lag_ms)
        written, took = write_set(model, corpus, chart, size, seed)
        rows_written, seconds = rows_written + sum(map(len, written)), seconds + took
        count("human", band_of(entry.stars), human, grid)
        for number, rows in enumerate(written):
            found.append(compare(rows, human, grid, silent, pairs))
            count(f"set {number}", band_of(entry.stars), rows, grid)
    for chart in corpus.split("train"):
        count("train", band_of(corpus.charts[chart].stars), corpus.chart_rows(chart), corpus.grid(chart))
    bands = [band for who, band in counts if who == "human" and counts["human", band].sum() > 500]
    weight = np.array([counts["human", band].sum() for band in bands])
    human_js = np.array([js_distance(counts["human", band], counts["train", band]) for band in bands])
    ours_js = np.array(
        [np.mean([js_distance(counts[f"set {n}", b], counts["train", b]) for n in range(size)]) for b in bands]
    )
    ratios = np.concatenate([one.density_ratios for one in found])
    repeated = [(one.motif, one.human_motif) for one in found if np.isfinite(one.motif + one.human_motif)]
    return {
        "charts": len(found),
        "js": round(float(np.average(ours_js, weights=weight)), 4),
        "human_js": round(float(np.average(human_js, weights=weight)), 4),
        "js_ratio": round(float(np.average(ours_js, weights=weight) / np.average(human_js, weights=weight)), 3),
        "density_ratio": round(float(np.median(ratios)), 3),
        "density_correlation": round(float(np.nanmean([one.density_correlation for one in found])), 3),
        "hold_share_error": round(float(np.mean([one.hold_share_error for one in found])), 4),
        "silent_share": round(float(np.mean([one.silent_share for one in found])), 5),
        "motif": round(float(np.mean([ours for ours, _ in repeated])), 4),
        "human_motif": round(float(np.mean([human for _, human in repeated])), 4),
        "rows_per_s": round(rows_written / seconds),
    }


@click.command(cls=Command, help="Likeness of generated sets to the human charts of the val split of DATA.")
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--checkpoint", type=click.Path(path_type=Path), help="Default: the bundled mapper.")
@click.option("--size", default=8, show_default=True, help="Charts a set.")
@click.option("--every", default=1, show_default=True, help="Take every n-th chart only.")
@click.option("--seed", default=0, show_default=True)
def main(data: Path, checkpoint: Path | None, size: int, every: int, seed: int) -> None:
    use_utf8()
    figures = measure(load_mapper(checkpoint), open_corpus(data), size, seed, every)
    for name, value in figures.items():
        print(f"{name:22}{value:>10}")
    print_json("mapper_sets", figures)


if __name__ == "__main__":
    main()
