"""The stable-baselines3 callback of a refinement run: logs rollouts, evaluates, saves, keeps the best mapper, stops on the alarm."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import TensorBoardOutputFormat

from chart.model import Chart
from env.monitor.evaluate import SKILL_WEIGHT, EvaluationSet, evaluate_charts, evaluate_sections
from env.monitor.reward_hacking import degraded_metrics, holds_kept
from env.ppo.ppo import SectionPPO, frozen_copy
from env.returns.section_return import TERM_NAMES, ScoringConfig
from env.run_config import REFINED, RefineConfig
from env.task.episodes import PHRASE_BARS, EpisodeConfig
from mapper.network.checkpoint import checkpoint_named, origin_of, save_mapper
from mapper.pretraining.piano_roll import piano_roll
from mapper.pretraining.sonify import with_clicks
from runtime.training.resume import save_state

PICTURE_MS = 20_000.0
CHARTS_SEED = 1000
SAMPLE_RATE = 16_000
ALARMS_TO_STOP = 2
"""Whole-chart evaluations in a row with an alarm after which a run stops."""


class RefinementCallback(BaseCallback):
    """Its unit is the update, not the step: it acts at the end of each rollout, before the rollout is learned from."""

    def __init__(self, config: RefineConfig, heldout: EvaluationSet, out: Path) -> None:
        super().__init__()
        self.config, self.heldout, self.out = config, heldout, out
        context = "chart" if config.rollout == "edits" else "open"
        episodes = EpisodeConfig(phrases=config.phrases, context=context)
        self.sections = heldout.environment(episodes, ScoringConfig(players=config.players))
        self.before: dict[str, float] = {}
        self.last: dict[str, float] = {}
        self.best, self.alarms = -np.inf, 0
        self.evaluated = -1  # update of the last evaluation
        self.infos: list[dict[str, Any]] = []  # of the rollout's paid bars, in order of steps
        self.ended: dict[int, dict[str, Any]] = {}  # environment → its last info of the rollout
        self.steps = 0  # before the rollout: those after which the policy is evaluated
        self.report: Callable[[int, str], None] = lambda updates, now: None  # of runtime.progress.training_bar

    def state(self) -> dict[str, Any]:
        """Plain data from which `restore` resumes."""
        return {
            "before": self.before,
            "best": float(self.best),
            "alarms": self.alarms,
            "last": self.last,
            "evaluated": self.evaluated,
        }

    def restore(self, saved: dict[str, Any]) -> None:
        """Resume from the result of `state`."""
        self.before, self.best, self.alarms = dict(saved["before"]), float(saved["best"]), int(saved["alarms"])
        self.evaluated, self.last = int(saved["evaluated"]), dict(saved["last"])

    def _on_training_end(self) -> None:
        """Evaluate the last policy, whole charts included."""
        self.steps = self.ppo.num_timesteps
        if self.ppo.updates >= self.config.updates and self.ppo.updates != self.evaluated:
            self._evaluate(self.ppo.updates, whole=True)

    @property
    def ppo(self) -> SectionPPO:
        """The algorithm that is watched."""
        assert isinstance(self.model, SectionPPO)
        return self.model

    def _on_rollout_start(self) -> None:
        self.infos, self.ended, self.steps = [], {}, self.ppo.num_timesteps
        self.report(self.ppo.updates, "writing and playing")

    def _on_step(self) -> bool:
        for env, info in enumerate(self.locals.get("infos", ())):
            if "bar" in info:
                self.infos.append(info)
            if "episode" in info:
                self.ended[env] = info
        return True

    def _on_rollout_end(self) -> None:
        """The policy is still that of `updates` updates."""
        updates = self.ppo.updates
        if updates % self.config.evaluate_every == 0 and updates != self.evaluated:
            self._evaluate(updates)
        elif updates and updates % self.config.save_every == 0:
            self._save()
        self._log_rollout()
        if self.alarms >= ALARMS_TO_STOP:
            _say("stopped: the reward rises while the auditors get worse")
            self.ppo.finished = True
        self.report(updates, "learning")

    def _log_rollout(self) -> None:
        """Record the rollout's rewards, terms and holds; the logger writes them with the algorithm's own."""
        drafts = self.training_env.get_attr("session")[0].drafts()
        if drafts:
            values = drafts[0].values
            self.logger.record("charts_written/total", float(values.total.mean()))
            self.logger.record("charts_written/off", float(np.abs(values.off).mean()))
        ended = [self.ended[env] for env in sorted(self.ended)]
        if not ended:
            self.logger.record("rollout/reward", float(drafts[0].values.total.mean()))
            return
        rewards = np.array([info["episode"]["r"] for info in ended]).reshape(
            -1, self.training_env.get_attr("versions")[0]
        )
        total = [info.get("chart/total", info["potential"]) for info in ended]
        notes, holds = (sum(info[name] for info in ended) for name in ("written/notes", "written/holds"))
        self.logger.record("rollout/reward", float(np.mean(total)))
        self.logger.record("rollout/spread_in_group", float(rewards.std(1).mean()))
        self.logger.record("rollout/steps", float(np.mean([info["steps"] for info in ended])))
        self.logger.record("guard/hold_share", holds / max(notes, 1))
        for name in TERM_NAMES:
            values = [info[name] for info in self.infos if name in info and info["bar"] % PHRASE_BARS == 0]
            if values:
                self.logger.record(f"terms/{name.replace('/', '_')}", float(np.mean(values)))

    def _evaluate(self, updates: int, whole: bool = False) -> None:
        self.report(updates, "evaluating")
        figures = evaluate_sections(self.ppo.policy, self.sections)
        if whole or updates % self.config.charts_every == 0:
            model = frozen_copy(self.ppo.policy.mapper).cpu()
            found, charts = evaluate_charts(self.heldout, model, seed=CHARTS_SEED)
            figures |= found | {"charts/value": found["charts/total"] - SKILL_WEIGHT * found["charts/skill_error"]}
            self._draw([chart for _, chart in charts], updates)
            self._check_auditors(figures)
            self._keep_best(figures, updates)
        for name, value in figures.items():
            self.logger.record(name, value)
        self.logger.dump(self.steps)
        if not self.before:
            self.before = dict(figures)
        self.last, self.evaluated = self.last | figures, updates
        _say(_line(updates, figures, self.ppo.adaptive_kl.coefficient))
        self._save()

    def _keep_best(self, figures: Mapping[str, float], updates: int) -> None:
        """Keep the mapper if its whole charts are the best so far and its hold ratio is that of the pretrained one."""
        total, off = figures["charts/total"], figures["charts/skill_error"]
        if figures["charts/value"] > self.best and holds_kept(self.before, figures):
            self.best = figures["charts/value"]
            notes = f"refined by play, update {updates}, held-out charts {total:.4f}, {off:.3f} levels off"
            random_steps = origin_of(checkpoint_named(self.config.init)).random_steps
            save_mapper(self.ppo.policy.mapper, self.out / REFINED, notes=notes, random_steps=random_steps)

    def _check_auditors(self, figures: Mapping[str, float]) -> None:
        if self.before:
            bad = degraded_metrics(self.before, figures)
            self.alarms = self.alarms + 1 if bad else 0
            self.logger.record("auditors/alarm", float(len(bad)))
            if bad:
                _say(f"alarm: {'; '.join(bad)}")

    def _save(self) -> None:
        save_state(self.out, self.ppo.state() | self.state())

    def _draw(self, charts: list[Chart], updates: int) -> None:
        for output in self.logger.output_formats:
            if isinstance(output, TensorBoardOutputFormat):
                for number, chart in enumerate(charts):
                    start = float(chart.time_ms[len(chart) // 3]) if len(chart) else 0.0
                    roll = piano_roll(chart, start, start + PICTURE_MS)
                    output.writer.add_image(f"charts/{number}", roll, self.steps, dataformats="HWC")
                    sound = with_clicks(chart, start, start + PICTURE_MS, SAMPLE_RATE)
                    output.writer.add_audio(f"charts/{number}", sound[None], self.steps, SAMPLE_RATE)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


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
