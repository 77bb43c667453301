"""Progress goes to stderr, and only to a terminal; lines on stdout stay there."""

from __future__ import annotations

import io
import sys
import time
from types import SimpleNamespace

import pytest

from runtime import progress
from runtime.progress import training_bar, waiting

ERASE_LINE = "\x1b[2K"


class Terminal(io.StringIO):
    """A stream that is a terminal, as stderr is."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    file = Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(progress, "sys", SimpleNamespace(stderr=file, stdout=io.StringIO()))
    return file


def test_a_long_wait_shows_a_line_and_removes_it(terminal, monkeypatch):
    monkeypatch.setattr(progress, "SHORT_WAIT_S", 0.0)
    with waiting("reading"):
        until = time.monotonic() + 20
        while "reading" not in terminal.getvalue() and time.monotonic() < until:
            time.sleep(0.05)
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
    monkeypatch.setattr(progress, "SHORT_WAIT_S", 0.0)
    with waiting("reading"):
        time.sleep(0.1)
    assert capsys.readouterr().err == ""


def test_lines_within_a_bar_stay_on_stdout_where_that_is_no_terminal(capsys):
    with training_bar("training", 3) as report:
        print("step 1: 2.0")
        report(1, "validating")
    assert capsys.readouterr().out == "step 1: 2.0\n"
