"""The public surface of `reward`."""

import importlib

import reward
from tests.builders import ChartBuilder


def test_public_names_exist_and_are_sorted() -> None:
    assert list(reward.__all__) == sorted(reward.__all__)
    for name in reward.__all__:
        assert getattr(reward, name) is not None


def test_score_can_be_called_before_and_after_its_command_is_imported() -> None:
    chart = ChartBuilder().bpm(160).stream(0, 94, "0213" * 40).build()
    before = reward.score(chart, 3.0)
    importlib.import_module("reward.score")
    after = reward.score(chart, 3.0)
    assert float(before.total[0]) == float(after.total[0])
    assert 0.0 <= float(after.total[0]) <= 1.0
