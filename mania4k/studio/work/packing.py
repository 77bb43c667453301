"""From the set's charts to what leaves the studio: the page's data, an `.osz`, a report page."""

from __future__ import annotations

import json
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from chart.formats.osz import chart_file_names, entry_of
from chart.model import Chart
from mania4k.studio.sets import notes as note_lines
from runtime.atomic_write import replacing
from runtime.errors import ConfigError

USUAL_LEVEL = 2.0
"""Level of the players shown of a chart that has too few notes to ask for any."""


def page_song_of(song: Path) -> Any:
    """Analysis of a song for the review and the page, its notes' lag being that of our own charts."""
    from ear.audio.clock import OSU_CLOCK_MS
    from ear.audio.shared import audio_of
    from ear.audio.spectrogram import FRAMES_PER_SECOND, log_mel
    from eye.rendering.page_song import PageSong
    from eye.rendering.sound_marks import sound_marks
    from reward.core.song import song_of_mel

    audio = audio_of(song)
    song_features = song_of_mel(log_mel(audio.samples, audio.sample_rate), FRAMES_PER_SECOND)
    return PageSong(song_features, -OSU_CLOCK_MS, tuple(sound_marks(audio)), audio.duration_ms)


def reviewed(chart: Chart, page_song: Any, target: float | None) -> Any:
    """The review of a chart, with the song."""
    from eye.review import review_chart
    from reward.core.song import estimate_lag_ms

    song = replace(page_song.song, lag_ms=estimate_lag_ms(chart, page_song.song)) if len(chart) else page_song.song
    return review_chart(chart, song, target=target)


def page_of_texts(song: str, texts: Sequence[str], targets: Sequence[float | None], page_song: Any) -> dict[str, Any]:
    """The data the page's player reads, a chart for each text in their order."""
    from eye.rendering.page_data import PageChart, page_data
    from eye.rendering.page_players import levels_around, play_levels

    items = []
    for text, target in zip(texts, targets, strict=True):
        chart = note_lines.chart_of(text)
        review = reviewed(chart, page_song, target)
        level = review.required_skill or review.stars or USUAL_LEVEL
        items.append(PageChart(chart, review, play_levels(chart, levels_around(level), 0)))
    data = page_data(items, page_song.lag_ms, page_song.marks, page_song.duration_ms)
    return json.loads(json.dumps(data, default=_plain))


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value.tolist()


def write_set(texts: Sequence[str], song: Path, background: Path | None, out: Path) -> list[str]:
    """Write the `.osz`, all or nothing; charts go in line by line as they are. Returns their names."""
    from mapper.output.package import playable_audio

    if not texts:
        raise ConfigError("there is no difficulty to pack; write one first")
    with tempfile.TemporaryDirectory(prefix="mania4k-") as folder:
        audio = playable_audio(song, Path(folder))
        inside = f"audio{audio.suffix.lower()}"
        picture = f"background{background.suffix}" if background is not None else ""
        named = [with_files(text, inside, picture) for text in texts]
        names = chart_file_names([note_lines.chart_of(text).metadata for text in named])
        with replacing(out) as file, zipfile.ZipFile(file, "w") as archive:
            archive.writestr(entry_of(inside, zipfile.ZIP_STORED), audio.read_bytes())
            if background is not None:
                archive.writestr(entry_of(picture, zipfile.ZIP_STORED), background.read_bytes())
            for name, text in zip(names, named, strict=True):
                archive.writestr(entry_of(name, zipfile.ZIP_DEFLATED), text.replace("\r", "").encode("utf-8"))
    return names


def with_files(text: str, audio: str, picture: str) -> str:
    """The chart's text naming its audio and its background."""
    text = note_lines.with_fields(text, {"AudioFilename": f" {audio}"})
    head, mark, tail = text.partition("//Background and Video events\n")
    if not mark:
        return text
    rows = tail.splitlines(keepends=True)
    kept = rows[1:] if rows and rows[0].startswith('0,0,"') else rows
    return head + mark + (f'0,0,"{picture}",0,0\n' if picture else "") + "".join(kept)


def write_page_of(texts: Sequence[str], song: Path, out: Path, page_song: Any, targets: Sequence[float | None]) -> Path:
    """Write the report page of the set."""
    from eye.page import write_page
    from eye.rendering.page_song import SongFile

    charts = [note_lines.chart_of(text) for text in texts]
    reviews = [reviewed(chart, page_song, target) for chart, target in zip(charts, targets, strict=True)]
    return write_page(charts, reviews, SongFile(song.name, song.read_bytes()), out, page_song=page_song)
