"""The command line, `mania4k`, with a verb for everything the project does; and what it does, from Python.

import mania4k

beatmapset = mania4k.generate("song.mp3", stars=[1.8, 3.0, 4.5], holds=0.15, seed=7, out="song.osz")
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from runtime.lazy import lazy_exports

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # see mapper; it must be said before numpy is imported

if TYPE_CHECKING:
    from mapper.generate import GeneratedSet, generate

__all__ = ["GeneratedSet", "generate"]

__getattr__ = lazy_exports(__name__, {"mapper.generate": ("GeneratedSet", "generate")})
