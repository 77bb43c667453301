"""Training arrays from folders of maps: `python -m mapper.dataset FOLDER … -o DATA`.

Every `.osz` (and every folder with `.osu` files and their audio, as in osu!'s Songs) becomes one song: its log-mel
spectrogram once, and each of its 4K charts as rows on the beat grid. An `.npz` collection of charts without audio
(mapper.data.pattern_collection) becomes a song without sound for each chart, to learn patterns from. Songs are worked on in parallel and kept one by
one under DATA/parts, so an interrupted build goes on where it stopped. What is skipped is named with the reason in
DATA/report.json. `mapper.data.corpus` describes the result.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import click
import numpy as np

from chart.formats.rhythm import is_rhythm_song
from mapper.data.build import collection_arrays, rhythm_arrays, song_arrays
from mapper.data.check_corpus import is_whole_part
from mapper.data.corpus import FORMAT_VERSION, SongEntry, array_files
from mapper.data.read_song import OTHER_GAME, only_other_games
from mapper.data.sources import MIN_SONGS_TO_VALIDATE, Source, find_sources, for_validation, read_splits
from mapper.tokens.log_mel import BANDS
from mapper.tokens.vocabulary import SIDE_CHANNELS
from runtime.atomic_write import replacing, save_bytes
from runtime.command import Command, use_utf8
from runtime.errors import ConfigError, Mania4KError, OtherGameError, OutputError
from runtime.lock import locked
from runtime.text import json_text
from runtime.workers import Workers, all_results, worker_options


@dataclass(frozen=True)
class Part:
    """Result of reading one source."""

    source: Source
    file: str  # the part's .npz, empty when the song was skipped
    skipped: tuple[str, ...]  # "chart or song: reason"

    @property
    def failed(self) -> bool:
        """Whether nothing could be made of the source."""
        return not self.file and not only_other_games(self.skipped)


def build(
    folders: Sequence[Path],
    out: Path,
    splits: dict[str, str] | None = None,
    workers: Workers | None = None,
    timing: str = "map",
    machine_made: bool = False,
) -> dict[str, Any]:
    """Build or go on building the dataset `out`; returns the report that is also written there.

    `timing` "map" keeps the charts' own red lines; with "ear" the notes are snapped to the grid that the Ear finds, and
    the report gives their distance from it.
    `splits` maps file names to "train" or "val"; without it a tenth of the songs, by hash of the name, is "val".
    Raises ConfigError when no map is found and OutputError when `out` cannot be written.
    """
    sources = [replace(one, machine_made=machine_made) for one in find_sources(folders, splits)]
    parts_folder = out / "parts"
    try:
        parts_folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{out}: cannot make the dataset's folder ({error})") from error
    jobs = [(source, str(parts_folder), timing) for source in sources]
    with locked(out):
        return _join(all_results(_build_part, jobs, workers or Workers(), "songs"), out)


def _build_part(job: tuple[Source, str, str]) -> Part:
    source, folder, timing = job
    path = Path(source.path)
    stamp = f"{FORMAT_VERSION} {source.stamp} {timing} {source.machine_made}"
    file = Path(folder) / f"{hashlib.sha256(stamp.encode('utf-8', 'surrogateescape')).hexdigest()[:24]}.npz"
    if is_whole_part(file):
        with np.load(file, allow_pickle=False) as saved:
            return Part(source, str(file), tuple(json.loads(str(saved["skipped"]))))
    try:
        arrays, skipped = _arrays_of(path, timing, source.machine_made)
    except OtherGameError as error:
        return Part(source, "", tuple(str(error).split("\n")))
    except Mania4KError as error:
        return Part(source, "", (str(error),))
    with replacing(file) as opened:
        np.savez(opened, **arrays, skipped=json.dumps(skipped))
    return Part(source, str(file), tuple(skipped))


def _arrays_of(path: Path, timing: str, machine_made: bool) -> tuple[dict[str, Any], list[str]]:
    if is_rhythm_song(path):
        return rhythm_arrays(path)
    return collection_arrays(path) if path.suffix == ".npz" else song_arrays(path, timing, machine_made)


def _join(parts: list[Part], out: Path) -> dict[str, Any]:
    """Write the dataset's arrays from its parts, one part in memory at a time."""
    skipped = [line for part in parts for line in part.skipped]
    failed = sum(part.failed for part in parts)
    parts = _with_validation([part for part in parts if part.file])
    if not parts:
        raise ConfigError(f"no song could be used: {'; '.join(skipped[:5])}")
    songs: list[dict] = []
    charts: list[dict] = []
    rows: list[np.ndarray] = []
    seen: dict[bytes, str] = {}
    frames = row_count = 0
    shape = (sum(map(_part_frames, parts)), BANDS + SIDE_CHANNELS)
    build = secrets.token_hex(8)
    features_file, rows_file = array_files(out, build)
    features = np.lib.format.open_memmap(features_file, "w+", np.uint8, shape)
    for part in sorted(parts, key=lambda part: part.source.split != "val"):  # val first: it keeps what both hold
        with np.load(part.file, allow_pickle=False) as saved:
            part_songs, part_rows, part_frames = json.loads(str(saved["meta"])), saved["rows"], saved["features"]
        features[frames : frames + len(part_frames)] = part_frames
        for song, entries in part_songs:
            leaked = _leaks(part, entries, part_rows, seen)
            if leaked:
                skipped.append(f"{song['name']}: its charts are also in {leaked}, which is for validation")
                continue
            number = len(songs)
            charts += [entry | {"song": number, "rows": _later(entry["rows"], row_count)} for entry in entries]
            place = {"frames": _later(song["frames"], frames), "source": part.source.path}
            songs.append(asdict(SongEntry(**song | place, split=part.source.split)))
        rows.append(part_rows)
        row_count += len(part_rows)
        frames += len(part_frames)
    features.flush()
    np.save(rows_file, np.concatenate(rows))
    report = _report(songs, charts, skipped) | {"failed": failed}
    _write_json(out / "report.json", report)
    index = {"format_version": FORMAT_VERSION, "arrays": build, "songs": songs, "charts": charts}
    _write_json(out / "index.json", index)
    _remove_arrays(out, kept=(features_file, rows_file))
    return report


def _remove_arrays(out: Path, kept: Sequence[Path]) -> None:
    """Remove the arrays of earlier builds, and of those that were stopped; a training run may still read some (Windows)."""
    for file in out.glob("*.npy"):
        if file not in kept:
            with suppress(OSError):
                file.unlink()


def _with_validation(parts: list[Part]) -> list[Part]:
    """The parts, one of them moved to validation where chance gave none."""
    chosen = for_validation([part.source for part in parts])
    return [replace(part, source=replace(chosen, split="val")) if part.source is chosen else part for part in parts]


def _later(bounds: Sequence[int], by: int) -> tuple[int, int]:
    return bounds[0] + by, bounds[1] + by


def _part_frames(part: Part) -> int:
    with np.load(part.file, allow_pickle=False) as saved:
        return int(saved["features"].shape[0])


def _leaks(part: Part, entries: list[dict], rows: np.ndarray, seen: dict[bytes, str]) -> str:
    """The validation song that holds one of these charts too; validation songs are remembered in `seen`.

    A chart is known by its row codes alone, so that another offset or tempo does not hide it.
    """
    codes = [rows[first:last, 1].tobytes() for first, last in (entry["rows"] for entry in entries)]
    if part.source.split == "val":
        seen.update({code: Path(part.source.path).name for code in codes})
        return ""
    return next((seen[code] for code in codes if code in seen), "")


def _report(songs: list[dict], charts: list[dict], skipped: list[str]) -> dict[str, Any]:
    by_split = {split: sum(song["split"] == split for song in songs) for split in ("train", "val")}
    return {
        "songs": by_split,
        "charts": len(charts),
        "hours": sum(song["duration_ms"] for song in songs if song["frames"][0] < song["frames"][1]) / 3.6e6,
        "snap_error_ms": {
            "median": float(np.median([chart["snap_error_ms"] for chart in charts])),
            "worst": max((chart["snap_error_ms"], songs[chart["song"]]["name"]) for chart in charts),
        },
        "unsnapped_notes": sum(chart["unsnapped"] for chart in charts),
        "skipped": skipped,
    }


def _write_json(path: Path, value: object) -> None:
    save_bytes(path, json_text(value).encode("utf-8"))


@click.command(cls=Command, help="Build training arrays from folders of .osz maps, or of osu!'s Songs folder.")
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="Dataset folder.")
@click.option(
    "--splits", type=click.Path(path_type=Path), help="JSON list of {file, split}; default: by hash of the name."
)
@click.option(
    "--timing",
    type=click.Choice(["map", "ear"]),
    default="map",
    show_default=True,
    help="Beats of the map, or those that the Ear finds: the mapper then learns on grids like those it will write on.",
)
@click.option("--machine-made", is_flag=True, help="Learn from maps that are tagged as machine-made, too.")
@worker_options(default=0)
@click.pass_context
def main(
    context: click.Context,
    folders: tuple[Path, ...],
    out: Path,
    splits: Path | None,
    timing: str,
    machine_made: bool,
    workers: Workers,
) -> None:
    use_utf8()
    report = build(folders, out, read_splits(splits) if splits else None, workers, timing, machine_made)
    for line in report["skipped"]:
        if not line.startswith(OTHER_GAME):
            click.echo(f"skipped {line}", err=True)
    if others := sum(line.startswith(OTHER_GAME) for line in report["skipped"]):
        click.echo(
            f"passed over {others} chart{'s' * (others != 1)} of other modes and numbers of keys (report.json)",
            err=True,
        )
    click.echo(
        f"{out}: {report['songs']['train']} songs to train on, {report['songs']['val']} to validate, "
        f"{report['charts']} charts, {report['hours']:.1f} hours, notes {report['snap_error_ms']['median']:.1f} ms from "
        f"the grid (median over charts); {len(report['skipped'])} skipped (report.json)"
    )
    if not report["songs"]["val"] and splits is None:
        click.echo(f"no song is for validation: fewer than {MIN_SONGS_TO_VALIDATE} songs are all trained on", err=True)
    if report["failed"]:
        click.echo(f"error: {report['failed']} songs could not be used at all; they are named above", err=True)
        context.exit(1)
    click.echo(f"\nnext: mania4k train {out} -o runs/{out.name}", err=True)


if __name__ == "__main__":
    main()
