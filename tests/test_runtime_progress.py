"""Progress goes to stderr, and only to a terminal; lines on stdout stay there."""

from __future__ import annotations

import io
import time
from types import SimpleNamespace

import pytest

from runtime import progress
from runtime.progress import training_bar, waiting


class Terminal(io.StringIO):
    """What stderr is in a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    file = Terminal()
    monkeypatch.setattr(progress, "sys", SimpleNamespace(stderr=file))
    return file


def test_a_long_wait_shows_a_line_and_removes_it(terminal, monkeypatch):
    monkeypatch.setattr(progress, "SHORT_WAIT_S", 0.0)
    with waiting("reading"):
        time.sleep(0.2)
    assert terminal.getvalue() == "\rreading …" + "\r" + " " * 9 + "\r"


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
