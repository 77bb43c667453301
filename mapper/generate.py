"""From a song to an `.osz`: `python -m mapper.generate song.ogg --stars 2 3.5 5 -o song.osz`.

    beatmapset = mania4k.generate("song.mp3", stars=[2, 3.5, 5], holds=0.15)    # the same from Python

`mapper.pipeline` is how; `mapper.cli` reads the command line.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mapper.cli import main
from mapper.pipeline import GeneratedSet, Progress, run
from mapper.request.options import GenerateConfig

__all__ = ["GeneratedSet", "generate", "main", "run"]


def generate(
    song: str | Path | None = None, *, report: Progress = lambda stage, ratio: None, **options: Any
) -> GeneratedSet:
    """Write an `.osz` for a song and return it; `options` are the fields of `mapper.request.options.GenerateConfig`.

        beatmapset = generate("song.mp3", stars=[1.8, 3, 4.5], out="song.osz", seed=7)

    `report` is called with the stage ("hear", "write", "pack") and the ratio of it that is done. Raises AudioFileError,
    ChartFileError, CheckpointError, ConfigError or OutputError, each before anything is written.
    """
    paths = ("out", "like", "from_map", "timing", "checkpoint")
    options |= {name: Path(options[name]) for name in paths if options.get(name) is not None}
    options |= {name: tuple(options[name]) for name in ("stars", "names") if name in options}
    return run(GenerateConfig(song=None if song is None else Path(song), **options), report)


if __name__ == "__main__":
    main()
