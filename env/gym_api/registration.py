"""Entry points of the registered environments."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from env.gym_api.chart_env import ChartEnv
from env.task.episodes import EpisodeConfig


def make_chart(**options: Any) -> ChartEnv:
    """Make a `Mania4KChart-v2` environment; gymnasium calls this."""
    return ChartEnv(**options)


def make_edit(episodes: EpisodeConfig | None = None, **options: Any) -> ChartEnv:
    """`Mania4KEdit-v2`: the section lies in a person's chart."""
    return ChartEnv(episodes=replace(episodes or EpisodeConfig(), context="chart"), **options)
