"""Every command in README and docs exists with the options it is given there; the tutorials run from first to last line."""

from __future__ import annotations

import importlib
import re
import shlex
import shutil
from pathlib import Path

import click
import numpy as np
import pytest
import soundfile
import torch
from click.testing import CliRunner

from chart.formats.osu_write import write_osu
from mania4k.cli import VERBS
from mania4k.cli import main as mania4k
from mapper.network import checkpoint
from mapper.network.checkpoint import save_mapper
from mapper.network.model import Mapper
from mapper.tokens.vocabulary import ModelConfig
from tests.builders import ChartBuilder

ROOT = Path(__file__).resolve().parents[1]
HISTORY = {"LOG.md", "RESULTS.md"}  # commands as they were on their day
PAGES = [
    ROOT / "README.md",
    *(p for p in sorted((ROOT / "docs").rglob("*.md")) if p.name not in HISTORY and p.parent.name != "decisions"),
]
TUTORIALS = sorted((ROOT / "docs" / "tutorials").glob("*.md"))
TORCHRUN = ("--nproc-per-node", "--nnodes", "--rdzv-backend", "--rdzv-endpoint")
OF_RUN_PY = ("demo", "test")
COMMAND = re.compile(
    r"^(?: {4}|\$ )((?:mania4k|python run\.py|python -m (?!pip|venv)|torchrun) (?=[\w<-]).+)$", re.MULTILINE
)


def commands_of(page: Path) -> list[str]:
    """The command lines of a page, without the comment behind two spaces and `#`."""
    return [re.split(r"\s{2,}|\s+#\s", found)[0] for found in COMMAND.findall(page.read_text(encoding="utf-8"))]


COMMANDS = sorted({(page.relative_to(ROOT).as_posix(), command) for page in PAGES for command in commands_of(page)})


def test_the_pages_have_commands() -> None:
    assert len(COMMANDS) > 40
    assert {page for page, _ in COMMANDS} >= {"README.md", "docs/TRAINING_SITE.md", "docs/tutorials/map-a-song.md"}


@pytest.mark.parametrize(("page", "command"), COMMANDS)
def test_a_command_exists_with_its_options(page: str, command: str) -> None:
    words = shlex.split(command.replace("…", "").replace("\\", "/"))
    if words[0] == "torchrun":
        at = words.index("-m")
        assert {word for word in words[:at] if word.startswith("--")} <= set(TORCHRUN)
        words = words[at:]
    elif words[0] == "python" and words[1] == "-m":
        words = words[1:]
    else:
        words = ["mania4k", *words[2:]] if words[0] == "python" else words
    if words[0] == "mania4k" and (words[1] in OF_RUN_PY or "<" in words[1]):
        return
    module = VERBS[words[1]][0] if words[0] == "mania4k" else words[1]
    main = importlib.import_module(module).main
    assert isinstance(main, click.Command)
    known = {name for parameter in main.params for name in (*parameter.opts, *parameter.secondary_opts)} | {"--help"}
    given = {word for word in words[2:] if re.match(r"--?[a-z]", word)}
    assert given <= known, f"{page}: {command}"


def make_songs(folder: Path) -> None:
    """Songs of clicks with a chart each, in folders as in osu!'s Songs: as many as refinement needs to hold one out."""
    random = np.random.default_rng(0)
    for number in range(12):
        song = folder / f"song {number}"
        song.mkdir(parents=True)
        samples = 0.001 * random.standard_normal(22_050 * 26).astype(np.float32)
        builder = ChartBuilder().bpm(150.0, 500.0).having(audio_filename="audio.wav")
        for beat_ms in 500.0 + np.arange(60) * 400.0:
            at = round(beat_ms * 22.05)
            samples[at : at + 400] += 0.5 * random.standard_normal(400).astype(np.float32)
            builder.note(float(beat_ms), int(random.integers(4)))
        soundfile.write(song / "audio.wav", samples, 22_050)
        write_osu(builder.build(), song / "chart.osu")


@pytest.fixture
def small_pretrained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network of the bundled one's kind, some thirty times smaller, in place of the pretrained one."""
    small = ModelConfig(stem_width=16, width=48, heads=3, encoder_layers=1, shared_layers=0, decoder_layers=1)
    torch.manual_seed(0)
    path = tmp_path / "pretrained.safetensors"
    save_mapper(Mapper(small), path, random_steps=1000)
    monkeypatch.setattr(checkpoint, "PRETRAINED", path)


@pytest.mark.slow
@pytest.mark.usefixtures("small_pretrained")
@pytest.mark.parametrize("page", TUTORIALS, ids=lambda page: page.stem)
def test_a_tutorial_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "examples" / "demo_song.ogg", tmp_path)
    make_songs(tmp_path / "Songs")
    text = page.read_text(encoding="utf-8")
    for block in re.findall(r"```(?:console|python)\n.*?```", text, re.DOTALL):
        if block.startswith("```python"):
            exec(compile(block[10:-3], str(page), "exec"), {})  # our own page
            continue
        for line in re.findall(r"^\$ mania4k (.+)$", block, re.MULTILINE):
            done = CliRunner().invoke(mania4k, shlex.split(line))
            assert done.exit_code == 0, f"{line}\n{done.output}"
