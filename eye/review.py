"""Review a chart as a fellow mapper would: what is unfair, unreadable or unheard, where, why, and what to do."""

from __future__ import annotations

from chart.model import Chart
from eye.findings import CURVES, Review
from reward.song import Song


def review_chart(chart: Chart, song: Song | None = None, *, target: float | None = None, seed: int = 0) -> Review:
    """The review of one chart; `song` as `reward.song.Song`, `target` the stars it aims at (default: its own)."""
    import numpy as np

    from chart.stars import stars
    from reward.criteria import level_of

    rating = stars(chart)
    aim = rating if target is None else target
    return Review(
        title=chart.metadata.title_unicode or chart.metadata.title,
        artist=chart.metadata.artist_unicode or chart.metadata.artist,
        difficulty=chart.metadata.version,
        creator=chart.metadata.creator,
        stars=rating,
        target=aim,
        level=level_of(aim).name.title(),
        required_skill=0.0,
        notes=len(chart),
        holds=int(chart.is_hold.sum()),
        duration_ms=chart.last_ms - float(chart.time_ms[0]) if len(chart) else 0.0,
        with_song=song is not None,
        curves={name: np.zeros(0) for name in CURVES},
    )
