"""Train a beat network on a dataset of `ear.dataset` and `ear.corpora.render_midi`; the command is `ear.finetune`.

Minimises the binary cross-entropy of beats and downbeats per frame. Targets fall off linearly within two frames of the true time,
so that the peak's shape locates a beat between two frames. The checkpoints hold an exponential average of the weights. The run folder
holds `config.json`, `state.pt` (from which the same command resumes), `best.safetensors`, `best.ckpt`, `best.onnx` and the
TensorBoard log.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from beat_this.model.beat_tracker import BeatThis
from torch.utils.tensorboard import SummaryWriter

from ear.tracker.checkpoint import build_network, find_checkpoint, load_config, load_network, save_ckpt, save_network
from ear.tracker.metrics import score_beats
from ear.tracker.onnx_runner import export_onnx
from ear.tracker.peak_picking import pick_beats
from ear.tracker.torch_runner import window_runner
from ear.tracker.tracker import activations_of
from ear.training.batches import BeatBatch, batches
from ear.training.loss import beat_loss
from ear.training.store import BeatPiece, as_mel, read_index, read_piece
from runtime.errors import ConfigError
from runtime.training.device import pick_device
from runtime.training.loop import TrainingState, log_scalars, run_steps
from runtime.training.muon import muon_and_adamw
from runtime.training.run_config import require_positive, save_config

SMALL: dict[str, Any] = {
    "transformer_dim": 96,
    "stem_dim": 8,
    "ff_mult": 2,
    "n_layers": 3,
    "partial_transformers": False,
}
"""Architecture of the bundled network, 265,000 parameters: per minute on one core it learns twice as much as the same with 128
dimensions and four layers (docs/LOG.md)."""

VAL_FRAMES = 3000
"""At most this much of a piece is validated, one minute."""

DECAY_SHARE = 0.6
"""Share of the steps, at the end, in which the learning rate falls to nothing."""


@dataclass(frozen=True)
class TrainConfig:
    """Settings of a run."""

    data: str
    out: str
    init: str = "none"  # checkpoint to start from; none: random weights
    tune: Literal["heads", "all"] = "all"
    steps: int = 6000
    batch: int = 4
    frames: int = 600  # length of a stretch
    learning_rate: float = 1.5e-3
    warmup: int = 200
    weight_decay: float = 0.02
    clip: float = 1.0  # gradient norm
    average: float = 0.998  # decay of the averaged weights
    validate_every: int = 300
    save_every: int = 50
    patience: int = 8  # validations without improvement before stopping
    val_pieces: int = 64
    seed: int = 0
    compile: bool = False  # a fifth faster on a CPU after a minute and a half; needs a C++ compiler
    device: str = "auto"
    model: dict[str, Any] = field(default_factory=lambda: dict(SMALL))

    def __post_init__(self) -> None:
        require_positive(self, ("steps", "batch", "frames", "validate_every", "save_every", "patience"))


def train(config: TrainConfig, say: Callable[[str], None] = print) -> dict[str, float]:
    """Train until `steps` or early stopping; returns the last validation's figures."""
    out, folder = Path(config.out), Path(config.data)
    pieces = {split: load_pieces(folder, split) for split in ("train", "val")}
    if not pieces["train"]:
        raise ConfigError(f"{folder}: the dataset has no piece in its train split")
    out.mkdir(parents=True, exist_ok=True)
    model_config, state = start_or_resume(config, out)
    model_config["window_frames"] = config.frames
    save_config(out, config, model=model_config)
    board = SummaryWriter(str(out), purge_step=state.step)
    hours = sum(piece.seconds for piece in pieces["train"]) / 3600
    say(f"{len(pieces['train'])} pieces, {hours:.1f} hours, from step {state.step}")
    val = _spread(pieces["val"], config.val_pieces)
    scores: dict[str, float] = {}

    def check() -> str:
        nonlocal scores
        scores = check_validation(state, model_config, val, out, config)
        log_scalars(board, scores, state.step)
        return summary(scores)

    drawn = batches(pieces["train"], config.batch, config.frames, config.seed, state.step)
    drawn = islice(drawn, max(config.steps - state.step, 0))
    run_steps(state, config, drawn, lambda batch: take_step(state, batch, config), check, board, say=say)
    if (out / "best.ckpt").is_file():
        export_onnx(load_network(out / "best.ckpt"), out / "best.onnx", config.frames)
    return scores


def load_pieces(folder: Path, split: str) -> list[BeatPiece]:
    """All pieces of a split, in memory."""
    return [read_piece(folder, entry) for entry in read_index(folder) if entry.split == split]


def _spread(pieces: Sequence[BeatPiece], count: int) -> list[BeatPiece]:
    """At most `count` pieces, as many of each group as can be."""
    groups: dict[str, list[BeatPiece]] = {}
    for piece in pieces:
        groups.setdefault(piece.group, []).append(piece)
    chosen: list[BeatPiece] = []
    for rank in range(max(map(len, groups.values()), default=0)):
        chosen += [members[rank] for members in groups.values() if rank < len(members)]
    return chosen[:count]


def start_or_resume(config: TrainConfig, out: Path) -> tuple[dict[str, Any], TrainingState[BeatThis]]:
    """The network's config with a fresh state, or with the one in `out/state.pt`."""
    device = pick_device(config.device)
    if config.init == "none":
        torch.manual_seed(config.seed)
        model_config = dict(config.model)
        network = build_network(model_config)
    else:
        path = find_checkpoint(config.init)
        model_config, network = load_config(path), load_network(path)
    network.to(device)
    if config.compile:
        network.compile(dynamic=False)
    for name, parameter in network.named_parameters():
        if config.tune == "heads" and not name.startswith("task_heads"):
            parameter.requires_grad_(False)
    trained = {name: value for name, value in network.named_parameters() if value.requires_grad}
    optimizers = muon_and_adamw(trained, ["task_heads"], config.learning_rate, config.weight_decay)
    state = TrainingState(network, optimizers, best=-math.inf)
    state.resume(out)
    return model_config, state


def learning_rate(config: TrainConfig, step: int) -> float:
    """Up in `warmup` steps, level, and down to nothing in the last `DECAY_SHARE`."""
    left = (config.steps - step) / max(1.0, DECAY_SHARE * config.steps)
    return config.learning_rate * min(1.0, (step + 1) / max(1, config.warmup), max(left, 0.01))


def take_step(state: TrainingState[BeatThis], batch: BeatBatch, config: TrainConfig) -> dict[str, float]:
    """One optimizer step; returns scalars by TensorBoard tag."""
    began, network = time.perf_counter(), state.network
    network.train(config.tune == "all")  # frozen parts keep their batch statistics
    rate = learning_rate(config, state.step)
    batch = BeatBatch(*(part.to(state.device) for part in batch))
    losses = beat_loss(network(batch.mel), batch)
    total = losses["beat"] + losses["downbeat"]
    network.zero_grad(set_to_none=True)
    total.backward()
    norm = state.update(rate, config.clip, config.average)
    return {
        "loss/total": total.item(),
        "loss/beat": losses["beat"].item(),
        "loss/downbeat": losses["downbeat"].item(),
        "train/gradient_norm": norm,
        "train/learning_rate": rate,
        "speed/audio_s_per_s": config.batch * config.frames / 50 / (time.perf_counter() - began),
    }


def check_validation(
    state: TrainingState[BeatThis],
    model_config: dict[str, Any],
    val: Sequence[BeatPiece],
    out: Path,
    config: TrainConfig,
) -> dict[str, float]:
    """Validate the averaged weights and save them when they are the best so far; returns figures by TensorBoard tag."""
    network = build_network(model_config).to(state.device)
    network.load_state_dict(state.average)
    scores = validate(network.eval(), val, config.frames)
    score = scores.get("val/score", float(state.step))  # without validation pieces the last weights are the best
    is_best = score > state.best
    state.record(score, is_best)
    if is_best:
        notes = f"step {state.step} of `{config.data}`, init {config.init}, tune {config.tune}; {summary(scores)}"
        save_network(network, model_config, out / "best.safetensors", notes=notes)
        save_ckpt(network, model_config, out / "best.ckpt")
    return scores


def validate(network: BeatThis, pieces: Sequence[BeatPiece], window_frames: int) -> dict[str, float]:
    """Beat and downbeat F within 20 ms by group, and their mean over groups as `val/score`."""
    run_window = window_runner(network, next(network.parameters()).device)
    found: dict[str, list[tuple[float, float]]] = {}
    for piece in pieces:
        first = max(0, min(int(piece.first_ms / 20), len(piece.mel) - VAL_FRAMES))
        start_ms, end_ms = first * 20.0, min(piece.last_ms, (first + VAL_FRAMES) * 20.0)
        activations = activations_of(as_mel(piece.mel[first : first + VAL_FRAMES]), run_window, window_frames)
        picked = pick_beats(activations)
        kept = slice(*np.searchsorted(picked.beat_ms + start_ms, [max(start_ms, piece.first_ms), end_ms]))
        picked = type(picked)(picked.beat_ms[kept] + start_ms, picked.is_downbeat[kept], picked.strength[kept])
        true = slice(*np.searchsorted(piece.beat_ms, [max(start_ms, piece.first_ms), end_ms]))
        score = score_beats(picked, piece.beat_ms[true], piece.is_downbeat[true])
        found.setdefault(piece.group, []).append((score.beat_f, score.downbeat_f if piece.has_downbeats else np.nan))
    scores: dict[str, float] = {}
    for group, pairs in sorted(found.items()):
        beat_f, downbeat_f = np.array(pairs).T
        tag = group.replace(" ", "_")
        scores[f"beat_f/{tag}"] = float(beat_f.mean())
        if np.isfinite(downbeat_f).any():
            scores[f"downbeat_f/{tag}"] = float(np.nanmean(downbeat_f))
    if scores:
        scores["val/score"] = float(np.mean(list(scores.values())))
    return scores


def summary(scores: dict[str, float]) -> str:
    """The figures as one line of text."""
    return " ".join(f"{name} {value:.3f}" for name, value in scores.items())
