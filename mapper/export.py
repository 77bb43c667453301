"""The networks as ONNX graphs for other programs and devices: `python -m mapper.export -o FOLDER`.

    encoder.onnx                the audio encoder of a window, for any number of charts
    beat.onnx                   the Ear's beat network
    mapper.safetensors          the checkpoint: `generate --checkpoint FOLDER` reads the decoder's weights from it
    report.json                 how nearly the encoder's graph is the network in torch
    int8/                       the same with whole-number weights: smaller, faster, a little less exact

Inputs and outputs are described where the graphs are made, in mapper.network.onnx_graphs and ear.tracker.onnx_runner.
"""

from __future__ import annotations

import hashlib
import json
import logging
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runtime.atomic_write import save_bytes
from runtime.command import Command, use_utf8
from runtime.errors import OutputError
from runtime.progress import waiting

if TYPE_CHECKING:
    from mapper.sampling.song_analysis import SongAnalysis

MAX_LOGIT_DIFFERENCE = 1e-3
MIN_SAME_ROWS = 0.99
"""Parity required of float graphs; int8 graphs are exempt."""


def export(
    out: Path,
    checkpoint: Path | None = None,
    ear: str = "bundled",
    int8: bool = False,
    song: SongAnalysis | None = None,
) -> dict[str, Any]:
    """Write the folder `out`; returns the report that is also written there.

    `ear` is a beat network as in ear.tracker.tracker, or "none"; `song` is what parity is measured on, by default a made-up
    one. Raises CheckpointError or OutputError.
    """
    with waiting("Writing the graphs"):
        path = _write_all(out, checkpoint, ear, int8)
    with waiting("Comparing the graphs with torch"):
        report = _report(out, path, int8, song)
    save_bytes(out / "report.json", (json.dumps(report, indent=2) + "\n").encode())
    return report


def _write_all(out: Path, checkpoint: Path | None, ear: str, int8: bool) -> Path:
    """Write the graphs and the weights; returns the checkpoint that they are of."""
    from mapper.network.checkpoint import BUNDLED, read_checkpoint
    from mapper.network.onnx_graphs import GRAPHS
    from mapper.network.onnx_model import WEIGHTS_FILE

    path = checkpoint or BUNDLED
    opened = read_checkpoint(path)
    graphs = {name: make(opened).file({"checkpoint": _fingerprint(path)}) for name, make in GRAPHS.items()}
    if ear != "none":
        graphs["beat"] = _beat_graph(ear)
    try:
        _write(out, graphs, path, WEIGHTS_FILE)
        if int8:
            _write(out / "int8", {name: _int8(graph) for name, graph in graphs.items()}, path, WEIGHTS_FILE)
    except OSError as error:
        raise OutputError(f"{out}: cannot be written ({error.strerror or error}); choose another folder") from error
    return path


def _write(folder: Path, graphs: dict[str, bytes], checkpoint: Path, weights_file: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in graphs.items():
        save_bytes(folder / f"{name}.onnx", content)
    save_bytes(folder / weights_file, checkpoint.read_bytes())


def _beat_graph(ear: str) -> bytes:
    from ear.tracker.checkpoint import find_checkpoint, load_network, window_frames_of
    from ear.tracker.onnx_runner import onnx_bytes

    path = find_checkpoint(ear)
    return onnx_bytes(load_network(path), window_frames_of(path))


def _int8(graph: bytes) -> bytes:
    """Weights of matrix products as whole numbers of seven bits, which older processors multiply without overflow."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    logging.getLogger().setLevel(logging.ERROR)  # its advice to rewrite the graph first is of no use here
    with tempfile.TemporaryDirectory(prefix="mania4k-") as folder:
        path = Path(folder) / "graph.onnx"
        quantize_dynamic(
            onnx.load_from_string(graph),
            path,
            per_channel=True,
            reduce_range=True,
            weight_type=QuantType.QInt8,
            op_types_to_quantize=["MatMul"],
        )
        return path.read_bytes()


def _report(out: Path, checkpoint: Path, int8: bool, song: SongAnalysis | None) -> dict[str, Any]:
    from importlib.metadata import version

    from mapper.network.checkpoint import load_mapper
    from mapper.network.onnx_model import OnnxMapper
    from mapper.onnx_parity import compare, pulse_song

    song = song or pulse_song()
    model = load_mapper(checkpoint)
    folders = [out, *([out / "int8"] if int8 else [])]
    parity = {one.name if one != out else "fp32": compare(model, OnnxMapper(one, "cpu"), song) for one in folders}
    exact = parity["fp32"]
    return {
        "checkpoint": {"name": checkpoint.name, "sha256": _fingerprint(checkpoint)},
        "versions": {name: version(name) for name in ("torch", "onnxruntime", "numpy")},
        "bytes": {file.relative_to(out).as_posix(): file.stat().st_size for file in sorted(out.rglob("*.onnx"))},
        "parity": {name: asdict(one) for name, one in parity.items()},
        "faithful": exact.onset_logit <= MAX_LOGIT_DIFFERENCE and exact.same_rows >= MIN_SAME_ROWS,
    }


def _fingerprint(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@click.command(cls=Command, help="Write the mapper (and the beat network) as ONNX graphs, checked against torch.")
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder to write.")
@click.option(
    "--checkpoint", type=click.Path(path_type=Path), help="A mapper trained by you; default: the bundled one."
)
@click.option("--ear", default="bundled", show_default=True, help="Beat network: bundled, a file, or none.")
@click.option("--int8", is_flag=True, help="Also write quantised graphs, in the folder int8.")
@click.pass_context
def main(context: click.Context, out: Path, checkpoint: Path | None, ear: str, int8: bool) -> None:
    use_utf8()
    report = export(out, checkpoint, ear, int8)
    for name, one in report["parity"].items():
        click.echo(
            f"{name}: {one['same_rows']:.2%} of {one['rows']:,} rows as torch writes them; onset logits differ by "
            f"{one['onset_logit']:.1e} at most; encodes in {one['onnx_encode_s']:.2f} s, torch in {one['torch_encode_s']:.2f} s"
        )
    click.echo(out)
    if not report["faithful"]:
        click.echo(f"error: {out}: the graphs are not the network; see report.json", err=True)
        context.exit(1)


if __name__ == "__main__":
    main()
