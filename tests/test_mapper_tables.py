"""Tables of `generate` fit a terminal of 80 columns, whatever the names are, and say where to look."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from agents.rating import Rating
from mapper.output.report import DifficultyReport, SetReport, warnings_of
from mapper.output.tables import print_folder, print_set

NAME = "Collab Another Lvl.31 [x] とても長い名前"


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def difficulty(**changes: object) -> DifficultyReport:
    one = DifficultyReport(
        name="Hard",
        level="hard",
        asked_stars=3.5,
        stars=3.52,
        notes=12_593,
        holds=0.04,
        notes_per_s=7.0,
        peak_notes_per_s=20.0,
        patterns={},
        player_level=3.0,
        ratings={"overall": Rating(3.04, 0.26), "stream": Rating(2.5, 0.2)},
        accuracy={f"{level}": 1.0 for level in range(1, 11)},
        findings={"unsnapped-note": 120, "short-hold": 3},
        problems=13,
        takes=3,
        missed=(),
    )
    return replace(one, **changes)  # type: ignore[arg-type]


def test_a_set_fits_80_columns_and_numbers_stand_whole(capsys: pytest.CaptureFixture[str]) -> None:
    print_set(SetReport("song.ogg", 158.0, 0.95, (difficulty(), difficulty(name=NAME)), 9.0), Path("a set.osz"))
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines[:-1])) <= 80
    shown = "\n".join(lines)
    for cell in ("3.50", "3.52", "12593", "4%", "20", "100% 100% 100%", "123 (13 bad)", "[x]", "3.0 ± 0.3"):
        assert cell in shown
    assert 'rules: 246 breaches of the ranking criteria; where: mania4k review "a set.osz"' in shown
    assert "timing sure (95%)" in shown


def test_a_doubtful_timing_stands_in_the_table_and_is_warned_of(capsys: pytest.CaptureFixture[str]) -> None:
    report = SetReport("s", 120.0, 0.24, (difficulty(findings={}),), 9.0, timing_doubt="the beat is not clear")
    print_set(report, Path("a.osz"))
    out = capsys.readouterr().out
    assert "timing DOUBTFUL (24%)" in out
    assert "rules" not in out.splitlines()[-1], "nothing to look for"
    assert "the beat is not clear: check the timing by ear" in warnings_of(report)[0]


def test_a_section_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    one = difficulty(findings={}, section="0:20.0–0:29.7 written anew, 46 notes for 48; the rest is kept")
    print_set(SetReport("s", 120.0, 1.0, (one,), 9.0), Path("a.osz"))
    assert "“Hard”: 0:20.0–0:29.7 written anew, 46 notes for 48; the rest is kept" in capsys.readouterr().out


def test_a_folder_has_a_table_with_what_failed(capsys: pytest.CaptureFixture[str]) -> None:
    charts = [{"stars": stars, "notes": 400, "findings": {"x": 2}, "missed": []} for stars in (1.8, 3.0, 4.5)]
    report = {"bpm": 158.0, "timing_doubt": "", "timing_confidence": 0.95, "difficulties": charts}
    doubtful = report | {"timing_doubt": "not clear", "timing_confidence": 0.2}
    print_folder([(f"folder/{NAME}.mp3", report), ("b.ogg", doubtful), ("c.ogg", None)])
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    for cell in ("158.0", "sure 95%", "1.8 3.0 4.5", "1200", "DOUBTFUL 20%", "failed"):
        assert cell in out
