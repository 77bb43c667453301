"""Log of a pretraining run: its config, and curves, pictures and sounds in TensorBoard."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from chart.analysis.pattern_mix import FAMILIES, pattern_mix
from chart.formats.osz import read_osz
from chart.model import Chart
from ear.audio.decode import load_audio
from mapper.data.batches import WindowSampler
from mapper.data.corpus import SongEntry
from mapper.network.model import Mapper
from mapper.pretraining.evaluate import Validation
from mapper.pretraining.piano_roll import piano_roll, stacked
from mapper.pretraining.sonify import with_clicks
from mapper.sampling.conditioning import ChartTarget
from mapper.sampling.song_analysis import SongAnalysis
from mapper.search.closed_loop import SearchConfig, write_charts
from mapper.tokens.row_codes import notes_of
from mapper.tokens.vocabulary import STYLES
from runtime.errors import Mania4KError
from runtime.training.loop import log_scalars
from runtime.training.run_config import save_config

if TYPE_CHECKING:
    from mapper.pretraining.config import TrainConfig

EXCERPT_MS = 20_000.0
"""Seconds of a chart that are drawn and sonified."""
EXCERPTS = 3
SAMPLE_RATE = 22_050


class Log:
    """A run's TensorBoard log; docs/mapper.md has the tags."""

    def __init__(self, out: Path, config: TrainConfig, first_step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        save_config(out, config)
        self.board = SummaryWriter(str(out), purge_step=first_step)

    def validation(
        self, validation: Validation, model: Mapper, stretches: WindowSampler, charts: list[int], step: int
    ) -> None:
        """A validation's scalars, and for a few of its charts the mapper's chart beside the human's."""
        log_scalars(self.board, validation.scalars(), step)
        for number in charts[:: max(len(charts) // EXCERPTS, 1)][:EXCERPTS]:
            self._excerpt(model, stretches, number, step)
        self.board.flush()

    def _excerpt(self, model: Mapper, stretches: WindowSampler, number: int, step: int) -> None:
        entry, prepared = stretches.corpus.charts[number], stretches.prepared(number)
        song_entry = stretches.corpus.songs[entry.song]
        points = entry.timing_points
        song = SongAnalysis(prepared.grid, points, stretches.corpus.features(number), song_entry.lag_ms)
        target, config = ChartTarget(entry.stars, STYLES[entry.style]), SearchConfig(seed=step, rounds=1)
        try:
            written = write_charts(model.cpu(), song, [target], config)[0].chart
        except Mania4KError:  # a network that has hardly learnt may write nothing
            return
        human = Chart.from_notes(*notes_of(prepared.rows, prepared.grid), timing_points=points)
        start_ms = float(human.time_ms[len(human) // 3])
        end_ms = start_ms + EXCERPT_MS
        name = f"{entry.stars:.1f}_stars_{number}"
        rolls = [piano_roll(chart, start_ms, end_ms) for chart in (human, written)]
        self.board.add_image(f"charts/human_above_{name}", stacked(rolls), step, dataformats="HWC")
        sound = with_clicks(written.shifted(song_entry.lag_ms), start_ms, end_ms, SAMPLE_RATE, samples_of(song_entry))
        self.board.add_audio(f"clicks/{name}", torch.from_numpy(sound)[None], step, SAMPLE_RATE)
        for who, chart in (("human", human), ("written", written)):
            for family, share in zip(FAMILIES, pattern_mix(chart), strict=True):
                self.board.add_scalar(f"patterns_{who}/{family}_{number}", share, step)
            self.board.add_histogram(f"intervals_{who}/{name}", intervals(chart), step)


def intervals(chart: Chart) -> NDArray[np.float64]:
    """[note] beats since the last note of the same column, to 4: jacks are on the left, slow charts on the right."""
    beat_ms = chart.red_lines[0].beat_length_ms
    gaps = [np.diff(chart.time_ms[chart.column == column]) for column in range(4)]
    return np.minimum(np.concatenate(gaps) / beat_ms, 4.0)


def samples_of(song: SongEntry) -> NDArray[np.float32] | None:
    """[sample] at `SAMPLE_RATE` of the song's audio, if its map is still where the dataset was built from."""
    path = Path(song.source)
    if not song.source or not path.is_file():
        return None
    try:
        audio = load_audio(read_osz(path).read_audio(), name=path.name)
    except Mania4KError:
        return None
    return audio.samples if audio.sample_rate == SAMPLE_RATE else None
