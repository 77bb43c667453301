"""Regenerates a section of existing charts and keeps every other note (inpainting).

The section begins and ends on beats where no hold of the chart is down, so that no note outside it changes; the decoder
reads the rows before it. Several candidates of the section are written, and joined as in `mapper.search.closed_loop`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from chart.analysis.rows import ROW_TOLERANCE_MS
from chart.analysis.star_rating import stars
from chart.formats.read import chart_named
from chart.grid import SLOTS_PER_CELL, Grid, make_grid
from chart.model import KEYS, Chart
from mapper.network.interface import Network
from mapper.request.options import GenerateConfig
from mapper.request.song import GenerationInput
from mapper.request.style_reference import references_of, target_at
from mapper.sampling.conditioning import CachedEncoder, ChartTarget, sampling_of
from mapper.sampling.encode_song import SongEncoding
from mapper.sampling.sampler import Span, write_rows
from mapper.sampling.song_analysis import SongAnalysis
from mapper.search.candidates import CandidateSet
from mapper.search.closed_loop import MAX_BATCH_SLOTS, SPREAD, SearchConfig, SearchResult, is_met
from mapper.search.planned_sampling import with_row_shares
from mapper.search.splice import CandidateSplicer
from mapper.structure.row_shares import RowShares
from mapper.tokens.row_codes import Rows, notes_of, rows_of
from runtime.errors import ConfigError


@dataclass(frozen=True)
class RegeneratedSection:
    """A section of a chart to regenerate, and the rest, which is kept."""

    chart: Chart  # as it was
    kept: Chart  # without the notes of the section
    grid: Grid
    span: Span
    after: Rows  # the chart's rows behind the section

    @property
    def bounds_ms(self) -> tuple[float, float]:
        """First time of the section, and first after it."""
        slot_ms = self.grid.slot_ms
        end = self.span.end_slot
        return float(slot_ms[self.span.first_slot]), float(slot_ms[end]) if end < slot_ms.size else np.inf

    def described(self, chart: Chart) -> str:
        """The section for the user, with its notes in `chart`, which has it written anew."""
        start, end = (f"{int(ms // 60_000)}:{ms / 1000 % 60:04.1f}" for ms in self._shown_ms)
        kept = len(self.kept)
        return f"{start}–{end} written anew, {len(chart) - kept} notes for {len(self.chart) - kept}; the rest is kept"

    @property
    def _shown_ms(self) -> tuple[float, float]:
        start, end = self.bounds_ms
        return max(start, 0.0), min(end, float(self.grid.slot_ms[-1]))

    def whole(self, inside: Rows) -> Rows:
        """All rows of the chart that lie on the grid, with `inside` as those of the section."""
        parts = (self.span.before, inside, self.after)
        return Rows(np.concatenate([part.slot for part in parts]), np.concatenate([part.code for part in parts]))

    def chart_of(self, rows: Rows) -> Chart:
        """The kept notes, with those of the rows inside the section."""
        inside = (rows.slot >= self.span.first_slot) & (rows.slot < self.span.end_slot)
        time_ms, column, end_ms = notes_of(Rows(rows.slot[inside], rows.code[inside]), self.grid)
        joined = Chart.from_notes(
            np.concatenate([self.kept.time_ms, np.round(time_ms)]),
            np.concatenate([self.kept.column, column]),
            np.concatenate([self.kept.end_ms, np.round(end_ms)]),
        )
        return replace(self.chart, time_ms=joined.time_ms, column=joined.column, end_ms=joined.end_ms)


def regenerate(
    model: Network,
    source: GenerationInput,
    config: GenerateConfig,
    aim: SearchConfig,
    report: Callable[[float], None] = lambda share: None,
) -> list[SearchResult]:
    """The map's charts, or the one named, with the section regenerated; stars are kept unless others are requested."""
    assert config.section is not None, "checked by the caller"
    charts = list(source.map_charts)
    if config.difficulty:
        charts = [chart_named(charts, config.difficulty, f"--difficulty: {config.from_map}")]
    if config.stars and len(config.stars) != len(charts):
        raise ConfigError(
            f"--stars: give one for each of the {len(charts)} charts whose section is written anew, "
            "or name one of them with --difficulty"
        )
    written, references = [], references_of(config)
    for number, chart in enumerate(charts):
        song = replace(source.song, grid=_grid_of(chart, source.song), timing_points=chart.timing_points)
        section = cut_out(chart, song.grid, *config.section)
        target = target_at(references, config.stars[number] if config.stars else stars(chart))
        share = lambda done, number=number: report((number + done) / len(charts))  # noqa: E731
        written.append(_rewritten(model, song, section, target, replace(aim, seed=aim.seed + number), share))
    return written


def _grid_of(chart: Chart, song: SongAnalysis) -> Grid:
    """The song's grid, or one of the chart's own where its timing differs."""
    if chart.red_lines == tuple(point for point in song.timing_points if point.uninherited):
        return song.grid
    return make_grid(chart.red_lines, float(song.grid.slot_ms[0]), float(song.grid.slot_ms[-1]))


def cut_out(chart: Chart, grid: Grid, start_ms: float, end_ms: float) -> RegeneratedSection:
    """Cut the section out of the chart, at the first and last beats of it where no hold is down.

    Raises ConfigError where there are none.
    """
    cells = np.arange(grid.cells)
    beats = cells[(grid.quarter == 0) & grid.usable[cells * SLOTS_PER_CELL]] * SLOTS_PER_CELL
    beat_ms = grid.slot_ms[beats]
    free = beats[(beat_ms >= start_ms) & (beat_ms <= end_ms) & ~_is_held(chart, beat_ms)]
    released = grid.nearest_slot(chart.end_ms[chart.is_hold])
    starts = free[~np.isin(free, released)]  # a kept hold's release on the first slot would be the section's
    if not starts.size or free[-1] == starts[0]:
        raise ConfigError(
            f"--section: between {start_ms / 1000:g} and {end_ms / 1000:g} s “{chart.metadata.version}” has no two beats"
            " on which no hold is down; choose a longer section, within the song"
        )
    first, end = int(starts[0]), int(free[-1])
    inside = (chart.time_ms >= grid.slot_ms[first] - ROW_TOLERANCE_MS) & (
        chart.time_ms < grid.slot_ms[end] - ROW_TOLERANCE_MS
    )
    kept = replace(chart, time_ms=chart.time_ms[~inside], column=chart.column[~inside], end_ms=chart.end_ms[~inside])
    rows = rows_of(kept, grid)
    before, after = rows.slot < first, rows.slot >= end  # kept notes that snap into the section are no rows of it
    last_event_ms, next_event_ms = _neighbours(kept, float(grid.slot_ms[first]))
    span = Span(first, end, Rows(rows.slot[before], rows.code[before]), last_event_ms, next_event_ms)
    return RegeneratedSection(chart, kept, grid, span, Rows(rows.slot[after], rows.code[after]))


def _is_held(chart: Chart, time_ms: NDArray[np.float64]) -> NDArray[np.bool_]:
    """[time], whether a hold that began before lasts beyond it."""
    start, end = chart.time_ms[chart.is_hold], np.sort(chart.end_ms[chart.is_hold])
    begun = np.searchsorted(start, time_ms - ROW_TOLERANCE_MS)
    ended = np.searchsorted(end, time_ms + ROW_TOLERANCE_MS, side="right")
    held: NDArray[np.bool_] = begun > ended
    return held


def _neighbours(kept: Chart, start_ms: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """[column] end of the last kept note before the section; start of the first after it."""
    last, following = np.full(KEYS, -np.inf), np.full(KEYS, np.inf)
    for column in range(KEYS):
        mine = kept.column == column
        before = mine & (kept.time_ms < start_ms - ROW_TOLERANCE_MS)
        after = mine & ~before
        if before.any():
            last[column] = np.fmax(kept.time_ms[before], kept.end_ms[before]).max()
        if after.any():
            following[column] = kept.time_ms[after].min()
    return last, following


def _rewritten(
    model: Network,
    song: SongAnalysis,
    section: RegeneratedSection,
    target: ChartTarget,
    aim: SearchConfig,
    report: Callable[[float], None],
) -> SearchResult:
    """Rounds of candidates of the section until the chart meets its objective."""
    encoder = CachedEncoder(model, song, MAX_BATCH_SLOTS)
    rows: list[Rows] = []
    for number, seed in enumerate(np.random.SeedSequence([aim.seed, 1]).generate_state(aim.rounds)):
        spread = SPREAD * (1 + number) if aim.takes > 1 else 0.0
        stars_of_takes = target.stars + np.linspace(-spread, spread, aim.takes)
        conditioned = [replace(target, stars=float(value)) for value in stars_of_takes]
        encoding = _outside_breaks(encoder.encode(conditioned, aim.guidance), section)
        biases = np.zeros(aim.takes), [target] * aim.takes, np.zeros(aim.takes)
        sampling = sampling_of(int(seed), *biases, guidance=aim.guidance)
        if not target.is_free:
            sampling = with_row_shares(sampling, [RowShares.of(target)] * aim.takes)
        rows += [section.whole(one) for one in write_rows(model, encoding, sampling, span=section.span)]
        best = CandidateSplicer(CandidateSet(song.grid, rows), section.chart_of).splice(target)
        report((number + 1) / aim.rounds)
        if is_met(target, best, aim.tolerance) or time.perf_counter() > aim.deadline_s:
            break
    report(1.0)
    return replace(SearchResult.of(target, best, len(rows)), section=section.described(best.chart))


def _outside_breaks(encoding: SongEncoding, section: RegeneratedSection) -> SongEncoding:
    """The encoding with no slot open inside the chart's breaks."""
    open_slots = encoding.open_slots.copy()
    for start, end in section.chart.breaks:
        open_slots &= (section.grid.slot_ms < start) | (section.grid.slot_ms > end)
    return replace(encoding, open_slots=open_slots)
