"""The encoder's inputs: the same for equal audio, in their documented places, and 0 outside the song."""

import hashlib

import numpy as np
import pytest
import torch

from chart.grid import make_grid
from chart.model import TimingPoint
from ear.audio.decode import Audio
from ear.audio.spectrogram import beat_this_mel
from ear.tracker.checkpoint import load_network
from ear.tracker.hidden_states import HiddenStates, load_hidden_states
from mapper.tokens.log_mel import BANDS
from mapper.tokens.song_features import FRONT_END, as_network_input, features_of_mel, joined_features, song_features
from mapper.tokens.vocabulary import BEAT_STATES, SIDE_CHANNELS
from mapper.tokens.window import MARGIN_FRAMES, cell_arrays

FRONT_END_SHA256 = "042d8ae1658c0cc45cef6407298b151272fcebd51468d2afc48f528651dccf79"
"""Of the beat network that the bundled mappers were trained with; another one needs mappers trained anew."""

CLICKS_MS = np.arange(1000.0, 15_000.0, 500.0)


@pytest.fixture(scope="module")
def audio() -> Audio:
    random = np.random.default_rng(0)
    samples = 0.001 * random.standard_normal(16 * 22_050).astype(np.float32)
    for number, time in enumerate(CLICKS_MS):
        at = round(time * 22.05)
        samples[at : at + 500] += (0.1 + 0.4 * (number % 2)) * random.standard_normal(500).astype(np.float32)
    return Audio(samples, 22_050)


@pytest.fixture(scope="module")
def features(audio) -> np.ndarray:
    return song_features(audio)


def side(features: np.ndarray) -> np.ndarray:
    return as_network_input(features)[:, BANDS:]


def test_equal_audio_gives_equal_features_of_the_documented_size(audio, features):
    assert features.dtype == np.uint8
    assert features.shape[1] == BANDS + SIDE_CHANNELS
    assert np.array_equal(features, song_features(audio))


def test_the_mappers_beat_network_is_its_own(audio, features, monkeypatch, tmp_path):
    """The inputs of a trained mapper may not change: a new network of the Ear must leave them alone."""
    assert FRONT_END.parents[1].name == "mapper"
    assert hashlib.sha256(FRONT_END.read_bytes()).hexdigest() == FRONT_END_SHA256
    monkeypatch.setattr("ear.tracker.checkpoint.BUNDLED", tmp_path / "none.safetensors")
    monkeypatch.setattr("mapper.tokens.song_features._front_end", lambda: load_hidden_states(FRONT_END))
    assert np.array_equal(features, song_features(audio))


def test_onsets_stand_at_the_clicks_and_louder_ones_rank_higher(features):
    frame = np.round(CLICKS_MS / 10).astype(int)
    onset, rank = side(features)[:, 8], side(features)[:, 13]
    assert onset[frame].min() > onset[frame + 25].max()
    assert rank[frame].min() > 0.5
    assert rank[frame[1::2]].min() > rank[frame[::2]].max()


def test_ranks_span_the_song(features):
    ranks = side(features)[:, 9:17]
    assert ranks.min() < -0.9
    assert ranks.max() > 0.9


def test_beats_of_the_clicks_are_read_off_in_their_frames(features):
    beat, greatest = side(features)[:, 0], side(features)[:, 2]
    frame = np.round(CLICKS_MS[4:-4] / 10).astype(int)
    assert greatest[frame].mean() > greatest[frame + 12].mean() + 0.2
    assert (greatest >= beat - 1e-6).all()


def test_states_are_those_of_the_network_in_torch(audio):
    states = load_hidden_states(FRONT_END)(audio)
    network = load_network(FRONT_END)
    seen: dict[str, torch.Tensor] = {}
    network.frontend.register_forward_hook(lambda _m, _i, out: seen.update(front=out))
    network.transformer_blocks.layers[1][0].register_forward_pre_hook(lambda _m, given: seen.update(middle=given[0]))
    network.transformer_blocks.norm.register_forward_hook(lambda _m, _i, out: seen.update(last=out))
    mel = np.pad(beat_this_mel(audio.samples)[:594], ((6, 0), (0, 0)))
    with torch.inference_mode():
        out = network(torch.from_numpy(mel)[None])
    expected = torch.cat((seen["front"], seen["middle"], seen["last"]), -1)[0, 6:-6].numpy()
    assert states.hidden.shape[1] == BEAT_STATES
    np.testing.assert_allclose(states.hidden[:588], expected, atol=2e-3)
    np.testing.assert_allclose(states.log_odds[:588, 0], out["beat"][0, 6:-6].numpy(), atol=2e-3)
    assert len(states.hidden) == len(beat_this_mel(audio.samples)), "later windows fill the rest"


def test_what_is_outside_the_song_is_zero_to_the_network(features):
    grid = make_grid([TimingPoint(-2000.0, 500.0)], -2000.0, 18_000.0)
    mel = cell_arrays(grid, slice(0, grid.cells), features, 0.0)["mel"]
    outside = 200 + MARGIN_FRAMES
    assert not mel[: outside - 1].any()
    assert mel[outside : outside + len(features)].any(1).all()
    assert not mel[outside + len(features) + 1 :].any()


def test_features_of_a_spectrogram_alone_have_no_side(features):
    assert not side(features_of_mel(features[:, :BANDS])).any()


def test_joined_features_keep_states_within_their_range():
    mel, strength = np.zeros((30, BANDS), np.uint8), np.zeros((300, 4), np.float32)
    hidden = np.linspace(-100, 100, 15 * BEAT_STATES, dtype=np.float32).reshape(15, BEAT_STATES)
    found = as_network_input(joined_features(mel, strength, HiddenStates(np.zeros((15, 2), np.float32), hidden)))
    assert found.min() == -1
    assert found.max() == pytest.approx(127 / 128)
