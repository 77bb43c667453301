"""Compose the demo song and write it with its truth: examples/demo_song.ogg and examples/demo_song.json.

    python examples/compose_song.py [folder]

The notes (demo_score.py) and the samples (demo_synth.py) are the same on every run of one machine; the encoder gives
the file another stream number each time, so its bytes differ.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import mutagen.oggvorbis
import soundfile
from demo_score import ARTIST, TITLE, compose, truth
from demo_synth import RATE, Sound, render

BLOCK = 1 << 15  # samples a write: libsndfile's Vorbis encoder can overflow the stack on a whole song at once
COMPRESSION = 0.72  # 0 best sound, 1 smallest file


def write_ogg(path: Path, mix: Sound) -> None:
    """Encode [sample, 2] as Ogg Vorbis with title and artist tags."""
    with soundfile.SoundFile(
        path, "w", RATE, mix.shape[1], "VORBIS", format="OGG", compression_level=COMPRESSION
    ) as file:
        for start in range(0, len(mix), BLOCK):
            file.write(mix[start : start + BLOCK])
    tags = mutagen.oggvorbis.OggVorbis(path)
    tags["title"], tags["artist"] = TITLE, ARTIST
    tags.save()


def truth_text(facts: dict[str, object]) -> str:
    """JSON with one line for each fact, so that a change shows in a diff."""
    onsets = facts["onsets_ms"]
    assert isinstance(onsets, dict)
    lines = [f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in facts.items() if key != "onsets_ms"]
    inner = ",\n".join(f"    {json.dumps(name)}: {json.dumps(times)}" for name, times in onsets.items())
    return "{\n" + ",\n".join([*lines, f'  "onsets_ms": {{\n{inner}\n  }}']) + "\n}\n"


def main(folder: Path) -> None:
    """Write the song and its truth into `folder`."""
    notes = compose()
    write_ogg(folder / "demo_song.ogg", render(notes))
    (folder / "demo_song.json").write_text(truth_text(truth(notes)), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent)
