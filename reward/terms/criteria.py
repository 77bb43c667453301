"""The criteria as terms of the sum: findings for every 100 notes, problems apart from warnings."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reward.core.bands import Measured, Term
from reward.core.batch_view import View
from reward.core.inputs import Inputs
from reward.rules.check import Counts, count
from reward.rules.criteria import level_of

PER_NOTES = 100.0
MIN_NOTES = 4


def counts_of(view: View, stars: NDArray[np.float64]) -> Counts:
    """Findings at the level each chart aims at."""
    return count(view, [level_of(float(value)) for value in stars])


def _per_notes(view: View, found: NDArray[np.float64]) -> Measured:
    notes = np.bincount(view.note_section, minlength=view.n_sections)
    section = np.where(notes >= MIN_NOTES, PER_NOTES * found / np.maximum(notes, 1), np.nan)
    total = np.bincount(view.section_chart, found, minlength=view.n_charts)
    chart = np.where(view.notes_in_chart > 0, PER_NOTES * total / np.maximum(view.notes_in_chart, 1), np.nan)
    return Measured(section, chart)


def problems(view: View, inputs: Inputs) -> Measured:
    """Problems for every 100 notes."""
    return _per_notes(view, (inputs.counts or counts_of(view, inputs.stars)).problems)


def warnings(view: View, inputs: Inputs) -> Measured:
    """Warnings for every 100 notes."""
    return _per_notes(view, (inputs.counts or counts_of(view, inputs.stars)).warnings)


TERMS = (
    Term("rules/problems", "per 100 notes", "high", problems, "osu! wiki; MapsetVerifier", 1.0),
    Term("rules/warnings", "per 100 notes", "high", warnings, "osu! wiki; MapsetVerifier", 3.0),
)
