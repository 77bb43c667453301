"""Rendered tracker modules with exact beats: `python -m ear.corpora.render_modules SOURCE -o DATA`.

    python -m ear.corpora.render_modules music/ -o DATA --name games --group module --leave-out timing.json

SOURCE is a module (.mod .xm .s3m .it .mptm), a folder or `.zip` of them. libopenmpt plays them and says when each row
plays; which rows are beats is decided in `ear.corpora.module_beats`, and what is not clear is skipped. Options, training set and
`--timed` are as for `ear.corpora.render_midi`. Samples sound at once: over 76 pieces the offset that `ear.song_timing` finds is 0.0 ms from
the rows at the median, so there is no latency to be measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np

from ear.audio.decode import SAMPLE_RATE
from ear.corpora.module_beats import module_beats
from ear.corpora.openmpt import ModuleError, module_seconds, opened_module, play_module
from ear.corpora.render import Rendered, RenderError, Selection, checked, render_selected, rendering_options
from ear.corpora.sources import MusicSource
from runtime.command import Command, use_utf8

MODULE_SUFFIXES = (".it", ".mod", ".mptm", ".s3m", ".xm")

PEAKS = (0.3, 0.95)
"""Loudest sample of a piece, drawn: modules are mixed at any level."""


@dataclass(frozen=True, slots=True)
class ModuleConfig:
    """Settings of rendering modules."""

    max_seconds: float = 150.0  # longer pieces give one stretch of this length
    seed: int = 0


def render(source: MusicSource, config: ModuleConfig) -> Rendered:
    """Render one module from where its beats are clear. Raises RenderError where it cannot be used."""
    rng = np.random.default_rng(np.random.SeedSequence([config.seed, *source.name.encode()]))
    try:
        with opened_module(source.data) as module:
            start_s = rng.uniform(0, max(0.0, module_seconds(module) - config.max_seconds))
            played = play_module(module, config.max_seconds, start_s)
        beats = module_beats(played)
    except ModuleError as error:
        raise RenderError(str(error)) from error
    interval_ms = float(np.median(np.diff(beats.beat_ms)))
    edges_ms = np.array([beats.beat_ms[0] - interval_ms, beats.beat_ms[-1] + interval_ms])
    first, last = np.round(edges_ms * SAMPLE_RATE / 1000).astype(int).clip(0, played.samples.size)
    samples = played.samples[first:last]
    samples = samples * np.float32(rng.uniform(*PEAKS) / max(float(np.abs(samples).max()), 1e-6))
    return checked(samples, beats.beat_ms - first * 1000 / SAMPLE_RATE, beats.is_downbeat)


@click.command(cls=Command)
@rendering_options
def main(sources: tuple[Path, ...], max_seconds: float, group: str, **selection: object) -> None:
    """Render the tracker modules of SOURCES, with their beats, into a training set."""
    use_utf8()
    chosen = Selection(**selection)  # type: ignore[arg-type]
    config = ModuleConfig(max_seconds, chosen.seed)
    render_selected(sources, chosen, MODULE_SUFFIXES, group, lambda source: render(source, config))


if __name__ == "__main__":
    main()
