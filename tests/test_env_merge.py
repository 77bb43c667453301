"""Merging refined mappers of several seeds."""

from __future__ import annotations

from pathlib import Path

import torch
from click.testing import CliRunner

from env.average_weights import main, merged
from mapper.network.checkpoint import load_mapper, save_mapper
from mapper.network.model import Mapper
from mapper.tokens.vocabulary import ModelConfig
from tests.env_cases import tiny_mapper


def changed(by: float) -> Mapper:
    model = tiny_mapper()
    with torch.no_grad():
        model.next_code.weight.add_(by)
        model.lean.bias.add_(by)
    return model


def test_rows_are_extrapolated_and_the_density_bias_is_the_mean() -> None:
    before = tiny_mapper()
    weights = merged(before, [changed(0.1), changed(0.3)], reach=4.0)
    torch.testing.assert_close(weights["next_code.weight"], before.next_code.weight.detach() + 0.8)
    torch.testing.assert_close(weights["lean.bias"], before.lean.bias.detach() + 0.2)
    torch.testing.assert_close(weights["code.weight"], before.code.weight.detach())


def test_the_command_writes_a_mapper_and_refuses_another_size(tmp_path: Path) -> None:
    for name, model in (("init", tiny_mapper()), ("one", changed(0.1)), ("two", changed(0.2))):
        save_mapper(model, tmp_path / name)
    paths = [str(tmp_path / name) for name in ("one", "two")]
    options = ["-o", str(tmp_path / "out"), "--init", str(tmp_path / "init"), "--reach", "2"]
    result = CliRunner().invoke(main, [*paths, *options])
    assert result.exit_code == 0, result.output
    found = load_mapper(tmp_path / "out").next_code.weight
    torch.testing.assert_close(found, tiny_mapper().next_code.weight + 0.3, atol=2e-3, rtol=0)
    save_mapper(
        Mapper(ModelConfig(stem_width=16, width=32, heads=2, encoder_layers=1, shared_layers=0, decoder_layers=1)),
        tmp_path / "two",
    )
    result = CliRunner().invoke(main, [*paths, *options])
    assert result.exit_code == 1
    assert "has another size than" in result.stderr
    result = CliRunner().invoke(main, [*paths, *options[:-1], "0"])
    assert "--reach is 0; give more than 0" in result.stderr


def test_a_change_is_carried_over_to_a_mapper_that_was_pretrained_further(tmp_path: Path) -> None:
    further = tiny_mapper()
    with torch.no_grad():
        for parameter in further.parameters():
            parameter.mul_(1.5)
    for name, model in (("init", tiny_mapper()), ("refined", changed(0.25)), ("further", further)):
        save_mapper(model, tmp_path / name)
    options = ["--init", str(tmp_path / "init"), "--onto", str(tmp_path / "further"), "--reach", "1"]
    result = CliRunner().invoke(main, [str(tmp_path / "refined"), "-o", str(tmp_path / "out"), *options])
    assert result.exit_code == 0, result.output
    found = load_mapper(tmp_path / "out").state_dict()
    for name, value in further.state_dict().items():
        added = 0.25 if name == "next_code.weight" else 0.0  # the density bias belongs to the encoder, which is another
        torch.testing.assert_close(found[name], value + added, atol=4e-3, rtol=2e-3, msg=name)
