"""A studio's project made without any work: a song, its timing, two difficulties, versions that wait, a job that was not finished."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from chart.formats.osu_write import format_osu
from mania4k.studio.sets import notes as note_lines
from mania4k.studio.sets.project import Project
from mania4k.studio.sets.shelf import difficulty_of
from tests.browser import Browser, find_programs, headless
from tests.eye_pages import busy_chart
from tests.studio_server import served, short_song

LINES = [[100.0, 400.0, 4, 0]]
NOTES = {"Hard": 60, "Insane": 90}
TAB, ESCAPE, ENTER, BACKSPACE = "\ue004", "\ue00c", "\ue007", "\ue003"
UP, DOWN, LEFT, RIGHT, DELETE = "\ue013", "\ue015", "\ue012", "\ue014", "\ue017"
CONTROL, SHIFT, ALT, F11 = "\ue009", "\ue008", "\ue00a", "\ue03b"


def ready_project(home: Path, waiting: bool = True) -> Path:
    """Its folder; `waiting`: three versions of a stretch and an unfinished job are in it."""
    folder = home / "Ready.studio"
    project = Project.create(folder)
    (folder / "song.wav").write_bytes(short_song())
    texts = {name: format_osu(busy_chart(count, count, name=name)) for name, count in NOTES.items()}
    ones = [
        difficulty_of(name, project.store_chart(text), {"stars": 3.0}, name.lower()) for name, text in texts.items()
    ]
    names = {"title": "Yoru", "title_unicode": "夜", "artist": "A", "artist_unicode": "A", "creator": "mania4k"}
    song = {"file": "song.wav", "name": "夜.wav"}
    project.commit("song", lambda state: state.update(song=song, timing=LINES, metadata=names, difficulties=ones))
    project.note(analysis=analysis())
    if waiting:
        project.note(
            versions={
                "hard": {"span": [2000, 6000], "digests": versions(project, texts["Hard"]), "before": ones[0]["chart"]}
            }
        )
        what = {"what": "writing a difficulty of 4 stars", "spec": {"kind": "generate", "id": "four", "order": {}}}
        project.note(jobs={"four": what})
    return folder


def versions(project: Project, text: str) -> list[str]:
    """Digests of three other charts."""
    notes = note_lines.notes_of(text)
    return [project.store_chart(note_lines.with_notes(text, notes[: -1 - number])) for number in range(3)]


def analysis() -> dict[str, Any]:
    """The result of an analysis of the song."""
    other = [[100.0, 800.0, 4, 0]]
    return {
        "lines": None,
        "confidence": 0.7,
        "doubt": "",
        "candidates": [{"bpm": 150.0, "chance": 0.7, "lines": LINES}, {"bpm": 75.0, "chance": 0.3, "lines": other}],
        "duration_ms": 24_000.0,
        "lag_ms": 0.0,
        "marks": [],
        "title": "",
        "artist": "",
        "cover": "",
    }


def programs_or_skip() -> tuple[str, str]:
    """(browser, driver)."""
    programs = find_programs()
    if programs is None:
        pytest.skip("needs chromium and chromedriver (Debian: apt-get install chromium chromium-driver)")
    return programs


@contextmanager
def opened_studio(home: Path, waiting: bool = True) -> Iterator[tuple[Browser, Path]]:
    """(browser on its page, folder) of a ready project in a studio of its own."""
    folder = ready_project(home, waiting)
    with (
        served(folder.parent, str(folder)) as (address, _),
        headless(programs_or_skip(), "--window-size=1366,900") as window,
    ):
        open_ready(window, address)
        yield window, folder


def open_ready(browser: Browser, address: str) -> None:
    """Open the page and wait until charts, song and the versions that wait are there."""
    browser.open(address)
    browser.wait("return mania.chart.notes.length > 0 && mania.clock.sound !== null", 300)
    browser.wait("return !studio.view.versions.hard || document.querySelectorAll('#versions input').length > 0")


def chord(browser: Browser, *keys: str) -> None:
    """Keys held together, the last one struck."""
    steps = [{"type": "keyDown", "value": key} for key in keys]
    steps += [{"type": "keyUp", "value": key} for key in reversed(keys)]
    browser._ask("actions", {"actions": [{"type": "key", "id": "keyboard", "actions": steps}]})


def difficulty(browser: Browser, identity: str = "hard") -> dict[str, Any]:
    """A difficulty of the present state."""
    found: dict[str, Any] = browser.run(
        "return studio.view.state.difficulties.find((one) => one.id === arguments[0])", identity
    )
    return found


STATE = "return JSON.stringify(studio.view.state)"
MOST_CHANGES = 12
"""Of one test."""


def undo_until(browser: Browser, before: str) -> None:
    """Ctrl+Z until the state is the one before; fails where it is not among the last MOST_CHANGES."""
    browser.run("document.activeElement.blur()")
    for _ in range(MOST_CHANGES):
        if browser.run(STATE) == before:
            return
        undo(browser, 1)
    assert browser.run(STATE) == before


def undo(browser: Browser, times: int) -> None:
    """Ctrl+Z, each waited for."""
    for _ in range(times):
        before = browser.run("return studio.view.revision")
        chord(browser, CONTROL, "z")
        browser.wait(f"return studio.view.revision > {before}")
