"""Every command of docs/TRAINING_SITE.md exists, with the options it is given there."""

import importlib
import re
import shlex
from pathlib import Path

import click
import pytest

from mania4k.cli import VERBS

TEXT = (Path(__file__).resolve().parents[1] / "docs" / "TRAINING_SITE.md").read_text(encoding="utf-8")
COMMANDS = [line.strip() for line in TEXT.splitlines() if re.match(r" {4}(mania4k|python|torchrun) ", line)]
TORCHRUN = ("--nproc-per-node", "--nnodes", "--rdzv-backend", "--rdzv-endpoint")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_is_true(command):
    program, *words = shlex.split(command)
    if program == "torchrun":
        at = words.index("-m")
        assert {word for word in words[:at] if word.startswith("--")} <= set(TORCHRUN)
        words = words[at:]
    module = VERBS[words[0]][0] if program == "mania4k" else words[1]
    main = importlib.import_module(module).main
    assert isinstance(main, click.Command)
    known = {name for parameter in main.params for name in (*parameter.opts, *parameter.secondary_opts)}
    rest = words[1:] if program == "mania4k" else words[2:]
    assert {word for word in rest if word.startswith("-")} <= known


def test_the_page_has_commands():
    assert len(COMMANDS) >= 12
