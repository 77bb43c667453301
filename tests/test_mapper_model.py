"""Properties of the network: nothing leaks from the future, padding is inert, streaming equals batch, it learns."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mapper.data.batches import WindowSampler, _row_arrays, collate, collate_windows
from mapper.data.corpus import ChartEntry, Corpus, SongEntry, grid_of_song
from mapper.network.compiled.cached_decoder import CachedDecoder, DecoderInput, time_gap_bins
from mapper.network.compiled.kernels import attend, gelu, soften
from mapper.network.compiled.product_blocks import LANES, four_rows
from mapper.network.compiled.products import in_panels, multiply_add
from mapper.network.layers import drop_channels
from mapper.network.model import Mapper, time_gap_bin
from mapper.pretraining.loss import EVENED, _evened, codes_at, losses
from mapper.sampling.conditioning import CachedEncoder, ChartTarget, controls_of
from mapper.sampling.encode_song import SongEncoding, alike, encode_song
from mapper.sampling.kernels import SamplerState, SlotEncoding, SlotGrid, find_slots
from mapper.sampling.sampler import CACHE_ROWS, Sampling, Span, write_rows
from mapper.sampling.song_analysis import SongAnalysis
from mapper.tokens.conditioning_vector import Controls
from mapper.tokens.row_codes import (
    HELD_AFTER,
    HOLD_START,
    LEGAL,
    MIN_COLUMN_GAP_MS,
    STARTS_HOLD,
    STARTS_NOTE,
    SYMBOLS,
    TAP,
    Rows,
    held_states,
    legal_rows,
    rows_of,
)
from mapper.tokens.vocabulary import SIDE_CHANNELS, ModelConfig, shapes_of
from mapper.tokens.window import CELLS, MAX_ROWS
from tests.builders import ChartBuilder

SMALL = ModelConfig(
    stem_width=16, width=48, heads=3, encoder_layers=2, shared_layers=1, decoder_layers=2, hazard_width=16, dropout=0.0
)
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
    side = random.integers(0, 256, (len(mel), SIDE_CHANNELS)).astype(np.uint8)
    return Corpus(
        (song,), (entry,), np.concatenate((mel, side), 1), np.stack((rows.slot, rows.code), -1).astype(np.int32)
    )


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
    batch = collate([WindowSampler(corpus).stretch(0, 0)])
    state, _ = scores(model, batch)
    batch.rows.code[0, 40:] = 85
    changed, _ = scores(model, batch)
    torch.testing.assert_close(state[:, :40], changed[:, :40])
    assert not torch.allclose(state[:, 40:], changed[:, 40:])


@torch.no_grad()
def test_padding_changes_nothing(model, corpus):
    stretches = WindowSampler(corpus)
    short = stretches.stretch(0, stretches.prepared(0).grid.cells - 60)
    alone = losses(model, collate([short]))
    beside = collate([short, stretches.stretch(0, 0)])
    both, other = losses(model, beside), losses(model, collate([stretches.stretch(0, 0)]))
    assert float(both.hazard) == pytest.approx(float(alone.hazard) + float(other.hazard), rel=1e-4)
    assert float(both.row) == pytest.approx(float(alone.row) + float(other.row), rel=1e-4)


def test_stretches_supervise_every_slot_of_the_song_once(corpus):
    stretches = WindowSampler(corpus)
    arrays = stretches.stretch(0, 0)
    rows = stretches.prepared(0).rows
    first = rows.slot[rows.slot < CELLS * 6]
    assert np.flatnonzero(arrays["target"]).tolist() == first.tolist()
    before = np.searchsorted(first, np.arange(CELLS * 6))
    assert arrays["previous_row"].tolist() == before.tolist()
    assert arrays["scored"].sum() == stretches.prepared(0).grid.usable[: CELLS * 6].sum()


def test_stretches_cover_the_whole_song_and_know_its_ends(corpus):
    stretches = WindowSampler(corpus)
    prepared, frames = stretches.prepared(0), len(corpus.features(0))
    assert stretches.playable_cells(0) == (0, prepared.grid.cells)
    assert stretches.cover(0)[0] == 0
    edges = stretches.stretch(0, 0)["song_edges"]
    cell_s = (prepared.grid.slot_ms[: CELLS * 6 : 6] + corpus.songs[corpus.charts[0].song].lag_ms) / 1000
    np.testing.assert_allclose(edges[:, 0], np.exp(-cell_s.clip(min=0) / 4), rtol=1e-4)
    np.testing.assert_allclose(edges[:, 5], np.exp(-(frames / 100 - cell_s).clip(min=0) / 64), rtol=1e-4)


@torch.no_grad()
def test_the_stepper_is_the_decoder(model, corpus):
    """Read row by row, several at once or anew, the states and both heads are those of the network."""
    batch = collate([WindowSampler(corpus).stretch(0, 0)])
    rows = batch.rows
    encoder_control, control = model.control_vectors(batch.controls)
    encoding = model.encode(batch.cells, encoder_control)
    state = model.decode(rows, encoding, control)
    stepper = CachedDecoder(model, 3, 64)

    def read(chart: int, first: int, last: int) -> None:
        slot = rows.slot[0, first:last]
        stepper.read(
            DecoderInput(
                chart=np.full(last - first, chart),
                code=rows.code[0, first:last].numpy(),
                held=rows.held[0, first:last].numpy(),
                elapsed=rows.elapsed[0, first:last].numpy(),
                beat=rows.beat[0, first:last].numpy(),
                cell=encoding.cell[0, slot // 6].numpy(),
                slot=encoding.slot[0, slot].numpy(),
                control=control[0].expand(last - first, -1).numpy(),
            )
        )

    read(2, 0, 20)
    for row in range(30):
        read(0, row, row + 1)
        np.testing.assert_allclose(stepper.state[0], state[0, row], rtol=1e-3, atol=1e-5)
    read(2, 20, 30)
    np.testing.assert_allclose(stepper.state[2], stepper.state[0], atol=1e-5)
    assert stepper.length.tolist() == [30, 0, 30]
    stepper.cache.length[0] = 0
    read(0, 0, 30)
    np.testing.assert_allclose(stepper.state[0], stepper.state[2], atol=1e-5)

    charts, slots = np.array([0, 2]), torch.tensor([200, 210])
    terms = model.hazard_terms(state[:, 29:30])
    query, by_elapsed = stepper.hazard_terms(charts)
    np.testing.assert_allclose(query[0], terms.query[0, 0], atol=1e-5)
    np.testing.assert_allclose(by_elapsed[1], terms.by_elapsed[0, 0], atol=1e-5)
    elapsed, held = torch.tensor([3, 60]), torch.tensor([0, 5])
    slot, cell = encoding.slot[0, slots], encoding.cell[0, slots // 6]
    earlier, alike = torch.tensor([[0, 1, 5, 0, 85, 200], [1, 0, 0, 3, 0, 17]]), torch.rand(2, 6)
    motif = model.motif.row_vector(earlier, alike, model.symbols_of_code)
    assert float(motif.abs().max()) > 0.1
    wanted = model.row_logits(state[0, 29].expand(2, -1), slot, cell, elapsed, held, motif)
    arrays = [tensor.numpy() for tensor in (slot, cell, elapsed, held, earlier, alike)]
    found = stepper.row_logits(charts, *arrays)
    np.testing.assert_allclose(found, wanted, atol=1e-4)


@torch.no_grad()
def test_the_hazard_of_writing_is_that_of_training(model, corpus):
    """Chances read off many draws of the first slot agree with the loss's log-odds, motifs included."""
    model.motif.rhythm.copy_(torch.tensor([[-0.4, 0.8]] * 6))
    arrays = WindowSampler(corpus).stretch(0, 0)
    batch = collate([arrays])
    encoder_control, _ = model.control_vectors(batch.controls)
    encoding = model.encode(batch.cells, encoder_control)
    earlier = model.motif.earlier(codes_at(batch))
    state, plain = scores(model, batch)
    log_odds = plain + model.motif.rhythm_logit(earlier, encoding.alike.repeat_interleave(6, 1))
    row, grid = 40, WindowSampler(corpus).prepared(0).grid
    last = int(arrays["slot"][row])
    code_at = np.zeros((1, CELLS * 6), np.int16)
    code_at[0, arrays["slot"][1 : row + 1]] = arrays["code"][1 : row + 1]
    terms = model.hazard_terms(state[:, row : row + 1])
    slot_encoding = SlotEncoding(
        np.zeros(1, np.int64), encoding.slot.numpy(), encoding.onset_logit.numpy(), encoding.alike.numpy()
    )
    only = np.arange(grid.slot_ms.size) == last + 12
    end, late = np.array([last + 13]), np.zeros(1, np.int64)
    slot_grid = SlotGrid(grid.slot_ms, grid.tick, only, end, late, np.full((1, 4), np.inf), legal_rows())
    params = Sampling(0, np.zeros(1), onset_weight=1.0, rhythm_weight=1.0, hazard_temperature=1.0).params(
        grid.slot_ms.size
    )
    draws, first = 4000, 0
    for draw in range(draws):
        one = np.zeros(1, np.int64)
        random = np.array([draw * 7919], np.uint64)
        done, last_ms = np.zeros(1, np.bool_), np.full((1, 4), -np.inf)
        state = SamplerState(
            done=done,
            slot=one + last,
            tick=one + grid.tick[last],
            held=one,
            code=one,
            last_event_ms=last_ms,
            hold_logit_bias=np.zeros(1),
            chord_bias=np.zeros((1, 5)),
            recall_bias=np.zeros(1),
            random=random,
            gumbel_seeds=np.zeros((0, 0), np.uint64),
            code_at=code_at,
            gap=one - 1,
        )
        by_elapsed, rhythm = terms.by_elapsed[0].numpy(), model.motif.rhythm.detach().numpy()
        find_slots(one, terms.query[0].numpy(), by_elapsed, rhythm, slot_grid, slot_encoding, params, state)
        first += not done[0]
    following = int(arrays["slot"][row + 1])
    assert following >= last + 12
    probability = float(torch.sigmoid(log_odds[0, last + 12]))
    assert 0.02 < probability < 0.98
    assert first / draws == pytest.approx(probability, abs=0.03)


def test_the_shapes_of_a_checkpoint_are_those_of_the_network(model):
    assert shapes_of(SMALL) == {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


@torch.no_grad()
def test_similarity_to_earlier_cells_is_the_networks(model):
    model.motif.sharpness.copy_(torch.linspace(1, 6, 6))
    model.motif.bias.copy_(torch.linspace(-2, 1, 6))
    for cells in (3, 40, 200):
        cell = torch.randn(2, cells, SMALL.width)
        np.testing.assert_allclose(alike(model.arrays(), cell.numpy()), model.motif.alike(cell), atol=1e-6)


def test_gelu_is_the_exact_one():
    x = np.linspace(-9, 9, 5001, dtype=np.float32)
    wanted = torch.nn.functional.gelu(torch.from_numpy(x)).numpy()
    gelu(x)
    np.testing.assert_allclose(x, wanted, atol=2e-6)


def test_buckets_of_elapsed_ticks_are_the_same_everywhere():
    ticks = np.arange(20_000)
    np.testing.assert_array_equal(time_gap_bins(ticks), time_gap_bin(torch.from_numpy(ticks)))


def test_a_chart_without_audio_trains_what_writes_and_leaves_the_ears_alone(model, corpus):
    silent = Corpus((replace(corpus.songs[0], frames=(0, 0)),), corpus.charts, corpus.frames, corpus.rows)
    result = losses(model, collate([WindowSampler(silent).stretch(0, 0)]))
    result.total.backward()
    assert model.code.weight.grad.abs().sum() > 0
    assert model.unheard_cell.grad.abs().sum() > 0
    assert all(parameter.grad is None for part in (model.stem, model.encoder) for parameter in part.parameters())


def test_noise_in_what_is_read_leaves_the_targets_alone(corpus):
    stretches = WindowSampler(corpus)
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
    buckets = time_gap_bin(ticks)
    assert buckets[:49].tolist() == list(range(49))
    assert (buckets.diff() >= 0).all()
    assert int(buckets.max()) == 63


def test_missing_controls_differ_from_zero():
    unset, zeros = Controls.free().features(), Controls([0.0], [0.0], [0.0], [0]).features()
    assert not np.isnan(unset).any()
    assert not np.array_equal(unset, zeros)


def test_it_learns_one_batch(corpus):
    """The columns are drawn at random, ln 4 = 1.39 nats a row and more: less is only possible by learning them."""
    torch.manual_seed(0)
    model = Mapper(SMALL)
    stretches = WindowSampler(corpus)
    batch = collate([stretches.stretch(0, stretches.prepared(0).grid.cells - 170)])
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(200):
        optimizer.zero_grad()
        total = losses(model, batch).total
        total.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if float(total.detach()) < 0.8:
            return
    pytest.fail(f"{float(total.detach()):.2f} nats a row after 200 steps")


def test_written_charts_are_legal_end_every_hold_and_repeat_with_the_seed(model, corpus):
    stretches = WindowSampler(corpus)
    controls = Controls([2.0] * 3, *[[np.nan] * 3] * 2, [1] * 3)
    grid = stretches.prepared(0).grid
    encodings = encode_song(model, grid, corpus.features(0), LAG_MS, controls)
    bias = np.array([-1.0, -0.5, 0.0])
    first = write_rows(model, encodings, Sampling(7, bias))
    again = write_rows(model, encodings, Sampling(7, bias))
    other = write_rows(model, encodings, Sampling(8, bias))
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
    features[1000:2000, :64] = 0
    controls = Controls([2.0], [np.nan], [np.nan], [1])
    grid = WindowSampler(corpus).prepared(0).grid
    rows = write_rows(model, encode_song(model, grid, features, LAG_MS, controls), Sampling(1, np.array([0.0])))[0]
    sound_ms = grid.slot_ms[rows.slot] + LAG_MS
    assert ((sound_ms > 9_000) & (sound_ms < 10_000)).any()
    assert not ((sound_ms > 10_060) & (sound_ms < 19_940)).any()


@torch.no_grad()
def test_a_span_is_written_between_what_is_kept(model, corpus):
    """Every row lies in the span and rests from the events kept on both sides; no hold runs out of it."""
    stretches = WindowSampler(corpus)
    grid, kept = stretches.prepared(0).grid, stretches.prepared(0).rows
    controls = Controls([4.0] * 4, *[[np.nan] * 4] * 2, [1] * 4)
    encodings = encode_song(model, grid, corpus.features(0), LAG_MS, controls)
    first, end = 30 * 24, 50 * 24
    before = Rows(kept.slot[kept.slot < first], kept.code[kept.slot < first])
    last_ms, next_ms = np.full(4, grid.slot_ms[first] + 90.0), np.full(4, grid.slot_ms[end] - 90.0)
    span = Span(first, end, before, last_ms, next_ms)
    bias = np.zeros((4, 256))
    bias[:, STARTS_HOLD] = 3
    for rows in write_rows(model, encodings, Sampling(3, np.full(4, 2.0), row_bias=bias), span=span):
        assert len(rows) > 10
        assert STARTS_HOLD[rows.code].any()
        assert held_states(rows.code)[-1] == 0
        assert grid.slot_ms[rows.slot[0]] >= last_ms[0] + MIN_COLUMN_GAP_MS
        heads = rows.slot[STARTS_NOTE[rows.code]]
        assert grid.slot_ms[heads[-1]] <= next_ms[0] - MIN_COLUMN_GAP_MS
        assert grid.slot_ms[rows.slot[-1]] <= next_ms[0] - MIN_COLUMN_GAP_MS
        assert rows.slot[-1] < end


@torch.no_grad()
def test_biases_write_more_holds(model, corpus):
    controls = Controls([3.0] * 2, *[[np.nan] * 2] * 2, [1] * 2)
    grid = WindowSampler(corpus).prepared(0).grid
    encodings = encode_song(model, grid, corpus.features(0), LAG_MS, controls)
    bias = np.zeros((2, 256))
    bias[1, STARTS_HOLD] = 2
    plain, held = write_rows(model, encodings, Sampling(1, np.zeros(2), row_bias=bias))
    assert STARTS_HOLD[held.code].mean() > STARTS_HOLD[plain.code].mean() + 0.1


@torch.no_grad()
def test_shares_of_chords_and_repeated_columns_are_kept_to(model, corpus):
    grid = WindowSampler(corpus).prepared(0).grid
    encodings = encode_song(model, grid, corpus.features(0), LAG_MS, Controls([3.0] * 2, *[[np.nan] * 2] * 2, [1] * 2))
    taps = np.where(STARTS_HOLD, -8.0, 0.0)[None].repeat(2, 0)
    chords, repeats = np.array([[0.1, 0.0, 0.0], [0.2, 0.3, 0.1]]), np.array([0.1, 0.6])
    again = []
    for chart, sizes in zip(
        write_rows(model, encodings, Sampling(1, np.zeros(2), row_bias=taps, chords=chords, recall=repeats)),
        chords,
        strict=True,
    ):
        pressed = (SYMBOLS[chart.code] == TAP) | (SYMBOLS[chart.code] == HOLD_START)
        assert len(chart) > 500
        for size, share in zip((2, 3, 4), sizes, strict=True):
            assert (pressed.sum(1) == size).mean() == pytest.approx(share, abs=0.05)
        again.append((pressed[1:] & pressed[:-1]).any(1).mean())
    assert again[0] == pytest.approx(repeats[0], abs=0.05)
    assert again[1] > again[0] + 0.1, "columns are seldom pressed again within 100 ms, whatever the share"


@torch.no_grad()
def test_a_long_chart_reads_again_and_goes_on(model, corpus):
    """More rows than the cache holds: the chart is still legal, and does not depend on those written beside it."""
    grid = WindowSampler(corpus).prepared(0).grid
    controls = Controls([3.0] * 2, *[[np.nan] * 2] * 2, [1] * 2)
    encodings = encode_song(model, grid, corpus.features(0), LAG_MS, controls)
    both = write_rows(model, encodings, Sampling(5, np.array([3.0, 0.0])))
    alone = write_rows(model, encodings.repeated([0]), Sampling(5, np.array([3.0])))
    assert len(both[0]) > 2 * CACHE_ROWS
    state = 0
    for code in both[0].code:
        assert LEGAL[state, code]
        state = HELD_AFTER[state, code]
    assert both[0].slot.tolist() == alone[0].slot.tolist()
    assert both[0].code.tolist() == alone[0].code.tolist()


@torch.no_grad()
def test_the_number_of_threads_changes_nothing(model, corpus, monkeypatch):
    grid = WindowSampler(corpus).prepared(0).grid
    encodings = encode_song(model, grid, corpus.features(0), LAG_MS, Controls([3.0] * 7, *[[np.nan] * 7] * 2, [1] * 7))
    written = []
    for cores in (1, 2, 3):
        monkeypatch.setenv("OMP_NUM_THREADS", str(cores))
        rows = write_rows(model, encodings, Sampling(5, np.linspace(-1, 2, 7)))
        written.append([(one.slot.tolist(), one.code.tolist()) for one in rows])
    assert written[0] == written[1] == written[2]


@torch.no_grad()
def test_guidance_extrapolates_from_the_unconditional_encoding(model, corpus):
    """Its own opinion of the shadow cancels at guidance 1; beyond, controls that add rows add more of them."""
    grid = WindowSampler(corpus).prepared(0).grid
    encodings, free = (
        encode_song(model, grid, corpus.features(0), LAG_MS, controls)
        for controls in (Controls([3.0] * 2, *[[np.nan] * 2] * 2, [1] * 2), Controls.free(2))
    )
    for one, more in ((encodings, 1.0), (free, -1.0)):
        one.onset_logit[:] = more  # what was asked adds rows everywhere
    lengths = {}
    for guidance in (0.5, 1.0, 2.0):
        given = encodings if guidance == 1 else SongEncoding.joined([encodings, free])
        lengths[guidance] = sum(map(len, write_rows(model, given, Sampling(3, np.full(2, -1.0), guidance=guidance))))
    assert lengths[0.5] < lengths[1.0] < lengths[2.0]
    nearly = write_rows(model, SongEncoding.joined([encodings, encodings]), Sampling(3, np.full(2, -1.0), guidance=3.0))
    plain = write_rows(model, encodings, Sampling(3, np.full(2, -1.0)))
    assert [one.slot.tolist() for one in nearly] == [one.slot.tolist() for one in plain], (
        "a second network with the same encoding"
    )


@pytest.mark.parametrize(
    ("items", "size", "width"), [(1, 8, 5), (1, 7, 130), (2, 5, 32), (3, 19, 16), (4, 6, 48), (5, 4, 40), (16, 3, 33)]
)
def test_products_are_exact_and_do_not_depend_on_their_company(items, size, width):
    random = np.random.default_rng(items)
    x, weight, begun = (
        random.normal(size=shape).astype(np.float32) for shape in ((items, size), (size, width), (items, width))
    )
    together, alone = begun.copy(), begun.copy()
    multiply_add(x, in_panels(weight), together)
    for item in range(items):
        multiply_add(x[item : item + 1], in_panels(weight), alone[item : item + 1])
    np.testing.assert_allclose(together, begun + x @ weight, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(together, alone)


def test_a_block_called_by_python_adds_the_same_sums():
    """With NUMBA_DISABLE_JIT=1 nothing is compiled: the plain form has to do the same."""
    random = np.random.default_rng(0)
    x, weight = random.normal(size=(4, 9)).astype(np.float32), random.normal(size=(9, 2 * LANES)).astype(np.float32)
    begun = random.normal(size=(4, 2 * LANES)).astype(np.float32)
    compiled, plain = begun.copy(), begun.copy()
    multiply_add(x, in_panels(weight), compiled)
    for panel in range(2):
        four_rows(x, 0, 9, 9, in_panels(weight), panel * 9 * LANES, LANES, 0, plain, panel * LANES, 2 * LANES)
    np.testing.assert_allclose(plain, compiled, rtol=1e-5, atol=1e-6)
    assert (plain != begun).all()


@pytest.mark.parametrize(("width", "capacity", "at"), [(8, 20, 18), (20, 16, 5), (32, 128, 70), (32, 40, 39)])
def test_attention_reads_no_key_behind_the_row(width, capacity, at):
    """Columns of the cache that no row has filled hold anything; sizes need not be whole panels."""
    random = np.random.default_rng(width)
    keys = np.full((1, 2, width, capacity), np.nan, np.float32)
    values = np.full((1, 2, capacity, width), np.nan, np.float32)
    keys[..., :at], values[:, :, :at] = random.normal(size=(1, 2, width, at)), random.normal(size=(1, 2, at, width))
    qkv = random.normal(size=(1, 6 * width)).astype(np.float32)
    still = np.ones((1, width // 2), np.float32), np.zeros((1, width // 2), np.float32)  # no rotation
    one = np.zeros(1, np.int64)
    found = attend(qkv, *still, one, np.array([at]), keys, values, np.ones(1, np.bool_))
    query, key, value = qkv.reshape(3, 2, width)
    np.testing.assert_array_equal(keys[0, :, :, at], key)
    match = np.einsum("hk,hkp->hp", query, keys[0, :, :, : at + 1]) / width**0.5
    share = np.exp(match - match.max(1, keepdims=True))
    wanted = np.einsum("hp,hpk->hk", share / share.sum(1, keepdims=True), values[0, :, : at + 1])
    np.testing.assert_array_equal(values[0, :, at], value)
    np.testing.assert_allclose(found.reshape(2, width), wanted, rtol=1e-3, atol=1e-4)


def test_softmax_is_the_exact_one():
    x = np.concatenate((np.linspace(-40, 3, 301), [-1e9])).astype(np.float32)
    wanted = torch.softmax(torch.from_numpy(x), 0).numpy()
    soften(x)
    np.testing.assert_allclose(x, wanted, rtol=1e-4, atol=1e-9)


@torch.no_grad()
def test_encodings_between_two_star_ratings_are_interpolated(model, corpus):
    for layer in (0, 2):
        model.controls[layer].weight.mul_(10)  # an untrained network hardly depends on its controls
    grid = WindowSampler(corpus).prepared(0).grid
    song = SongAnalysis(grid, (), corpus.features(0), LAG_MS)
    encoder = CachedEncoder(model, song, 10**7)
    encodings = encoder.encode([ChartTarget(stars) for stars in (3.0, 3.25, 4.0, 0.1, 12.0)])
    ends = controls_of([ChartTarget(stars) for stars in (3.0, 4.0, 0.5, 9.0)])
    exact = encode_song(model, grid, song.features, LAG_MS, ends)
    for name in ("cell", "slot", "onset_logit", "alike", "decoder_control"):
        got, wanted = getattr(encodings.dense(), name), getattr(exact, name)
        np.testing.assert_allclose(got[[0, 2, 3, 4]], wanted, atol=1e-4)
        np.testing.assert_allclose(got[1], 0.75 * wanted[0] + 0.25 * wanted[1], atol=1e-4)
    assert len(encodings.cell) == 5, "stored for 3, 4, 0.5, 8 and 9 stars, not for each chart"
    assert np.abs(encodings.cell[0] - encodings.cell[1]).max() > 0.01
    guided = encoder.encode([ChartTarget(3.0)], guidance=2.0)
    unconditional = encode_song(model, grid, song.features, LAG_MS, Controls.free())
    np.testing.assert_allclose(guided.onset_logit, [encodings.onset_logit[0], unconditional.onset_logit[0]], atol=1e-4)


@torch.no_grad()
def test_charts_that_share_a_window_are_encoded_as_if_alone(model, corpus):
    sampler = WindowSampler(corpus)
    together = collate_windows([sampler.window([0, 0], 0), sampler.window([0], 40)])
    assert together.cells.mel.shape[0] == 2
    assert together.window.tolist() == [0, 0, 1]
    together.controls[1] = torch.from_numpy(Controls.free().features()[0])
    apart = collate([sampler.stretch(0, 0), sampler.stretch(0, 0), sampler.stretch(0, 40)])
    apart.controls[1] = together.controls[1]
    ours, theirs = losses(model, together), losses(model, apart)
    torch.testing.assert_close(ours.onset_logit, theirs.onset_logit)
    torch.testing.assert_close(ours.total, theirs.total)
    assert (ours.onset_logit[0] - ours.onset_logit[1]).abs().max() > 1e-4, "controls still reach each chart"


def test_only_layers_above_the_shared_ones_see_the_controls(model, corpus):
    cells = collate([WindowSampler(corpus).stretch(0, 0)]).cells
    seen = []
    hook = model.encoder[model.config.shared_layers].register_forward_pre_hook(lambda _m, given: seen.append(given[0]))
    controls = torch.from_numpy(
        np.concatenate((Controls.free().features(), Controls([5.0], [9.0], [0.2], [1]).features()))
    )
    with torch.no_grad():
        control, _ = model.control_vectors(controls)
        model.encode(cells, control)
    hook.remove()
    difference = seen[0][1] - seen[0][0]  # [cell, width]
    torch.testing.assert_close(difference, (control[1] - control[0]).expand_as(difference))


def test_channels_are_dropped_in_all_steps_alike_and_the_mean_stays():
    torch.manual_seed(0)
    x = torch.ones(40, 5, 200)
    dropped = drop_channels(x, 0.25)
    assert (dropped == dropped[:, :1]).all()
    assert dropped.unique().tolist() == pytest.approx([0.0, 4 / 3])
    assert dropped.mean() == pytest.approx(1, abs=0.02)
    assert drop_channels(x, 0.0) is x


@torch.no_grad()
def test_an_easy_chart_counts_for_more_than_its_rows(model, corpus):
    batch = collate([WindowSampler(corpus).stretch(0, 0)] * 2)
    few = replace(batch.targets, code=batch.targets.code.clone())
    few.code[1, 60:] = 0
    weight, rows = _evened(replace(batch, targets=few)), few.valid.sum(1)
    assert rows[1] < rows[0]
    assert (weight[1] / weight[0]).item() == pytest.approx((rows[0] / rows[1]).item() ** EVENED)
    assert (weight * rows)[1] < (weight * rows)[0], "still for less than a hard one"
    alone = collate([WindowSampler(corpus).stretch(0, 0)])
    assert _evened(alone)[0] == _evened(batch)[0], "whatever it is learnt beside"
