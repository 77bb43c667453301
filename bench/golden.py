"""Golden outputs: record them with one build and compare another build with them, byte for byte.

    python -m bench.golden golden.json --songs ../shared/data/songs          # records where golden.json is missing
    python -m bench.golden golden.json --songs ../shared/data/songs          # compares where it exists

Everything runs through the public commands, so that modules may move between the two builds.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import click

from bench.report import print_json

DEMO = Path(__file__).resolve().parent.parent / "examples" / "demo_song.ogg"
SONGS_TIMED = 20
SONGS_REFINED = 6


def digest(data: bytes) -> str:
    """The first 16 hexadecimal digits of the SHA-256."""
    return hashlib.sha256(data).hexdigest()[:16]


def run(*arguments: str) -> str:
    """Standard output of a module command; a failure ends the program with the command's words."""
    done = subprocess.run([sys.executable, "-m", *arguments], capture_output=True, check=False)
    if done.returncode:
        sys.exit(
            f"python -m {' '.join(arguments)} exited with {done.returncode}:\n{done.stderr.decode(errors='replace')}"
        )
    return done.stdout.decode("utf-8")


def charts_of(archive: Path) -> dict[str, str]:
    """Digest of every chart in an `.osz`, by its file name."""
    with zipfile.ZipFile(archive) as opened:
        return {name: digest(opened.read(name)) for name in sorted(opened.namelist()) if name.endswith(".osu")}


def audio_of(archive: Path, folder: Path) -> Path:
    """The largest audio file of an `.osz`, unpacked into `folder`."""
    with zipfile.ZipFile(archive) as opened:
        audio = max((i for i in opened.infolist() if i.filename.endswith((".ogg", ".mp3"))), key=lambda i: i.file_size)
        path = folder / f"{archive.stem}{Path(audio.filename).suffix}"
        path.write_bytes(opened.read(audio))
    return path


def timings(songs: list[Path], folder: Path) -> dict[str, str]:
    """Digest of the red lines that `mania4k timing` writes for each song."""
    return {s.stem: digest(run("mania4k", "timing", str(audio_of(s, folder))).encode()) for s in songs}


def refined(songs: list[Path], folder: Path) -> dict[str, str]:
    """Digest of the weights after one update of refinement on a dataset of `songs`."""
    source = folder / "maps"
    source.mkdir()
    for song in songs:
        (source / song.name).write_bytes(song.read_bytes())
    run("mapper.dataset", str(source), "-o", str(folder / "data"))
    small = (
        "--songs-a-rollout",
        "2",
        "--charts",
        "2",
        "--versions",
        "4",
        "--heldout-sections",
        "2",
        "--heldout-charts",
        "1",
    )
    run("env.refine", "--songs", str(folder / "data"), "-o", str(folder / "run"), "--updates", "1", *small)
    weights = sorted((folder / "run").glob("*.safetensors"))
    from safetensors.numpy import load_file

    # Tensors alone: the header names versions and paths.
    return {w.name: digest(b"".join(load_file(w)[k].tobytes() for k in sorted(load_file(w)))) for w in weights}


def collect(songs: Path | None) -> dict[str, dict[str, str]]:
    """All golden outputs; without a folder of songs those of the demo song alone."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run("mania4k", "generate", str(DEMO), "--stars", "2", "3.5", "5", "-o", str(folder / "demo.osz"))
        golden = {"demo": charts_of(folder / "demo.osz")}
        if songs is not None:
            found = sorted(songs.glob("*.osz"))
            golden["timing"] = timings(found[:: max(1, len(found) // SONGS_TIMED)][:SONGS_TIMED], folder)
            golden["refine"] = refined(found[:SONGS_REFINED], folder)
        return golden


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--songs", type=click.Path(exists=True, path_type=Path), help="Folder of .osz files for timing and refinement."
)
def main(file: Path, songs: Path | None) -> None:
    """Record golden outputs in FILE, or compare with those in it."""
    golden = collect(songs)
    if not file.exists():
        file.write_text(json.dumps(golden, indent=1), encoding="utf-8")
        print_json("golden", {"recorded": sum(len(part) for part in golden.values())})
        return
    recorded = json.loads(file.read_text(encoding="utf-8"))
    recorded = {name: part for name, part in recorded.items() if name in golden}  # without --songs the demo alone
    differ = [f"{p}: {k}" for p, part in recorded.items() for k, v in part.items() if golden[p].get(k) != v]
    for line in differ:
        print(f"differs: {line}")
    print_json("golden", {"compared": sum(len(part) for part in recorded.values()), "differ": len(differ)})
    sys.exit(bool(differ))


if __name__ == "__main__":
    main()
