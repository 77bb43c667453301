"""Progress goes to stderr, and only to a terminal; lines on stdout stay there."""

from __future__ import annotations

import io
import sys
import threading
from types import SimpleNamespace

import pytest

from runtime import progress
from runtime.progress import training_bar, waiting

ERASE_LINE = "\x1b[2K"


class Terminal(io.StringIO):
    """A stream that is a terminal, as stderr is; `drawn` is set once the line "reading" was written."""

    def __init__(self) -> None:
        super().__init__()
        self.drawn = threading.Event()

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        written = super().write(text)
        if "reading" in text:
            self.drawn.set()
        return written


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    file = Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(progress, "sys", SimpleNamespace(stderr=file, stdout=io.StringIO()))
    return file


def test_a_long_wait_shows_a_line_and_removes_it(terminal, monkeypatch):
    monkeypatch.setattr(progress, "SHORT_WAIT_S", 0.0)
    with waiting("reading"):
        assert terminal.drawn.wait(20)
        print("a warning", file=sys.stderr)
    shown = terminal.getvalue()
    assert "reading" in shown
    assert "a warning" in shown.rpartition("reading")[0], "other lines stand above it"
    assert shown.endswith(ERASE_LINE), "and it is gone at the end"


def test_a_short_wait_shows_nothing(terminal):
    with waiting("reading"):
        pass
    assert terminal.getvalue() == ""


def test_a_file_gets_no_line_of_waiting(monkeypatch, capsys):
    started = []
    monkeypatch.setattr(progress.threading.Timer, "start", started.append)
    with waiting("reading"):
        pass
    assert started == []
    assert capsys.readouterr().err == ""


def test_lines_within_a_bar_stay_on_stdout_where_that_is_no_terminal(capsys):
    with training_bar("training", 3) as report:
        print("step 1: 2.0")
        report(1, "validating")
    assert capsys.readouterr().out == "step 1: 2.0\n"
