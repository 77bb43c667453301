"""Evaluation on songs that are not learned from: sections as the environment has them, and whole charts as generated.

Sections are fixed by a seed, so that two evaluations differ by the policy alone. Whole charts are sampled under the song's
structure plan as `mapper.generate` does in its first round, scored by the whole reward and seen by its auditors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import VecEnv, VecMonitor

from chart.model import Chart
from env.gym_api.vec_env import ChartVecEnv
from env.policy.chart_sampler import ChartSampler
from env.policy.sb3_policy import MapperPolicy
from env.returns.chart_return import band_midpoint
from env.returns.section_return import TERM_NAMES, ScoringConfig, chart_from
from env.task.episodes import PHRASE_BARS, EpisodeConfig, Outline, Target
from env.task.songs import ChartedSong, SongSet
from mapper.network.model import Mapper
from mapper.tokens.vocabulary import STYLES
from reward.auditors import audit
from reward.band_table import CHART_BANDS, SECTION_BANDS
from reward.rules.check import check
from reward.rules.criteria import level_of
from reward.total import score

SECTION_SEED = 20_261_122
KEYBOARD = STYLES.index("keyboard")
STARS = (1.5, 3.0, 4.5, 6.0)
SKILL_WEIGHT = 0.3
"""Penalty per skill level of error when ranking checkpoints (the whole reward is in 0–1)."""


@dataclass(frozen=True)
class EvaluationSet:
    """Songs and numbers of an evaluation."""

    library: SongSet
    sections: int = 24
    versions: int = 4
    charts: int = 4  # songs of which whole charts are written

    def environment(self, config: EpisodeConfig, scoring: ScoringConfig) -> VecEnv:
        """Make the registered environment with `versions` versions of every section side by side."""
        count = self.sections * self.versions
        return VecMonitor(ChartVecEnv(self.library, count, config, scoring, versions=self.versions))


def rollout(policy: MapperPolicy, env: VecEnv, seed: int) -> list[dict[str, Any]]:
    """Let the policy write one section in every environment, by stable-baselines3's `evaluate_policy`.

    Returns the `info` of every bar that was paid; an episode's last one has its "episode".
    """
    infos: list[dict[str, Any]] = []

    def keep(found: dict[str, Any], _: dict[str, Any]) -> None:
        info = found["infos"][found["i"]]
        if "bar" in info:
            infos.append(info)

    env.seed(seed)
    own = policy.on(env.get_attr("library")[0])
    own.reseed(seed)
    evaluate_policy(own, env, env.num_envs, deterministic=False, callback=keep)
    return infos


def evaluate_sections(policy: MapperPolicy, env: VecEnv) -> dict[str, float]:
    """Means over held-out sections (`EvaluationSet.environment`): the reward, every term, the skill error and the rows."""
    infos = rollout(policy, env, SECTION_SEED)
    ended = [info for info in infos if "episode" in info]
    phrases = [info for info in infos if info["bar"] % PHRASE_BARS == 0]
    wanted = [band_midpoint(SECTION_BANDS["fairness/level"], info["target/stars"]) for info in phrases]
    notes = _column(ended, "written/notes")
    found = {
        "held_out/reward": float(np.mean([info["episode"]["r"] for info in ended])),
        "held_out/skill_error": mean_known(np.abs(_column(phrases, "measure/fairness/level") - wanted)),
        "held_out/problems_per_1000": 10 * mean_known(_column(phrases, "measure/rules/problems")),
        "held_out/hold_share": float(_column(ended, "written/holds").sum() / max(notes.sum(), 1)),
        "held_out/notes": float(notes.mean()),
        "held_out/rows": float(_column(ended, "written/rows").mean()),
    }
    for name in TERM_NAMES:
        values = _column(phrases, name)
        if not np.isnan(values).all():
            found[f"held_out_terms/{name.replace('/', '_')}"] = float(np.nanmean(values))
    return found


def _column(infos: Sequence[dict[str, Any]], name: str) -> NDArray[np.float64]:
    return np.array([info.get(name, np.nan) for info in infos], np.float64)


def mean_known(values: NDArray[np.float64]) -> float:
    """Mean without nan; nan when nothing is known, as where no section has a note."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")


def write_song(
    model: Mapper, song: ChartedSong, stars: Sequence[float], seed: int, style: int = KEYBOARD
) -> list[Chart]:
    """One whole chart for each target, as `mapper.generate` samples its first; equal targets are encoded once."""
    seeds = np.random.SeedSequence(seed).generate_state(len(stars)).tolist()
    outlines = [Outline(0, 0, Target.typical(star, style), own) for star, own in zip(stars, seeds, strict=True)]
    written = ChartSampler(model, SongSet.of([song])).draft(outlines)
    return [chart_from(rows, song, star) for rows, star in zip(written, stars, strict=True)]


def measure_chart(chart: Chart, song: ChartedSong, stars: float, seed: int = 0) -> dict[str, float]:
    """The whole reward, its terms and measures, the auditors, and errors against the target, by name."""
    result = score(chart, stars, song.song, seed=seed).flat()
    wanted = band_midpoint(CHART_BANDS["fairness/level"], stars)
    seen = audit(chart, song.song)
    findings = check(chart, level_of(stars))
    # the scroll speed follows the timing; packing evens it out with green lines (mapper.output.metadata)
    problems = [one for one in findings if one.severity == "problem" and not one.rule.startswith("scroll-speed")]
    return (
        result
        | seen
        | {
            "skill_error": abs(result.get("measure/fairness/level", np.nan) - wanted),
            "star_error": abs(seen["audit/stars"] - stars),
            "problems_per_1000": 1000.0 * len(problems) / max(len(chart), 1),
            "hold_share": float(chart.is_hold.mean()) if len(chart) else 0.0,
            "notes": float(len(chart)),
            "most_used_column": float(np.bincount(chart.column, minlength=4).max() / max(len(chart), 1)),
        }
    )


def evaluate_charts(
    heldout: EvaluationSet, model: Mapper, seed: int
) -> tuple[dict[str, float], list[tuple[ChartedSong, Chart]]]:
    """(means over whole charts of held-out songs, the charts)."""
    found: list[dict[str, float]] = []
    charts: list[tuple[ChartedSong, Chart]] = []
    for number, song in enumerate(heldout.library.songs[: heldout.charts]):
        for stars, chart in zip(STARS, write_song(model, song, STARS, seed + number), strict=True):
            found.append(measure_chart(chart, song, stars))
            charts.append((song, chart))
    names = ("total", "skill_error", "star_error", "problems_per_1000", "hold_share", "notes", "most_used_column")
    audits = ("audit/ngram_bits", "audit/onset_contrast", "audit/level")
    return {
        f"{'charts' if '/' not in name else 'auditors'}/{name.split('/')[-1]}": mean_known(
            np.array([one.get(name, np.nan) for one in found])
        )
        for name in (*names, *audits)
    }, charts
