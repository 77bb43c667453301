"""Song in, set out: analyse the song, search charts that meet their targets, finish, report, pack and write the page.

Everything is worked out before the file is written, in one piece; a failure leaves nothing behind. The same song, options,
seed and machine give the same charts (and the same file, unless the song had to be encoded again: see
`mapper.output.package`).
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from chart.formats.osz import Beatmapset, write_osz
from chart.formats.written import require_replaceable
from chart.model import Chart
from eye.page import PageConfig
from mapper.network.interface import Network
from mapper.network.load import OpenedNetwork, open_network
from mapper.output.cover import cover_of
from mapper.output.explain import reasons_of
from mapper.output.metadata import finish, kiai_spans, named_stars, preview_point_ms
from mapper.output.package import add_to_osz, playable_audio
from mapper.output.page import write_set_page
from mapper.output.report import SetReport, report_difficulty
from mapper.request.options import GenerateConfig
from mapper.request.song import GenerationInput, open_input
from mapper.request.style_reference import targets_of
from mapper.search.closed_loop import SearchConfig, SearchResult, write_charts
from mapper.search.inpaint import regenerate
from reward.chart_metrics import metrics_of
from runtime.atomic_write import check_writable
from runtime.errors import Mania4KError
from runtime.memory import give_back
from runtime.outputs import guarded

Progress = Callable[[str, float], None]
"""Called with a stage, "hear", "write" or "pack", and the ratio of it that is done."""


@dataclass(frozen=True, slots=True)
class GeneratedSet(Beatmapset):
    """The set that was written, easiest difficulty first, how it met what was requested, and its page."""

    report: SetReport | None = None
    page: Path | None = None
    page_problem: str = ""  # why there is no page although one was wanted: a set without its page is still a set


def run(
    config: GenerateConfig,
    report: Progress = lambda stage, ratio: None,
    model: Network | None = None,
    page: Path | None = None,
) -> GeneratedSet:
    """As `mapper.generate.generate`; `model` saves loading the checkpoint again, `page` is the .html to write beside."""
    report("hear", 0.0)
    out = config.out or default_out(config)
    read = [path for path in (config.song, config.from_map, config.like, config.timing, config.checkpoint) if path]
    with guarded(read, {"--out": out}):
        require_replaceable(out, config.overwrite)
        check_writable(out)
        return _run(config, out, report, model, page)


def _run(config: GenerateConfig, out: Path, report: Progress, model: Network | None, page: Path | None) -> GeneratedSet:
    began = time.perf_counter()
    opened = OpenedNetwork(model) if model else open_network(config.checkpoint, config.backend, config.device)
    model = opened.network
    with open_input(config, lambda ratio: report("hear", ratio)) as source, _Audio(source) as audio:
        report("hear", 1.0)
        give_back()  # what analysing the song took is free again
        deadline_s = began + (config.time_budget or np.inf)
        charts, written = _charts(config, source, model, deadline_s, lambda ratio: report("write", ratio))
        give_back()  # what writing took is free again
        report("pack", 0.0)
        measured = [metrics_of(chart) for chart in charts]  # held, so that report and page share them
        difficulties = tuple(
            report_difficulty(chart, metrics, one, config.tolerance)
            for chart, metrics, one in zip(charts, measured, written, strict=True)
        )
        _pack(config, source, charts, audio, out)
        measures = SetReport(
            str(config.song or config.from_map),
            source.song.bpm,
            source.song.confidence,
            difficulties,
            round(time.perf_counter() - began, 2),
            model.runs_on,
            opened.notice,
            source.song.audio.notice if source.song.audio else "",
            source.doubt,
        )
        problem = ""
        if page is not None:
            to_page = PageConfig(out, page, seed=config.seed)
            problem = _write_page(model, source, charts, written, audio.path, to_page, config.overwrite)
    report("pack", 1.0)
    return GeneratedSet(out, tuple(charts), report=measures, page=None if problem else page, page_problem=problem)


def default_out(config: GenerateConfig) -> Path:
    """The song's or the map's name, as an .osz in the current folder."""
    if config.from_map is not None:
        return Path(f"{config.from_map.stem} (mania4k).osz")
    return Path((config.song or Path("song")).name).with_suffix(".osz")


def _write_page(
    model: Network,
    source: GenerationInput,
    charts: Sequence[Chart],
    written: Sequence[SearchResult],
    audio: Path,
    config: PageConfig,
    overwrite: bool,
) -> str:
    """Write the page; returns why that failed, or nothing."""
    try:
        require_replaceable(config.out, overwrite)
        reasons = reasons_of(model, source.song, charts, [f"{one.target.stars:.2f} stars" for one in written])
        write_set_page(source, charts, written, reasons, audio, config)
    except Mania4KError as error:
        return str(error)
    return ""


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
        """Path of the audio; re-raises an error of its encoding."""
        return self.ready.result()

    def background(self, config: GenerateConfig) -> Path | None:
        """The picture requested, else the cover in the song's tags."""
        if config.background is not None or not config.cover:
            return config.background
        return cover_of(self.source.audio_path, Path(self.folder.name))


def _charts(
    config: GenerateConfig, source: GenerationInput, model: Network, deadline_s: float, report: Callable[[float], None]
) -> tuple[list[Chart], list[SearchResult]]:
    """The charts of the set as they are packed, and what was written for each."""
    effort = config.takes, config.rounds
    aim = SearchConfig(config.seed, config.tolerance, *effort, config.guidance, config.dynamics, deadline_s)
    if config.section is not None:
        written = regenerate(model, source, config, aim, report)
        return [one.chart for one in written], written
    written = write_charts(model, source.song, targets_of(config), aim, report)
    return _finished(config, source, written), written


def _finished(config: GenerateConfig, source: GenerationInput, written: Sequence[SearchResult]) -> list[Chart]:
    """The charts with names, settings, preview point, breaks and kiai."""
    song, downbeats = source.song, source.song.downbeats_ms
    charts = [one.chart for one in written]
    ratings = [named_stars(one.target.stars, one.stars) for one in written]
    kiai_ms = kiai_spans(song.features, downbeats, song.lag_ms) if config.kiai else []
    preview_ms = preview_point_ms(song.features, downbeats, song.lag_ms, kiai_ms)
    if config.preview is not None:
        preview_ms = round(config.preview * 1000 - song.lag_ms)
    finished = finish(charts, ratings, source.metadata, preview_ms, kiai_ms, config.hp, config.od)
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


def _pack(config: GenerateConfig, source: GenerationInput, charts: Sequence[Chart], audio: _Audio, out: Path) -> None:
    """Write the set: a new one, or the map's with the charts added or its section exchanged."""
    if source.map_path is not None and source.map_path.suffix.lower() == ".osz" and config.song is None:
        add_to_osz(source.map_path, charts, config.section, out)
        return
    others = tuple(chart for chart in source.map_charts if len(chart)) if config.section is None else ()
    write_osz([*others, *charts], audio.path, out, audio.background(config))
