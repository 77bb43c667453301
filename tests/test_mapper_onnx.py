"""The graphs are the network; they run without torch; back ends and devices are chosen and refused by name."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from click.testing import CliRunner

from mapper.export import MAX_LOGIT_DIFFERENCE, MIN_SAME_ROWS, export
from mapper.export import main as export_command
from mapper.network.checkpoint import load_mapper, read_checkpoint, save_mapper
from mapper.network.load import open_network
from mapper.network.model import Mapper
from mapper.network.onnx_graphs import GRAPHS
from mapper.network.onnx_model import OnnxMapper
from mapper.onnx_parity import compare, pulse_song
from mapper.sampling.advance import CACHE_ROWS
from mapper.sampling.encode_song import encode_song
from mapper.sampling.sampler import Sampling, write_rows
from mapper.tokens.conditioning_vector import Controls
from mapper.tokens.vocabulary import ModelConfig
from runtime.errors import CheckpointError, ConfigError
from runtime.onnx import backend as backends
from runtime.onnx.protobuf import Graph
from runtime.onnx.session import open_session, pick_provider

ROOT = Path(__file__).resolve().parents[1]
SMALL = ModelConfig(
    stem_width=16, width=48, heads=3, encoder_layers=2, shared_layers=1, decoder_layers=2, hazard_width=16, dropout=0.0
)
BLOCKED = ("torch", "gymnasium", "stable_baselines3", "beat_this", "tensorboard", "onnx", "PIL")
WITHOUT_TORCH = f"""
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {BLOCKED}:
            raise ModuleNotFoundError(f"{{name}} is blocked", name=name)

sys.meta_path.insert(0, Blocked())
"""


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network whose every part says something."""
    torch.manual_seed(3)
    model = Mapper(SMALL)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    path = tmp_path_factory.mktemp("onnx") / "small.safetensors"
    save_mapper(model, path)
    return path


@pytest.mark.parametrize("name", GRAPHS)
def test_graphs_are_valid_onnx(name, checkpoint):
    graph = onnx.load_from_string(GRAPHS[name](read_checkpoint(checkpoint)).file({"key": "日本"}))
    onnx.checker.check_model(graph, full_check=True)
    assert graph.metadata_props[0].value == "日本"


def test_the_writer_spells_numbers_as_protobuf_does():
    graph = Graph("all kinds")
    x = graph.input("x", "float32", ["any", 3])
    y = graph.op("Transpose", x, perm=[1, 0])
    graph.output(graph.op("Softmax", graph.op("Add", y, graph.constant(-1.5)), axis=-2), "y", [3, "any"])
    graph.constant(np.array([-1, 300, 2**40]), "whole")
    read = onnx.load_from_string(graph.file())
    assert read.opset_import[0].version == 17
    assert [one.dim_param or one.dim_value for one in read.graph.input[0].type.tensor_type.shape.dim] == ["any", 3]
    assert read.graph.node[2].attribute[0].i == -2
    constants = {one.name: onnx.numpy_helper.to_array(one).tolist() for one in read.graph.initializer}
    assert constants == {"constant_0": -1.5, "whole": [-1, 300, 2**40]}


def test_the_graph_encodes_what_the_network_encodes(checkpoint):
    """Encodings, and rows sampled from them with the same seeds, with caches that run full."""
    found = compare(load_mapper(checkpoint), OnnxMapper(checkpoint, "cpu"), pulse_song(30))
    assert found.rows > 4 * 5 * CACHE_ROWS, "the test must run the decoder's cache over"
    assert found.same_rows >= MIN_SAME_ROWS
    assert max(found.cell, found.slot, found.onset_logit) <= MAX_LOGIT_DIFFERENCE


def test_the_bundled_network_encodes_and_writes_the_same_on_both():
    song, controls = pulse_song(20), Controls([2.0, 4.0], [np.nan, 5.0], [0.1, np.nan], [1, 2])
    written = []
    for network in (load_mapper(), OnnxMapper(device="cpu")):
        encodings = encode_song(network, song.grid, song.features, song.lag_ms, controls)
        written.append((encodings, write_rows(network, encodings, Sampling(1, np.zeros(2)))))
    (torch_encoding, torch_rows), (onnx_encoding, onnx_rows) = written
    np.testing.assert_allclose(onnx_encoding.onset_logit, torch_encoding.onset_logit, atol=MAX_LOGIT_DIFFERENCE)
    assert [rows.code.tolist() for rows in torch_rows] == [rows.code.tolist() for rows in onnx_rows]


def test_an_exported_folder_generates_and_its_report_tells_how_true_it_is(checkpoint, tmp_path, monkeypatch):
    monkeypatch.setattr("mapper.onnx_parity.SEEDS", (0,))
    report = export(tmp_path / "graphs", checkpoint, ear="none", int8=True, song=pulse_song(12))
    assert report["faithful"]
    assert report["parity"]["fp32"]["onset_logit"] < report["parity"]["int8"]["onset_logit"] < 1
    assert report["bytes"]["int8/encoder.onnx"] < report["bytes"]["encoder.onnx"]
    assert json.loads((tmp_path / "graphs" / "report.json").read_text(encoding="utf-8")) == report
    song, controls = pulse_song(12), Controls.free()
    one, two = (open_network(path, "onnx").network for path in (tmp_path / "graphs", checkpoint))
    encodings = [encode_song(network, song.grid, song.features, 0.0, controls).onset_logit for network in (one, two)]
    np.testing.assert_array_equal(*encodings)
    with pytest.raises(ConfigError, match="is an exported folder, which torch cannot run"):
        open_network(tmp_path / "graphs", "torch")
    (tmp_path / "graphs" / "encoder.onnx").write_bytes(b"no graph")
    with pytest.raises(CheckpointError, match=r"encoder\.onnx: onnxruntime cannot open it"):
        open_network(tmp_path / "graphs", "onnx")
    (tmp_path / "graphs" / "encoder.onnx").unlink()
    with pytest.raises(CheckpointError, match=r"encoder\.onnx: cannot be read .* is .* a folder of `mania4k export`"):
        open_network(tmp_path / "graphs", "onnx")


def test_export_says_where_it_cannot_write(tmp_path):
    (tmp_path / "taken").write_text("a file", encoding="utf-8")
    result = CliRunner().invoke(export_command, ["-o", str(tmp_path / "taken" / "below"), "--ear", "none"])
    assert result.exit_code == 1
    assert "cannot be written" in result.stderr


@pytest.mark.slow
def test_songs_are_mapped_without_torch(tmp_path):
    """The demo song is mapped without the packages that `pip install mania4k[infer]` leaves out."""
    code = WITHOUT_TORCH + (
        "import mania4k\n"
        f"made = mania4k.generate({str(ROOT / 'examples' / 'demo_song.ogg')!r}, stars=[3], candidates=1,"
        f" effort='fast', out={str(tmp_path / 'demo.osz')!r})\n"
        "print(made.report.runs_on, len(made.charts[0]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    device, notes = done.stdout.strip().rsplit(" ", 1)
    assert device.startswith("onnxruntime, ")
    assert int(notes) > 100


@pytest.mark.parametrize("verb", ["train", "refine", "export"])
def test_what_needs_torch_says_so_in_a_line(verb, tmp_path):
    code = (
        WITHOUT_TORCH
        + f"sys.argv = ['mania4k', {verb!r}, '-o', {str(tmp_path / 'x')!r}]\nimport mania4k.cli\nmania4k.cli.main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode in (1, 2), done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode == 2 or 'pip install "mania4k[train]"' in done.stderr


def test_devices_are_chosen_by_name(monkeypatch):
    has = lambda *names: monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: list(names))  # noqa: E731
    has("DmlExecutionProvider", "CPUExecutionProvider")
    assert pick_provider("auto").name == "DmlExecutionProvider"
    assert pick_provider("dml:1").options == {"device_id": "1"}
    assert pick_provider("cpu").name == "CPUExecutionProvider"
    has("MIGraphXExecutionProvider", "CPUExecutionProvider")
    assert pick_provider("rocm").name == "MIGraphXExecutionProvider"
    has("ROCMExecutionProvider", "CPUExecutionProvider")
    assert pick_provider("auto").device == "rocm"
    has("CPUExecutionProvider")
    assert pick_provider("auto").device == "cpu"
    with pytest.raises(ConfigError, match=r"--device cuda: .* \(it comes with onnxruntime-gpu\); choose auto or cpu"):
        pick_provider("cuda")
    with pytest.raises(ConfigError, match=r"--device cpu:x: this onnxruntime cannot use it; choose auto or cpu"):
        pick_provider("cpu:x")


def test_a_device_that_does_not_start_is_replaced_by_the_cpu_and_said(monkeypatch, checkpoint):
    """The build has the provider, the machine has no such card."""
    available = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: available)
    opened = open_session(GRAPHS["encoder"](read_checkpoint(checkpoint)).file(), "auto", "encoder")
    assert opened.device == "cpu"
    assert opened.notice == "cuda does not start (CUDAExecutionProvider); the CPU is used instead"
    assert "cuda does not start" in open_network(checkpoint, "onnx", "cuda").notice


def test_back_ends_are_chosen_and_refused_by_name(monkeypatch, checkpoint):
    assert open_network(checkpoint).network.runs_on == "onnxruntime, cpu"
    assert open_network(checkpoint, "torch", "cpu").network.runs_on == "torch, cpu"
    with pytest.raises(ConfigError, match="--backend tpu: must be one of auto torch onnx"):
        open_network(checkpoint, "tpu")
    with pytest.raises(
        ConfigError, match="--device dml: torch cannot use it; DirectML needs --backend onnx on Windows"
    ):
        open_network(checkpoint, "torch", "dml")
    with pytest.raises(ConfigError, match="--device warp: torch cannot use it"):
        open_network(checkpoint, "auto", "warp")
    monkeypatch.setattr(backends, "is_installed", lambda package: package == "torch")
    assert open_network(checkpoint).network.runs_on == "torch, cpu"
    with pytest.raises(ConfigError, match="--backend onnx: onnxruntime is not installed"):
        open_network(checkpoint, "onnx")
    monkeypatch.setattr(backends, "is_installed", lambda package: package == "onnxruntime")
    with pytest.raises(ConfigError, match="--backend torch: torch is not installed"):
        open_network(checkpoint, "torch")
    with pytest.raises(ConfigError, match="--device warp: this onnxruntime cannot use it"):
        open_network(checkpoint, "auto", "warp")
