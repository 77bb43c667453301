"""Perplexity of human rows under the mapper and under n-grams: `python -m bench.mapper_columns DATA`.

Teacher-forced and pooled over the rows of the `val` charts: the code of each row is
predicted from the human's rows before it and its slot. The n-grams learn from the same `train` charts, those without audio included.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import click
import numpy as np
import torch
from numpy.typing import NDArray

from bench.column_ngrams import RowNGrams
from bench.report import print_json
from mapper.data.batches import WindowSampler, collate
from mapper.data.corpus import Corpus, open_corpus
from mapper.network.checkpoint import load_mapper
from mapper.network.model import Mapper
from mapper.pretraining.loss import codes_at, next_row_logits
from mapper.tokens.row_codes import hand_swapped_codes, mirrored_codes
from mapper.tokens.vocabulary import STYLES
from runtime.command import Command, use_utf8
from runtime.progress import progress

ORDERS = (3, 5)
HARD_STARS = 4.0


@torch.no_grad()
def mapper_scores(model: Mapper, stretches: WindowSampler, chart: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """([row] nats, [row] guessed right) of a chart's rows under the mapper."""
    nats, right = [], []
    for start in stretches.cover(chart):
        batch = collate([stretches.stretch(chart, start)])
        encoder_control, decoder_control = model.control_vectors(batch.controls)
        encoding = model.encode(batch.cells, encoder_control)
        state = model.decode(batch.rows, encoding, decoder_control)
        logits = next_row_logits(model, batch, encoding, state, model.motif.earlier(codes_at(batch)))
        codes = batch.targets.code
        nats.append(-logits.log_softmax(-1).gather(2, codes[..., None])[0, :, 0].numpy())
        right.append((logits.argmax(-1) == codes)[0].numpy())
    return np.concatenate(nats).astype(float), np.concatenate(right)


def n_grams(corpus: Corpus) -> dict[str, RowNGrams]:
    """n-gram models of the train charts, each also mirrored and with hands exchanged."""
    charts = []
    for chart in corpus.split("train") + corpus.split("train", has_audio=False):
        codes = corpus.chart_rows(chart).code
        charts += [codes, mirrored_codes()[codes], hand_swapped_codes()[codes]]
    return {f"{order}-gram": RowNGrams(charts, order) for order in ORDERS}


def measure(model: Mapper, corpus: Corpus) -> dict[str, dict[str, dict[str, float]]]:
    """Group of charts → model → perplexity and accuracy."""
    stretches, baselines = WindowSampler(corpus), n_grams(corpus)
    pooled: dict[tuple[str, str], list[tuple[NDArray, NDArray]]] = defaultdict(list)
    for chart in progress(corpus.split("val"), "columns"):
        entry, codes = corpus.charts[chart], corpus.chart_rows(chart).code
        scores = {"mapper": mapper_scores(model, stretches, chart)}
        for name, grams in baselines.items():
            scores[name] = (-np.log(grams.probability(codes)), grams.guesses(codes) == codes)
        groups = ["all", STYLES[entry.style], *(["above 4 stars"] if entry.stars > HARD_STARS else [])]
        for group in groups:
            for name, score in scores.items():
                pooled[group, name].append(score)
    figures: dict[str, dict[str, dict[str, float]]] = defaultdict(dict)
    for (group, name), parts in pooled.items():
        nats, right = (np.concatenate(values) for values in zip(*parts, strict=True))
        perplexity, accuracy = float(np.exp(nats.mean())), float(right.mean())
        figures[group][name] = {"rows": nats.size, "perplexity": round(perplexity, 3), "accuracy": round(accuracy, 4)}
    return dict(figures)


@click.command(cls=Command, help="Perplexity and accuracy of the row head on the val split of the dataset DATA.")
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--checkpoint", type=click.Path(path_type=Path), help="Default: the bundled mapper.")
def main(data: Path, checkpoint: Path | None) -> None:
    use_utf8()
    figures = measure(load_mapper(checkpoint), open_corpus(data))
    print(f"{'':16}{'':10}{'rows':>8}{'perplexity':>12}{'accuracy':>10}")
    for group, models in figures.items():
        for name, row in models.items():
            print(f"{group:16}{name:10}{row['rows']:8.0f}{row['perplexity']:12.2f}{row['accuracy']:10.3f}")
    print_json("mapper_columns", figures)


if __name__ == "__main__":
    main()
