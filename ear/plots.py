"""One picture of a song's timing, for a mapper to check at a glance; matplotlib is imported when a picture is requested.

Rows of the waveform with, below it, the network's beat and downbeat activations; over both the
beats written (thin), the bars (thick, numbered) and the red lines with their tempo.
"""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ear.audio.decode import Audio
from ear.song_timing import TimedSong
from ear.timing.model import beats_of
from runtime.atomic_write import save_bytes
from runtime.errors import ConfigError

ROW_S = 16.0
"""Seconds a row, unless that makes more than `MAX_ROWS`."""

MAX_ROWS = 20
ROW_INCHES, WIDTH_INCHES, DPI = 1.15, 15.0, 100

COLUMNS = 1400
"""Steps of a row's waveform: its lowest and highest sample in each are drawn."""

LOUD_PERCENTILE = 99.5
"""The waveform fills its row at this percentile of the samples: a few peaks do not make all else small."""

MIN_LABEL_S = 1.2
"""Red lines closer than this share the first one's label."""

TITLE_FONTS = ("Yu Gothic", "Meiryo", "Hiragino Sans", "Noto Sans CJK JP", "Noto Sans JP", "Malgun Gothic")
"""Fonts tried for titles in other scripts."""

WAVE, BEAT, BAR, RED, NETWORK, NETWORK_BAR = "#9aa7b4", "#4c566a", "#1d2530", "#d1242f", "#2f7ed8", "#e08a1e"


def draw_timing(audio: Audio, found: TimedSong, path: Path, title: str = "") -> None:
    """Write a PNG of the song's timing."""
    plt = _pyplot()
    timing = found.timing
    duration_s = audio.duration_ms / 1000
    row_s = max(ROW_S, duration_s / MAX_ROWS)
    rows = max(1, int(np.ceil(duration_s / row_s - 1e-9)))
    figure, axes = plt.subplots(
        rows, 1, figsize=(WIDTH_INCHES, ROW_INCHES * rows + 0.9), squeeze=False, layout="constrained"
    )
    kind = "live" if timing.profile == "live" else f"{timing.meter}/4"
    figure.suptitle(
        f"{title}   {timing.bpm:.3f} BPM, {kind}, {len(timing.points)} red line"
        f"{'' if len(timing.points) == 1 else 's'}, confidence {timing.confidence:.0%}",
        fontsize=11,
        parse_math=False,  # a title may hold dollar signs
    )
    beats = beats_of(timing)
    for row in range(rows):
        axis, start_s = axes[row, 0], row * row_s
        _draw_wave(axis, audio, start_s, row_s)
        _draw_activations(axis, found, start_s, row_s)
        _draw_beats(axis, beats.time_ms / 1000, beats.position, start_s, row_s)
        _draw_red_lines(axis, found, start_s, row_s)
        axis.set(xlim=(start_s, start_s + row_s), ylim=(-1.15, 1.3), yticks=[])
        axis.xaxis.set_major_formatter(lambda at, _: f"{int(at // 60)}:{at % 60:02.0f}")
        axis.tick_params(labelsize=7, length=2, pad=1)
        axis.spines[["top", "left", "right"]].set_visible(False)
    _draw_legend(figure, found)
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # a title no font here can show
        figure.savefig(buffer, format="png", dpi=DPI)
    plt.close(figure)
    save_bytes(path, buffer.getvalue())


def _draw_wave(axis: Any, audio: Audio, start_s: float, row_s: float) -> None:
    """The waveform's range in each step, in 0–1 of the axis."""
    rate = audio.sample_rate
    part = audio.samples[int(start_s * rate) : int((start_s + row_s) * rate)]
    step = max(1, int(row_s * rate / COLUMNS))
    blocks = part[: part.size // step * step].reshape(-1, step)
    if not blocks.size:
        return
    loudest = max(float(np.percentile(np.abs(audio.samples[::7]), LOUD_PERCENTILE)), 1e-9)
    low, high = (np.clip(one / loudest, -1.0, 1.0) for one in (blocks.min(axis=1), blocks.max(axis=1)))
    time_s = start_s + (np.arange(len(blocks)) + 0.5) * step / rate
    axis.fill_between(time_s, 0.5 + 0.5 * low, 0.5 + 0.5 * high, color=WAVE, linewidth=0)


def _draw_activations(axis: Any, found: TimedSong, start_s: float, row_s: float) -> None:
    """The activations, from the floor of the axis up."""
    if found.activations is None:
        return
    rate = found.activations.frames_per_s
    part = slice(int(start_s * rate), int((start_s + row_s) * rate) + 1)
    for line, colour in ((found.activations.beat, NETWORK), (found.activations.downbeat, NETWORK_BAR)):
        level = line[part].astype(np.float64)
        axis.fill_between(
            start_s + np.arange(level.size) / rate, -1.1, -1.1 + level, color=colour, alpha=0.75, linewidth=0
        )


def _draw_beats(
    axis: Any, beat_s: NDArray[np.float64], position: NDArray[np.int64], start_s: float, row_s: float
) -> None:
    inside = (beat_s >= start_s) & (beat_s < start_s + row_s)
    down = position == 1
    axis.vlines(beat_s[inside & ~down], -1.1, 1.0, color=BEAT, linewidth=0.5, alpha=0.7)
    axis.vlines(beat_s[inside & down], -1.1, 1.02, color=BAR, linewidth=1.1)
    bar = np.cumsum(down)
    every = max(1, int(np.ceil((inside & down).sum() / 16)))
    for at in np.flatnonzero(inside & down):
        if (bar[at] - 1) % every == 0:
            axis.text(beat_s[at], -0.02, f"{bar[at]}", fontsize=6, color=BAR, ha="left", va="top")


def _draw_red_lines(axis: Any, found: TimedSong, start_s: float, row_s: float) -> None:
    label_from = -np.inf
    for point in found.timing.points:
        at = point.time_ms / 1000
        if not start_s <= at < start_s + row_s:
            continue
        axis.vlines(at, -1.1, 1.12, color=RED, linewidth=1.3)
        if at >= label_from:
            axis.text(at, 1.12, f"{point.bpm:.2f}", fontsize=7, color=RED, ha="left", va="bottom")
            label_from = at + MIN_LABEL_S * row_s / ROW_S


def _draw_legend(figure: Any, found: TimedSong) -> None:
    from matplotlib.lines import Line2D

    shown = [("bar", BAR), ("beat", BEAT), ("red line (BPM)", RED)]
    if found.activations is not None:
        shown += [("network: beat", NETWORK), ("network: downbeat", NETWORK_BAR)]
    figure.legend(
        [Line2D([], [], color=colour) for _, colour in shown],
        [name for name, _ in shown],
        loc="outside lower center",
        ncols=len(shown),
        fontsize=8,
        frameon=False,
    )


def _pyplot() -> Any:
    try:
        import matplotlib
    except ImportError as error:
        raise ConfigError("--plot needs matplotlib, which is not installed: pip install matplotlib") from error
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.font_manager import get_font_names

    installed = set(get_font_names())
    plt.rcParams["font.family"] = ["DejaVu Sans", *(font for font in TITLE_FONTS if font in installed)]
    return plt
