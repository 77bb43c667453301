"""Check for reward hacking: the reward rises while the auditors, which are no part of it, get worse."""

from __future__ import annotations

from collections.abc import Mapping

WORSE: dict[str, tuple[float, float]] = {
    "auditors/ngram_bits": (1.0, 0.05),
    "auditors/onset_contrast": (-1.0, 0.15),
    "charts/star_error": (1.0, 0.25),
    "charts/most_used_column": (1.0, 0.10),
    "charts/hold_share": (-1.0, 0.50),
}
"""Auditor → (direction in which it gets worse, fraction of its value before refinement that is too much). Charts as
dense as people's take weaker onsets than the pretrained mapper, which is too sparse for hard targets: 8 % on `val`, where onset
F1 against people's rows stays the same."""
NOTABLE_RISE = 0.003
"""Rise of the held-out reward from which it counts as one."""
MAX_HOLDS_OFF = 0.05
"""Holds / notes by which a checkpoint that is kept may differ from the pretrained mapper, on held-out charts."""


def holds_kept(before: Mapping[str, float], now: Mapping[str, float]) -> bool:
    """Whether the hold ratio of whole charts is still that of the pretrained mapper (in sections it varies more by chance)."""
    name = "charts/hold_share"
    return abs(now[name] - before.get(name, now[name])) <= MAX_HOLDS_OFF


def degraded_metrics(before: Mapping[str, float], now: Mapping[str, float]) -> list[str]:
    """Auditors that have become worse while the held-out reward rose, each with its figures."""
    if now["held_out/reward"] - before["held_out/reward"] < NOTABLE_RISE:
        return []
    found = []
    for name, (direction, too_much) in WORSE.items():
        if name in before and direction * (now[name] - before[name]) > too_much * abs(before[name]):
            found.append(f"{name} {before[name]:.3f} → {now[name]:.3f}")
    return found
