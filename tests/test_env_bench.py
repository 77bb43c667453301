"""The arithmetic of `bench.refine` and `bench.env`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from bench.env import Cost, quick_actions
from bench.refine import (
    alone,
    best_of,
    by_song,
    cases_of,
    compare,
    crowded_sections,
    curve_likeness,
    difference,
    even_cases,
    main,
    people_figures,
)
from chart.model import Chart
from env.task import dynamics
from tests.env_cases import episode_at, library


def version(total: float, holds: float = 0.1) -> dict[str, float]:
    return {"total": total, "hold_share": holds}


def test_best_of_four_takes_the_best_of_each_four() -> None:
    versions = [version(total, total) for total in (0.1, 0.9, 0.2, 0.3, 0.5, 0.4, 0.2, 0.1)]
    assert best_of(versions)["hold_share"] == pytest.approx((0.9 + 0.5) / 2)
    assert alone(versions)["total"] == pytest.approx(np.mean([one["total"] for one in versions]))
    assert alone([version(0.5, np.nan), version(0.7, 0.2)])["hold_share"] == 0.2


def test_fewer_versions_than_the_best_is_taken_of_are_refused(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, [str(tmp_path), "--versions", "2"])
    assert result.exit_code == 1
    assert "--versions is 2; give at least 4" in result.stderr


def test_differences_are_paired_by_song() -> None:
    before = np.array([0.1, 0.5, 0.9, 0.3])
    found = difference(before, before + 0.01)
    assert found["difference"] == pytest.approx(0.01)
    assert found["low"] == pytest.approx(0.01)
    noisy = difference(before, before[::-1])
    assert noisy["low"] < 0 < noisy["high"]


def test_songs_count_alike_however_many_charts_they_have() -> None:
    one, two = cases_of(library(), (1.0, 6.0), 3)
    two = replace(two, piece=replace(two.piece, name="another"))
    found = by_song([one, one, two], [version(0.0), version(1.0), version(1.0)])
    assert found["total"].tolist() == pytest.approx([0.5, 1.0])


def test_comparison_has_all_conditions() -> None:
    cases = cases_of(library(), (1.0, 6.0), 3)
    assert len(cases) == 2, "a chart of each of the two pieces called demo"
    written = {
        "pretrained": [[version(0.5), version(0.6), version(0.4), version(0.5)] for _ in cases],
        "refined": [[version(0.7)] * 4 for _ in cases],
    }
    found = compare(cases, written)
    assert found["means"]["pretrained_best"]["total"] == pytest.approx(0.6)
    assert found["refined_less_pretrained"]["total"]["difference"] == pytest.approx(0.2)
    assert found["refined_less_pretrained_best"]["total"]["difference"] == pytest.approx(0.1)


def test_even_targets_are_the_same_for_every_song() -> None:
    cases = even_cases(library(), (1.5, 6.0), 4)
    assert [case.stars for case in cases] == [1.5, 3.0, 4.5, 6.0], "two pieces of one song: one set of targets"
    assert all(case.human is None for case in cases)


def test_density_curves_alike() -> None:
    swell = np.sort(np.random.default_rng(0).triangular(0, 60_000, 60_000, 400))
    assert curve_likeness(swell, swell) == pytest.approx(1.0)
    assert curve_likeness(swell, 60_000 - swell[::-1]) < 0
    assert np.isnan(curve_likeness(np.empty(0), swell))


def test_quick_actions_are_possible_offsets() -> None:
    random = np.random.default_rng(0)
    state = dynamics.initial(library(), [episode_at(phrase=phrase) for phrase in range(2, 8)])
    mask = dynamics.observe(library(), state)["mask"]
    for offset, code, row in zip(*quick_actions(mask, random).T, mask, strict=True):
        assert row[offset] == 1
        assert row[97 + code] == 1


def test_rates_are_by_both_clocks() -> None:
    assert Cost(2.0, 0.5).rate(100) == {"per_s": 50, "per_cpu_s": 200}


def test_sections_with_too_much_in_one_column_are_counted() -> None:
    time = np.arange(64) * 500.0  # a section of 16 beats has 32 notes at 60 BPM
    crowded = np.where(np.arange(64) < 32, 0, np.arange(64) % 4)
    assert crowded_sections(Chart.from_notes(time, np.arange(64) % 4), (0.0, 32_000.0)) == 0.0
    assert 0.4 < crowded_sections(Chart.from_notes(time, crowded), (0.0, 32_000.0)) < 0.6
    assert np.isnan(crowded_sections(Chart.from_notes(time[:3], crowded[:3]), (0.0, 32_000.0)))


def test_peoples_charts_are_measured_beside() -> None:
    found = people_figures(cases_of(library(), (1.0, 6.0), 1))
    assert found["onset_f1"] == 1.0
    assert found["density_curve"] == pytest.approx(1.0)
    assert 0 < found["total"] < 1
