"""The mapper's own reasons: onset evidence under notes, and where a motif came from."""

import numpy as np
import torch

from chart.grid import make_grid
from chart.model import TimingPoint
from mapper.network.model import Mapper
from mapper.output.explain import reasons_of
from mapper.sampling.song_analysis import SongAnalysis
from mapper.tokens.vocabulary import SIDE_CHANNELS, ModelConfig
from tests.builders import ChartBuilder

SMALL = ModelConfig(
    stem_width=16, width=48, heads=3, encoder_layers=1, shared_layers=0, decoder_layers=1, hazard_width=16, dropout=0.0
)
BEAT_MS = 400.0


def test_a_repeated_bar_names_the_first_and_other_notes_name_nothing():
    torch.manual_seed(0)
    model = Mapper(SMALL).eval()
    with torch.no_grad():
        model.motif.bias.fill_(9.0)  # everything sounds alike
    points = (TimingPoint(0.0, BEAT_MS),)
    features = np.random.default_rng(0).integers(0, 90, (2400, 64 + SIDE_CHANNELS)).astype(np.uint8)
    song = SongAnalysis(make_grid(points, 0.0, 24_000.0), points, features)
    builder = ChartBuilder().bpm(150, 0.0)
    for bar in range(3):
        for beat, column in enumerate((0, 2, 1, 3) if bar < 2 else (2, 0, 3, 1)):
            builder.note((8 + bar * 4 + beat) * BEAT_MS, column)
    (reasons,) = reasons_of(model, song, [builder.build()], ["3.00 stars"])
    assert reasons.target == "3.00 stars"
    assert ((reasons.onset > 0) & (reasons.onset < 1)).all()
    np.testing.assert_allclose(reasons.repeats_ms[4:8], (8 + np.arange(4)) * BEAT_MS)
    assert np.isnan(reasons.repeats_ms[:4]).all()
    assert np.isnan(reasons.repeats_ms[8:]).all()
