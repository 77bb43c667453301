"""What the network promises: nothing leaks from the future, padding is inert, streaming equals batch, it learns."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mapper.batches import CELLS, Stretches, _row_arrays, collate
from mapper.corpus import ChartEntry, Corpus, SongEntry, grid_of_song
from mapper.hearing import hear
from mapper.loss import losses
from mapper.model import Controls, Mapper, ModelConfig, elapsed_bucket
from mapper.rows import HELD_AFTER, LEGAL, rows_of
from mapper.sampling import MAX_ROWS, Sampling, Writer, write_rows
from tests.builders import ChartBuilder

SMALL = ModelConfig(stem_width=16, width=48, heads=3, encoder_layers=2, decoder_layers=2, hazard_width=16, dropout=0.0)
BEAT_MS, LAG_MS, SONG_MS = 375.0, 10.0, 40_000.0


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    """One song whose mel lights up under its notes, with one chart of taps, chords and holds."""
    builder = ChartBuilder().bpm(160, 250.0)
    random = np.random.default_rng(5)
    for beat in range(90):
        time, column = 250.0 + beat * BEAT_MS, int(random.integers(4))
        if beat % 7 == 3:
            builder.hold(time, until=time + BEAT_MS / 2, column=column)
        else:
            builder.note(time, column)
        if beat % 3 == 0:
            builder.note(time + BEAT_MS / 2, (column + 1) % 4)
    chart = builder.build()
    red_lines = tuple((line.time_ms, line.beat_length_ms, line.meter) for line in chart.red_lines)
    rows = rows_of(chart, grid_of_song(red_lines, SONG_MS, LAG_MS))
    mel = random.integers(0, 30, (int(SONG_MS / 10), 64)).astype(np.uint8)
    for time in chart.time_ms:
        mel[round((time + LAG_MS) / 10)] = 200
    song = SongEntry("song", "", "", "train", (0, len(mel)), SONG_MS, LAG_MS)
    entry = ChartEntry(0, "x", 2.0, 1, 3.0, 0.1, (0, len(rows)), red_lines, 0, (float("nan"),) * 6)
    return Corpus((song,), (entry,), mel, np.stack((rows.slot, rows.code), -1).astype(np.int32))


@pytest.fixture
def model() -> Mapper:
    torch.manual_seed(1)
    return Mapper(SMALL).eval()


def scores(model: Mapper, batch: object) -> tuple[torch.Tensor, torch.Tensor]:
    encoder_control, decoder_control = model.control_vectors(batch.controls)
    encoding = model.encode(batch.cells, encoder_control)
    state = model.decode(batch.rows, encoding, decoder_control)
    rhythm = model.hazard_terms(state).rhythm(batch.previous_row, encoding.slot, batch.elapsed)
    return state, encoding.onset_logit + rhythm


@torch.no_grad()
def test_a_row_sees_no_later_row(model, corpus):
    batch = collate([Stretches(corpus).stretch(0, 0)])
    state, _ = scores(model, batch)
    batch.rows.code[0, 40:] = 85
    changed, _ = scores(model, batch)
    torch.testing.assert_close(state[:, :40], changed[:, :40])
    assert not torch.allclose(state[:, 40:], changed[:, 40:])


@torch.no_grad()
def test_padding_changes_nothing(model, corpus):
    stretches = Stretches(corpus)
    short = stretches.stretch(0, stretches.prepared(0).grid.cells - 60)
    alone = losses(model, collate([short]))
    beside = collate([short, stretches.stretch(0, 0)])
    both, other = losses(model, beside), losses(model, collate([stretches.stretch(0, 0)]))
    assert float(both.hazard) == pytest.approx(float(alone.hazard) + float(other.hazard), rel=1e-4)
    assert float(both.row) == pytest.approx(float(alone.row) + float(other.row), rel=1e-4)


def test_stretches_supervise_every_slot_of_the_song_once(corpus):
    stretches = Stretches(corpus)
    arrays = stretches.stretch(0, 0)
    rows = stretches.prepared(0).rows
    first = rows.slot[rows.slot < CELLS * 6]
    assert np.flatnonzero(arrays["target"]).tolist() == first.tolist()
    before = np.searchsorted(first, np.arange(CELLS * 6))
    assert arrays["previous_row"].tolist() == before.tolist()
    assert arrays["scored"].sum() == stretches.prepared(0).grid.usable[: CELLS * 6].sum()


@torch.no_grad()
def test_streaming_equals_batch(model, corpus):
    """The cached decoder of `Writer` gives the states that `decode` gives for the same rows."""
    stretches = Stretches(corpus)
    batch = collate([stretches.stretch(0, 0)])
    grid = stretches.prepared(0).grid
    state, _ = scores(model, batch)
    heard = hear(model, grid, corpus.features(0), LAG_MS, batch.controls)
    writer = Writer(model, heard)
    for row in range(30):
        tokens = type(batch.rows)(**{name: getattr(batch.rows, name)[:, row : row + 1] for name in vars(batch.rows)})
        writer.push(tokens)
        torch.testing.assert_close(writer.state[:, 0], state[:, row], rtol=1e-3, atol=1e-4)


def test_a_chart_without_audio_trains_what_writes_and_leaves_the_ears_alone(model, corpus):
    silent = Corpus((replace(corpus.songs[0], frames=(0, 0)),), corpus.charts, corpus.mel, corpus.rows)
    result = losses(model, collate([Stretches(silent).stretch(0, 0)]))
    result.total.backward()
    assert model.code.weight.grad.abs().sum() > 0
    assert model.unheard_cell.grad.abs().sum() > 0
    assert all(parameter.grad is None for part in (model.stem, model.encoder) for parameter in part.parameters())


def test_noise_in_what_is_read_leaves_the_targets_alone(corpus):
    stretches = Stretches(corpus)
    plain = stretches.stretch(0, 0)
    noisy = _row_arrays(stretches.prepared(0), slice(0, CELLS), np.random.default_rng(0))
    assert not np.array_equal(plain["code"], noisy["code"])
    for name in ("next_slot", "next_code", "next_held", "target"):
        np.testing.assert_array_equal(plain[name], noisy[name])
    for state, slot, elapsed in zip(noisy["next_state"], noisy["next_slot"], noisy["next_elapsed"], strict=True):
        read = noisy["slot"][state]
        assert state == 0 or read < slot
        assert state + 1 == len(noisy["slot"]) or noisy["slot"][state + 1] >= slot
        assert state == 0 or elapsed == stretches.prepared(0).grid.tick[slot] - stretches.prepared(0).grid.tick[read]


def test_elapsed_buckets_are_exact_within_a_beat_and_rise():
    ticks = torch.arange(0, 5000)
    buckets = elapsed_bucket(ticks)
    assert buckets[:49].tolist() == list(range(49))
    assert (buckets.diff() >= 0).all()
    assert int(buckets.max()) == 63


def test_missing_controls_differ_from_zero():
    nan, zero, style = torch.tensor([float("nan")]), torch.zeros(1), torch.zeros(1, dtype=torch.long)
    unset, asked = Controls(nan, nan, nan, style).features(), Controls(zero, zero, zero, style).features()
    assert not unset.isnan().any()
    assert not torch.equal(unset, asked)


def test_it_learns_one_batch(corpus):
    """The columns are drawn at random, ln 4 = 1.39 nats a row and more: less is only possible by learning them."""
    torch.manual_seed(0)
    model = Mapper(SMALL)
    stretches = Stretches(corpus)
    batch = collate([stretches.stretch(0, stretches.prepared(0).grid.cells - 170)])
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(200):
        optimizer.zero_grad()
        total = losses(model, batch).total
        total.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    assert float(total.detach()) < 0.8


def test_written_charts_are_legal_end_every_hold_and_repeat_with_the_seed(model, corpus):
    stretches = Stretches(corpus)
    controls = Controls(torch.full((3,), 2.0), *[torch.full((3,), float("nan"))] * 2, torch.ones(3, dtype=torch.long))
    grid = stretches.prepared(0).grid
    heard = hear(model, grid, corpus.features(0), LAG_MS, controls)
    bias = np.array([-3.0, -2.0, -1.0])
    first = write_rows(model, heard, Sampling(7, bias))
    again = write_rows(model, heard, Sampling(7, bias))
    other = write_rows(model, heard, Sampling(8, bias))
    assert [len(rows) for rows in first] == sorted(len(rows) for rows in first), "more bias, more rows"
    assert len(first[-1]) > MAX_ROWS, "the test must run the decoder's cache over"
    for rows, same in zip(first, again, strict=True):
        assert rows.code.tolist() == same.code.tolist()
        assert (np.diff(rows.slot) > 0).all()
        state = 0
        for code in rows.code:
            assert LEGAL[state, code]
            state = int(HELD_AFTER[state, code])
        assert state == 0
    assert first[1].code.tolist() != other[1].code.tolist()


def test_nothing_is_written_where_the_song_is_silent(model, corpus):
    features = corpus.features(0).copy()
    features[1000:2000] = 0
    controls = Controls(torch.tensor([2.0]), *[torch.tensor([float("nan")])] * 2, torch.ones(1, dtype=torch.long))
    grid = Stretches(corpus).prepared(0).grid
    rows = write_rows(model, hear(model, grid, features, LAG_MS, controls), Sampling(1, np.array([0.0])))[0]
    sound_ms = grid.slot_ms[rows.slot] + LAG_MS
    assert ((sound_ms > 9_000) & (sound_ms < 10_000)).any()
    assert not ((sound_ms > 10_060) & (sound_ms < 19_940)).any()
