"""Chart files that went wrong once give what their game plays. The files are not part of the repository."""

from pathlib import Path

import numpy as np
import pytest

from chart.formats.read import audio_beside, read_charts, read_timing_charts
from tests.conftest import SHARED

pytestmark = pytest.mark.shared

CASES = SHARED.parent / "cases"
NOTES = {
    "osu/bad_byte_in_storyboard.osu": [60],
    "osu/utf16.osu": [60],
    "osu/control_char_before_header.osu": [60],
    "osu/trailing_comment.osu": [60],
    "osu/beat_1e13.osu": [60],
    "osu/metre_0.osu": [60],
    "osu/metre_99999.osu": [60],
    "osu/green_nan.osu": [60],
    "osu/nan.osu": [40],
    "osu/hold_zero.osu": [60],
    "osu/zero_hold.osu": [40],
    "osu/unsorted.osu": [60],
    "osu/v3.osu": [490],
    "qua/mine.qua": [3],
    "qua/bpm0_late.qua": [3],
    "qua/bpm_neg.qua": [3],
    "qua/sig0.qua": [3],
    "sm/hold_unended.sm": [9, 4],
    "sm/orphan_tail.sm": [10, 4],
    "sm/tap_in_hold.sm": [10, 4],
    "sm/row_short.sm": [10, 4],
    "sm/neg_stop.sm": [9],
    "sm/warp_negbpm.sm": [6],
    "sm/warps.ssc": [9],
    "sm/bpm_huge_warp.sm": [10],
    "sm/ssc_fakes.ssc": [8],
    "sm/fakes.ssc": [12],
    "sm/freezes.sm": [16],
    "sm/utf16.sm": [10],
}
"""File → notes of its charts."""


def case(name: str) -> Path:
    path = CASES / name
    if not path.exists():
        pytest.skip(f"needs {path}")
    return path


@pytest.mark.parametrize("name", NOTES)
def test_notes(name: str) -> None:
    assert [len(chart) for chart in read_charts(case(name))] == NOTES[name]


def test_times() -> None:
    assert read_charts(case("osu/v3.osu"))[0].time_ms[0] == 1024
    assert not read_charts(case("osu/hold_zero.osu"))[0].is_hold.any()
    np.testing.assert_allclose(read_charts(case("sm/freezes.sm"))[0].time_ms[4:6], [2000, 3000])


@pytest.mark.parametrize("name", ["osu/standard_mode_for_timing.osu", "osz/standard_only.osz"])
def test_timing_of_another_mode(name: str) -> None:
    assert read_timing_charts(case(name))[0].red_lines


def test_the_song_in_another_case() -> None:
    path = case("other/audio_case") / "map.osu"
    assert audio_beside(path, read_charts(path)[0]).is_file()
