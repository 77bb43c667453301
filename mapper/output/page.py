"""The page of a generated set, built from what is in memory: nothing is read back, decoded or measured again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from chart.model import Chart
from eye.critique.explanation import ModelReasons
from eye.page import PageConfig, page_of
from eye.rendering.page_song import SongFile, page_song_of
from mapper.request.song import GenerationInput
from mapper.search.closed_loop import SearchResult


def write_set_page(
    source: GenerationInput,
    charts: Sequence[Chart],
    written: Sequence[SearchResult],
    reasons: Sequence[ModelReasons],
    audio: Path,
    config: PageConfig,
) -> Path:
    """Write the page of a set to `config.out`; `charts`, `written` and `reasons` are one a difficulty, `audio` is the set's.

    Raises ConfigError for what is too large for a page and OutputError where nothing can be written.
    """
    song, everything = source.song, charts_of_set(source.map_charts, charts)
    assert song.audio is not None, "analysed from audio"
    assert song.sound is not None, "analysed from audio"
    page_song = page_song_of(song.audio, song.sound, max(everything, key=len), song.lag_ms)
    if source.doubt:
        page_song = replace(
            page_song, doubt=f"The timing is doubtful ({source.doubt}): check it by ear before you play"
        )
    names = [chart.metadata.version for chart in charts]
    targets = {name: one.target.stars for name, one in zip(names, written, strict=True)}
    file = SongFile(audio.name, audio.read_bytes())
    return page_of(everything, file, page_song, config, targets, dict(zip(names, reasons, strict=True)))


def charts_of_set(before: Sequence[Chart], charts: Sequence[Chart]) -> list[Chart]:
    """The charts of a map with new ones added; one of a name that the map has stands for the map's own."""
    new = {chart.metadata.version: chart for chart in charts}
    kept = [new.pop(chart.metadata.version, chart) for chart in before]
    return [*kept, *new.values()]
