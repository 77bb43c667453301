"""Validation on human charts: likelihood by head, and onset F1 at the human's own density."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from mapper.data.batches import WindowSampler, collate
from mapper.network.model import Mapper
from mapper.pretraining.loss import encoder_losses, losses


@dataclass(frozen=True)
class Validation:
    """Figures of a validation; nats a row, shares 0–1, nan where nothing was scored."""

    loss: float
    hazard: float
    row: float
    onset: float  # of the encoder's onset logits
    row_accuracy: float
    onset_f1: float  # rows picked from audio and controls alone, as many as the human's; mean over charts

    @classmethod
    def unknown(cls) -> Validation:
        return cls(*[math.nan] * 6)

    def line(self) -> str:
        return (
            f"val {self.loss:.3f} (hazard {self.hazard:.3f}, row {self.row:.3f}), "
            f"onset {self.onset:.3f}, row accuracy {self.row_accuracy:.3f}, onset F1 {self.onset_f1:.3f}"
        )

    def scalars(self) -> dict[str, float]:
        """The figures by TensorBoard tag."""
        return {
            "val/loss": self.loss,
            "val/hazard": self.hazard,
            "val/row_perplexity": math.exp(min(self.row, 20)),
            "val/row_accuracy": self.row_accuracy,
            "val/onset": self.onset,
            "val/onset_f1": self.onset_f1,
        }


@torch.no_grad()
def validate(
    model: Mapper, stretches: WindowSampler, charts: list[int], batch_size: int = 8, encoder_only: bool = False
) -> Validation:
    """Score every row of the charts, conditioned on their own stars, density, hold share and style.

    With `encoder_only` only the onset logits are scored, and their nats are the loss.
    """
    if not charts:
        return Validation.unknown()
    device = next(model.parameters()).device
    work = [(chart, start) for chart in charts for start in stretches.cover(chart)]
    logits: dict[int, list[np.ndarray]] = {chart: [] for chart in charts}
    targets: dict[int, list[np.ndarray]] = {chart: [] for chart in charts}
    sums = np.zeros(5)
    score = encoder_losses if encoder_only else losses
    for at in range(0, len(work), batch_size):
        part = work[at : at + batch_size]
        batch = collate([stretches.stretch(chart, start) for chart, start in part]).to(device)
        result = score(model, batch)
        sums += [float(part) for part in (result.hazard, result.row, result.onset, result.right_rows, result.rows)]
        counted = batch.scored & ~batch.release_only
        for number, (chart, _) in enumerate(part):
            logits[chart].append(result.onset_logit[number][counted[number]].float().cpu().numpy())
            targets[chart].append(batch.target[number][counted[number]].cpu().numpy())
    hazard, row, onset, right, rows = sums
    f1 = [f1_at_density(np.concatenate(logits[chart]), np.concatenate(targets[chart])) for chart in charts]
    loss = onset if encoder_only else hazard + row
    figures = (loss / rows, hazard / rows, row / rows, onset / rows, right / rows, np.mean(f1))
    return Validation(*map(float, figures))  # plain floats: they are saved, and read back without pickle


def f1_at_density(logit: np.ndarray, target: np.ndarray) -> float:
    """F1 of the most likely slots, as many as there are targets: precision and recall are then equal."""
    count = int(target.sum())
    if count == 0:
        return 0.0
    picked = np.argpartition(-logit, count - 1)[:count]
    return float(target[picked].mean())
