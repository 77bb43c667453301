"""Cost of the report page on real maps: `python -m bench.page SONGS [--split val]`.

For each `.osz`: bytes of the page beside its song, and processor time to review and to write it. Then, where Chromium
is installed, the cost of drawing and the time between frames with the map of most notes, playing.
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any

import click
import numpy as np

from bench.report import print_json
from chart.formats.read import read_charts
from ear.audio.clock import usual_lag_ms
from eye.page import write_page
from eye.rendering.page_players import levels_around, play_levels
from eye.rendering.page_song import SongFile, analyse_song, song_of
from eye.review import review_chart
from runtime.command import Command, use_utf8
from runtime.progress import progress
from tests.browser import find_programs, headless

WATCHED_S = 8.0
"""Seconds of playing over which frames are timed."""
EMPTY = """
  window.seen = [];
  const frame = () => { seen.push(performance.now()); document.body.textContent = seen.length; requestAnimationFrame(frame); };
  requestAnimationFrame(frame);
"""
"""A page that only counts frames: the upper bound of the frame rate on this machine."""


def measure_map(path: Path, out: Path) -> dict[str, float]:
    """Write one map's page; seconds are processor time."""
    charts = read_charts(path)
    file = song_of(path, charts[0])
    page_song = analyse_song(file, max(charts, key=len), usual_lag_ms(path))
    began = time.process_time()
    reviews = [review_chart(chart, page_song.song) for chart in charts]
    reviewed = time.process_time()
    levels = [
        play_levels(chart, levels_around(review.required_skill)) for chart, review in zip(charts, reviews, strict=True)
    ]
    played = time.process_time()
    write_page(charts, reviews, file, out, levels=levels)
    written = time.process_time()
    return {
        "notes": sum(map(len, charts)),
        "extra_bytes": out.stat().st_size - len((file or SongFile("", b"")).data),
        "review_s": reviewed - began,
        "plays_s": played - reviewed,
        "write_s": written - played,
    }


def measure_frames(page: Path) -> dict[str, Any]:
    """Milliseconds between frames and for drawing one, while the last difficulty plays; empty without a browser."""
    programs = find_programs()
    if programs is None:
        return {}
    with headless(programs) as browser:
        browser.resize(1400, 1000)
        browser.run(EMPTY)
        time.sleep(WATCHED_S)
        empty = browser.run("return window.seen.length")
        browser.open(page)
        browser.run("mania.showChart(mania.charts.length - 1); mania.seekChart(mania.chart.firstMs); mania.toggle()")
        time.sleep(1.0)
        browser.run("mania.frames = []")
        time.sleep(WATCHED_S)
        frames = browser.run("const seen = mania.frames; mania.frames = null; return seen;")
    between = np.diff([frame["at"] for frame in frames])
    cost = np.array([frame["cost"] for frame in frames])
    return {
        "frames_per_s": round(len(frames) / WATCHED_S, 1),
        "frames_per_s_of_an_empty_page": round(empty / WATCHED_S, 1),
        "between_ms_p50_p95": np.percentile(between, [50, 95]).round(2).tolist(),
        "draw_ms_p50_p95": np.percentile(cost, [50, 95]).round(2).tolist(),
    }


def maps_of(folder: Path, split: str) -> list[Path]:
    """The `.osz` of a folder, only those of a split where a `songs.json` says which."""
    index = folder / "songs.json"
    if not index.is_file():
        return sorted(folder.glob("*.osz"))
    songs = json.loads(index.read_text(encoding="utf-8"))
    return [folder / song["file"] for song in songs if song["split"] == split]


@click.command(cls=Command)
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--split", default="val", show_default=True)
def main(folder: Path, split: str) -> None:
    """Measure the pages of the maps in FOLDER."""
    use_utf8()
    maps = maps_of(folder, split)
    with tempfile.TemporaryDirectory() as place:
        pages = [Path(place) / f"{number}.html" for number in range(len(maps))]
        measure_map(maps[0], pages[0])  # warms up imports and compiled loops
        rows = [measure_map(path, page) for path, page in zip(progress(maps, "writing pages"), pages, strict=True)]
        most = int(np.argmax([row["notes"] for row in rows]))
        frames = measure_frames(pages[most])
    figures: dict[str, object] = {"maps": len(rows), "most_notes": rows[most]["notes"], **frames}
    for name in ("extra_bytes", "review_s", "plays_s", "write_s"):
        values = np.array([row[name] for row in rows])
        figures[name] = {"median": round(float(np.median(values)), 3), "most": round(float(values.max()), 3)}
        click.echo(f"{name:12} median {np.median(values):12,.2f}   most {values.max():12,.2f}")
    print_json("page", figures)


if __name__ == "__main__":
    main()
