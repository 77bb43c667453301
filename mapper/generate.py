"""From a song to an `.osz`: `python -m mapper.generate song.ogg --stars 2 3.5 5 -o song.osz`.

    beatmapset = mania4k.generate("song.mp3", stars=[2, 3.5, 5], holds=0.15)    # the same from Python

Hears the timing (or reads it), writes one difficulty for each star rating asked until it is what was asked
(mapper.search.closed_loop), and packs them with the song. Everything is worked out before the file is written, in one piece; a failure
leaves nothing behind. The same song, options, seed and machine give the same charts (and the same file, unless the song
had to be encoded anew: see mapper.output.package).
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chart.formats.osz import Beatmapset, write_osz
from chart.grid import SLOTS_PER_CELL, Grid
from chart.model import Chart
from eye.critique.explanation import ModelReasons
from mapper.cli import main
from mapper.network.interface import Network
from mapper.network.load import OpenedNetwork, open_network
from mapper.output.explain import reasons_of
from mapper.output.metadata import finish, kiai_spans, preview_point_ms
from mapper.output.package import add_to_osz, playable_audio
from mapper.output.report import SetReport, report_difficulty
from mapper.request.options import GenerateConfig
from mapper.request.song import GenerationInput, open_input
from mapper.request.style_reference import conditioning_of
from mapper.search.closed_loop import SearchConfig, SearchResult, write_charts
from mapper.search.inpaint import regenerate
from runtime.atomic_write import check_writable
from runtime.errors import ConfigError

Report = Callable[[str, float], None]


@dataclass(frozen=True, slots=True)
class GeneratedSet(Beatmapset):
    """The set that was written, easiest difficulty first, and how it met what was asked."""

    report: SetReport | None = None
    reasons: tuple[ModelReasons, ...] = ()  # why the notes are there, a chart each; empty where nobody asked


def generate(
    song: str | Path | None = None, *, report: Report = lambda stage, share: None, **options: Any
) -> GeneratedSet:
    """Write an `.osz` for a song and return it; `options` are the fields of `mapper.request.options.GenerateConfig`.

        beatmapset = generate("song.mp3", stars=[1.8, 3, 4.5], out="song.osz", seed=7)

    `report` is told the stage ("hear", "write", "pack") and the share of it that is done. Raises AudioFileError,
    ChartFileError, CheckpointError, ConfigError or OutputError, each before anything is written.
    """
    paths = ("out", "like", "from_map", "timing", "checkpoint")
    options |= {name: Path(options[name]) for name in paths if options.get(name) is not None}
    options |= {name: tuple(options[name]) for name in ("stars", "names") if name in options}
    return run(GenerateConfig(song=None if song is None else Path(song), **options), report)


def run(
    config: GenerateConfig,
    report: Report = lambda stage, share: None,
    model: Network | None = None,
    with_reasons: bool = False,
) -> GeneratedSet:
    """As `generate`; `model` saves loading the checkpoint again, `with_reasons` asks it why it wrote what it wrote."""
    began = time.perf_counter()
    report("hear", 0.0)
    out = config.out or Path((config.song or config.from_map or Path("song")).name).with_suffix(".osz")
    if config.from_map is not None and out.exists() and out.samefile(config.from_map):
        raise ConfigError(f"--out {out}: is the map itself; name another file with -o")
    check_writable(out)
    opened = OpenedNetwork(model) if model else open_network(config.checkpoint, config.backend, config.device)
    model = opened.network
    with open_input(config, lambda share: report("hear", share)) as source, _Audio(source) as audio:
        report("hear", 1.0)
        deadline_s = began + (config.time_budget or np.inf)
        charts, written = _charts(config, source, model, deadline_s, lambda share: report("write", share))
        report("pack", 0.0)
        difficulties = [
            report_difficulty(chart, one, config.tolerance) for chart, one in zip(charts, written, strict=True)
        ]
        _pack(config, source, charts, audio, out)
        targets = [f"{one.wish.stars:.2f} stars" for one in written]
        reasons = reasons_of(model, source.song, charts, targets) if with_reasons else []
        seconds = time.perf_counter() - began
    report("pack", 1.0)
    name = str(config.song or config.from_map)
    return GeneratedSet(
        out,
        tuple(charts),
        report=SetReport(
            name,
            source.bpm,
            source.confidence,
            tuple(difficulties),
            round(seconds, 2),
            model.runs_on,
            opened.notice,
            source.audio_notice,
        ),
        reasons=tuple(reasons),
    )


class _Audio:
    """The song as osu! plays it, made ready beside the writing: encoding takes seconds, and needs no Python."""

    def __init__(self, source: GenerationInput) -> None:
        self.source = source

    def __enter__(self) -> _Audio:
        self.folder = tempfile.TemporaryDirectory()
        self.pool = ThreadPoolExecutor(1)
        self.ready = self.pool.submit(playable_audio, self.source.audio_path, Path(self.folder.name))
        return self

    def __exit__(self, *_: object) -> None:
        self.pool.shutdown()
        self.folder.cleanup()

    @property
    def path(self) -> Path:
        """Where it is; raises what encoding it raised."""
        return self.ready.result()


def _charts(
    config: GenerateConfig, source: GenerationInput, model: Network, deadline_s: float, report: Callable[[float], None]
) -> tuple[list[Chart], list[SearchResult]]:
    """The charts of the set as they are packed, and what was written for each."""
    steering, effort = conditioning_of(config), (config.takes, config.rounds)
    aim = SearchConfig(config.seed, steering, config.tolerance, *effort, config.guidance, deadline_s)
    if config.section is not None:
        written = regenerate(model, source, config, aim, report)
        return [one.chart for one in written], written
    written = write_charts(model, source.song, config.asked_stars, aim, report)
    return _finished(source, written), written


def _finished(source: GenerationInput, written: Sequence[SearchResult]) -> list[Chart]:
    """The charts with names, settings, preview point, breaks and kiai."""
    song, downbeats = source.song, downbeats_ms(source.song.grid)
    ratings, charts = [one.stars for one in written], [one.chart for one in written]
    preview_ms = preview_point_ms(song.features, downbeats, song.lag_ms)
    finished = finish(charts, ratings, source.metadata, preview_ms, kiai_spans(song.features, downbeats, song.lag_ms))
    if not source.map_charts:
        return finished
    taken = {chart.metadata.version for chart in source.map_charts}
    first = source.map_charts[0]
    return [
        replace(
            chart,
            metadata=replace(chart.metadata, version=_free_name(chart.metadata.version, taken)),
            timing_points=first.timing_points,
            preview_ms=first.preview_ms if first.preview_ms >= 0 else chart.preview_ms,
            audio_filename=first.audio_filename,
            audio_lead_in_ms=first.audio_lead_in_ms,
            background=first.background,
        )
        for chart in finished
    ]


def _free_name(name: str, taken: set[str]) -> str:
    """The name, or with "mania4k's" before it where the map has a difficulty of that name."""
    return f"mania4k's {name}" if name in taken else name


def downbeats_ms(grid: Grid) -> NDArray[np.float64]:
    """[bar], the time of each bar's first slot."""
    first_slots = grid.slot_ms[::SLOTS_PER_CELL]
    return first_slots[(grid.beat_in_bar == 0) & (grid.quarter == 0)]


def _pack(config: GenerateConfig, source: GenerationInput, charts: Sequence[Chart], audio: _Audio, out: Path) -> None:
    """Write the set: a new one, or the map's with the charts added or its section exchanged."""
    if source.map_path is not None and source.map_path.suffix.lower() == ".osz":
        add_to_osz(source.map_path, charts, config.section, out)
        return
    others = source.map_charts if config.section is None else ()
    write_osz([*others, *charts], audio.path, out)


if __name__ == "__main__":
    main()
