"""Beat networks run over songs of any length, on both back ends."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ear.audio.decode import Audio
from ear.tracker.interface import BORDER_FRAMES, DEFAULT_WINDOW_FRAMES
from ear.tracker.onnx_runner import onnx_bytes
from ear.tracker.peak_picking import pick_beats
from ear.tracker.tracker import activations_of, load_beat_tracker, windows
from runtime.errors import CheckpointError, ConfigError
from runtime.onnx.session import open_session
from tests.ear_networks import tiny_checkpoint, tiny_network
from tests.ear_signals import audio_of, rock_beat


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_checkpoint(tmp_path_factory.mktemp("weights") / "tiny.safetensors")


@pytest.fixture(scope="module")
def song() -> Audio:
    """37 s: two windows."""
    return audio_of(rock_beat(120, 0.3, 37))


def echo(mel: NDArray[np.float32]) -> NDArray[np.float32]:
    """A network whose log-odds are what it sees in the first two bands."""
    assert len(mel) <= DEFAULT_WINDOW_FRAMES
    return mel[:, :2].T


@given(st.integers(1, 5000))
def test_windows_cover_every_frame_with_a_border_around(frames: int) -> None:
    covered = np.zeros(frames, int)
    for window in windows(frames):
        length = window.last - window.first + window.left + window.right
        assert length <= DEFAULT_WINDOW_FRAMES
        start = window.first - window.left
        covered[max(0, start + BORDER_FRAMES) : start + length - BORDER_FRAMES] += 1
    assert covered.min() >= 1


@pytest.mark.parametrize("frames", [1, 5, 1487, 1488, 1489, 1500, 2976, 2977, 4000])
def test_frames_keep_their_place_whatever_the_length(frames: int) -> None:
    logits = np.random.default_rng(frames).normal(size=(frames, 128)).astype(np.float32)
    activations = activations_of(logits, echo)
    assert activations.beat.dtype == np.float32
    np.testing.assert_allclose(activations.beat, 1 / (1 + np.exp(-logits[:, 0])), rtol=1e-5)
    np.testing.assert_allclose(activations.downbeat, 1 / (1 + np.exp(-logits[:, 1])), rtol=1e-5)


def test_back_ends_agree_on_beats_within_a_millisecond(checkpoint: Path, song: Audio) -> None:
    on_torch = load_beat_tracker(str(checkpoint), "torch", "cpu")(song)
    on_onnx = load_beat_tracker(str(checkpoint), "onnx", "cpu")(song)
    np.testing.assert_allclose(on_torch.beat, on_onnx.beat, atol=1e-4)
    middle = float(np.median(on_torch.beat))
    one, other = pick_beats(on_torch, middle), pick_beats(on_onnx, middle)
    assert one.beat_ms.size > 20
    np.testing.assert_allclose(one.beat_ms, other.beat_ms, atol=1.0)


def test_equal_audio_gives_equal_activations(checkpoint: Path, song: Audio) -> None:
    one, other = (load_beat_tracker(str(checkpoint), device="cpu")(song) for _ in range(2))
    assert np.array_equal(one.beat, other.beat)
    assert one.beat.std() > 1e-3  # it is not constant
    assert abs(len(one.beat) - 37 * 50) <= 1


def test_audio_at_another_rate_is_resampled(checkpoint: Path, song: Audio) -> None:
    doubled = Audio(np.repeat(song.samples, 2), song.sample_rate * 2)
    activations = load_beat_tracker(str(checkpoint), device="cpu")(doubled)
    assert abs(len(activations.beat) - 37 * 50) <= 1


@pytest.mark.parametrize(
    "changes", [{}, {"partial_transformers": True, "stem_dim": 8}, {"sum_head": False, "n_layers": 2}]
)
def test_the_graph_is_the_network(changes: dict) -> None:
    """Attention over bands and frames, norms that have learnt something, and either head; for several songs at once."""
    network = tiny_network(1, **changes)
    random = torch.Generator().manual_seed(4)
    for name, value in network.state_dict().items():
        if "running" in name or "gamma" in name or ".norm." in name or ".bn" in name:
            value += (0.2 * torch.rand(value.shape, generator=random)).to(value.dtype)
    mel = torch.rand((2, 70, 128), generator=random)
    with torch.no_grad():
        wanted = network(mel)
    session = open_session(onnx_bytes(network), "cpu", "graph")
    logits = session.run(["logits"], {"mel": mel.numpy()})[0]
    np.testing.assert_allclose(logits[:, 0], wanted["beat"], atol=1e-4)
    np.testing.assert_allclose(logits[:, 1], wanted["downbeat"], atol=1e-4)


def test_unknown_back_ends_and_devices_are_refused(checkpoint: Path) -> None:
    with pytest.raises(ConfigError, match="--backend jax: must be one of auto torch onnx"):
        load_beat_tracker(str(checkpoint), "jax")
    with pytest.raises(ConfigError, match="--device warp: torch cannot use it"):
        load_beat_tracker(str(checkpoint), device="warp")
    with pytest.raises(ConfigError, match=r"--device warp: this onnxruntime cannot use it; choose auto or .*cpu"):
        load_beat_tracker(str(checkpoint), "onnx", "warp")


def test_foreign_onnx_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"not a model")
    with pytest.raises(CheckpointError, match=r"broken\.onnx: onnxruntime cannot open it"):
        load_beat_tracker(str(path))
    import onnx
    from onnx import TensorProto, helper

    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("a", "b")]
    graph = helper.make_graph([helper.make_node("Identity", ["a"], ["b"])], "other", value[:1], value[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    assert onnx.load(path).graph.name == "other"
    with pytest.raises(CheckpointError, match="is an ONNX model, but not a beat network"):
        load_beat_tracker(str(path))
