"""Training end to end on a tiny dataset: dataset → train → resume → checkpoint."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from chart.formats.osu_read import write_osu
from mapper.data.corpus import open_corpus
from mapper.dataset import build
from mapper.network.checkpoint import BUNDLED, checkpoint_named, load_mapper, origin_of, save_mapper
from mapper.network.load import open_network
from mapper.network.model import Mapper
from mapper.pretraining.config import FROM_TRAINED
from mapper.pretraining.tensorboard import Log
from mapper.recipe import STAGES, follow_recipe
from mapper.tokens.vocabulary import ENCODER_PARTS, ModelConfig
from mapper.train import TrainConfig, next_commands, train
from runtime.errors import CheckpointError, ConfigError
from runtime.training.distributed import ProcessGroup
from runtime.workers import Workers
from tests.builders import ChartBuilder

SMALL = ModelConfig(
    stem_width=16, width=48, heads=3, encoder_layers=1, shared_layers=0, decoder_layers=1, hazard_width=16
)
BPM = 150.0


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Two songs of clicks with a chart each, in folders as in osu!'s Songs; clicks come 20 ms after the notes."""
    folder = tmp_path_factory.mktemp("Songs")
    for number, name in enumerate(("first 曲", "second")):
        song = folder / name
        song.mkdir()
        random = np.random.default_rng(number)
        beats_ms = 500.0 + np.arange(60) * 60_000 / BPM
        samples = 0.001 * random.standard_normal(22_050 * 26).astype(np.float32)
        for beat_ms in beats_ms:
            at = round((beat_ms + 20) * 22.05)
            samples[at : at + 400] += 0.5 * random.standard_normal(400).astype(np.float32) * np.linspace(1, 0, 400)
        soundfile.write(song / "audio.wav", samples, 22_050)
        builder = ChartBuilder().bpm(BPM, 500.0).having(audio_filename="audio.wav")
        for beat_ms in beats_ms:
            builder.note(float(beat_ms), int(random.integers(4)))
        write_osu(builder.build(), song / "chart.osu")
    out = tmp_path_factory.mktemp("data")
    build([folder], out, splits={"second": "val"}, workers=Workers(1))
    return out


def test_dataset_aligns_notes_with_sound_and_keeps_the_split(data):
    corpus = open_corpus(data)
    assert {song.name: song.split for song in corpus.songs} == {"first 曲": "train", "second": "val"}
    for chart, entry in enumerate(corpus.charts):
        assert corpus.songs[entry.song].lag_ms == pytest.approx(20, abs=3)
        rows, grid = corpus.chart_rows(chart), corpus.grid(chart)
        np.testing.assert_allclose(grid.slot_ms[rows.slot], 500.0 + np.arange(60) * 60_000 / BPM, atol=1)
        sound_frame = np.round((grid.slot_ms[rows.slot] + 20) / 10).astype(int)
        features = corpus.features(chart)[:, :64].mean(axis=1)
        assert features[sound_frame].mean() > 2 * features.mean()


def test_notes_can_be_laid_on_the_beats_of_the_ear(data, tmp_path):
    folder = Path(open_corpus(data).songs[0].source).parent
    report = build([folder], tmp_path / "data", splits={}, workers=Workers(1), timing="ear")
    corpus = open_corpus(tmp_path / "data")
    assert report["snap_error_ms"]["median"] < 4
    for entry in corpus.charts:
        assert corpus.songs[entry.song].lag_ms == 0
        assert 60_000 / entry.red_lines[0][1] == pytest.approx(BPM, rel=1e-3)
        assert (entry.red_lines[0][0] - 520.0 + 100) % 200 == pytest.approx(100, abs=6)  # clicks, not notes as written


def config(data: Path, out: Path, **changes) -> TrainConfig:
    settings = TrainConfig(str(data), str(out), steps=6, batch=2, validate_every=3, save_every=2, warmup=2, model=SMALL)
    return dataclasses.replace(settings, **changes)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_training_logs_and_saves_what_it_promises(data, tmp_path):
    whole = train(config(data, tmp_path / "whole", validate_every=6))
    assert np.isfinite(whole.loss)
    log = EventAccumulator(str(tmp_path / "whole"), size_guidance={"images": 0})
    log.Reload()
    tags = log.Tags()
    assert {"loss/total", "loss/hazard", "loss/row", "val/onset_f1"} <= set(tags["scalars"])
    assert [event.step for event in log.Scalars("loss/total")] == [1, 2, 3, 4, 5, 6]
    assert any(tag.startswith("charts/") for tag in tags["images"])
    assert any(tag.startswith("clicks/") for tag in tags["audio"])
    assert any(tag.startswith("intervals_written/") for tag in tags["histograms"])
    assert any(tag.startswith("patterns_written/stream") for tag in tags["scalars"])
    assert json.loads((tmp_path / "whole" / "config.json").read_text())["steps"] == 6
    model = load_mapper(tmp_path / "whole" / "best.safetensors")
    assert model.config == SMALL


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_stopped_run_goes_on_to_the_same_weights(data, tmp_path, monkeypatch):
    from mapper import train as module

    monkeypatch.setattr(Log, "_excerpt", lambda *arguments: None)
    plain = dataclasses.replace(SMALL, dropout=0.0)  # dropout draws from torch's own generator, which is not resumed
    train(config(data, tmp_path / "whole", model=plain))
    stop_after = module.take_step

    def dying(state, *arguments):
        if state.step == 4:
            raise KeyboardInterrupt
        return stop_after(state, *arguments)

    monkeypatch.setattr(module, "take_step", dying)
    with pytest.raises(KeyboardInterrupt):
        train(config(data, tmp_path / "parts", model=plain))
    monkeypatch.setattr(module, "take_step", stop_after)
    train(config(data, tmp_path / "parts", model=plain))
    states = [torch.load(tmp_path / run / "state.pt", weights_only=True) for run in ("whole", "parts")]
    assert states[0]["step"] == states[1]["step"] == 6
    for name, tensor in states[0]["model"].items():
        torch.testing.assert_close(tensor, states[1]["model"][name], rtol=1e-4, atol=1e-5)


DECODER_ARRAYS = {"symbol.weight", "next_code.weight", "decoder.0.query_key_value.weight"}
ENCODER_ARRAYS = {"song_edges.weight", "onset.1.weight", "encoder.0.query_key_value.weight"}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("tune", "learns", "stays"),
    [("writing", DECODER_ARRAYS, ENCODER_ARRAYS), ("hearing", ENCODER_ARRAYS, DECODER_ARRAYS)],
)
def test_tuning_one_half_leaves_the_other_as_it_is(data, tmp_path, monkeypatch, tune, learns, stays):
    monkeypatch.setattr(Log, "_excerpt", lambda *arguments: None)
    save_mapper(Mapper(SMALL), tmp_path / "init.safetensors")
    start = load_mapper(tmp_path / "init.safetensors").state_dict()
    train(config(data, tmp_path / "tuned", init=str(tmp_path / "init.safetensors"), tune=tune, steps=3))
    tuned = torch.load(tmp_path / "tuned" / "state.pt", weights_only=True)["model"]
    same = {name for name in start if torch.equal(start[name], tuned[name])}
    encoder_names = {name for name in start if name.split(".")[0] in ENCODER_PARTS}
    assert stays <= same
    assert same >= (encoder_names if tune == "writing" else set(start) - encoder_names)
    assert learns.isdisjoint(same)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_trained_weights_are_never_exchanged_for_worse_ones(data, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(Log, "_excerpt", lambda *arguments: None)
    init = tmp_path / "init.safetensors"
    save_mapper(Mapper(SMALL), init, random_steps=3)
    worse = config(data, tmp_path / "worse", init=str(init), steps=1, warmup=0, learning_rate=30.0, average=0.0)
    train(worse)
    best = tmp_path / "worse" / "best.safetensors"
    assert origin_of(best).notes.startswith("step 0, val ")
    start, kept = (load_mapper(path).state_dict() for path in (init, best))
    assert all(torch.equal(start[name], kept[name]) for name in start)
    said = capsys.readouterr()
    assert f"starting from {init}" in said.out
    assert "hardly trained (3 steps from random weights)" in said.err
    assert "no step was better" in next_commands(worse)
    assert f"next: mania4k generate SONG --checkpoint {best}" in next_commands(worse)


def test_own_maps_are_trained_on_top_of_the_shipped_weights_unless_none_are_wanted():
    given = {"data": "d", "out": "o", "steps": None, "batch": 2, "learning_rate": None}
    own = TrainConfig.of_options(given | {"init": "pretrained"})
    assert (own.steps, own.batch, own.learning_rate) == (FROM_TRAINED["steps"], 2, FROM_TRAINED["learning_rate"])
    new = TrainConfig.of_options(given | {"init": "none"})
    assert (new.steps, new.batch, new.learning_rate) == (TrainConfig.steps, 2, TrainConfig.learning_rate)


def test_a_checkpoint_that_has_hardly_been_trained_says_so(tmp_path, monkeypatch):
    save_mapper(Mapper(SMALL), tmp_path / "raw", random_steps=20)
    assert "raw: is hardly trained (20 steps from random weights)" in origin_of(tmp_path / "raw").warning
    assert "hardly trained" in open_network(tmp_path / "raw").notice
    save_mapper(Mapper(SMALL), tmp_path / "long", random_steps=4000)
    save_mapper(Mapper(SMALL), tmp_path / "tuned")
    assert not origin_of(tmp_path / "long").warning
    assert not origin_of(tmp_path / "tuned").warning
    monkeypatch.setattr("mapper.network.checkpoint.PRETRAINED", tmp_path / "not here")
    assert checkpoint_named("pretrained") == BUNDLED, "installations have the bundled weights alone"


TEAM_SCRIPT = """
import sys
from mapper.tokens.vocabulary import ModelConfig
from mapper.train import TrainConfig, train
from mapper.recipe import STAGES, follow_recipe
from mapper.pretraining.tensorboard import Log

Log._excerpt = lambda *arguments: None
small = ModelConfig(stem_width=16, width=48, heads=3, encoder_layers=1, shared_layers=0, decoder_layers=1, hazard_width=16, dropout=0.0)
train(TrainConfig(sys.argv[1], sys.argv[2], steps=4, batch=3, validate_every=4, save_every=4, warmup=2, model=small))
"""


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_two_processes_train_as_one_does(data, tmp_path, monkeypatch):
    script = tmp_path / "team.py"
    script.write_text(TEAM_SCRIPT, encoding="utf-8")
    launch = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        "--max-restarts",
        "1",
    ]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run(
        [*launch, str(script), str(data), str(tmp_path / "two")], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[:3000]
    assert "process 2 of 2" in done.stdout
    monkeypatch.setattr(Log, "_excerpt", lambda *arguments: None)
    plain = dataclasses.replace(SMALL, dropout=0.0)
    train(config(data, tmp_path / "one", steps=4, batch=3, validate_every=4, save_every=4, model=plain))
    one, two = (torch.load(tmp_path / run / "state.pt", weights_only=True) for run in ("one", "two"))
    assert one["step"] == two["step"] == 4
    assert one["best"] == pytest.approx(two["best"], rel=1e-4)
    for name, tensor in one["model"].items():
        torch.testing.assert_close(tensor, two["model"][name], rtol=1e-3, atol=1e-5)


def test_a_team_larger_than_the_batch_is_refused(data, tmp_path, monkeypatch):
    monkeypatch.setattr("mapper.train.join_process_group", lambda device: ProcessGroup(0, 4))
    with pytest.raises(ConfigError, match="--batch 2 is too small to share among 4 processes"):
        train(config(data, tmp_path))


def test_a_damaged_state_is_refused(data, tmp_path):
    (tmp_path / "state.pt").write_bytes(b"not a checkpoint")
    with pytest.raises(CheckpointError, match="remove it to start anew"):
        train(config(data, tmp_path))


def test_settings_out_of_range_name_their_option():
    with pytest.raises(ConfigError, match="--batch must be at least 1"):
        TrainConfig("data", "out", batch=0)


def test_checkpoints_round_trip_and_refuse_other_formats(tmp_path):
    model = Mapper(SMALL)
    save_mapper(model, tmp_path / "m.safetensors", notes="a test", random_steps=7)
    once = (tmp_path / "m.safetensors").read_bytes()
    for _ in range(8):  # the library orders the header by chance
        save_mapper(model, tmp_path / "m.safetensors", notes="a test", random_steps=7)
        assert (tmp_path / "m.safetensors").read_bytes() == once
    assert origin_of(tmp_path / "m.safetensors").random_steps == 7
    again = load_mapper(tmp_path / "m.safetensors")
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], tensor.half().float(), rtol=0, atol=0)
    from safetensors.torch import load_file, save_file

    weights = load_file(tmp_path / "m.safetensors")
    save_file(weights, tmp_path / "old.safetensors", metadata={"format_version": "0", "config": "{}"})
    with pytest.raises(CheckpointError, match="checkpoint format 0, this version reads 4"):
        load_mapper(tmp_path / "old.safetensors")
    save_file(weights, tmp_path / "odd.safetensors", metadata={"format_version": "4", "config": '{"width": 96}'})
    with pytest.raises(CheckpointError, match="do not fit"):
        load_mapper(tmp_path / "odd.safetensors")
    save_file(weights, tmp_path / "huge.safetensors", metadata={"format_version": "4", "config": '{"width": 144000}'})
    with pytest.raises(CheckpointError, match="out of bounds"):
        load_mapper(tmp_path / "huge.safetensors")


def test_the_recipe_runs_its_stages_and_goes_on_with_the_last(data, tmp_path, monkeypatch):
    monkeypatch.setattr(Log, "_excerpt", lambda *arguments: None)
    save_mapper(Mapper(SMALL), tmp_path / "init.safetensors")
    begun = load_mapper(tmp_path / "init.safetensors")
    best = follow_recipe(str(data), tmp_path / "run", str(tmp_path / "init.safetensors"), share=0.005)
    assert best == tmp_path / "run" / "joint" / "best.safetensors"
    moved = {
        name: (load_mapper(best).state_dict()[name] - value).abs().max() for name, value in begun.state_dict().items()
    }
    assert moved["stem.convolutions.0.weight"] > 0, "the encoder learnt"
    assert moved["decoder.0.query_key_value.weight"] > 0, "and the decoder in the later stages"
    before = {stage: (tmp_path / "run" / stage / "state.pt").stat().st_mtime_ns for stage in STAGES}
    (tmp_path / "run" / "joint" / "state.pt").unlink()
    follow_recipe(str(data), tmp_path / "run", str(tmp_path / "init.safetensors"), share=0.005)
    steps = [torch.load(tmp_path / "run" / stage / "state.pt", weights_only=True)["step"] for stage in STAGES]
    assert steps == [5, 2]
    assert (tmp_path / "run" / "joint" / "state.pt").stat().st_mtime_ns > before["joint"]
