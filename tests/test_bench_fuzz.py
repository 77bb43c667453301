"""The fuzzer itself, and a short round of it; `python -m bench.fuzz` is the long one."""

import logging
from pathlib import Path

import numpy as np
import pytest

from bench.fuzz import mutated, run_round, try_one
from bench.fuzz_targets import Target, chart_targets, replay_targets, sound_targets
from runtime.errors import ChartFileError


def test_the_same_seed_mutates_alike_and_another_does_not() -> None:
    data = bytes(range(256)) * 4
    found = [mutated(data, np.random.default_rng(seed), True) for seed in (1, 1, 2)]
    assert found[0] == found[1] != found[2]


def raises(error: Exception):
    def read(path: Path) -> None:
        raise error

    return read


@pytest.mark.parametrize(
    ("read", "what"),
    [
        (raises(ChartFileError("fine")), None),
        (raises(ChartFileError("two\nlines")), "more than one line"),
        (raises(KeyError("x")), "KeyError: 'x'"),
        (lambda path: path.with_name("other").write_bytes(b""), "wrote ['other']"),
        (lambda path: np.sort(np.random.default_rng(0).random(40_000_000)), "took"),
    ],
)
def test_what_goes_wrong_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read, what: str | None) -> None:
    monkeypatch.setattr("bench.fuzz.MAX_S", 0.2)
    failure = try_one(Target(".x", (b"data",), read), "x", 0, tmp_path)
    assert failure is None if what is None else (failure is not None and what in failure.what)


@pytest.mark.parametrize("group", ["charts", "sound", "replays"])
def test_a_short_round(tmp_path: Path, group: str) -> None:
    logging.disable(logging.WARNING)
    try:
        targets = {
            "charts": lambda: chart_targets(tmp_path),
            "sound": sound_targets,
            "replays": lambda: replay_targets(tmp_path),
        }[group]()
        failures, _ = run_round(targets, lambda target: 60 if target.is_text else 6, 77, lambda line: None)
    finally:
        logging.disable(logging.NOTSET)
    assert not failures
