"""Refine the mapper with PPO on whole sections: stable-baselines3's `PPO` with another baseline and two penalties.

    rollout    `ChartVecEnv.reset` writes drafts and opens a section of each in K versions side by side; the policy samples
               them with the generation sampler; stable-baselines3 collects them through `VecEnv.step`
    advantage  rewards per bar against the mean of the other K − 1 versions (leave-one-out, RLOO), then GAE(λ), γ = 1
    loss       clipped surrogate + value error + c · KL(policy ‖ pretrained) + w · KL of the chance of a hold

The KL coefficient c adapts, so that the policy stays about `kl_target` nats a step from the pretrained mapper (Schulman et
al. 2017, section 4). The hold term prevents reward hacking: holds raise the demands on players without adding notes, so a
policy whose phrases are too easy writes holds instead of notes (.09 to .33 of them within ten updates). A price on their
mean was evaded (docs/LOG.md); so the chance is kept at every decision, in closed form. Nothing is bootstrapped at a
section's end. Minibatches are whole sections: single steps would read each context a hundred times.

    ppo = SectionPPO(env, mapper, Settings())      # env: ChartVecEnv(…, versions=8)
    ppo.learn(1 << 60, callback=callback)          # until `Settings.updates`

Everything random depends on the seed and the number of the update, so a resumed run equals one that never stopped.
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
from stable_baselines3.common.utils import obs_as_tensor
from stable_baselines3.common.vec_env import VecEnv
from torch import Tensor

from env.policy.action_heads import ActionEvaluation, ActionHeads
from env.policy.chart_sampler import PolicySampling
from env.policy.decisions import DecisionBatch, states_of
from env.policy.sb3_policy import MapperPolicy
from env.ppo.density_bias import MEMORY, RATE, RATE_AT_ONCE, DensityBiasRegression, DensityBiasSamples, density_samples
from env.ppo.returns import by_bar, by_last_step, generalised_advantage, leave_one_out_advantage
from env.task.episodes import MAX_ROWS
from mapper.network.model import Mapper
from mapper.tokens.row_codes import STARTS_HOLD
from runtime.errors import ConfigError

MAX_LOG_RATIO = 10.0
HOLD_WEIGHT = 60.0
"""Weight of `hold_rate_kl` in the loss: a chance of .1 instead of .05 everywhere costs .4 standard advantages."""
LENGTH_JITTER = 0.15
"""Spread of the log factor on lengths when sections of similar length are put into one minibatch."""
KL_SLACK, KL_CHANGE = 1.3, 1.25
"""The KL coefficient rests within this factor of the target; factor by which it changes after an update."""
MIN_COEFFICIENT, MAX_COEFFICIENT = 0.01, 100.0
CERTAIN = 1e-6
"""Chances are kept this far from 0 and 1 before their logarithm."""


@dataclass(frozen=True)
class Settings:
    """Settings of PPO on sections beside stable-baselines3's own arguments; versions are those of the environment."""

    updates: int = 40
    density_only: bool = False  # learn the density alone, at the last update, from the drafts of all
    minibatches: int = 4
    epochs: int = 1
    learning_rate: float = 1e-4
    clip: float = 0.2
    decay: float = 0.98  # λ of the generalised advantage
    kl_target: float = 0.03  # nats a step
    entropy: float = 0.0
    seed: int = 0


@dataclass
class AdaptiveKL:
    """Coefficient of a KL penalty: larger when the divergence is above its target, smaller when below."""

    target: float  # nats a step
    coefficient: float = 0.3

    def __post_init__(self) -> None:
        if not self.target > 0:
            raise ConfigError(f"--leash is {self.target}; give the nats a step that the policy may move, such as 0.03")

    def adapt(self, divergence: float) -> None:
        """Change the coefficient by an update's mean divergence, nats a step."""
        if divergence > self.target * KL_SLACK:
            self.coefficient *= KL_CHANGE
        elif divergence < self.target / KL_SLACK:
            self.coefficient /= KL_CHANGE
        self.coefficient = min(max(self.coefficient, MIN_COEFFICIENT), MAX_COEFFICIENT)


def hold_rate_kl(codes: Tensor, reference: Tensor) -> Tensor:
    """Mean Bernoulli KL, nats, of the chance that a row starts a hold; both are [row, code] log-probabilities."""
    starts = torch.from_numpy(STARTS_HOLD).to(codes.device)
    mine, usual = (one.exp()[:, starts].sum(1).clamp(CERTAIN, 1 - CERTAIN) for one in (codes, reference))
    return (mine * (mine / usual).log() + (1 - mine) * ((1 - mine) / (1 - usual)).log()).mean()


class SectionBuffer(RolloutBuffer):
    """The steps of one rollout as stable-baselines3 adds them; `finish` turns them into advantages of whole sections."""

    batch: DecisionBatch | None = None

    def reset(self) -> None:
        """Forget everything; nothing is allocated ahead."""
        self._steps: list[tuple[NDArray, ...]] = []
        self.batch, self.full, self.pos = None, False, 0

    def add(
        self,
        obs: dict[str, NDArray],  # type: ignore[override]
        action: NDArray,
        reward: NDArray,
        episode_start: NDArray,
        value: Tensor,
        log_prob: Tensor,
    ) -> None:
        """Note one step of all environments."""
        self._steps.append((obs["place"][:, 5], reward, value.cpu().numpy(), log_prob.cpu().numpy()))
        self.pos += 1

    def compute_returns_and_advantage(self, last_values: Tensor, dones: NDArray) -> None:
        """Nothing yet: advantages need all versions of a section (`finish`)."""

    def finish(self, batch: DecisionBatch, versions: int, bars: int) -> None:
        """Compute advantages against the other versions and the values; `batch` has the decisions of the rollout."""
        bar, reward, value, log_prob = (np.stack(one, axis=1) for one in zip(*self._steps, strict=True))  # [env, step]
        self.batch, self.full, self.log_probs, self.values = batch, True, log_prob, value
        taken = batch.taken.cpu().numpy()[:, : bar.shape[1]]
        bar = np.minimum(bar, bars - 1)
        paid = bar.copy()  # a section's last step is paid in its last bar, where the other versions are
        paid[np.arange(len(paid)), np.maximum(taken.sum(1) - 1, 0)] = bars - 1
        self.bar_reward = by_bar(reward.astype(np.float64), paid, taken, bars)
        against = by_last_step(leave_one_out_advantage(self.bar_reward, versions), bar, taken)
        self.advantages = generalised_advantage(against, value, taken, self.gae_lambda)
        self.returns = self.advantages + value

    def minibatches(self, count: int, random: np.random.Generator) -> Iterator[Tensor]:
        """Numbers of the environments, each once, in `count` minibatches of similar lengths."""
        assert self.batch is not None, "finish the rollout first"
        steps = self.batch.taken.sum(1).cpu().numpy()
        order = np.argsort(steps * np.exp(random.normal(0.0, LENGTH_JITTER, steps.size)))
        parts = np.array_split(order, count)
        for part in random.permutation(len(parts)):
            yield torch.from_numpy(parts[part]).to(self.batch.taken.device)


class SectionPPO(PPO):
    """See the module's docstring. `updates` counts rollouts with their training; `finished` ends the run."""

    policy: MapperPolicy

    def __init__(self, env: VecEnv, mapper: Mapper, settings: Settings, sampling: PolicySampling | None = None) -> None:
        self.settings, self.adaptive_kl = settings, AdaptiveKL(settings.kl_target)
        self.updates, self.finished = 0, False
        sampling = sampling or PolicySampling()
        self.reference = ActionHeads(frozen_copy(mapper), sampling)
        super().__init__(
            MapperPolicy,
            env,
            learning_rate=settings.learning_rate,
            n_steps=MAX_ROWS,  # at most; a rollout ends when every section is written
            batch_size=MAX_ROWS,
            n_epochs=settings.epochs,
            gamma=1.0,
            gae_lambda=settings.decay,
            clip_range=settings.clip,
            ent_coef=settings.entropy,
            stats_window_size=env.num_envs,
            rollout_buffer_class=SectionBuffer,
            policy_kwargs={"mapper": mapper, "library": env.get_attr("library")[0], "sampling": sampling},
            device=next(mapper.parameters()).device,
        )
        env.set_attr("drafter", self.policy.sampler.draft)
        self.density = DensityBiasRegression(mapper.lean)
        self.samples: DensityBiasSamples | None = None  # of the last rollout

    def collect_rollouts(
        self, env: VecEnv, callback: BaseCallback, rollout_buffer: RolloutBuffer, n_rollout_steps: int
    ) -> bool:
        """Reset the environments, then let stable-baselines3 step them until every section is written."""
        if self.finished or self.updates >= self.settings.updates:
            return False
        assert isinstance(rollout_buffer, SectionBuffer)
        seeds = np.random.SeedSequence([self.settings.seed, self.updates]).generate_state(2).tolist()
        env.seed(seeds[0] % 2**31)
        self.policy.reseed(seeds[1])
        self._last_obs = obs = env.reset()  # type: ignore[assignment]
        drafts = env.get_attr("session")[0].drafts()
        self.samples = density_samples(self.policy.sampler, drafts) if drafts else None
        before, taken = self.num_timesteps, env.get_attr("steps_taken")[0]
        if self.settings.density_only:
            rollout_buffer.reset()
            callback.on_rollout_start()
            self.num_timesteps += sum(len(draft.rows) for draft in drafts)  # a step is a row of a draft
            goes_on = callback.on_step()
            callback.on_rollout_end()
            return goes_on
        assert isinstance(obs, dict)
        self.policy.plan(obs_as_tensor(obs, self.device))
        goes_on = super().collect_rollouts(env, callback, rollout_buffer, self.policy.longest)
        self.num_timesteps = before + env.get_attr("steps_taken")[0] - taken  # without steps after a section's end
        if goes_on:
            assert self.policy.batch is not None
            rollout_buffer.finish(self.policy.batch, env.get_attr("versions")[0], env.get_attr("bars")[0])
        return goes_on

    def train(self) -> None:
        """Update the policy on the sections of the buffer, and the density bias on the drafts."""
        means = {} if self.settings.density_only else self._train_rows()
        self.updates += 1
        if self.samples is not None:
            self.logger.record("lean/mean", float(self.samples.bias.mean()))
            self.logger.record("lean/change", self.density.learn(self.samples, *self._density_rate()))
        for name, value in means.items():
            self.logger.record(name, value)

    def _density_rate(self) -> tuple[float, float]:
        """(part of the way to go, weight of earlier charts) after this update."""
        if not self.settings.density_only:
            return RATE, MEMORY
        return RATE_AT_ONCE if self.updates == self.settings.updates else 0.0, 1.0

    def _train_rows(self) -> dict[str, float]:
        """Run PPO's epochs; returns scalars by TensorBoard tag."""
        buffer, settings = self.rollout_buffer, self.settings
        assert isinstance(buffer, SectionBuffer)
        assert buffer.batch is not None
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        random = np.random.default_rng([settings.seed, self.updates, 2])
        spread = float(buffer.advantages[buffer.batch.taken.cpu().numpy()].std())
        with reproducible(self.device):
            logged = [
                self._step(buffer, envs, spread)
                for _ in range(settings.epochs)
                for envs in buffer.minibatches(settings.minibatches, random)
            ]
        means = {name: float(np.mean([one[name] for one in logged])) for name in logged[0]}
        self.adaptive_kl.adapt(means["leash/kl"])
        self._n_updates += settings.epochs
        return means | {"leash/coefficient": self.adaptive_kl.coefficient, "train/advantage_spread": spread}

    def _step(self, buffer: SectionBuffer, envs: Tensor, spread: float) -> dict[str, float]:
        """One optimizer step on the sections of these environments; returns what to log."""
        assert buffer.batch is not None
        policy, batch, scale = self.policy, buffer.batch.picked(envs), max(spread, 1e-8)
        taken = batch.taken
        old, advantage, returns = (
            torch.from_numpy(array[envs.cpu().numpy(), : taken.shape[1]]).float().to(taken.device)[taken]
            for array in (buffer.log_probs, buffer.advantages, buffer.returns)
        )
        state = states_of(policy.mapper, batch)
        found = policy.heads.evaluate(batch, state)
        log_ratio = (found.log_prob[taken] - old).clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO)
        ratio = log_ratio.exp()
        clipped = ratio.clamp(1 - self.settings.clip, 1 + self.settings.clip)
        gain = torch.min(advantage * ratio, advantage * clipped).mean() / scale
        value_loss = ((policy.values_of(batch, state)[taken] - returns) / scale).square().mean()
        usual = self._reference_of(batch)
        divergence = found.kl(usual)[taken].mean()
        hold_kl, entropy = hold_rate_kl(found.codes, usual.codes), found.entropy()[taken].mean()
        loss = -gain + self.vf_coef * value_loss - self.ent_coef * entropy
        loss = loss + self.adaptive_kl.coefficient * divergence + HOLD_WEIGHT * hold_kl
        policy.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(policy.parameters(), self.max_grad_norm)
        policy.optimizer.step()
        logged = {
            "train/policy_loss": -gain,
            "train/value_loss": value_loss,
            "train/entropy": entropy,
            "train/clipped_share": (ratio - 1).abs().gt(self.settings.clip).float().mean(),
            "train/step_kl": (ratio - 1 - log_ratio).mean(),
            "train/gradient_norm": norm,
            "leash/kl": divergence,
            "guard/hold_drift": hold_kl,
        }
        return {name: float(value.detach()) for name, value in logged.items()}

    @torch.no_grad()
    def _reference_of(self, batch: DecisionBatch) -> ActionEvaluation:
        """The frozen pretrained mapper's distribution at the same decisions."""
        return self.reference.evaluate(batch)

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "reference", "samples", "density"]

    def state(self) -> dict[str, Any]:
        """Plain data and tensors from which `restore` resumes the run."""
        return {
            "policy": self.policy.state_dict(),
            "optimizer": self.policy.optimizer.state_dict(),
            "lean": self.density.state(),
            "leash": self.adaptive_kl.coefficient,
            "updates": self.updates,
            "steps": self.num_timesteps,
        }

    def restore(self, saved: dict[str, Any]) -> None:
        """Resume from the result of `state`."""
        self.policy.load_state_dict(saved["policy"])
        self.policy.optimizer.load_state_dict(saved["optimizer"])
        self.density.restore(saved["lean"])
        self.adaptive_kl.coefficient = float(saved["leash"])
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
    """A copy of the network whose weights take no gradients."""
    copy = Mapper(mapper.config)
    copy.load_state_dict(mapper.state_dict())
    copy.requires_grad_(False)
    return copy.eval().to(next(mapper.parameters()).device)
