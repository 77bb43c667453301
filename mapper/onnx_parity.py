"""How nearly the ONNX graphs are the network in torch: largest differences, and the share of rows written alike."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from chart.grid import SLOTS_PER_CELL, TICKS_PER_BEAT, make_grid
from chart.model import TimingPoint
from mapper.network.cached_decoder import time_gap_bins
from mapper.network.interface import DecoderInput, Floats, Ints
from mapper.network.model import Encoding, Mapper, RowTokens
from mapper.network.onnx_model import OnnxMapper
from mapper.sampling.encode_song import SongEncoding, encode_song
from mapper.sampling.sampler import Sampling, write_rows
from mapper.sampling.song_analysis import SongAnalysis
from mapper.tokens.conditioning_vector import Controls
from mapper.tokens.log_mel import BANDS, FRAMES_PER_SECOND
from mapper.tokens.row_codes import Rows, held_states
from mapper.tokens.vocabulary import SIDE_CHANNELS
from mapper.tokens.window import LONG_AGO_TICKS, MAX_ROWS

PARITY_STARS = (1.5, 2.5, 3.5, 4.5, 5.5)
PULSE_MS, PULSE_S = 375.0, 60.0
SEEDS = (0, 1, 2, 3)


@dataclass(frozen=True)
class Parity:
    """Graphs against torch on one song; differences are the largest, in the units of the network."""

    cell: float
    slot: float
    onset_logit: float
    state: float
    hazard_query: float
    hazard_elapsed_logit: float
    row_logit: float
    same_rows: float  # share of the rows that torch wrote and the graphs wrote too, same slot and code, free-running
    rows: int  # that torch wrote
    torch_hear_s: float  # to hear the song for all charts, the better of two
    onnx_hear_s: float

    @property
    def largest_logit(self) -> float:
        """Largest difference of any logit."""
        return max(self.onset_logit, self.hazard_elapsed_logit, self.row_logit)


def pulse_song(seconds: float = PULSE_S, seed: int = 0) -> SongAnalysis:
    """A made-up song of noisy pulses at 160 BPM: every installation has it."""
    random = np.random.default_rng(seed)
    points = (TimingPoint(time_ms=0.0, beat_length_ms=PULSE_MS),)
    features = random.integers(0, 40, (int(seconds * FRAMES_PER_SECOND), BANDS)).astype(np.uint8)
    for half_beat in range(int(seconds * 1000 / PULSE_MS * 2)):
        frame = round(half_beat * PULSE_MS / 2 / 1000 * FRAMES_PER_SECOND)
        low = int(random.integers(0, BANDS // 2))
        features[frame : frame + 3, low : low + BANDS // 2] = int(random.integers(90, 220))
    side = random.integers(0, 256, (len(features), SIDE_CHANNELS)).astype(np.uint8)
    return SongAnalysis(make_grid(points, 0.0, seconds * 1000), points, np.concatenate((features, side), 1))


def compare(model: Mapper, graphs: OnnxMapper, song: SongAnalysis) -> Parity:
    """Let both hear the song, write charts with the same seeds, and read a chart of torch's row by row."""
    nothing = np.full(len(PARITY_STARS), np.nan)
    controls = Controls(PARITY_STARS, nothing, nothing, np.zeros(len(PARITY_STARS), np.int64))
    heard, torch_s = _timed(lambda: encode_song(model, song.grid, song.features, song.lag_ms, controls))
    other, onnx_s = _timed(lambda: encode_song(graphs, song.grid, song.features, song.lag_ms, controls))
    bias, same, count = np.zeros(len(PARITY_STARS)), 0, 0
    for seed in SEEDS:
        written = write_rows(model, heard, Sampling(seed, bias))
        again = write_rows(graphs, other, Sampling(seed, bias))
        same += sum(len(_pairs(one) & _pairs(two)) for one, two in zip(written, again, strict=True))
        count += sum(map(len, written))
    longest = int(np.argmax([len(rows) for rows in written]))
    return Parity(
        cell=_largest(heard.cell, other.cell),
        slot=_largest(heard.slot, other.slot),
        onset_logit=_largest(heard.onset_logit, other.onset_logit),
        **_reading(model, graphs, heard.repeated([longest]), written[longest]),
        same_rows=round(same / count, 5),
        rows=count,
        torch_hear_s=round(torch_s, 3),
        onnx_hear_s=round(onnx_s, 3),
    )


def _timed(work: Callable[[], SongEncoding]) -> tuple[SongEncoding, float]:
    """The result, and the processor seconds of the better of two tries."""
    seconds = []
    for _ in range(2):
        began = time.process_time()
        result = work()
        seconds.append(time.process_time() - began)
    return result, min(seconds)


def _pairs(rows: Rows) -> set[tuple[int, int]]:
    return set(zip(rows.slot.tolist(), rows.code.tolist(), strict=True))


def _largest(one: Floats, two: Floats) -> float:
    return float(np.abs(one - two).max())


@torch.inference_mode()
def _reading(model: Mapper, graphs: OnnxMapper, heard: SongEncoding, rows: Rows) -> dict[str, float]:
    """Largest differences of what the decoder and its heads say after each of the same rows; `heard` is of one chart."""
    slot = np.concatenate(([0], rows.slot))[:MAX_ROWS]
    read = _as_read(heard, Rows(rows.slot[: MAX_ROWS - 1], rows.code[: MAX_ROWS - 1]))
    alike = heard.alike[0, slot // SLOTS_PER_CELL]
    earlier = np.tile(np.roll(read.code, 1)[:, None], (1, alike.shape[1]))  # any codes will do for a comparison
    decoder, found = graphs.row_decoder(1, MAX_ROWS), []
    for at in range(slot.size):
        row = DecoderInput._make(column[at : at + 1] for column in read)
        decoder.read(row)
        inputs = (row.slot, row.cell, row.elapsed, row.held, earlier[at : at + 1], alike[at : at + 1])
        heads = (*decoder.hazard_terms(row.chart), decoder.row_logits(row.chart, *inputs))
        found.append((decoder.state[0].copy(), *(head[0] for head in heads)))
    names = ("state", "hazard_query", "hazard_elapsed_logit", "row_logit")
    wanted = _by_torch(model, heard, read, slot, (earlier, alike))
    pairs = zip(wanted, zip(*found, strict=True), strict=True)
    return {name: _largest(one.numpy(), np.array(two)) for name, (one, two) in zip(names, pairs, strict=True)}


def _by_torch(
    model: Mapper, heard: SongEncoding, read: DecoderInput, slot: Ints, motifs: tuple[Ints, Floats]
) -> tuple[Tensor, ...]:
    """[row, …] states, hazard queries, hazard logits and row logits; `motifs` are earlier codes and likenesses."""
    order = np.arange(slot.size, dtype=np.float32)
    columns = (read.code, read.held, slot, read.elapsed, read.beat, order)
    tokens = RowTokens(*(torch.from_numpy(column)[None] for column in columns))
    encoding = Encoding(*map(torch.from_numpy, (heard.cell, heard.slot, heard.onset_logit, heard.alike)))
    state = model.decode(tokens, encoding, torch.from_numpy(heard.decoder_control)[:, None])[0]
    terms = model.hazard_terms(state)
    earlier, alike = map(torch.from_numpy, motifs)
    motif = model.motif.row_vector(earlier, alike, model.symbols_of_code)
    heard_slot, cell, elapsed, held = map(torch.from_numpy, (read.slot, read.cell, read.elapsed, read.held))
    return state, terms.query, terms.by_elapsed, model.row_logits(state, heard_slot, cell, elapsed, held, motif)


def _as_read(heard: SongEncoding, rows: Rows) -> DecoderInput:
    """A start token and the rows, of the only chart that is heard."""
    slot = np.concatenate(([0], rows.slot))
    tick = heard.grid.tick[slot]
    return DecoderInput(
        chart=np.zeros(slot.size, np.int64),
        code=np.concatenate(([0], rows.code)),
        held=np.concatenate(([0], held_states(rows.code))),
        elapsed=time_gap_bins(np.concatenate(([LONG_AGO_TICKS], np.diff(tick)))),
        beat=(tick / TICKS_PER_BEAT).astype(np.float32),
        cell=heard.cell[0, slot // SLOTS_PER_CELL],
        slot=heard.slot[0, slot],
        control=np.tile(heard.decoder_control, (slot.size, 1)),
    )
