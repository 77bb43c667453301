"""Places of a song by which the page finds out how its browser's decoder differs from ours.

Decoders disagree about where a song begins: an mp3 whose header lacks the encoder's delay starts 12 ms later in browsers than
in libsndfile, a Vorbis file that was cut without encoding it anew 23 ms earlier. The page's data has the loudness by the ms
of a few places as libsndfile decodes them; `templates/sound/alignment.js` finds them in what the browser decoded.
"""

from __future__ import annotations

import base64
import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ear.audio.decode import Audio

MARKS = 3
"""Places, one in each part of the song: the middle one of their answers counts."""
MARK_MS = 2_000
EDGE_MS = 250
"""Marks keep this far from the song's ends, so that the browser can look on both sides."""
FLOOR_DB = 90.0


def sound_marks(audio: Audio) -> list[dict[str, Any]]:
    """The liveliest two seconds of each third of the song: {at_ms, levels: base64 of a byte a ms}; none of a short song."""
    levels = levels_by_ms(audio)
    rise = np.maximum(np.diff(levels.astype(np.int16), prepend=levels[:1]), 0)
    total = np.append(0, np.cumsum(rise))
    edges = np.linspace(EDGE_MS, levels.size - EDGE_MS, MARKS + 1).astype(int)
    marks = []
    for first, end in itertools.pairwise(edges.tolist()):
        if end - first < MARK_MS:
            continue
        starts = np.arange(first, end - MARK_MS + 1)
        at = int(starts[np.argmax(total[starts + MARK_MS] - total[starts])])
        marks.append({"at_ms": at, "levels": base64.b64encode(levels[at : at + MARK_MS].tobytes()).decode("ascii")})
    return marks


def levels_by_ms(audio: Audio) -> NDArray[np.uint8]:
    """[ms] loudness of the song, 0–255 for −90 to 0 dB."""
    whole_ms = int(audio.duration_ms)
    edges = np.round(np.arange(whole_ms + 1) * (audio.sample_rate / 1000)).astype(int)
    energy = np.add.reduceat(audio.samples.astype(np.float64) ** 2, edges[:-1]) if whole_ms else np.zeros(0)
    decibels = 10 * np.log10(energy / np.diff(edges) + 1e-12)
    return np.round(np.clip(1 + decibels / FLOOR_DB, 0, 1) * 255).astype(np.uint8)
