"""Conditioning of charts: the values that the network is conditioned on, and biases of the sampler."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from chart.analysis.pattern_mix import FAMILIES
from mapper.network.interface import Network
from mapper.sampling.encode_song import Mixture, SongEncoding, encode_song
from mapper.sampling.kernels import NOTES_BEGUN
from mapper.sampling.sampler import Sampling
from mapper.sampling.song_analysis import SongAnalysis
from mapper.tokens.conditioning_vector import Controls
from mapper.tokens.vocabulary import STYLES
from reward.chart_metrics import ChartMetrics
from reward.rules.criteria import Level, level_of
from runtime.memory import give_back

ENCODED_STARS = (0.5, 1.0, 1.5, *map(float, range(2, 10)))
"""Star ratings that are encoded; encodings of others are interpolated (RMS error .02 to .2 in onset log-odds on `train`
songs), so that neighbouring difficulties share encodings. The first and last bound the conditioning."""
DENSITY = {"keyboard": (3.29, -1.19), "pad": (2.49, -0.56)}
"""Notes a second of human charts by style: slope and intercept over stars, least squares on the `train` charts."""
MIN_NOTES_PER_S = 0.5
HOLD_SHARE = 0.1
"""Holds among the notes of a typical human chart (the mean of `train` charts is .08 to .16 at any stars)."""


@dataclass(frozen=True)
class ChartTarget:
    """All requested properties of one chart."""

    stars: float
    style: str = "keyboard"
    hold_share: float | None = None  # holds / notes; None: unconstrained, and `natural_holds` are written
    patterns: tuple[float, ...] = (np.nan,) * len(FAMILIES)  # [family], share of rows, nan: unconstrained
    density: float = 1.0  # notes a second over those of human charts of the same stars
    natural_holds: float = (
        HOLD_SHARE  # the song's (`mapper.structure.holds`); the network's own vary at random (docs/LOG.md)
    )

    @property
    def level(self) -> Level:
        """Difficulty level of the ranking criteria."""
        return level_of(self.stars)

    @property
    def kept_holds(self) -> float:
        """Holds / notes that the network is conditioned on and that the sampler keeps to."""
        return self.natural_holds if self.hold_share is None else self.hold_share

    @property
    def is_free(self) -> bool:
        """Whether no pattern mix is requested."""
        return not np.isfinite(self.patterns).any()

    @property
    def notes_per_s(self) -> float:
        """Density that the network is conditioned on."""
        return max(float(np.polyval(DENSITY[self.style], self.stars)), MIN_NOTES_PER_S) * self.density

    def mix_of(self, metrics: ChartMetrics) -> NDArray[np.float64]:
        """[family], the pattern mix of a measured chart; not measured where none is requested."""
        return np.array(self.patterns) if self.is_free else metrics.pattern_mix


Condition = ChartTarget | None
"""Target that an encoding is conditioned on; None: unconditional."""


class CachedEncoder:
    """Encoder of one song with a cache by target: encoding costs as much as decoding."""

    def __init__(self, model: Network, song: SongAnalysis, most_slots: int) -> None:
        self.model, self.song, self.most_slots = model, song, most_slots
        self.encodings: SongEncoding | None = None  # those that are known
        self.place: dict[Condition, int] = {}  # → which of `encodings`

    def encode(self, targets: Sequence[ChartTarget], guidance: float = 1.0) -> SongEncoding:
        """Encodings for these targets, in order; with guidance, then as many unconditional ones."""
        stars = np.clip([one.stars for one in targets], ENCODED_STARS[0], ENCODED_STARS[-1])
        low = np.clip(np.searchsorted(ENCODED_STARS, stars, side="right") - 1, 0, len(ENCODED_STARS) - 2)
        start, end = np.take(ENCODED_STARS, low), np.take(ENCODED_STARS, low + 1)
        share = (stars - start) / (end - start)
        ends = [
            (replace(one, stars=float(a)), replace(one, stars=float(b)))
            for a, b, one in zip(start, end, targets, strict=True)
        ]
        pairs: list[tuple[Condition, Condition]] = [
            (first, second if way > 0 else first) for (first, second), way in zip(ends, share, strict=True)
        ]
        if guidance != 1:
            pairs, share = [*pairs, *[(None, None)] * len(targets)], np.append(share, np.zeros(len(targets)))
        encodings = self._with([one for pair in pairs for one in pair])
        low, high = np.array([[self.place[one] for one in pair] for pair in pairs], np.int64).T.copy()
        return encodings.mixed(Mixture(low, high, share.astype(np.float32)))

    def _with(self, conditions: Sequence[Condition]) -> SongEncoding:
        """The encodings that are known, those of these conditions among them."""
        if len(self.place) * self.song.grid.slot_ms.size > self.most_slots:
            self.encodings, self.place = None, {}
        missing = [one for one in dict.fromkeys(conditions) if one not in self.place]
        given = [one for one in missing if one is not None]
        parts = [] if self.encodings is None else [self.encodings]
        parts += [self._encoded(controls_of(given))] if given else []
        parts += [self._encoded(Controls.free())] if None in missing else []
        for one in sorted(missing, key=lambda one: one is None):
            self.place[one] = len(self.place)
        self.encodings = SongEncoding.joined(parts) if len(parts) > 1 else parts[0]
        if missing:
            give_back()  # what the network took is free again
        return self.encodings

    def _encoded(self, controls: Controls) -> SongEncoding:
        song = self.song
        return encode_song(self.model, song.grid, song.features, song.lag_ms, controls, song.first_ms)


def sampling_of(
    seed: int,
    rate_bias: NDArray[np.float64],
    targets: Sequence[ChartTarget],
    chord_bias: NDArray[np.float64],
    guidance: float = 1.0,
) -> Sampling:
    """Sampling of charts with these targets, and biases of the hazard and of each note beyond a row's first; one of each a chart."""
    row_bias = chord_bias[:, None] * np.maximum(NOTES_BEGUN - 1, 0)
    shares = np.array([one.kept_holds for one in targets])
    return Sampling(seed, rate_bias, row_bias, hold_share=shares, guidance=guidance)


def controls_of(targets: Sequence[ChartTarget]) -> Controls:
    """Controls for these targets: requested values, the rest as in human charts of the same stars."""
    return Controls(
        stars=[one.stars for one in targets],
        notes_per_s=[one.notes_per_s for one in targets],
        hold_share=[one.kept_holds for one in targets],
        style=[STYLES.index(one.style) for one in targets],
        patterns=[one.patterns for one in targets],
    )
