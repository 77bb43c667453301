"""The human charts of a split, their songs analysed by several workers at once."""

from __future__ import annotations

from pathlib import Path

from reward.human_charts import HumanChart, charts_of_song, songs_of
from runtime.workers import Workers, all_results


def read_human_charts(folder: Path, split: str, min_notes: int, workers: Workers) -> list[HumanChart]:
    """Charts of the split with at least `min_notes` notes, in the order of `songs.json`."""
    jobs = [(folder, entry, min_notes) for entry in songs_of(folder, split)]
    return [item for charts in all_results(_read, jobs, workers, "reading") for item in charts]


def _read(job: tuple[Path, dict[str, str], int]) -> list[HumanChart]:
    return charts_of_song(*job)
