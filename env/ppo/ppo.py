"""PPO on whole sections, leashed to the pretrained mapper: stable-baselines3's `PPO` with three changes.

A rollout writes whole charts and sections of them anew (`env.ppo.chart_rollout`), or single sections as the environment has
them (`env.ppo.rollout`), in `versions` versions each. What a version earns is taken against its siblings; minibatches are
whole sections (`env.ppo.buffer`). To PPO's loss comes the exact divergence from the frozen pretrained mapper on the
same sections, with an adaptive coefficient (`env.ppo.kl_control`), and a guard on holds (`env.ppo.hold_penalty`). Returns are not bootstrapped
at a section's end: what the next section earns is no merit of this one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3 import PPO
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnv

from env.gym_api.vec_env import ChartVecEnv
from env.policy.action_heads import ActionEvaluation, ActionHeads, PolicySampling, states_of
from env.policy.sb3_policy import MapperPolicy
from env.ppo.buffer import EpisodeBuffer, Episodes
from env.ppo.chart_rollout import chart_returns, write_charts
from env.ppo.density_bias import MEMORY, RATE, RATE_AT_ONCE, DensityBiasRegression, DensityBiasSamples
from env.ppo.hold_penalty import hold_rate_kl, holds_and_notes
from env.ppo.kl_control import AdaptiveKL
from env.ppo.rollout import WrittenSections, leave_one_out_advantage, section_returns, write
from env.task.episodes import draw_section
from mapper.network.model import Mapper

MAX_LOG_RATIO = 10.0
HOLD_WEIGHT = 60.0
"""Weight of `guard.hold_drift` in the loss: a chance of .1 instead of .05 everywhere costs .4 standard advantages."""


@dataclass(frozen=True)
class Settings:
    """What PPO on sections needs beside stable-baselines3's own arguments."""

    songs: int = 6  # a rollout, each at one target; 0: sections are written by themselves
    density: int = 0  # updates whose charts teach how dense charts are to be, at the last of them, and nothing else
    charts: int = 2  # of each song, an even number: half lean to more rows, half to fewer
    groups: int = 12  # without songs, sections a rollout
    versions: int = 8  # of each section
    minibatches: int = 4
    epochs: int = 1
    learning_rate: float = 1e-4
    clip: float = 0.2
    decay: float = 0.98  # of generalised advantages
    leash: float = 0.03  # nats a step
    entropy: float = 0.0
    seed: int = 0


class SectionPPO(PPO):
    """See the module's docstring. `updates` counts rollouts with their training; everything random hangs on it.

    A callback may set `finished` before a rollout to end the run.
    """

    policy: MapperPolicy

    def __init__(
        self, env: ChartVecEnv, mapper: Mapper, reference: Mapper, settings: Settings, sampling: PolicySampling
    ) -> None:
        self.settings, self.leash, self.updates, self.finished = settings, AdaptiveKL(settings.leash), 0, False
        self.reference = ActionHeads(reference.eval(), sampling)
        self.chart_env = env
        self.leanings: DensityBiasSamples | None = None  # of the last rollout
        super().__init__(
            MapperPolicy,
            env,
            learning_rate=settings.learning_rate,
            n_steps=2,
            batch_size=2 * env.num_envs,
            n_epochs=settings.epochs,
            gamma=1.0,
            gae_lambda=settings.decay,
            clip_range=settings.clip,
            ent_coef=settings.entropy,
            rollout_buffer_class=EpisodeBuffer,
            policy_kwargs={"mapper": mapper, "library": env.library, "sampling": sampling},
            seed=None,
            device=next(mapper.parameters()).device,
        )
        self.leaning = DensityBiasRegression(self.policy.mapper.lean)

    def collect_rollouts(
        self, env: VecEnv, callback: BaseCallback, rollout_buffer: RolloutBuffer, n_rollout_steps: int
    ) -> bool:
        """Write and value a batch of sections."""
        assert isinstance(rollout_buffer, EpisodeBuffer)
        callback.on_rollout_start()
        if self.finished:
            return False
        random = np.random.default_rng([self.settings.seed, self.updates, 0])
        if self.settings.songs:
            written = self._write_charts(rollout_buffer, random)
        else:
            written = self._write_sections(rollout_buffer, random)
        if written is not None:
            holds, notes = holds_and_notes(written.state)
            self.logger.record("rollout/steps", float(written.steps.mean()))
            self.logger.record("guard/hold_share", float(holds.sum() / max(notes.sum(), 1)))
            self.num_timesteps += int(written.steps.sum())
        callback.update_locals(locals())
        going_on = callback.on_step()
        callback.on_rollout_end()
        return going_on

    def _write_charts(self, buffer: EpisodeBuffer, random: np.random.Generator) -> WrittenSections | None:
        """Write whole charts and fill the buffer with sections of them written anew; for the density, charts alone."""
        settings, session, library = self.settings, self.chart_env.session, self.chart_env.library
        charts = write_charts(library, self.policy.mapper, settings.songs, settings.charts, session.config, random)
        self.leanings = charts.leanings
        self.logger.record("charts_written/total", float(np.mean([one.total for one in charts.values])))
        self.logger.record("charts_written/off", float(np.mean([np.abs(one.off).mean() for one in charts.values])))
        self.logger.record("lean/mean", float(charts.leanings.lean.mean()))
        if settings.density:
            self.num_timesteps += sum(len(rows) for rows in charts.rows)
            return None
        seed = [settings.seed, self.updates, 1]
        written = write(
            library,
            self.policy.judge,
            charts.sections,
            settings.versions,
            seed,
            self.policy.value_head,
            charts.going_on,
        )
        weights = session.scorer.config.weights
        reward, total = chart_returns(library, charts, written.state, settings.versions, weights)
        buffer.fill(written, reward)
        terms = {name: np.concatenate([one.terms[name] for one in charts.values]) for name in charts.values[0].terms}
        self._log_rollout(total, terms)
        return written

    def _write_sections(self, buffer: EpisodeBuffer, random: np.random.Generator) -> WrittenSections:
        """Fill the buffer with sections as the environment has them."""
        settings, session, library = self.settings, self.chart_env.session, self.chart_env.library
        sections = [draw_section(library, session.config, random) for _ in range(settings.groups)]
        seed = [settings.seed, self.updates, 1]
        written = write(library, self.policy.judge, sections, settings.versions, seed, self.policy.value_head)
        seeds = np.repeat(random.integers(2**31, size=settings.groups), settings.versions)
        earned = section_returns(session.scorer, written.state, seeds)
        buffer.fill(written, leave_one_out_advantage(earned.reward, settings.versions))
        self._log_rollout(earned.total, earned.terms)
        return written

    def _log_rollout(self, total: NDArray[np.float64], terms: dict[str, NDArray[np.float64]]) -> None:
        """`total` has the versions of a group one behind another."""
        self.logger.record("rollout/reward", float(total.mean()))
        self.logger.record("rollout/spread_in_group", float(total.reshape(-1, self.settings.versions).std(1).mean()))
        for name, values in terms.items():
            if not np.isnan(values).all():
                self.logger.record(f"terms/{name.replace('/', '_')}", float(np.nanmean(values)))

    def train(self) -> None:
        """Update the policy on the episodes of the buffer, and the lean on the charts."""
        means = {} if self.settings.density else self._learn_rows()
        self.updates += 1
        if self.leanings is not None:
            self.logger.record("lean/change", self.leaning.learn(self.leanings, *self._lean_rate()))
        for name, value in means.items():
            self.logger.record(name, value)

    def _lean_rate(self) -> tuple[float, float]:
        """(part of the way to go, what earlier charts count) after this update."""
        if not self.settings.density:
            return RATE, MEMORY
        return RATE_AT_ONCE if self.updates == self.settings.density else 0.0, 1.0

    def _learn_rows(self) -> dict[str, float]:
        """PPO's epochs; returns what to log."""
        buffer, settings = self.rollout_buffer, self.settings
        assert isinstance(buffer, EpisodeBuffer)
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        random = np.random.default_rng([settings.seed, self.updates, 2])
        taken = np.arange(buffer.advantage.shape[1]) < buffer.written.steps[:, None]  # type: ignore[union-attr]
        spread = float(buffer.advantage[taken].std())
        with reproducible(self.device):
            logged = [
                self._update(episodes, spread)
                for _ in range(settings.epochs)
                for episodes in buffer.minibatches(settings.minibatches, random, self.device)
            ]
        means = {name: float(np.mean([one[name] for one in logged])) for name in logged[0]}
        self.leash.adapt(means["leash/kl"])
        self._n_updates += settings.epochs
        return means | {"leash/coefficient": self.leash.coefficient, "train/advantage_spread": spread}

    def _update(self, episodes: Episodes, spread: float) -> dict[str, float]:
        """One optimizer step on a minibatch; returns what to log."""
        policy, taken = self.policy, episodes.taken
        windows, token = episodes.reading.windows, episodes.reading.decisions.token
        state = states_of(policy.mapper, windows, episodes.tokens, token)
        judged = policy.judge.judge(episodes.reading, state)
        values = policy.value_head(state, episodes.left, episodes.stars)
        ratio = (judged.log_prob - episodes.log_prob)[taken].clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO)
        advantage = episodes.advantage[taken] / max(spread, 1e-8)
        gain = torch.min(
            advantage * ratio.exp(), advantage * ratio.exp().clamp(1 - self.settings.clip, 1 + self.settings.clip)
        )
        value_loss = ((values - episodes.returns)[taken] / max(spread, 1e-8)).square().mean()
        usual = self._refer(episodes)
        divergence = judged.kl(usual)[taken].mean()
        wrote = taken[judged.wrote]  # [row], not behind an episode's end
        drift = hold_rate_kl(judged.codes[wrote], usual.codes[wrote])
        entropy = judged.entropy()[taken].mean()
        loss = -gain.mean() + self.vf_coef * value_loss - self.ent_coef * entropy
        loss = loss + self.leash.coefficient * divergence + HOLD_WEIGHT * drift
        policy.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(policy.parameters(), self.max_grad_norm)
        policy.optimizer.step()
        return {
            "train/policy_loss": float(-gain.mean().detach()),
            "train/value_loss": float(value_loss.detach()),
            "train/entropy": float(entropy.detach()),
            "train/clipped_share": float((ratio.exp() - 1).abs().gt(self.settings.clip).float().mean()),
            "train/step_kl": float((ratio.exp() - 1 - ratio).mean().detach()),
            "train/gradient_norm": float(norm),
            "leash/kl": float(divergence.detach()),
            "guard/hold_drift": float(drift.detach()),
        }

    @torch.no_grad()
    def _refer(self, episodes: Episodes) -> ActionEvaluation:
        """What the frozen mapper says of the same decisions."""
        windows, token = episodes.reading.windows, episodes.reading.decisions.token
        return self.reference.judge(episodes.reading, states_of(self.reference.model, windows, episodes.tokens, token))

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "reference", "chart_env", "leanings", "leaning"]

    def state(self) -> dict[str, Any]:
        """What a run must remember to go on, as plain data and tensors."""
        return {
            "policy": self.policy.state_dict(),
            "optimizer": self.policy.optimizer.state_dict(),
            "lean": self.leaning.state(),
            "leash": self.leash.coefficient,
            "updates": self.updates,
            "steps": self.num_timesteps,
        }

    def restore(self, saved: dict[str, Any]) -> None:
        """Go on from what `state` gave."""
        self.policy.load_state_dict(saved["policy"])
        self.policy.optimizer.load_state_dict(saved["optimizer"])
        self.leaning.restore(saved["lean"])
        self.leash.coefficient = float(saved["leash"])
        self.updates, self.num_timesteps = int(saved["updates"]), int(saved["steps"])


@contextmanager
def reproducible(device: torch.device) -> Iterator[None]:
    """Let processors sum in the same order every time, however many threads there are; graphics cards as they like."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(before or device.type == "cpu")
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)


def frozen_copy(mapper: Mapper) -> Mapper:
    """The same network, never to be trained."""
    copy = Mapper(mapper.config)
    copy.load_state_dict(mapper.state_dict())
    copy.requires_grad_(False)
    return copy.eval().to(next(mapper.parameters()).device)
