"""What gymnasium calls to make the registered environments."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from env.gym_api.chart_env import ChartEnv
from env.task.episodes import SectionConfig


def make_chart(**options: Any) -> ChartEnv:
    """`Mania4KChart-v1`."""
    return ChartEnv(**options)


def make_edit(sections: SectionConfig | None = None, **options: Any) -> ChartEnv:
    """`Mania4KEdit-v1`."""
    return ChartEnv(sections=replace(sections or SectionConfig(), edit=True), **options)
