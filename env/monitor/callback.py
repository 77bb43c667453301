"""What a refinement run does beside learning: evaluate, log, save, keep the best, and stop on the auditors' alarm."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import TensorBoardOutputFormat

from chart.model import Chart
from env.monitor.evaluate import SKILL_WEIGHT, EvaluationSet, evaluate_charts, evaluate_sections
from env.monitor.reward_hacking import degraded_metrics, holds_kept
from env.ppo.ppo import SectionPPO, frozen_copy
from env.returns.section_return import Scorer, ScoringConfig
from env.task.episodes import SectionConfig
from mapper.network.checkpoint import save_mapper
from mapper.pretraining.piano_roll import piano_roll
from mapper.pretraining.sonify import with_clicks
from runtime.training.resume import save_state

if TYPE_CHECKING:
    from env.refine import RefineConfig

REFINED = "refined.safetensors"
PICTURE_MS = 20_000.0
CHARTS_SEED = 1000
SAMPLE_RATE = 16_000
ALARMS_TO_STOP = 2
"""Whole-chart evaluations in a row with an alarm after which a run stops."""


class RefinementCallback(BaseCallback):
    """A stable-baselines3 callback; its unit is the update, not the step."""

    def __init__(self, config: RefineConfig, heldout: EvaluationSet, out: Path) -> None:
        super().__init__()
        self.config, self.heldout, self.out = config, heldout, out
        self.scorer = Scorer(heldout.library, ScoringConfig(players=config.players))
        self.sections = SectionConfig(phrases=config.phrases, edit=config.rollout == "edits")
        self.before: dict[str, float] = {}
        self.last: dict[str, float] = {}
        self.best, self.alarms = -np.inf, 0
        self.evaluated = -1  # update of the last evaluation

    def state(self) -> dict[str, Any]:
        """What must be remembered to go on."""
        return {
            "before": self.before,
            "best": float(self.best),
            "alarms": self.alarms,
            "last": self.last,
            "evaluated": self.evaluated,
        }

    def restore(self, saved: dict[str, Any]) -> None:
        """Go on from what `state` gave."""
        self.before, self.best, self.alarms = dict(saved["before"]), float(saved["best"]), int(saved["alarms"])
        self.evaluated, self.last = int(saved["evaluated"]), dict(saved["last"])

    def _on_training_start(self) -> None:
        columns = (
            TextColumn("refining"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.description}"),
            TimeRemainingColumn(),
        )
        self.bar = Progress(*columns, console=Console(stderr=True))
        self.task = self.bar.add_task("", total=self.config.updates, completed=self.ppo.updates)
        self.bar.start()

    def _on_training_end(self) -> None:
        self.bar.stop()

    @property
    def ppo(self) -> SectionPPO:
        """The algorithm that is watched."""
        assert isinstance(self.model, SectionPPO)
        return self.model

    def _on_rollout_start(self) -> None:
        """Before a rollout: the policy is that of `updates` updates."""
        updates, done = self.ppo.updates, self.ppo.updates >= self.config.updates
        if (done or updates % self.config.evaluate_every == 0) and updates != self.evaluated:
            self._evaluate(updates, whole=done)
        elif updates and updates % self.config.save_every == 0:
            self._save()
        if self.alarms >= ALARMS_TO_STOP:
            self.bar.console.print("stopped: the reward rises while the auditors get worse")
        self.ppo.finished = done or self.alarms >= ALARMS_TO_STOP
        shown = f"held-out reward {self.last.get('held_out/reward', np.nan):.4f}"
        self.bar.update(self.task, completed=updates, description=shown)

    def _on_step(self) -> bool:
        self.logger.dump(self.ppo.num_timesteps)
        return True

    def _evaluate(self, updates: int, whole: bool = False) -> None:
        figures = evaluate_sections(self.heldout, self.ppo.policy.judge, self.scorer, self.sections)
        if whole or updates % self.config.charts_every == 0:
            model = frozen_copy(self.ppo.policy.mapper).cpu()
            found, charts = evaluate_charts(self.heldout, model, seed=CHARTS_SEED)
            figures |= found | {"charts/value": found["charts/total"] - SKILL_WEIGHT * found["charts/skill_error"]}
            self._draw([chart for _, chart in charts], updates)
            self._listen_for_alarm(figures)
            self._keep_best(figures, updates)
        for name, value in figures.items():
            self.logger.record(name, value)
        self.logger.dump(self.ppo.num_timesteps)
        if not self.before:
            self.before = dict(figures)
        self.last, self.evaluated = self.last | figures, updates
        self.bar.console.print(_line(updates, figures, self.ppo.leash.coefficient), highlight=False)
        self._save()

    def _keep_best(self, figures: Mapping[str, float], updates: int) -> None:
        """Keep the mapper if its whole charts are the best so far and holds are not sold for them."""
        total, off = figures["charts/total"], figures["charts/skill_error"]
        if figures["charts/value"] > self.best and holds_kept(self.before, figures):
            self.best = figures["charts/value"]
            notes = f"refined by play, update {updates}, held-out charts {total:.4f}, {off:.3f} levels off"
            save_mapper(self.ppo.policy.mapper, self.out / REFINED, notes=notes)

    def _listen_for_alarm(self, figures: Mapping[str, float]) -> None:
        if self.before:
            bad = degraded_metrics(self.before, figures)
            self.alarms = self.alarms + 1 if bad else 0
            self.logger.record("auditors/alarm", float(len(bad)))
            if bad:
                self.bar.console.print(f"alarm: {'; '.join(bad)}", highlight=False)

    def _save(self) -> None:
        save_state(self.out, self.ppo.state() | self.state())

    def _draw(self, charts: list[Chart], updates: int) -> None:
        for output in self.logger.output_formats:
            if isinstance(output, TensorBoardOutputFormat):
                for number, chart in enumerate(charts):
                    start = float(chart.time_ms[len(chart) // 3]) if len(chart) else 0.0
                    roll = piano_roll(chart, start, start + PICTURE_MS)
                    output.writer.add_image(f"charts/{number}", roll, self.ppo.num_timesteps, dataformats="HWC")
                    sound = with_clicks(chart, start, start + PICTURE_MS, SAMPLE_RATE)
                    output.writer.add_audio(f"charts/{number}", sound[None], self.ppo.num_timesteps, SAMPLE_RATE)


def _line(updates: int, figures: Mapping[str, float], leash: float) -> str:
    shown = (
        "held_out/reward",
        "held_out/skill_error",
        "held_out/hold_share",
        "held_out/notes",
        "charts/total",
        "charts/skill_error",
        "charts/star_error",
        "charts/problems_per_1000",
        "auditors/ngram_bits",
        "auditors/onset_contrast",
    )
    parts = [f"{name.split('/')[0][0]}.{name.split('/')[1]} {figures[name]:.4f}" for name in shown if name in figures]
    return f"update {updates}: {', '.join(parts)}, leash {leash:.3f}"
