"""How refinement does on songs it does not learn from: sections as in training, and whole charts as they are generated.

Sections are fixed by a seed, so that two evaluations differ by the policy alone. Whole charts are written by
`mapper.sampling.sampler` as `mapper.generate` does in its first round, scored by the whole reward and seen by its auditors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chart.model import Chart
from env.policy.action_heads import ActionHeads
from env.policy.torch_decoder import controls_of
from env.ppo.hold_penalty import holds_and_notes, written_codes
from env.ppo.rollout import section_returns, write
from env.returns.section_return import Scorer, settings_of
from env.task.episodes import SectionConfig, Target, draw_section
from env.task.songs import ChartedSong, SongSet
from mapper.network.model import Mapper
from mapper.sampling.encode_song import encode_song
from mapper.sampling.sampler import Sampling, write_rows
from mapper.tokens.row_codes import STARTS_NOTE, Rows, notes_of
from mapper.tokens.vocabulary import STYLES
from reward.auditors import audit
from reward.band_table import CHART_BANDS, SECTION_BANDS
from reward.core.bands import STAR_KNOTS, Band
from reward.rules.check import check
from reward.rules.criteria import level_of
from reward.total import score

SECTION_SEED = 20_261_122
KEYBOARD = STYLES.index("keyboard")
STARS = (1.5, 3.0, 4.5, 6.0)
SKILL_WEIGHT = 0.3
"""What a level off the middle of people's band costs a whole chart, beside its whole reward in 0–1."""


@dataclass(frozen=True)
class EvaluationSet:
    """What is evaluated."""

    library: SongSet
    sections: int = 24
    versions: int = 4
    charts: int = 4  # pieces of which whole charts are written


def band_midpoint(band: Band, stars: float) -> float:
    """Middle of a two-sided band at these stars: what people's charts have."""
    return float(np.interp(stars, STAR_KNOTS, (np.array(band.low) + np.array(band.high)) / 2))


def evaluate_sections(
    heldout: EvaluationSet, judge: ActionHeads, scorer: Scorer, config: SectionConfig
) -> dict[str, float]:
    """Means over held-out sections: the reward, every term, the skill error and what is written."""
    random = np.random.default_rng(SECTION_SEED)
    sections = [draw_section(heldout.library, config, random) for _ in range(heldout.sections)]
    written = write(heldout.library, judge, sections, heldout.versions, [SECTION_SEED])
    seeds = np.repeat(random.integers(2**31, size=heldout.sections), heldout.versions)
    earned = section_returns(scorer, written.state, seeds)
    stars = np.array([section.target.stars for section in written.state.sections])
    wanted = np.array([band_midpoint(SECTION_BANDS["fairness/level"], star) for star in stars])
    holds, notes = (found.sum() for found in holds_and_notes(written.state))
    found = {
        "held_out/reward": float(earned.total.mean()),
        "held_out/skill_error": mean_known(np.abs(earned.measures["fairness/level"] - wanted[:, None])),
        "held_out/problems_per_1000": 10 * mean_known(earned.measures["rules/problems"]),
        "held_out/hold_share": float(holds / max(notes, 1)),
        "held_out/notes": float(notes / len(stars)),
        "held_out/rows": float(np.mean([STARTS_NOTE[code].sum() for code in written_codes(written.state)])),
    }
    for name, values in earned.terms.items():
        if not np.isnan(values).all():
            found[f"held_out_terms/{name.replace('/', '_')}"] = float(np.nanmean(values))
    return found


def mean_known(values: NDArray[np.float64]) -> float:
    """Mean of what is not nan; nan when nothing is known, as where no section has a note."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")


def write_piece(
    model: Mapper, piece: ChartedSong, stars: Sequence[float], seed: int, style: int = KEYBOARD
) -> list[Chart]:
    """One whole chart for each target, as the mapper writes it when told the target; equal targets are heard once."""
    told = sorted(set(stars))
    targets = {star: Target.typical(star, style) for star in told}
    heard = encode_song(model, piece.grid, piece.features, piece.lag_ms, controls_of(list(targets.values())))
    heard = heard.repeated([told.index(star) for star in stars])
    written = write_rows(model, heard, sampling_for([targets[star] for star in stars], seed))
    return [chart_from(rows, piece, star) for rows, star in zip(written, stars, strict=True)]


def sampling_for(targets: Sequence[Target], seed: int) -> Sampling:
    """How whole charts are sampled, one for each target: with its share of holds."""
    return Sampling(seed, np.zeros(len(targets)), hold_share=np.array([one.hold_share for one in targets]))


def chart_from(rows: Rows, piece: ChartedSong, stars: float) -> Chart:
    """Rows of a piece as a chart with the settings of these stars."""
    notes = notes_of(rows, piece.grid)
    return Chart.from_notes(*notes, timing_points=piece.timing_points, difficulty=settings_of(stars))


def measure_chart(chart: Chart, piece: ChartedSong, stars: float, seed: int = 0) -> dict[str, float]:
    """The whole reward, its terms and measures, the auditors, and errors against the target."""
    result = score(chart, stars, piece.song, seed=seed).flat()
    wanted = band_midpoint(CHART_BANDS["fairness/level"], stars)
    seen = audit(chart, piece.song)
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
    """(means over whole charts of held-out pieces, the charts)."""
    found: list[dict[str, float]] = []
    charts: list[tuple[ChartedSong, Chart]] = []
    for number, piece in enumerate(heldout.library.pieces[: heldout.charts]):
        for stars, chart in zip(STARS, write_piece(model, piece, STARS, seed + number), strict=True):
            found.append(measure_chart(chart, piece, stars))
            charts.append((piece, chart))
    names = ("total", "skill_error", "star_error", "problems_per_1000", "hold_share", "notes", "most_used_column")
    audits = ("audit/ngram_bits", "audit/onset_contrast", "audit/level")
    return {
        f"{'charts' if '/' not in name else 'auditors'}/{name.split('/')[-1]}": mean_known(
            np.array([one.get(name, np.nan) for one in found])
        )
        for name in (*names, *audits)
    }, charts
