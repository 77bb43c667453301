"""`mania4k tensorboard` serves the curves of runs, and says where there are none."""

from __future__ import annotations

import urllib.request
from pathlib import Path

import pytest
from click.testing import CliRunner

from mania4k.board import serve
from mania4k.cli import main
from runtime.errors import ConfigError


def test_a_folder_without_curves_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such folder; name the folder of a run"):
        serve(tmp_path / "nowhere")
    result = CliRunner().invoke(main, ["tensorboard", str(tmp_path), "--no-open"])
    assert result.exit_code == 1
    assert "no curves in it; `mania4k train`" in result.stderr


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_curves_of_a_run_are_served(tmp_path: Path) -> None:
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(tmp_path / "run")) as board:
        board.add_scalar("loss/total", 1.0, 1)
    address = serve(tmp_path)
    assert address.startswith("http://localhost:")
    with urllib.request.urlopen(address.replace("localhost", "127.0.0.1"), timeout=20) as answer:
        assert b"TensorBoard" in answer.read()
