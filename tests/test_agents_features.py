"""Demands of a chart on hands: the kernels against their slow twin, and on charts whose demands are plain to see."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.judgement.mods import mods_of
from agents.motor import columns
from agents.motor.constants import HandConstants
from agents.motor.note_features import demand_of
from chart.model import Chart
from tests.reference_demand import features_of

notes = st.lists(
    st.tuples(st.integers(0, 150), st.integers(0, 3), st.one_of(st.none(), st.integers(1, 120))),
    min_size=0,
    max_size=40,
)


@settings(deadline=None, max_examples=200)
@given(notes=notes, step_ms=st.sampled_from([1.0, 5.0, 60.0]), mods=st.sampled_from(["", "MR", "DT"]))
def test_kernels_equal_the_slow_twin(notes: list, step_ms: float, mods: str) -> None:
    time = [step_ms * at for at, _, _ in notes]
    end = [np.nan if held is None else start + step_ms * held for start, (_, _, held) in zip(time, notes, strict=True)]
    chart = Chart.from_notes(time, [column for _, column, _ in notes], end)
    found = demand_of(chart, mods_of(mods), HandConstants())
    np.testing.assert_allclose(found.features, features_of(chart, mods_of(mods), HandConstants()), rtol=1e-6, atol=1e-7)
    assert sorted(found.column) == sorted(3 - chart.column if mods == "MR" else chart.column)


def test_an_even_stream_asks_each_hand_for_half_of_it() -> None:
    time = np.arange(80) * 100.0
    chart = Chart.from_notes(time, np.tile([0, 2, 1, 3], 20))
    found = demand_of(chart, mods_of(), HandConstants()).features[40]
    assert found[columns.RATE] == pytest.approx(5.0, abs=1.0)
    assert 1 / found[columns.COLUMN_RATE] == pytest.approx(400.0, rel=1e-4)
    assert found[columns.HAND_GAP] == 200.0
    assert found[columns.BESIDE] == found[columns.HELD] == found[columns.SLIP] == 0.0


def test_a_held_neighbour_and_a_free_one_are_seen() -> None:
    chart = Chart.from_notes([0.0, 500.0, 1000.0], [0, 1, 3], [900.0, np.nan, np.nan])
    found = demand_of(chart, mods_of(), HandConstants()).features
    assert found[:, columns.HELD].tolist() == [0.0, 1.0, 0.0]
    assert found[:, columns.SLIP].tolist() == [1.0, 0.0, 1.0]
